"""What a run must remember: two networks, the generator's moving average, two optimisers and the images shown."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2 import model_io
from discoface_tf2.architectures import AnyNetworkConfig, build_discriminator, build_generator
from discoface_tf2.config import TrainingConfig
from discoface_tf2.networks.config import NetworkConfig
from discoface_tf2.training.ada import AdaptiveAugment

MEAN_PATH_LENGTH = "mean_path_length"  # among a snapshot's facts, where the run had path-length regularisation


def network_config(config: TrainingConfig, lambda_size: int) -> NetworkConfig:
    """Sizes of the generator and the discriminator of a run whose λ has `lambda_size` numbers."""
    return NetworkConfig(
        resolution=config.resolution,
        input_size=lambda_size + config.noise_dim,
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        mapping_layers=config.mapping_layers,
        mapping_width=config.mapping_width,
        w_dim=config.mapping_width,
        mapping_lr_multiplier=config.mapping_lr_multiplier,
        scale_input=config.standardize_input,
    )


def foreign_network(snapshot: Path, config: TrainingConfig, lambda_size: int) -> AnyNetworkConfig | None:
    """The sizes of a snapshot's networks where they are of another architecture than training makes; otherwise None.

    Raises ValueError with one line when the run's resolution, coefficients or noise are not the snapshot's.
    """
    if not (snapshot / model_io.MANIFEST).is_file():
        return None  # what is missing is said when the weights are read
    networks, layout, noise_dim, _ = model_io.read_manifest(snapshot)
    if isinstance(networks, NetworkConfig):
        return None
    theirs = (networks.resolution, layout.lambda_size, noise_dim)
    if (config.resolution, lambda_size, config.noise_dim) != theirs:
        raise ValueError(
            f"{snapshot}: a network of {theirs[0]} × {theirs[0]} pixels, {theirs[1]} coefficients and {theirs[2]} "
            f"noise numbers. This run has {config.resolution} × {config.resolution}, {lambda_size} and "
            f"{config.noise_dim}: see --resolution, --face_model and --noise_dim"
        )
    return networks


def _adam(learning_rate: float, beta_2: float, interval: int) -> keras.optimizers.Adam:
    """Adam for a network with a penalty every `interval` steps (0: none).

    The penalty's own update makes interval + 1 updates of what would be `interval` (StyleGAN2, appendix B), so the
    learning rate and the decay are slowed by interval / (interval + 1).
    """
    slower = interval / (interval + 1) if interval else 1.0
    return keras.optimizers.Adam(learning_rate * slower, beta_1=0.0, beta_2=beta_2**slower, epsilon=1e-8)


class HoldThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """`rate` for the first 70 % of `steps`, then down to 0 in a straight line."""

    def __init__(self, rate: float, steps: int):
        self.rate, self.steps = rate, max(steps, 1)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step, counted from 0."""
        left = (self.steps - tf.cast(step, tf.float32)) / (0.3 * self.steps)
        return self.rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, float | int]:
        """For Keras."""
        return {"rate": self.rate, "steps": self.steps}


