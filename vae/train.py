"""Trains the factor VAEs on the coefficients of a dataset.

    python -m vae.train --factor id --data DATASET_FOLDER --out DIR
    python -m vae.train --factor all --data DATASET_FOLDER --out DIR --preset quick

Writes DIR/FACTOR/: factor.weights.h5, factor.json, sampled_vs_real.png and TensorBoard events. Interrupt it when you
like: the same command goes on where it stopped, and does nothing for a factor that is finished.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from vae.data import FactorData, check_face_model, load_factor
from vae.initial import start_from_pca
from vae.model import ABBREVIATIONS, FactorConfig, FactorVAE
from vae.plots import compare, draw_samples, plot_samples, save_figure, to_image
from vae.sampler import MANIFEST, load_factor_vae, read_factor_manifest, save_factor

_FACTOR_OF = {short: factor for factor, short in ABBREVIATIONS.items()}
_STATE = "training.npz"
_SAVE_EVERY = 20.0  # seconds between saved states
_HELD_OUT_LIMIT = 4096  # vectors that the held-out losses look at


@dataclass(frozen=True)
class TrainingOptions:
    """How one factor is trained.

    epochs: passes over the training vectors. batch_size: vectors a step. lr: Adam's learning rate, halved every
    `halve_every` epochs. seed: of the start, the order, the noise and the held-out share.
    """

    epochs: int
    batch_size: int
    lr: float
    halve_every: int
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "halve_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} should be 1 or more. Received: {getattr(self, name)}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"--lr should be a positive number. Received: {self.lr}")


# `quick` is for the demo: some 5 to 15 seconds a factor for 10,000 vectors on 2 cores.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "reference": {
        factor: {"epochs": 400, "batch_size": 64, "lr": 1e-4, "halve_every": 150} for factor in ABBREVIATIONS
    },
    "quick": {
        "identity": {"epochs": 30, "batch_size": 256, "lr": 5e-4, "halve_every": 6},
        "expression": {"epochs": 100, "batch_size": 256, "lr": 2e-3, "halve_every": 25},
        "lighting": {"epochs": 100, "batch_size": 256, "lr": 1e-3, "halve_every": 20},
        "pose": {"epochs": 100, "batch_size": 256, "lr": 1e-3, "halve_every": 20},
    },
}


class Trainer:
    """One VAE, its optimiser, and an epoch as a single TensorFlow call.

    Args:
        vae: the model, already initialised.
        data: training and held-out coefficients in their own units.
        options: see TrainingOptions.
        log_gamma_limit: log γ may not rise beyond; None for no limit, as in the reference. Independent normal
            coefficients are explained equally well at any γ ≤ 1 (less by the latents, more by the noise), so the
            small errors of stochastic steps push γ up, unopposed, and sampled means lose their spread. The γ of the
            linear start is enough for every better fit.
    """

    def __init__(
        self, vae: FactorVAE, data: FactorData, options: TrainingOptions, log_gamma_limit: float | None = None
    ) -> None:
        self.vae, self.options = vae, options
        self.epoch = 0
        self._train = tf.convert_to_tensor(vae.normalize(data.train))
        self._held_out = tf.convert_to_tensor(vae.normalize(data.held_out[:_HELD_OUT_LIMIT]))
        self._log_gamma_limit = math.inf if log_gamma_limit is None else log_gamma_limit
        self._batch = min(options.batch_size, len(data.train))
        self.steps = len(data.train) // self._batch
        self._optimizer = keras.optimizers.Adam(options.lr)
        self._optimizer.build(vae.trainable_variables)
        self._run = tf.function(self._run_epoch)

    def run_epoch(self) -> dict[str, float]:
        """Trains for one epoch; returns train and held-out losses in nats, and γ. Raises ValueError if it diverged."""
        self._optimizer.learning_rate.assign(self.options.lr * 0.5 ** (self.epoch // self.options.halve_every))
        train, held_out = (values.numpy() for values in self._run(tf.constant(self.epoch)))
        self.epoch += 1
        if not (np.isfinite(train).all() and np.isfinite(held_out).all()):
            raise ValueError(
                f"{self.vae.config.factor} VAE: the loss is not finite in epoch {self.epoch}; lower --lr "
                f"(now {self.options.lr})"
            )
        names = ("total", "kl", "reconstruction")
        return {
            **{f"train/{name}": float(value) for name, value in zip(names, train, strict=True)},
            **{f"held_out/{name}": float(value) for name, value in zip(names, held_out, strict=True)},
            "gamma": float(np.exp(np.asarray(self.vae.log_gamma))),
        }

    def save(self, path: Path) -> None:
        """Writes weights, optimiser and progress, aside first."""
        arrays = {f"variable_{number}": value.numpy() for number, value in enumerate(self._variables())}
        aside = path.with_name(f"{path.name}.tmp")
        with open(aside, "wb") as file:
            np.savez(file, epoch=self.epoch, identity=self._fingerprint(), **arrays)
        aside.replace(path)

    def restore(self, path: Path) -> None:
        """Goes on from `save`. Raises ValueError if the file is damaged or belongs to another run."""
        variables = self._variables()
        advice = "use another --out, or remove the file to start again"
        try:
            with np.load(path, allow_pickle=False) as stored:
                same = str(stored["identity"]) == self._fingerprint()
                values = [stored[f"variable_{number}"] for number in range(len(variables))] if same else []
                epoch = int(stored["epoch"])
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: damaged ({error}); {advice}") from None
        if not same:
            raise ValueError(f"{path}: an unfinished run with other data or options; {advice}")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.epoch = epoch

    def _variables(self) -> list[Any]:
        return [*self.vae.variables, *self._optimizer.variables]

    def _fingerprint(self) -> str:
        """What must be the same for a run to go on: sizes, statistics and options, but not how long it should be."""
        options = {name: value for name, value in asdict(self.options).items() if name != "epochs"}
        return json.dumps({"config": self.vae.config.to_dict(), "options": options})

    def _run_epoch(self, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Means of (total, KL, reconstruction) over the epoch's steps and over the held-out vectors, [3] each."""
        vae, latent, seed = self.vae, self.vae.config.latent, self.options.seed
        order = tf.argsort(tf.random.stateless_uniform([self._train.shape[0]], [seed, epoch]))
        order = tf.reshape(order[: self.steps * self._batch], [self.steps, self._batch])
        total = tf.zeros([3])
        for step in tf.range(self.steps):
            noise = tf.random.stateless_normal([self._batch, latent], [seed + 1, epoch * self.steps + step])
            with tf.GradientTape() as tape:
                losses = vae.losses_of(tf.gather(self._train, order[step]), noise)
            gradients = tape.gradient(losses.total, vae.trainable_variables)
            self._optimizer.apply(gradients, vae.trainable_variables)
            vae.log_gamma.assign(tf.minimum(vae.log_gamma.value, self._log_gamma_limit))
            total += tf.stack(losses)
        noise = tf.random.stateless_normal([self._held_out.shape[0], latent], [seed + 2, 0])
        return total / tf.cast(self.steps, tf.float32), tf.stack(vae.losses_of(self._held_out, noise))


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
    if (out / MANIFEST).is_file():
        _check_finished(out, config, data.layout)
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
    _finish(trainer, data, out, writer, scalars)
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
    trainer: Trainer, data: FactorData, out: Path, writer: tf.summary.SummaryWriter, scalars: dict[str, float]
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
    facts = {"options": options, "vectors": len(real), "scalars": scalars, "sampled": report, "before": before}
    save_factor(out, vae, data.layout, **facts)
    print(f"{title}\n{vae.config.factor}: saved {out / MANIFEST}")


