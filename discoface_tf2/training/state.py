"""What a run must remember: networks, the generator's moving average, optimisers and the images shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2 import model_io
from discoface_tf2.config import TrainingConfig
from discoface_tf2.networks.stylegan2.growing import grow
from discoface_tf2.systems import find_system
from discoface_tf2.systems.base import Tools
from discoface_tf2.training.ada import AdaptiveAugment
from renderer.layout import CoefficientLayout


def foreign_network(snapshot: Path, config: TrainingConfig, layout: CoefficientLayout) -> model_io.Manifest | None:
    """What a snapshot says of its networks where they are of another architecture than training makes; or None.

    Raises ValueError with one line when the snapshot is another system's, or when the run's resolution, coefficients or
    noise are not the foreign network's.
    """
    if not (snapshot / model_io.MANIFEST).is_file():
        return None  # what is missing is said when the weights are read
    found = model_io.read_manifest(snapshot)
    if found.system != config.SYSTEM:
        raise ValueError(f"{snapshot}: a network of the system {found.system}. Received: --system {config.SYSTEM}")
    if found.architecture == next(iter(find_system(config.SYSTEM).architectures)):
        return None
    theirs = (found.sizes.resolution, found.layout.lambda_size, found.noise_dim)
    if (config.resolution, layout.lambda_size, config.noise_dim) != theirs:
        raise ValueError(
            f"{snapshot}: a network of {theirs[0]} × {theirs[0]} pixels, {theirs[1]} coefficients and {theirs[2]} "
            f"noise numbers. This run has {config.resolution} × {config.resolution}, {layout.lambda_size} and "
            f"{config.noise_dim}: see --resolution, --face_model and --noise_dim"
        )
    return found


class TrainingState:
    """Networks, moving average, optimisers and the counter of images. Make it in the strategy's scope.

    `foreign` says of networks of another architecture (`foreign_network`), in place of those that training makes.
    """

    def __init__(
        self, config: TrainingConfig, layout: CoefficientLayout, foreign: model_io.Manifest | None = None
    ) -> None:
        self.config, self.system = config, find_system(config.SYSTEM)
        self.ema_rampup: float | None = config.ema_rampup  # None: no ramp-up, after `load_snapshot`
        self.architecture = foreign.architecture if foreign else next(iter(self.system.architectures))
        self.sizes = foreign.sizes if foreign else self.system.network_sizes(config, layout)
        kind, options = self.system.architectures[self.architecture], {"dtype": config.dtype, "seed": config.seed}
        self.generator = kind.build_generator(self.sizes, **options)
        self.average = kind.build_generator(self.sizes, **options)
        self.discriminator = kind.build_discriminator(self.sizes, **options)
        self.average.set_weights(self.generator.get_weights())
        self.networks = {"generator": self.generator, "discriminator": self.discriminator}
        # By name: what an update changes, and by which optimiser.
        self.trained: dict[str, tuple[keras.Model, keras.optimizers.Optimizer]] = {
            name: (self.networks[network], optimizer)
            for name, (network, optimizer) in self.system.optimizers(config).items()
        }
        for network, optimizer in self.trained.values():
            optimizer.build(network.trainable_variables)
        self.images = tf.Variable(0, dtype=tf.int64, trainable=False, name="images")  # shown in this stage
        self.extra = self.system.variables(config)
        self.ada = AdaptiveAugment(config) if config.ada_target else None
        # The variables themselves, in order: tf.train.Checkpoint does not find all sublayers of a Keras 3 model.
        holders: dict[str, Any] = {**self.networks, "average": self.average}
        holders |= {f"{name}_optimizer": optimizer for name, (_, optimizer) in self.trained.items()}
        lists = {name: [variable.value for variable in holder.variables] for name, holder in holders.items()}
        if self.ada is not None:
            lists["ada"] = self.ada.variables
        self.checkpoint = tf.train.Checkpoint(images=self.images, **self.extra, **lists)
        # All that a checkpoint holds.
        self.variables = [self.images, *self.extra.values(), *(v for values in lists.values() for v in values)]

    @property
    def kimg(self) -> float:
        """Thousands of images shown in this stage."""
        return int(self.images.numpy()) / 1000

    @property
    def facts(self) -> dict[str, float]:
        """What a snapshot notes for the next run beside the networks (`load_snapshot`)."""
        return self.system.facts(self.config, self.extra)

    def prepare(self, tools: Tools) -> None:
        """Sets what networks with random weights take from the tools, in the average too."""
        self.system.prepare(self.config, self.networks, tools)
        self.average.set_weights(self.generator.get_weights())

    def update_average(self, images_shown: tf.Tensor) -> None:
        """One step of the moving average, in cross-replica context: half-life `ema_kimg`, shorter at the start.

        The start is that of networks with random weights, which the average must forget. That of a snapshot is to be
        kept, so there is no ramp-up then (StyleGAN2-ADA's training from a network has none either).
        """
        batch = tf.cast(self.config.batch_size, tf.float32)
        half_life = tf.constant(self.config.ema_kimg * 1000.0, tf.float32)
        if self.ema_rampup is not None:
            shown = tf.cast(images_shown, tf.float32)
            half_life = tf.minimum(half_life, tf.maximum(shown, batch) * self.ema_rampup)
        step = 1.0 - tf.pow(0.5, batch / tf.maximum(half_life, 1e-8))
        for slow, fast in zip(self.average.trainable_variables, self.generator.trainable_variables, strict=True):
            slow.assign_add((fast.value - slow.value) * step)

    def load_snapshot(self, snapshot: Path) -> None:
        """Starts from a snapshot of an earlier run: the networks, and what the system notes beside them.

        A snapshot of half the resolution fills all but the new block, whose image starts at zero. The average goes on
        from the snapshot's, without ramp-up; the optimisers and the counter start anew.
        """
        half = self._half(snapshot)
        for network, name in self._snapshot_files():
            path = snapshot / name
            if not path.is_file():
                raise FileNotFoundError(
                    f"{snapshot}: expected {name} beside the generator. A snapshot to go on from must be whole: "
                    "give the run folder that train.py wrote"
                )
            try:
                if half is None:
                    network.load_weights(path)
                else:
                    small = half[network.name]
                    small.load_weights(path)
                    grow(small, network, self.sizes.resolution)
            except (ValueError, OSError, KeyError) as error:
                reason = str(error).splitlines()[0]
                raise ValueError(f"{path}: not weights of this run's networks ({reason})") from None
        self.ema_rampup = None
        self.system.restore(self.extra, model_io.read_manifest(snapshot).facts)

    def _half(self, snapshot: Path) -> dict[str, keras.Model] | None:
        """Networks of the sizes of a snapshot of half the resolution, by name; None where it is of this resolution."""
        if not (snapshot / model_io.MANIFEST).is_file():
            return None  # the weights say what is missing
        found = model_io.read_manifest(snapshot)
        if found.sizes.resolution * 2 != self.sizes.resolution:
            return None
        kind = self.system.architectures[found.architecture]
        return {"generator": kind.build_generator(found.sizes), "discriminator": kind.build_discriminator(found.sizes)}

    def save_networks(self, snapshot: Path) -> None:
        """Adds what the next run needs to a snapshot that holds the moving average."""
        for network, name in self._snapshot_files()[1:]:
            network.save_weights(snapshot / name)

    def _snapshot_files(self) -> list[tuple[keras.Model, str]]:
        return [
            (self.average, model_io.WEIGHTS),
            (self.generator, model_io.CURRENT_WEIGHTS),
            (self.discriminator, model_io.DISCRIMINATOR_WEIGHTS),
        ]
