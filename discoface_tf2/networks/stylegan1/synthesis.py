"""From styles to an image: StyleGAN's synthesis, with adaptive instance normalisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan1.resample import blur, conv_enlarge
from discoface_tf2.networks.stylegan2.layers import GAIN, Conv2D, Dense, activate, child_seed, conv2d
from discoface_tf2.networks.stylegan2.synthesis import FIXED_NOISE, layer_noise

_EPSILON = 1e-8


def instance_norm(x: tf.Tensor) -> tf.Tensor:
    """x [B, H, W, C], each channel of each image to mean 0 and variance 1 over its pixels."""
    x = x - tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=[1, 2], keepdims=True) + _EPSILON)


class StyledLayer(keras.layers.Layer):
    """Convolution (or none), noise, bias, leaky ReLU, instance norm, style.

    Args:
        filters: output channels.
        w_dim: length of a style.
        size: height and width of the output.
        index: of the layer, which tells its noise from the others'.
        kind: "const" (no convolution), "same", "up" (each pixel repeated twice first, blurred after), or "up_turned"
            (see `conv_enlarge`).
        seed: of the weights.

    Call arguments: inputs [B, H, W, I]; w [B, w_dim]; noise as in `StyleGAN1Synthesis`.

    References: Karras et al., "A style-based generator architecture for generative adversarial networks", figure 1b
    and equation 1.
    """

    def __init__(
        self, filters: int, w_dim: int, size: int, index: int, kind: str, *, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if kind not in ("const", "same", "up", "up_turned"):
            raise ValueError(f"StyledLayer: expected const, same, up or up_turned. Received: kind={kind!r}")
        self.filters, self.w_dim, self.size = filters, w_dim, size
        self.index, self.kind, self.seed = index, kind, seed
        self.style = Dense(2 * filters, seed=child_seed(seed, "style"), dtype=self.variable_dtype, name="style")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, H, W, I]."""
        channels = input_shape[-1]
        assert channels is not None
        normal = keras.initializers.RandomNormal(0.0, 1.0, seed=child_seed(self.seed, "kernel"))
        if self.kind != "const":
            self.scale = GAIN / math.sqrt(9 * channels)
            self.kernel = self.add_weight((3, 3, channels, self.filters), normal, name="kernel", autocast=False)
        fixed = keras.initializers.RandomNormal(0.0, 1.0, seed=child_seed(self.seed, "noise"))
        self.noise_map = self.add_weight(
            (1, self.size, self.size, 1), fixed, trainable=False, name="noise_map", autocast=False
        )
        self.noise_strength = self.add_weight((self.filters,), "zeros", name="noise_strength", autocast=False)
        self.bias = self.add_weight((self.filters,), "zeros", name="bias", autocast=False)
        self.style.build((None, self.w_dim))

    def call(self, inputs: tf.Tensor, w: tf.Tensor, noise: tf.Tensor | str | None = None) -> tf.Tensor:
        """Inputs [B, H, W, I] and w [B, w_dim] → [B, size, size, filters], float32."""
        x = tf.cast(inputs, self.compute_dtype)
        if self.kind == "same":
            x = conv2d(x, self.kernel * self.scale)
        elif self.kind != "const":
            x = blur(conv_enlarge(x, self.kernel * self.scale, turned=self.kind == "up_turned"))
        x = tf.cast(x, self.variable_dtype)  # what follows is exact: statistics over up to 65,536 pixels
        if isinstance(noise, str) and noise == FIXED_NOISE:
            drawn: tf.Tensor | None = tf.convert_to_tensor(self.noise_map)
        else:
            drawn = layer_noise(noise, self.index, self.size)
        if drawn is not None:
            x = x + drawn * tf.convert_to_tensor(self.noise_strength)
        x = instance_norm(activate(x + tf.convert_to_tensor(self.bias)))
        scale, shift = tf.split(self.style(w)[:, None, None, :], 2, axis=3)  # [B, 1, 1, filters] each
        return x * (scale + 1.0) + shift

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(filters=self.filters, w_dim=self.w_dim, size=self.size, index=self.index, kind=self.kind,
                   seed=self.seed)  # fmt: skip
        return {**super().get_config(), **own}


