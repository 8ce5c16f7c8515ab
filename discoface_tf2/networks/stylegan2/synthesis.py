"""From styles to an image: StyleGAN2's skip generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2.layers import (
    GAIN,
    Dense,
    ModulatedConv2D,
    NoiseInjection,
    ToRGB,
    activate,
    child_seed,
)
from discoface_tf2.networks.stylegan2.resample import upsample

FIXED_NOISE = "fixed"
_FIXED_SEED = (2020, 4958)  # any two numbers: every model and process then sees the same fixed maps


@dataclass(frozen=True)
class BatchNoise:
    """One draw for a batch, as training takes it: `count` maps a layer, of which image k gets number rows[k]."""

    seed: tf.Tensor  # [2]
    rows: tf.Tensor  # [B] int32, below count; images that must not differ by their noise share a number
    count: int


Noise: TypeAlias = tf.Tensor | BatchNoise | str | None


def layer_noise(noise: Noise, index: int, size: int) -> tf.Tensor | None:
    """The noise map of layer `index`: None, [1, size, size, 1], or [B, size, size, 1] for a map an image.

    `noise` is None (no noise), "fixed" (the same map in every call), a seed [2] (one map shared by the batch), seeds
    [B, 2] (each image its own map, which does not depend on the batch that it is in), or a BatchNoise.
    """
    if noise is None:
        return None
    if isinstance(noise, BatchNoise):
        maps = tf.random.stateless_normal([noise.count, size, size, 1], _folded(noise.seed, index), alg="philox")
        return tf.gather(maps, noise.rows)
    if isinstance(noise, str) and noise != FIXED_NOISE:
        raise ValueError(f"noise: expected None, {FIXED_NOISE!r} or a seed. Received: {noise!r}")
    seeds = tf.constant(_FIXED_SEED, tf.int32) if isinstance(noise, str) else noise
    if seeds.shape.rank == 1:
        return _noise_map(seeds, index, size)[None]
    return tf.map_fn(lambda seed: _noise_map(seed, index, size), seeds, fn_output_signature=tf.float32)


def _noise_map(seed: tf.Tensor, index: int, size: int) -> tf.Tensor:
    return tf.random.stateless_normal([size, size, 1], _folded(seed, index), alg="philox")


def _folded(seed: tf.Tensor, index: int) -> tf.Tensor:
    return tf.random.fold_in(seed, index, alg="philox")


class SynthesisLayer(keras.layers.Layer):
    """Style, modulated convolution, noise, bias and leaky ReLU.

    Args:
        filters: output channels.
        up: enlarge by two first.
        index: of the layer, which tells its noise from the others'.
        seed: of the weights.

    Call arguments: inputs [B, H, W, I]; w [B, w_dim]; noise as in `layer_noise`.
    """

    def __init__(self, filters: int, w_dim: int, *, up: bool, index: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters, self.w_dim, self.up, self.index, self.seed = filters, w_dim, up, index, seed
        self.conv = ModulatedConv2D(filters, up=up, seed=child_seed(seed, "conv"), dtype=self.dtype_policy, name="conv")
        self.noise = NoiseInjection(dtype=self.variable_dtype, name="noise")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, H, W, I]."""
        channels = input_shape[-1]
        assert channels is not None
        seed, exact = child_seed(self.seed, "style"), self.variable_dtype
        self.style = Dense(channels, bias_init=1.0, seed=seed, dtype=exact, name="style")
        self.style.build((None, self.w_dim))
        self.conv.build(input_shape)
        self.noise.build((None, None, None, self.filters))
        self.bias = self.add_weight((self.filters,), "zeros", name="bias", autocast=False)

    def call(self, inputs: tf.Tensor, w: tf.Tensor, noise: Noise = None) -> tf.Tensor:
        """Inputs [B, H, W, I] and w [B, w_dim] → [B, H or 2H, W or 2W, filters]."""
        x = self.conv(inputs, self.style(w), gain=GAIN)
        # Bias and noise are added together: one pass over the feature map instead of two.
        return activate(x + tf.cast(self.offset(noise, x.shape[1]) * GAIN, x.dtype))

    def offset(self, noise: Noise, size: int) -> tf.Tensor:
        """What is added to the feature map before the activation, [1 or B, size or 1, size or 1, filters]."""
        return self.noise(self.bias[None, None, None, :], layer_noise(noise, self.index, size))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(filters=self.filters, w_dim=self.w_dim, up=self.up, index=self.index, seed=self.seed)
        return {**super().get_config(), **own}


