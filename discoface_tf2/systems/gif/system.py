"""`gif` as a system: its networks, optimisers and truncation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.systems import stylegan
from discoface_tf2.systems.base import Architecture, FaceGenerator, System
from discoface_tf2.systems.gif.config import GifConfig
from discoface_tf2.systems.gif.networks import GifNetworkConfig, build_discriminator, build_generator
from discoface_tf2.systems.gif.objective import GifObjective
from discoface_tf2.systems.gif.renders import ConditionRenderer, chosen
from renderer import FaceModel
from renderer.layout import CoefficientLayout
from vae import FactorSampler

_AVERAGE_SAMPLES = 10_000
_AVERAGE_SEED = 20_201_125  # of the styles that the average w is of; any number, but always the same


class GifFaces(FaceGenerator):
    """Images of coefficients, which are rendered, and a style. Truncation moves w, the style alone, to its average."""

    def __init__(self, *args: Any, render: ConditionRenderer, condition: str) -> None:
        self.render, self.condition = render, condition
        super().__init__(*args)

    def styles(self, coefficients: tf.Tensor, noise: tf.Tensor, truncation: tf.Tensor | float) -> tf.Tensor:
        """Style [B, noise_dim] and ψ → [B, num_ws, w_dim]; λ [B, λ] tells with the condition "vector" alone."""
        vector = self.condition == "vector"
        inputs = tf.concat([coefficients[:, : self.layout.lambda_size], noise], -1) if vector else noise
        ws = self.generator.styles(inputs)
        return self.average_w + truncation * (ws - self.average_w)

    def synthesis(self, ws: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
        """Styles [B, num_ws, w_dim] and λ [B, λ], rendered → images [B, R, R, 3], float32, about [-1, 1]."""
        renders, _ = self.render(coefficients)
        return self.generator.images(ws, chosen(renders, self.condition))


class GifSystem(System):
    """GIF."""

    config: ClassVar[type[TrainingConfig]] = GifConfig
    architectures: ClassVar[Mapping[str, Architecture]] = {
        "gif": Architecture(GifNetworkConfig, build_generator, build_discriminator)
    }
    needs_perception: ClassVar[bool] = False
    renders: ClassVar[bool] = True

    def network_sizes(self, config: GifConfig, layout: CoefficientLayout) -> GifNetworkConfig:
        """StyleGAN2 on a style, with a net for the renders per layer."""
        extra = layout.lambda_size if config.condition == "vector" else 0
        return GifNetworkConfig(
            input_size=config.noise_dim + extra, condition=config.condition, **stylegan.network_options(config)
        )

    def optimizers(self, config: GifConfig) -> dict[str, tuple[str, keras.optimizers.Optimizer]]:
        """The generator's, the discriminator's, and the generator's while it imitates alone."""
        interval = config.texture_interval if config.weights.texture and config.texture_interval > 1 else 0
        return stylegan.optimizers(config, interval, config.imitate_kimg)

    def objective(self, *args: Any) -> GifObjective:
        """See `objective`."""
        return GifObjective(*args)

    def average_w(
        self, generator: keras.Model, sampler: FactorSampler, layout: CoefficientLayout, noise_dim: int
    ) -> np.ndarray:
        """Mean of the mapping over 10,000 styles, [w_dim]; with the condition "vector", of as many faces."""
        rng = np.random.default_rng(_AVERAGE_SEED)
        inputs = rng.standard_normal([_AVERAGE_SAMPLES, noise_dim]).astype(np.float32)
        if generator.condition == "vector":
            z = rng.standard_normal([_AVERAGE_SAMPLES, sampler.latent_size]).astype(np.float32)
            inputs = np.concatenate([sampler.sample(z).numpy(), inputs], -1)
        return generator.mapping(tf.constant(inputs)).numpy().mean(0, dtype=np.float64).astype(np.float32)

    def faces(
        self,
        generator: keras.Model,
        layout: CoefficientLayout,
        noise_dim: int,
        average_w: np.ndarray,
        face_model: FaceModel | None = None,
    ) -> GifFaces:
        """With the face model that the renders are of."""
        assert face_model is not None
        render = ConditionRenderer(face_model, generator.resolution)
        condition = generator.condition
        return GifFaces(generator, layout, noise_dim, average_w, render=render, condition=condition)


SYSTEM = GifSystem()