class TrainingState:
    """Networks, moving average, optimisers and the counter of images. Make it in the strategy's scope.

    `networks` are the sizes of networks of another architecture (`foreign_network`), in place of the configuration's.
    """

    def __init__(self, config: TrainingConfig, lambda_size: int, networks: AnyNetworkConfig | None = None):
        self.config = config
        self.ema_rampup: float | None = config.ema_rampup  # None: no ramp-up, after `load_snapshot`
        self.networks = networks or network_config(config, lambda_size)
        self.generator = build_generator(self.networks, dtype=config.dtype, seed=config.seed)
        self.average = build_generator(self.networks, dtype=config.dtype, seed=config.seed)
        self.discriminator = build_discriminator(self.networks, dtype=config.dtype, seed=config.seed)
        self.average.set_weights(self.generator.get_weights())
        generator_rate = config.generator_learning_rate or config.learning_rate
        self.generator_optimizer = _adam(generator_rate, config.beta_2, self._penalty_interval)
        self.discriminator_optimizer = _adam(config.learning_rate, config.beta_2, config.r1_interval)
        self.generator_optimizer.build(self.generator.trainable_variables)
        # Alone with the renderer the generator regresses: momentum and a falling rate, which an adversary forbids, take
        # the L1 term of 8 kimg from 0.263 to 0.208 (32 × 32, rate 0.012).
        self.imitate_optimizer: keras.optimizers.Adam | None = None
        if config.stage == 1 and config.imitate_kimg:
            steps = round(config.imitate_kimg * 1000 / config.batch_size)
            schedule = HoldThenDecay(config.imitate_learning_rate or generator_rate, steps)
            self.imitate_optimizer = keras.optimizers.Adam(schedule, beta_1=0.9, beta_2=config.beta_2, epsilon=1e-8)
            self.imitate_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.images = tf.Variable(0, dtype=tf.int64, trainable=False, name="images")  # shown in this stage
        # 0 to begin with, as in StyleGAN2; negative: of networks that have learnt, and not known (`load_snapshot`).
        self.mean_path_length = tf.Variable(
            0.0, trainable=False, name="mean_path_length", aggregation=tf.VariableAggregation.MEAN
        )
        self.ada = AdaptiveAugment(config) if config.ada_target else None
        # The variables themselves, in order: tf.train.Checkpoint does not find all sublayers of a Keras 3 model.
        holders = {
            "generator": self.generator,
            "average": self.average,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        if self.imitate_optimizer is not None:
            holders["imitate_optimizer"] = self.imitate_optimizer
        lists = {name: [variable.value for variable in holder.variables] for name, holder in holders.items()}
        if self.ada is not None:
            lists["ada"] = self.ada.variables
        self.checkpoint = tf.train.Checkpoint(images=self.images, mean_path_length=self.mean_path_length, **lists)
        # All that a checkpoint holds.
        self.variables = [self.images, self.mean_path_length, *(v for values in lists.values() for v in values)]

    @property
    def trained(self) -> dict[str, tuple[keras.Model, keras.optimizers.Optimizer]]:
        """What an update changes, and by which optimiser."""
        return {
            "generator": (self.generator, self.generator_optimizer),
            "discriminator": (self.discriminator, self.discriminator_optimizer),
            "imitate": (self.generator, self.imitate_optimizer),
        }

    @property
    def kimg(self) -> float:
        """Thousands of images shown in this stage."""
        return int(self.images.numpy()) / 1000

    @property
    def facts(self) -> dict[str, float]:
        """What a snapshot notes for the next run beside the networks (`load_snapshot`)."""
        mean = float(self.mean_path_length.numpy())
        return {MEAN_PATH_LENGTH: mean} if self.config.pl_weight and mean > 0 else {}

    @property
    def _penalty_interval(self) -> int:
        """Steps between the generator's penalties; 0: it has none."""
        return self.config.pl_interval if self.config.pl_weight else 0

    def set_input_scale(self, lambdas: np.ndarray) -> None:
        """Where the mapping scales its inputs: to standard deviation 1, as the samples `lambdas` [N, λ] have it."""
        scale = np.ones(self.networks.input_size, np.float32)  # the noise beside λ is normal already
        scale[: lambdas.shape[1]] = 1.0 / np.maximum(lambdas.std(0), 1e-3)
        for network in (self.generator, self.average):
            network.mapping.input_scale.assign(scale)

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
        """Starts from a snapshot of an earlier run: the three networks and the mean path length.

        The average goes on from the snapshot's, without ramp-up; the optimisers and the counter start anew. A snapshot
        without a mean path length (of a run without path-length regularisation) lets the first step measure it.
        """
        for network, name in self._snapshot_files():
            path = snapshot / name
            if not path.is_file():
                raise FileNotFoundError(
                    f"{snapshot}: expected {name} beside the generator. A snapshot to go on from must be whole: "
                    "give the run folder that train.py wrote"
                )
            try:
                network.load_weights(path)
            except (ValueError, OSError, KeyError) as error:
                reason = str(error).splitlines()[0]
                raise ValueError(f"{path}: not weights of this run's networks ({reason})") from None
        self.ema_rampup = None
        *_, facts = model_io.read_manifest(snapshot)
        self.mean_path_length.assign(float(facts.get(MEAN_PATH_LENGTH, -1.0)))

    def save_networks(self, snapshot: Path) -> None:
        """Adds what stage 2 needs to a snapshot that holds the moving average."""
        for network, name in self._snapshot_files()[1:]:
            network.save_weights(snapshot / name)

    def _snapshot_files(self) -> list[tuple[keras.Model, str]]:
        return [
            (self.average, model_io.WEIGHTS),
            (self.generator, model_io.CURRENT_WEIGHTS),
            (self.discriminator, model_io.DISCRIMINATOR_WEIGHTS),
        ]
