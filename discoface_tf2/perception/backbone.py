"""What the three bundled networks share: a small residual trunk without normalisation, and the change of image size.

Normalisation is left out on purpose. The networks are trained on synthetic images and then asked about generated
images; statistics of one population, stored in a batch normalisation, are wrong for the other. Residual branches that
start at zero (Zhang et al., "Fixup initialization", 2019) train as quickly at this depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.perception.resizing import resize


def fit_size(images: tf.Tensor, size: int) -> tf.Tensor:
    """Images [B, H, W, C] of any size → [B, size, size, C], bilinear with antialiasing; unchanged if they fit already.

    Differentiable. Raises ValueError when `images` is no batch of pictures.
    """
    if images.shape.rank != 4:
        raise ValueError(f"perception: expected images [B, H, W, 3]. Received: shape {tuple(images.shape)}")
    if images.shape[1] == size and images.shape[2] == size:
        return images
    return resize(images, size, size)


def check_images(images: Any) -> tf.Tensor:
    """`images` as a float32 tensor [B, H, W, 3]. Raises ValueError for another rank, type or number of channels."""
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4 or images.shape[-1] != 3 or not images.dtype.is_floating:
        raise ValueError(
            "perception: expected RGB images [B, H, W, 3], floats in [-1, 1]. "
            f"Received: {images.dtype.name} of shape {tuple(images.shape)}"
        )
    return tf.cast(images, tf.float32)


class ResidualBlock(keras.layers.Layer):
    """x + conv3x3(silu(conv3x3(silu(x)))); the second convolution starts at zero, so the block starts as identity.

    Input and output: [B, H, W, channels].
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        policy = {"padding": "same", "dtype": self.dtype_policy}
        self.first = keras.layers.Conv2D(channels, 3, kernel_initializer="he_normal", **policy)
        self.second = keras.layers.Conv2D(channels, 3, kernel_initializer="zeros", **policy)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights of both convolutions."""
        self.first.build(input_shape)
        self.second.build((*input_shape[:-1], self.channels))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, channels] → the same shape."""
        return x + self.second(tf.nn.silu(self.first(tf.nn.silu(x))))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same layer."""
        return {**super().get_config(), "channels": self.channels}


class Trunk(keras.layers.Layer):
    """Pictures → feature maps at halving sizes, fine to coarse.

    A stem of 2x2 patches (half the size, `channels[0]`), then for each further width a strided convolution and a
    residual block. All spatial work is at half the size or below: these networks run in every training step.

    Input: [B, S, S, 3] in [-1, 1]. Output: one map per entry of `channels`: [B, S/2, S/2, c0], [B, S/4, S/4, c1], …
    """

    def __init__(self, channels: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        policy = {"padding": "same", "dtype": self.dtype_policy, "kernel_initializer": "he_normal"}
        self.steps = [
            keras.layers.Conv2D(width, 3, strides=1 if level == 0 else 2, **policy)
            for level, width in enumerate(self.channels)
        ]
        self.blocks = [ResidualBlock(width, dtype=self.dtype_policy) for width in self.channels[1:]]

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Makes the weights of all levels."""
        width = 4 * int(input_shape[-1] or 3)
        for level, channels in enumerate(self.channels):
            self.steps[level].build((None, None, None, width))
            if level:
                self.blocks[level - 1].build((None, None, None, channels))
            width = channels

    def call(self, images: tf.Tensor) -> list[tf.Tensor]:
        """[B, S, S, 3] → feature maps, fine to coarse."""
        x = self.steps[0](tf.nn.space_to_depth(images, 2))  # [B, S/2, S/2, c0]
        maps = [x]
        for step, block in zip(self.steps[1:], self.blocks, strict=True):
            x = block(step(tf.nn.silu(x)))
            maps.append(x)
        return maps

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same layer."""
        return {**super().get_config(), "channels": self.channels}


def build_by_call(model: keras.Model, image_size: int) -> None:
    """Makes the weights of `model`, so that it can be saved, loaded and counted before its first use."""
    model(tf.zeros([1, image_size, image_size, 3]))
