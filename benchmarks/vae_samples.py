"""Prints how far samples of the factor VAEs are from coefficients that no training has seen.

    python -m benchmarks.vae_samples --vae_dir runs/demo/vae
    python -m benchmarks.vae_samples --vae_dir runs/mine --data runs/other   # against a dataset of your own

Three lines per factor, all against the same unseen coefficients: `before`, samples of the decoder alone; `sampled`,
with the map of quantiles to quantiles that ends a training (docs/vae.md); `data`, other unseen coefficients of the same
distribution, as many: what a perfect sampler would show. `vae.train` prints such figures too, but against the vectors
that the map was fitted to. Without --data the coefficients are labels of synthetic images, every one of a person of
its own, of seeds 1 and 2 where the demo trains with seed 0; no image is rendered. Run it with -m.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.vae_samples")

import numpy as np

from datasets.synthetic.labels import LabelDistribution
from renderer import load_face_model
from vae.data import factor_slice, load_factor, read_layout
from vae.model import ABBREVIATIONS, FactorVAE
from vae.plots import compare, draw_samples
from vae.sampler import load_factor_vae, read_factor_manifest

FIGURES = ("std_ratio", "std_ratio_least", "quantile_error", "correlation_error")


def labels(face_model: str, count: int, seed: int) -> np.ndarray:
    """Coefficients [count, size] of synthetic images, each of another person."""
    model, distribution, rng = load_face_model(face_model), LabelDistribution(), np.random.default_rng(seed)
    return np.stack([distribution.image(model, distribution.identity(model, rng), rng)[0] for _ in range(count)])


def before(vae: FactorVAE) -> FactorVAE:
    """The same network without the map of quantiles."""
    plain = FactorVAE(replace(vae.config, sampled=(), real=()))
    plain.set_weights(vae.get_weights())
    return plain


def halves(folder: Path, factor: str) -> tuple[np.ndarray, np.ndarray]:
    """A factor's coefficients in a dataset, in two halves that share no person."""
    data = load_factor(folder, factor, held_out=0.5)
    return data.held_out, data.train


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vae_samples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--vae_dir", type=Path, required=True, help="what vae.train wrote")
    parser.add_argument("--data", type=Path, help="a dataset folder that the VAEs have not seen")
    parser.add_argument("--face_model", default="builtin", help="of the labels without --data; default builtin")
    parser.add_argument("--count", type=int, default=10_000, help="samples, and labels; default 10000")
    args = parser.parse_args(argv)
    if args.count < 10:
        parser.error(f"--count should be 10 or more. Received: {args.count}")
    found = [short for short in ABBREVIATIONS.values() if (args.vae_dir / short).is_dir()]
    if not found:
        raise ValueError(f"{args.vae_dir}: expected folders of vae.train, {', '.join(ABBREVIATIONS.values())}")
    drawn: list[np.ndarray] = []
    if args.data is None:
        drawn = [labels(args.face_model, args.count, seed) for seed in (1, 2)]
    print(f"{'':11s}{'':8s} std, mean   least   quantiles   correlations")
    for factor, short in ABBREVIATIONS.items():
        if short not in found:
            continue
        layout = read_factor_manifest(args.vae_dir / short)["layout"]
        if args.data is not None and read_layout(args.data) != layout:
            raise ValueError(f"{args.data}: expected coefficients of {layout}. Received: {read_layout(args.data)}")
        vae, place = load_factor_vae(args.vae_dir / short), factor_slice(layout, factor)
        first, second = (rows[:, place] for rows in drawn) if drawn else halves(args.data, factor)
        if first.shape[1] != vae.config.size:
            raise ValueError(f"{args.vae_dir / short}: its coefficients are not those of the face model (--face_model)")
        for name, network in (("before", before(vae)), ("sampled", vae), ("data", None)):
            rows = (second, second) if network is None else draw_samples(network, args.count, seed=1)
            figures = compare(first, *rows)
            std, least, quantiles, correlations = (figures[key] for key in FIGURES)
            print(
                f"{factor:11s}{name:8s}{std:10.3f}{least:8.3f}{quantiles:12.3f}{correlations:15.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
