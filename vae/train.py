"""Trains the factor VAEs on the coefficients of a dataset, or on a folder of `.mat` files.

    python -m vae.train --factor id --data DATASET_FOLDER --out DIR
    python -m vae.train --factor exp --datapath DIR/coeff --out DIR
    python -m vae.train --factor all --data DATASET_FOLDER --out DIR --preset quick

Writes DIR/FACTOR/: factor.weights.h5, factor.json, sampled_vs_real.png and TensorBoard events. Interrupt it when you
like: the same command goes on where it stopped, and does nothing for a factor that is finished.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m vae.train", "the same command goes on from here")

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from renderer.options import add_dry_run, add_option, positive, print_options, whole
from vae.coefficient_folder import folder_face_model, folder_layout, gather
from vae.data import FactorData, check_face_model, load_factor, noted_face_model
from vae.initial import start_from_pca
from vae.model import ABBREVIATIONS, FactorConfig, FactorVAE
from vae.plots import compare, draw_samples, plot_samples, save_figure, to_image
from vae.sampler import MANIFEST, load_factor_vae, read_factor_manifest, save_factor
from vae.trainer import PRESETS, Trainer, TrainingOptions

_FACTOR_OF = {short: factor for factor, short in ABBREVIATIONS.items()}
_STATE = "training.npz"
_SAVE_EVERY = 20.0  # seconds between saved states
_OPTIONS = tuple(field.name for field in fields(TrainingOptions))


def train_factor(
    factor: str,
    data_folder: Path,
    out: Path,
    options: TrainingOptions,
    *,
    minutes: float | None = None,
    steps: int | None = None,
) -> None:
    """Trains one factor into `out`, or says that it is finished.

    minutes: stops there, and takes what is learned as the result. steps: instead of options.epochs, rounded up to
    whole epochs. On KeyboardInterrupt the state is kept, so that the same call goes on.
    """
    data = load_factor(data_folder, factor, seed=options.seed)
    config = FactorConfig.for_data(factor, data.train)
    made_for = noted_face_model(data_folder)
    asked = {**asdict(options), "minutes": minutes, "steps": steps}
    if (out / MANIFEST).is_file():
        _check_finished(out, config, data.layout, asked, made_for)
        print(f"{factor}: finished already, {out / MANIFEST}")
        return
    keras.utils.set_random_seed(options.seed)  # the start is the one draw that Keras keys by no seed of ours
    vae = FactorVAE(config)
    limit = None
    if config.width >= 2 * min(config.size, config.latent):
        start_from_pca(vae, np.asarray(vae.normalize(data.train)))
        limit = float(np.asarray(vae.log_gamma))
    trainer = Trainer(vae, data, options, limit)
    epochs = options.epochs if steps is None else math.ceil(steps / trainer.steps)
    out.mkdir(parents=True, exist_ok=True)
    if (out / _STATE).is_file():
        trainer.restore(out / _STATE)
        print(f"{factor}: going on after epoch {trainer.epoch} of {epochs}")
    writer = tf.summary.create_file_writer(str(out))
    scalars = _run(trainer, epochs, out, writer, minutes)
    _finish(trainer, data, out, writer, scalars, {"asked": asked, **made_for})
    (out / _STATE).unlink(missing_ok=True)


def _run(
    trainer: Trainer, epochs: int, out: Path, writer: tf.summary.SummaryWriter, minutes: float | None
) -> dict[str, float]:
    """Trains to the last epoch, or for so many minutes; returns the last epoch's scalars."""
    factor, started, scalars = trainer.vae.config.factor, time.monotonic(), {}
    saved = started
    quiet = None if sys.stderr.isatty() else 5.0
    bar = tqdm(total=epochs, initial=trainer.epoch, desc=factor, unit="epoch", mininterval=quiet or 0.2)
    try:
        while trainer.epoch < epochs:
            scalars = trainer.run_epoch()
            bar.set_postfix(
                kl=f"{scalars['held_out/kl']:.2f}",
                reconstruction=f"{scalars['held_out/reconstruction']:.2f}",
                gamma=f"{scalars['gamma']:.3f}",
                refresh=False,
            )
            bar.update()
            with writer.as_default(step=trainer.epoch):
                for name, value in scalars.items():
                    tf.summary.scalar(name, value)
            now = time.monotonic()
            if minutes is not None and now - started > 60 * minutes:
                break
            if now - saved > _SAVE_EVERY:
                trainer.save(out / _STATE)
                saved = now
    except KeyboardInterrupt:
        trainer.save(out / _STATE)
        writer.flush()
        raise
    finally:
        bar.close()
    return scalars


