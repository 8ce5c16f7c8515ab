"""Prints milliseconds a training step of the factor VAEs, as trained and without XLA, and the time of a whole training.

    python -m benchmarks.vae
    python -m benchmarks.vae --factor id --batch_size 64 256 --count 70000

Vectors are made-up, of the Basel model's sizes. The two ways take turns, and each figure is the least of several
epochs of 100 steps; `cpu` is the processor time of all threads, which a busy machine disturbs less. The last column is
what --epochs passes over --count vectors take at the wall time of the way that is used, the held-out share left out.
Run it with -m: as a plain script its own file name would hide the package.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.vae")

import numpy as np

from vae.data import BASEL_LAYOUT, FactorData, factor_slice
from vae.initial import start_from_pca
from vae.model import ABBREVIATIONS, FactorConfig, FactorVAE
from vae.trainer import COMPILED_BATCH, Trainer, TrainingOptions

STEPS = 100


def make_trainer(factor: str, batch_size: int, compiled: bool) -> Trainer:
    """A trainer with 100 steps an epoch, on normal vectors, with or without XLA."""
    place = factor_slice(BASEL_LAYOUT, factor)
    values = np.random.default_rng(0).standard_normal((STEPS * batch_size, place.stop - place.start), np.float32)
    vae = FactorVAE(FactorConfig.for_data(factor, values))
    start_from_pca(vae, values)
    options = TrainingOptions(epochs=1, batch_size=batch_size, lr=1e-4, halve_every=150)
    return Trainer(vae, FactorData(values, values[:64], dict(BASEL_LAYOUT)), options, compiled=compiled)


def time_epoch(trainer: Trainer) -> np.ndarray:
    """Milliseconds a step, of the wall and of the processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    trainer.run_epoch()
    return 1e3 / STEPS * np.array([time.perf_counter() - wall, time.process_time() - cpu])


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    factors = {short: factor for factor, short in ABBREVIATIONS.items()}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vae", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--factor", nargs="+", default=tuple(factors), choices=tuple(factors), help="default all")
    parser.add_argument("--batch_size", nargs="+", type=int, default=(64,), help="default 64")
    parser.add_argument("--count", type=int, default=70_000, help="vectors of the whole training; default 70000")
    parser.add_argument("--epochs", type=int, default=400, help="of the whole training; default 400")
    parser.add_argument("--repeats", type=int, default=5, help="epochs that are measured; default 5")
    args = parser.parse_args(argv)
    print("factor  batch   XLA wall / cpu ms   plain wall / cpu ms   whole training")
    for short in args.factor:
        for batch in args.batch_size:
            ways = [make_trainer(factors[short], batch, compiled) for compiled in (True, False)]
            for trainer in ways:
                trainer.run_epoch()
            xla, plain = np.min([[time_epoch(trainer) for trainer in ways] for _ in range(args.repeats)], axis=0)
            used = xla if batch <= COMPILED_BATCH else plain
            minutes = used[0] * args.count / batch * args.epochs / 60e3
            print(f"{short:6}  {batch:5}   {xla[0]:8.2f} / {xla[1]:5.2f}   {plain[0]:10.2f} / {plain[1]:5.2f}"
                  f"   {minutes:8.1f} min", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
