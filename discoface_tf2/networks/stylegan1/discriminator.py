"""Real or generated: StyleGAN's discriminator, a chain of convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan1.resample import blur, conv_reduce
from discoface_tf2.networks.stylegan2.layers import GAIN, Conv2D, Dense, MinibatchStd, activate, child_seed


class ReducingConv2D(keras.layers.Layer):
    """Blur, 3 × 3 convolution with equalised learning rate, average of 2 × 2 pixels, bias, leaky ReLU.

    Args:
        filters: output channels.
        seed: of the weights.

    Input shape: [B, H, W, I]. Output shape: [B, H/2, W/2, filters].
    """

    def __init__(self, filters: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.filters, self.seed = filters, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, H, W, I]."""
        channels = input_shape[-1]
        assert channels is not None
        normal = keras.initializers.RandomNormal(0.0, 1.0, seed=self.seed)
        self.scale = GAIN / math.sqrt(9 * channels)
        self.kernel = self.add_weight((3, 3, channels, self.filters), normal, name="kernel", autocast=False)
        self.bias = self.add_weight((self.filters,), "zeros", name="bias", autocast=False)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs [B, H, W, I] → [B, H/2, W/2, filters]."""
        x = conv_reduce(blur(tf.cast(inputs, self.compute_dtype)), self.kernel * self.scale)
        return activate(tf.nn.bias_add(x, tf.cast(self.bias, x.dtype)))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "filters": self.filters, "seed": self.seed}


class StyleGAN1Discriminator(keras.Model):
    """StyleGAN's discriminator with minibatch standard deviation, at its full resolution.

    Args:
        channels: channels by resolution, 4, 8, … up to the image's.
        width: units of the layer before the last.
        minibatch_std_group: images a group; 1 leaves the layer out.
        seed: of the weights.

    Input shape: [B, R, R, 3] in [-1, 1]; B a multiple of the group, or smaller. Output shape: logits [B, 1], float32.

    References: Karras et al., "Progressive growing of GANs", table 2.
    """

    def __init__(
        self, channels: Mapping[int, int], width: int, *, minibatch_std_group: int = 4, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.channels = {int(size): int(count) for size, count in channels.items()}
        self.width, self.minibatch_std_group, self.seed = width, minibatch_std_group, seed
        sizes = list(self.channels)[::-1]
        policy, exact = self.dtype_policy, self.variable_dtype

        def conv(name: str, filters: int, kernel_size: int = 3) -> Conv2D:
            return Conv2D(filters, kernel_size, seed=child_seed(seed, name), dtype=policy, name=name)

        self.from_rgb = conv("from_rgb", self.channels[sizes[0]], 1)
        self.convs = [conv(f"conv_{size}", self.channels[size]) for size in sizes[:-1]]
        self.downs = [
            ReducingConv2D(
                self.channels[size // 2], seed=child_seed(seed, f"down_{size}"), dtype=policy, name=f"down_{size}"
            )
            for size in sizes[:-1]
        ]
        self.minibatch_std = MinibatchStd(minibatch_std_group, dtype=policy, name="minibatch_std")
        self.last_conv = conv("conv_4", self.channels[4])
        self.dense = Dense(width, activation=True, seed=child_seed(seed, "dense"), dtype=exact, name="dense")
        self.logits = Dense(1, seed=child_seed(seed, "logits"), dtype=exact, name="logits")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for images [B, R, R, 3]."""
        size = max(self.channels)
        if tuple(input_shape[1:]) != (size, size, 3):
            raise ValueError(
                f"StyleGAN1Discriminator: expected images [B, {size}, {size}, 3]. Received: {tuple(input_shape)}"
            )
        self.from_rgb.build(input_shape)
        inputs = self.from_rgb.filters
        for conv, down in zip(self.convs, self.downs, strict=True):
            conv.build((None, None, None, inputs))
            down.build((None, None, None, inputs))
            inputs = down.filters
        self.last_conv.build((None, 4, 4, inputs + (1 if self.minibatch_std_group > 1 else 0)))
        self.dense.build((None, 16 * inputs))
        self.logits.build((None, self.width))
        self.built = True

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, R, R, 3] → logits [B, 1]."""
        x = self.from_rgb(images)
        for conv, down in zip(self.convs, self.downs, strict=True):
            x = down(conv(x))
        if self.minibatch_std_group > 1:
            x = self.minibatch_std(x)
        x = tf.reshape(self.last_conv(x), [-1, 16 * self.channels[4]])
        return self.logits(self.dense(x))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(channels=self.channels, width=self.width, minibatch_std_group=self.minibatch_std_group,
                   seed=self.seed)  # fmt: skip
        return {**super().get_config(), **own}