def _finish(
    trainer: Trainer,
    data: FactorData,
    out: Path,
    writer: tf.summary.SummaryWriter,
    scalars: dict[str, float],
    noted: dict[str, Any],
) -> None:
    """Plots sampled against real coefficients, and writes the weights and the manifest."""
    vae = trainer.vae
    real = np.concatenate([data.train, data.held_out])
    count = min(max(len(real), 1000), 20_000)
    before = compare(real, *draw_samples(vae, count, seed=1))
    vae.calibrate(data.train)
    mean, noisy = draw_samples(vae, count, seed=1)
    report = compare(real, mean, noisy)
    title = f"{vae.config.factor}: " + ", ".join(f"{name} {value:.3f}" for name, value in report.items())
    figure = plot_samples(real, mean, noisy, title)
    save_figure(figure, out / "sampled_vs_real.png")
    with writer.as_default(step=trainer.epoch):
        tf.summary.image("sampled_vs_real", to_image(figure)[None])
        for name, value in report.items():
            tf.summary.scalar(f"sampled/{name}", value)
    writer.close()
    options = {**asdict(trainer.options), "epochs": trainer.epoch}
    facts = {
        "options": options,
        **noted,
        "vectors": len(real),
        "scalars": scalars,
        "sampled": report,
        "before": before,
    }
    save_factor(out, vae, data.layout, **facts)
    print(f"{title}\n{vae.config.factor}: saved {out / MANIFEST}")


def _check_finished(
    out: Path, config: FactorConfig, layout: dict[str, int], asked: dict[str, Any], made_for: dict[str, str]
) -> None:
    """Raises ValueError where `out` holds a VAE of other data, or one that was trained otherwise than is `asked`."""
    manifest = read_factor_manifest(out)
    there = manifest["config"]
    if (there.factor, there.mean, manifest["layout"]) != (config.factor, config.mean, layout):
        raise ValueError(f"{out}: holds a VAE of other coefficients; use another --out, or remove it")
    theirs, ours = (facts.get("face_model_checksum") for facts in (manifest, made_for))
    if theirs and ours and theirs != ours:
        raise ValueError(
            f"{out}: holds a VAE of another face model, {manifest['face_model']}, checksum {theirs}; that of the data "
            f"is {made_for['face_model']}, checksum {ours}. Use another --out, or remove it"
        )
    before = manifest.get("asked", asked)  # imported ones, and those of earlier versions, have none
    different = [f"{key} {before.get(key)} there, {asked[key]} here" for key in asked if before.get(key) != asked[key]]
    if different:
        raise ValueError(
            f"{out}: holds a VAE that is finished, so that other options have no effect ({', '.join(different)}). Use "
            "another --out, or remove it"
        )
    load_factor_vae(out)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m vae.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--factor", required=True, choices=[*_FACTOR_OF, "all"], help="which factor")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="dataset folder: dataset.json, coefficients.npz")
    source.add_argument("--datapath", type=Path, help="folder of .mat files with 'coeff', one vector each; they are "
                        "read once, into OUT/coefficients")  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, help="folder to write into, a subfolder for each factor")
    parser.add_argument("--face_model", "--face-model", help="'builtin' or a .npz: refuse data of another model. The "
                        "sizes come from --data; with --datapath from here, else from a dataset.json in that folder or "
                        "beside it, else they are the Basel model's")  # fmt: skip
    parser.add_argument("--preset", default="reference", choices=PRESETS, help="default: reference, as published")
    for name in _OPTIONS:
        add_option(parser, TrainingOptions, name, default=None)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=positive(1e6), help="stop a factor after so long and keep what it learned")
    length.add_argument("--steps", type=whole(1, 10**9), help="instead of --epochs: this many steps, rounded up to "
                        "whole epochs")  # fmt: skip
    add_dry_run(parser)
    arguments = parser.parse_args(argv)
    if arguments.steps is not None and arguments.epochs is not None:
        parser.error("--steps is instead of --epochs; give one of them")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    arguments = _parse(argv)
    if arguments.dry_run:
        print_options(arguments)
        return
    if arguments.datapath is not None:
        layout = folder_layout(arguments.datapath, arguments.face_model)
        made_for = folder_face_model(arguments.datapath, arguments.face_model)
        data = gather(arguments.datapath, arguments.out / "coefficients", layout, made_for)
    else:
        data = arguments.data
        if arguments.face_model is not None:
            check_face_model(data, arguments.face_model)
    given = {name: getattr(arguments, name) for name in _OPTIONS if getattr(arguments, name) is not None}
    for short in _FACTOR_OF if arguments.factor == "all" else [arguments.factor]:
        factor = _FACTOR_OF[short]
        options = TrainingOptions(**{**PRESETS[arguments.preset][factor], **given})
        out = arguments.out / short
        train_factor(factor, data, out, options, minutes=arguments.minutes, steps=arguments.steps)


if __name__ == "__main__":
    main()