class StyleGAN1Synthesis(keras.layers.Layer):
    """StyleGAN's synthesis at its full resolution, or at a lower one of its progressive growing.

    Args:
        channels: channels by resolution, 4, 8, … up to the image's.
        w_dim: length of a style.
        turned_from: resolution from which on the enlarging convolutions have their kernels turned.
        seed: of the weights.

    Call arguments:
        ws: styles [B, num_ws, w_dim].
        noise: None, "fixed" (the maps stored with the weights), or seeds: see `networks.synthesis.layer_noise`.
        max_resolution: stop there and return the image at that resolution (a Python number; None: the whole). In a
            network that has grown, the heads below the last have not been trained for long.

    Output shape: [B, R, R, 3], float32, about [-1, 1] (not clipped).

    References: Karras et al., "A style-based generator architecture for generative adversarial networks".
    """

    def __init__(
        self, channels: Mapping[int, int], w_dim: int = 512, *, turned_from: int = 128, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.channels = {int(size): int(count) for size, count in channels.items()}
        sizes = list(self.channels)
        if sizes != [4 * 2**k for k in range(len(sizes))]:
            raise ValueError(f"StyleGAN1Synthesis: expected channels by resolution 4, 8, 16, …. Received: {sizes}")
        self.w_dim, self.turned_from, self.seed, self.resolution = w_dim, turned_from, seed, sizes[-1]
        self.num_ws = 2 * len(sizes)
        self.styled: list[StyledLayer] = []
        self.to_rgbs: list[Conv2D] = []
        for size, count in self.channels.items():
            up = "up_turned" if size >= turned_from else "up"
            for part, kind in enumerate(("const" if size == 4 else up, "same")):
                name = f"layer_{size}_{part}"
                self.styled.append(
                    StyledLayer(
                        count,
                        w_dim,
                        size,
                        len(self.styled),
                        kind,
                        seed=child_seed(seed, name),
                        dtype=self.dtype_policy,
                        name=name,
                    )
                )
            name = f"rgb_{size}"
            rgb_seed, exact = child_seed(seed, name), self.variable_dtype
            self.to_rgbs.append(Conv2D(3, 1, activation=False, seed=rgb_seed, dtype=exact, name=name))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make all weights."""
        inputs = self.channels[4]
        self.constant = self.add_weight((4, 4, inputs), "ones", name="constant", autocast=False)
        for layer in self.styled:
            layer.build((None, None, None, inputs))
            inputs = layer.filters
        for to_rgb, count in zip(self.to_rgbs, self.channels.values(), strict=True):
            to_rgb.build((None, None, None, count))

    def call(self, ws: tf.Tensor, noise: tf.Tensor | str | None = None, max_resolution: int | None = None) -> tf.Tensor:
        """Styles [B, num_ws, w_dim] → images [B, R, R, 3]."""
        if ws.shape[1] != self.num_ws:
            raise ValueError(
                f"StyleGAN1Synthesis: expected {self.num_ws} styles an image. Received: shape {tuple(ws.shape)}"
            )
        last = self.resolution if max_resolution is None else max_resolution
        if last not in self.channels:
            raise ValueError(f"max_resolution: expected one of {list(self.channels)}. Received: {max_resolution}")
        x = tf.tile(tf.convert_to_tensor(self.constant)[None], [tf.shape(ws)[0], 1, 1, 1])
        for k in range(2 * (list(self.channels).index(last) + 1)):
            x = self.styled[k](x, ws[:, k], noise=noise)
        return self.to_rgbs[list(self.channels).index(last)](x)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(channels=self.channels, w_dim=self.w_dim, turned_from=self.turned_from, seed=self.seed)
        return {**super().get_config(), **own}