class Synthesis(keras.layers.Layer):
    """Skip generator: each resolution adds its image to the upsampled image of the one below.

    Args:
        channels: channels by resolution, 4, 8, … up to the image's.
        w_dim: length of a style.
        seed: of the weights.

    Call arguments:
        ws: styles [B, num_ws, w_dim].
        noise: None, "fixed", seeds or BatchNoise: see `layer_noise`.
        max_resolution: stop there and return the image at that resolution (a Python number; None: the whole).

    Output shape: [B, R, R, 3], float32, about [-1, 1] (not clipped).

    References: Karras et al., "Analyzing and improving the image quality of StyleGAN", figure 7b.
    """

    layer_class: ClassVar[type[SynthesisLayer]] = SynthesisLayer

    def __init__(self, channels: Mapping[int, int], w_dim: int = 512, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.channels = {int(size): int(count) for size, count in channels.items()}
        sizes = list(self.channels)
        if sizes != [4 * 2**k for k in range(len(sizes))]:
            raise ValueError(f"Synthesis: expected channels by resolution 4, 8, 16, …. Received: {sizes}")
        self.w_dim, self.seed, self.resolution = w_dim, seed, sizes[-1]
        self.num_ws = 2 * len(sizes)
        self.convs: list[SynthesisLayer] = []
        self.styles: list[Dense] = []
        self.to_rgbs: list[ToRGB] = []
        for size, count in self.channels.items():
            for up in (True, False) if size > 4 else (False,):
                name = f"conv_{size}{'_up' if up else ''}"
                self.convs.append(
                    self.layer_class(
                        count,
                        w_dim,
                        up=up,
                        index=len(self.convs),
                        seed=child_seed(seed, name),
                        dtype=self.dtype_policy,
                        name=name,
                    )
                )
            name = f"rgb_{size}"
            style_seed, exact = child_seed(seed, f"{name}/style"), self.variable_dtype
            self.styles.append(Dense(count, bias_init=1.0, seed=style_seed, dtype=exact, name=f"{name}_style"))
            self.to_rgbs.append(ToRGB(seed=child_seed(seed, name), dtype=self.dtype_policy, name=name))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make all weights."""
        inputs, convs = self.channels[4], iter(self.convs)
        start = keras.initializers.RandomNormal(0.0, 1.0, seed=child_seed(self.seed, "constant"))
        self.constant = self.add_weight((4, 4, inputs), start, name="constant", autocast=False)
        for size, count in self.channels.items():
            for _ in range(2 if size > 4 else 1):
                next(convs).build((None, None, None, inputs))
                inputs = count
        for style, to_rgb, count in zip(self.styles, self.to_rgbs, self.channels.values(), strict=True):
            style.build((None, self.w_dim))
            to_rgb.build((None, None, None, count))

    def call(self, ws: tf.Tensor, noise: Noise = None, max_resolution: int | None = None) -> tf.Tensor:
        """Styles [B, num_ws, w_dim] → images [B, R, R, 3]."""
        if ws.shape[1] != self.num_ws:
            raise ValueError(f"Synthesis: expected {self.num_ws} styles an image. Received: shape {tuple(ws.shape)}")
        last = self.resolution if max_resolution is None else max_resolution
        if last not in self.channels:
            raise ValueError(f"max_resolution: expected one of {list(self.channels)}. Received: {max_resolution}")
        start = tf.cast(self.constant, self.compute_dtype)
        x = tf.tile(start[None], [tf.shape(ws)[0], 1, 1, 1])
        image: tf.Tensor | None = None
        layer = 0
        for block, size in enumerate(self.channels):
            for _ in range(2 if size > 4 else 1):
                x = self.convs[layer](x, ws[:, layer], noise=noise)
                layer += 1
            # A block's image takes the style of the layer that follows it.
            rgb = self.to_rgbs[block](x, self.styles[block](ws[:, layer]))
            image = rgb if image is None else upsample(image) + rgb
            if size == last:
                break
        return image

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "channels": self.channels, "w_dim": self.w_dim, "seed": self.seed}
