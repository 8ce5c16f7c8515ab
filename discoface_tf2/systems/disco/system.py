"""`disco` as a system: its networks, optimisers and truncation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.networks import stylegan1, stylegan2
from discoface_tf2.networks.stylegan2.synthesis import FIXED_NOISE
from discoface_tf2.systems import stylegan
from discoface_tf2.systems.base import Architecture, FaceGenerator, Networks, System, Tools
from discoface_tf2.systems.disco.config import DiscoConfig
from discoface_tf2.systems.disco.objective import MEAN_PATH_LENGTH, DiscoObjective
from renderer import FaceModel
from renderer.layout import CoefficientLayout
from vae import FactorSampler

_AVERAGE_SAMPLES = 10_000
_AVERAGE_SEED = 20_200_424  # of the samples that w̄_id is the mean of; any number, but always the same
_SCALE_SAMPLES = 4096  # of λ, whose standard deviations scale the mapping's inputs


class DiscoGenerator(FaceGenerator):
    """Images of λ and noise, with attribute-preserving truncation.

    w' = w + (w̄_id - w(λ_id, 0, 0, 0)) (1 - ψ) on the coarse styles: the identity moves toward the average of all
    identities, and pose, expression and lighting stay what they were (DiscoFaceGAN's reference code). The noise maps
    are the fixed ones.
    """

    def styles(self, coefficients: tf.Tensor, noise: tf.Tensor, truncation: tf.Tensor | float) -> tf.Tensor:
        """λ [B, λ], noise [B, noise_dim] and ψ → truncated styles [B, num_ws, w_dim]."""
        ws = self.generator.styles(tf.concat([coefficients, noise], axis=1))
        identity = coefficients[:, self.layout.slice("identity")]
        rest = self.layout.lambda_size + self.noise_dim - self.layout.factor_size("identity")
        own = self.generator.mapping(tf.pad(identity, [[0, 0], [0, rest]]))  # [B, w_dim]
        shift = (self.average_w - own) * (1.0 - truncation)
        coarse = tf.cast(tf.range(ws.shape[1]) < coarse_layers(ws.shape[1]), tf.float32)  # [num_ws]
        return ws + shift[:, None, :] * coarse[None, :, None]

    def synthesis(self, ws: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
        """Styles [B, num_ws, w_dim] → images [B, R, R, 3], float32, about [-1, 1]; λ is in the styles."""
        return self.generator.synthesis(ws, noise=FIXED_NOISE)


def coarse_layers(num_ws: int) -> int:
    """How many styles from the start truncation moves: 8 of the 14 at 256, and as large a share of others."""
    return math.ceil(num_ws * 8 / 14)


class DiscoSystem(System):
    """DiscoFaceGAN."""

    config: ClassVar[type[TrainingConfig]] = DiscoConfig
    architectures: ClassVar[Mapping[str, Architecture]] = {
        "stylegan2": Architecture(
            stylegan2.NetworkConfig, stylegan2.build_generator, stylegan2.build_discriminator
        ),
        # The original's published network: training can go on with it.
        "stylegan1": Architecture(
            stylegan1.StyleGAN1Config, stylegan1.build_generator, stylegan1.build_discriminator
        ),
    }  # fmt: skip

    def network_sizes(self, config: DiscoConfig, layout: CoefficientLayout) -> stylegan2.NetworkConfig:
        """StyleGAN2 on λ and noise side by side."""
        return stylegan2.NetworkConfig(
            input_size=layout.lambda_size + config.noise_dim,
            scale_input=config.standardize_input,
            **stylegan.network_options(config),
        )

    def optimizers(self, config: DiscoConfig) -> dict[str, tuple[str, keras.optimizers.Optimizer]]:
        """The generator's, the discriminator's, and the generator's while it imitates alone."""
        interval = config.pl_interval if config.pl_weight else 0
        return stylegan.optimizers(config, interval, config.imitate_kimg if config.stage == 1 else 0.0)

    def variables(self, config: DiscoConfig) -> dict[str, tf.Variable]:
        """The mean path length: 0 to begin with, as in StyleGAN2; negative where the networks' own is not known."""
        return {
            MEAN_PATH_LENGTH: tf.Variable(
                0.0, trainable=False, name=MEAN_PATH_LENGTH, aggregation=tf.VariableAggregation.MEAN
            )
        }

    def facts(self, config: DiscoConfig, variables: Mapping[str, tf.Variable]) -> dict[str, float]:
        """The mean path length, where the run had path-length regularisation."""
        mean = float(variables[MEAN_PATH_LENGTH].numpy())
        return {MEAN_PATH_LENGTH: mean} if config.pl_weight and mean > 0 else {}

    def restore(self, variables: Mapping[str, tf.Variable], facts: Mapping[str, Any]) -> None:
        """The snapshot's mean path length; a run without one lets the first step measure it."""
        variables[MEAN_PATH_LENGTH].assign(float(facts.get(MEAN_PATH_LENGTH, -1.0)))

    def prepare(self, config: DiscoConfig, networks: Networks, tools: Tools) -> None:
        """Where the mapping scales its inputs: to standard deviation 1 of λ as the run samples it."""
        if not config.standardize_input:
            return
        latents = tf.random.stateless_normal([_SCALE_SAMPLES, tools.sampler.latent_size], [0, 0])
        set_input_scale(networks["generator"], tools.sampler.sample(latents).numpy())

    def objective(self, *args: Any) -> DiscoObjective:
        """See `objective`."""
        return DiscoObjective(*args)

    def average_w(
        self, generator: keras.Model, sampler: FactorSampler, layout: CoefficientLayout, noise_dim: int
    ) -> np.ndarray:
        """w̄_id [w_dim]: mean of the mapping of (identity, zeros, noise) over 10,000 identities and noises."""
        where = layout.slice("identity")
        if where.start != 0:
            raise ValueError(f"layout: expected the identity first. Received: {where}")
        rng = np.random.default_rng(_AVERAGE_SEED)
        total = np.zeros(generator.mapping.w_dim, np.float64)
        batch = 1000
        for _ in range(_AVERAGE_SAMPLES // batch):
            slot = sampler.latent_slices["identity"]
            z = rng.standard_normal([batch, slot.stop - slot.start]).astype(np.float32)
            inputs = np.zeros([batch, layout.lambda_size + noise_dim], np.float32)
            inputs[:, where] = sampler.decode("identity", z).numpy()
            inputs[:, layout.lambda_size :] = rng.standard_normal([batch, noise_dim])
            total += generator.mapping(tf.constant(inputs)).numpy().sum(0, dtype=np.float64)
        return (total / _AVERAGE_SAMPLES).astype(np.float32)

    def faces(
        self,
        generator: keras.Model,
        layout: CoefficientLayout,
        noise_dim: int,
        average_w: np.ndarray,
        face_model: FaceModel | None = None,
    ) -> DiscoGenerator:
        """The face model is not used."""
        return DiscoGenerator(generator, layout, noise_dim, average_w)


def set_input_scale(generator: keras.Model, lambdas: np.ndarray) -> None:
    """Has the mapping divide its inputs by the standard deviation of the samples `lambdas` [N, λ]."""
    scale = np.ones(generator.mapping.input_scale.shape, np.float32)  # the noise beside λ is normal already
    scale[: lambdas.shape[1]] = 1.0 / np.maximum(lambdas.std(0), 1e-3)
    generator.mapping.input_scale.assign(scale)


SYSTEM = DiscoSystem()
