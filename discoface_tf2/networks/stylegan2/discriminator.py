"""Real or generated: StyleGAN2's residual discriminator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2.layers import Conv2D, Dense, MinibatchStd, child_seed


class Discriminator(keras.Model):
    """Residual discriminator with minibatch standard deviation.

    Args:
        channels: channels by resolution, 4, 8, … up to the image's.
        minibatch_std_group: images a group; 1 leaves the layer out.
        seed: of the weights.

    Input shape: [B, R, R, 3] in [-1, 1]; B a multiple of the group, or smaller. Output shape: logits [B, 1], float32.

    References: Karras et al., "Analyzing and improving the image quality of StyleGAN", figure 7c.
    """

    def __init__(
        self, channels: Mapping[int, int], *, minibatch_std_group: int = 4, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.channels = {int(size): int(count) for size, count in channels.items()}
        self.minibatch_std_group, self.seed = minibatch_std_group, seed
        sizes = list(self.channels)[::-1]

        def conv(name: str, filters: int, kernel_size: int = 3, **options: Any) -> Conv2D:
            options = {"seed": child_seed(seed, name), "dtype": self.dtype_policy, "name": name, **options}
            return Conv2D(filters, kernel_size, **options)

        half = math.sqrt(0.5)  # each branch of a sum of two, so that the sum keeps the variance
        self.from_rgb = conv("from_rgb", self.channels[sizes[0]], 1)
        self.blocks: list[list[Conv2D]] = []
        for size in sizes[:-1]:
            inputs, outputs = self.channels[size], self.channels[size // 2]
            self.blocks.append(
                [
                    conv(f"conv_{size}", inputs),
                    conv(f"conv_{size}_down", outputs, down=True, gain=half),
                    conv(f"skip_{size}", outputs, 1, down=True, use_bias=False, activation=False, gain=half),
                ]
            )
        count = self.channels[4]
        self.minibatch_std = MinibatchStd(minibatch_std_group, dtype=self.dtype_policy, name="minibatch_std")
        self.last_conv = conv("conv_4", count)
        exact = self.variable_dtype
        self.dense = Dense(count, activation=True, seed=child_seed(seed, "dense"), dtype=exact, name="dense")
        self.logits = Dense(1, seed=child_seed(seed, "logits"), dtype=exact, name="logits")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for images [B, R, R, C]."""
        size = max(self.channels)
        if tuple(input_shape[1:3]) != (size, size):
            raise ValueError(f"Discriminator: expected images [B, {size}, {size}, C]. Received: {tuple(input_shape)}")
        self.from_rgb.build(input_shape)
        inputs = self.from_rgb.filters
        for first, second, skip in self.blocks:
            for layer in (first, second, skip):
                layer.build((None, None, None, inputs))
            inputs = second.filters
        extra = 1 if self.minibatch_std_group > 1 else 0
        self.last_conv.build((None, 4, 4, inputs + extra))
        self.dense.build((None, 16 * inputs))
        self.logits.build((None, inputs))
        self.built = True

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, R, R, C] → logits [B, 1]."""
        x = self.from_rgb(images)
        for first, second, skip in self.blocks:
            x = second(first(x)) + skip(x)
        if self.minibatch_std_group > 1:
            x = self.minibatch_std(x)
        x = self.last_conv(x)
        x = tf.reshape(x, [-1, 16 * self.channels[4]])
        return self.logits(self.dense(x))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(channels=self.channels, minibatch_std_group=self.minibatch_std_group, seed=self.seed)
        return {**super().get_config(), **own}
