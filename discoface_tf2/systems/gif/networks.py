"""StyleGAN2 whose layers take renders of the face model where noise would go in (GIF, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2 import Discriminator, Generator, NetworkConfig, Synthesis
from discoface_tf2.networks.stylegan2 import build_discriminator as build_stylegan2_discriminator
from discoface_tf2.networks.stylegan2.config import build_mapping, config_from_dict
from discoface_tf2.networks.stylegan2.layers import child_seed
from discoface_tf2.networks.stylegan2.synthesis import SynthesisLayer
from discoface_tf2.systems.gif.config import CONDITIONS, judged
from renderer.options import SWITCH, Choice, option

CHANNELS = {"both": 6, "texture": 3, "normals": 3, "vector": 0}  # of the renders that the generator is given
Conditions = MappingType[int, tf.Tensor]  # renders [B, size, size, channels] in [-1, 1], by size


@dataclass(frozen=True)
class GifNetworkConfig(NetworkConfig):
    """Sizes of GIF's generator and discriminator: StyleGAN2's, and what the generator is given (`CONDITIONS`)."""

    normalize_input: bool = option(True, "normalise the second moment of the style", SWITCH)
    condition: str = option("both", "the renders that the generator is given", Choice(CONDITIONS))

    def inputs(self, lambda_size: int, noise_dim: int) -> int:
        """The style; with the condition "vector", the coefficients before it."""
        return noise_dim + (lambda_size if self.condition == "vector" else 0)

    @classmethod
    def from_dict(cls, options: MappingType[str, Any]) -> GifNetworkConfig:
        """What `to_dict` wrote. Raises ValueError for an unknown or missing option."""
        return config_from_dict(cls, options)


class ConditionNet(keras.layers.Layer):
    """Renders at a layer's resolution to what is added to its feature map.

    Three convolutions, k → 2k → 4k → filters for k channels of renders, with the paper's initial values: weights
    N(0, 0.01²), biases 0.0001, no equalised learning rate.

    Args:
        filters: channels of the feature map.
        seed: of the weights.

    Input shape: [B, H, W, k]. Output shape: [B, H, W, filters].
    """

    def __init__(self, filters: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.seed = filters, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the three convolutions."""
        channels = input_shape[-1]
        assert channels is not None
        self.convs = [
            keras.layers.Conv2D(
                width,
                3,
                padding="same",
                activation=activation,
                kernel_initializer=keras.initializers.RandomNormal(0.0, 0.01, seed=child_seed(self.seed, f"{number}")),
                bias_initializer=keras.initializers.Constant(1e-4),
                dtype=self.dtype_policy,
                name=f"conv_{number}",
            )
            for number, (width, activation) in enumerate(
                ((2 * channels, "relu"), (4 * channels, "relu"), (self.filters, None))
            )
        ]
        shape = input_shape
        for conv in self.convs:
            conv.build(shape)
            shape = (*shape[:-1], conv.filters)

    def call(self, renders: tf.Tensor) -> tf.Tensor:
        """Renders [B, H, W, k] → [B, H, W, filters]."""
        x = renders
        for conv in self.convs:
            x = conv(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "filters": self.filters, "seed": self.seed}


class ConditionedLayer(SynthesisLayer):
    """A StyleGAN2 layer with a ConditionNet in place of its noise. `noise` is Conditions."""

    channels: ClassVar[int] = 6

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, H, W, I]."""
        super().build(input_shape)
        self.noise.strength.trainable = False  # never used
        self.net = ConditionNet(
            self.filters, seed=child_seed(self.seed, "condition"), dtype=self.dtype_policy, name="condition"
        )
        self.net.build((None, None, None, self.channels))

    def offset(self, noise: Conditions, size: int) -> tf.Tensor:  # type: ignore[override]
        """[B, size, size, filters], added to the feature map before the activation."""
        return tf.cast(self.net(noise[size]), tf.float32) + self.bias[None, None, None, :]


class NormalsOrTextureLayer(ConditionedLayer):
    """Of one of the two renders."""

    channels: ClassVar[int] = 3


class ConditionedSynthesis(Synthesis):
    """A skip generator of ConditionedLayers; `noise` is Conditions, of all its resolutions."""

    layer_class = ConditionedLayer


class NormalsOrTextureSynthesis(Synthesis):
    """Of one of the two renders."""

    layer_class = NormalsOrTextureLayer


class GifGenerator(Generator):
    """Images of a style and of renders.

    Call arguments:
        inputs: the style [B, noise_dim]; with the condition "vector", coefficients and style side by side.
        noise: renders [B, R, R, k] in [-1, 1]; None with the condition "vector".
        max_resolution: stop at this resolution.

    Output shape: [B, R, R, 3], float32, about [-1, 1].

    Attributes:
        condition: which renders those are (`CONDITIONS`).
    """

    condition = "both"

    def call(
        self, inputs: tf.Tensor, noise: tf.Tensor | None = None, max_resolution: int | None = None
    ) -> tf.Tensor:  # fmt: skip
        """Inputs [B, inputs] and renders [B, R, R, k] → images [B, R, R, 3]."""
        return self.images(self.styles(inputs), noise, max_resolution)

    def images(self, ws: tf.Tensor, renders: tf.Tensor | None, max_resolution: int | None = None) -> tf.Tensor:
        """Styles [B, num_ws, w_dim] and renders [B, R, R, k] → images [B, R, R, 3]."""
        conditions = None if renders is None else pyramid(renders, list(self.synthesis.channels))
        return self.synthesis(ws, noise=conditions, max_resolution=max_resolution)


def pyramid(renders: tf.Tensor, sizes: list[int]) -> Conditions:
    """Renders [B, R, R, k] at each size: bilinear, half-pixel centres, without antialiasing, as in the reference."""
    return {
        size: renders if size == renders.shape[1] else tf.image.resize(renders, (size, size), antialias=False)
        for size in sizes
    }


def build_generator(config: GifNetworkConfig, *, dtype: str = "float32", seed: int = 0) -> GifGenerator:
    """A generator with weights sampled from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    kinds = {0: Synthesis, 3: NormalsOrTextureSynthesis, 6: ConditionedSynthesis}
    kind = kinds[CHANNELS[config.condition]]
    synthesis = kind(config.channels, config.w_dim, seed=seed, dtype=dtype, name="synthesis")
    generator = GifGenerator(build_mapping(config, seed), synthesis, dtype=dtype, name="generator")
    generator.condition = config.condition
    generator.build((None, config.input_size))
    return generator


def build_discriminator(config: GifNetworkConfig, *, dtype: str = "float32", seed: int = 0) -> Discriminator:
    """A discriminator of images beside their renders [B, R, R, 3 + k], with weights sampled from `seed`."""
    return build_stylegan2_discriminator(
        config, dtype=dtype, seed=seed, image_channels=3 + CHANNELS[judged(config.condition)]
    )