def _check_finished(out: Path, config: FactorConfig, layout: dict[str, int]) -> None:
    """Raises ValueError where `out` holds a VAE that cannot be the one for this data."""
    manifest = read_factor_manifest(out)
    there = manifest["config"]
    if (there.factor, there.mean, manifest["layout"]) != (config.factor, config.mean, layout):
        raise ValueError(f"{out}: holds a VAE of other coefficients; use another --out, or remove it")
    load_factor_vae(out)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m vae.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--factor", required=True, choices=[*_FACTOR_OF, "all"], help="which factor")
    parser.add_argument("--data", required=True, type=Path, help="dataset folder: dataset.json, coefficients.npz")
    parser.add_argument("--out", required=True, type=Path, help="folder to write into, a subfolder for each factor")
    parser.add_argument("--face_model", "--face-model", help="'builtin' or a .npz: refuse data of another model; the "
                        "sizes come from --data in any case")  # fmt: skip
    parser.add_argument("--preset", default="reference", choices=PRESETS, help="default: reference, as published")
    parser.add_argument("--epochs", type=int, help="passes over the data (reference: 400)")
    parser.add_argument("--batch_size", type=int, help="vectors a step (reference: 64)")
    parser.add_argument("--lr", type=float, help="Adam's learning rate (reference: 1e-4)")
    parser.add_argument("--halve_every", type=int, help="epochs after which lr is halved (reference: 150)")
    parser.add_argument("--seed", type=int, help="default: 0")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="stop a factor after so long and keep what it learned")
    length.add_argument("--steps", type=int, help="instead of --epochs: this many steps, rounded up to whole epochs")
    arguments = parser.parse_args(argv)
    for name in ("minutes", "steps"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            parser.error(f"--{name} should be more than 0. Received: {value}")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    arguments = _parse(argv)
    if arguments.face_model is not None:
        check_face_model(arguments.data, arguments.face_model)
    given = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "lr", "halve_every", "seed")
        if getattr(arguments, name) is not None
    }
    for short in _FACTOR_OF if arguments.factor == "all" else [arguments.factor]:
        factor = _FACTOR_OF[short]
        options = TrainingOptions(**{**PRESETS[arguments.preset][factor], **given})
        out = arguments.out / short
        train_factor(factor, arguments.data, out, options, minutes=arguments.minutes, steps=arguments.steps)


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"python -m vae.train: error: {error}")
    except KeyboardInterrupt:
        sys.exit("python -m vae.train: interrupted; the same command goes on from here")
