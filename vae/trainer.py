"""The training of one factor's VAE: options and presets, an epoch as one call, and its state on disk."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import MISSING, asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from renderer.files import atomic_path
from renderer.options import SEED, check_options, option, positive, whole
from vae.data import FactorData
from vae.model import ABBREVIATIONS, FactorVAE

_HELD_OUT_LIMIT = 4096  # vectors that the held-out losses look at
COMPILED_BATCH = 128
"""Vectors a step, up to which XLA compiles the steps of an epoch."""


@dataclass(frozen=True)
class TrainingOptions:
    """How one factor is trained.

    epochs: passes over the training vectors. batch_size: vectors a step. lr: Adam's learning rate, halved every
    `halve_every` epochs. seed: of the start, the order, the noise and the held-out share.
    """

    epochs: int = option(MISSING, "passes over the data; reference: 400", whole(1, 10**6))
    batch_size: int = option(MISSING, "vectors per step; reference: 64", whole(1, 10**6))
    lr: float = option(MISSING, "Adam's learning rate; reference: 1e-4", positive(1.0))
    halve_every: int = option(MISSING, "epochs after which lr is halved; reference: 150", whole(1, 10**6))
    seed: int = option(0, "of the start, the order, the noise and the held-out share", SEED)

    def __post_init__(self) -> None:
        check_options(self)


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
        compiled: by XLA. None decides by the batch: of small steps most is overhead, which XLA takes away; in large
            ones TensorFlow's own products are as fast, and the compilation is not won back.
    """

    def __init__(
        self,
        vae: FactorVAE,
        data: FactorData,
        options: TrainingOptions,
        log_gamma_limit: float | None = None,
        *,
        compiled: bool | None = None,
    ) -> None:
        self.vae, self.options = vae, options
        self._epoch = tf.Variable(0, trainable=False)
        self._train = tf.convert_to_tensor(vae.normalize(data.train))
        self._held_out = tf.convert_to_tensor(vae.normalize(data.held_out[:_HELD_OUT_LIMIT]))
        self._log_gamma_limit = math.inf if log_gamma_limit is None else log_gamma_limit
        self._batch = min(options.batch_size, len(data.train))
        self.steps = len(data.train) // self._batch
        self._optimizer = keras.optimizers.Adam(options.lr)
        self._optimizer.build(vae.trainable_variables)
        compiled = self._batch <= COMPILED_BATCH if compiled is None else compiled
        self._train_on = tf.function(self._run_steps, jit_compile=compiled)
        self._run = tf.function(self._run_epoch)

    @property
    def epoch(self) -> int:
        """How many epochs the weights have seen."""
        return int(self._epoch.numpy())

    def run_epoch(self) -> dict[str, float]:
        """Trains for one epoch; returns train and held-out losses in nats, and γ. Raises ValueError if it diverged."""
        self._optimizer.learning_rate.assign(self.options.lr * 0.5 ** (self.epoch // self.options.halve_every))
        train, held_out = (values.numpy() for values in self._run())
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
        """Writes weights, optimiser and progress, atomically."""
        arrays = {f"variable_{number}": value.numpy() for number, value in enumerate(self._variables())}
        with atomic_path(path) as other, open(other, "wb") as file:
            np.savez(file, epoch=self.epoch, identity=self._fingerprint(), **arrays)

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
        self._epoch.assign(epoch)

    def _variables(self) -> list[Any]:
        return [*self.vae.variables, *self._optimizer.variables]

    def _fingerprint(self) -> str:
        """What must be the same for a run to go on: sizes, statistics and options, but not how long it should be."""
        options = {name: value for name, value in asdict(self.options).items() if name != "epochs"}
        return json.dumps({"config": self.vae.config.to_dict(), "options": options})

    def _run_epoch(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Means of (total, KL, reconstruction) over the epoch's steps and over the held-out vectors, [3] each."""
        vae, latent, seed, epoch = self.vae, self.vae.config.latent, self.options.seed, self._epoch.value()
        order = tf.argsort(tf.random.stateless_uniform([self._train.shape[0]], [seed, epoch]))
        batches = tf.gather(self._train, order[: self.steps * self._batch])
        batches = tf.reshape(batches, [self.steps, self._batch, -1])
        # All at once and out here: XLA draws normal numbers slowly, a fifth of a step's time.
        noise = tf.random.stateless_normal([self.steps, self._batch, latent], [seed + 1, epoch])
        train = self._train_on(batches, noise)
        # Counted in here: an interrupt waits for this call to end, and must not part the weights from their count.
        self._epoch.assign_add(1)
        noise = tf.random.stateless_normal([self._held_out.shape[0], latent], [seed + 2, 0])
        return train, tf.stack(vae.losses_of(self._held_out, noise))

    def _run_steps(self, batches: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """A step for each of `batches` [steps, B, size] with `noise` [steps, B, latent]; mean losses [3]."""
        vae, total = self.vae, tf.zeros([3])
        for step in tf.range(self.steps):
            with tf.GradientTape() as tape:
                losses = vae.losses_of(batches[step], noise[step])
            gradients = tape.gradient(losses.total, vae.trainable_variables)
            self._optimizer.apply(gradients, vae.trainable_variables)
            vae.log_gamma.assign(tf.minimum(vae.log_gamma.value, self._log_gamma_limit))
            total += tf.stack(losses)
        return total / tf.cast(self.steps, tf.float32)
