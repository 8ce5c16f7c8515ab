"""Images → background, skin and hair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.perception.backbone import Trunk, build_by_call, check_images, fit_size
from discoface_tf2.perception.resizing import resize

CLASSES = ("background", "skin", "hair")  # in the order of the mask's numbers in a dataset


class Parsing(keras.Model):
    """Which part of a picture is background, skin and hair.

    Input: images [B, H, W, 3] in [-1, 1] of any size. Output: probabilities [B, H, W, 3] at the same size, in the order
    of CLASSES, that sum to 1 in every pixel. Differentiable. A small U-Net (Ronneberger et al., 2015) whose finest
    level is half the picture; it predicts a 2x2 patch of logits there.
    """

    kind = "parsing"

    def __init__(
        self,
        image_size: int = 64,  # the network's own input size
        channels: Sequence[int] = (16, 32, 64, 96),
        **kwargs: Any,
    ) -> None:
        super().__init__(name=self.kind, **kwargs)
        self.image_size = image_size
        self.options = {"image_size": image_size, "channels": list(channels)}
        self.trunk = Trunk(channels)
        self.up = [keras.layers.Conv2D(4 * width, 1, name=f"up{width}") for width in reversed(channels[:-1])]
        self.merge = [
            keras.layers.Conv2D(width, 3, padding="same", kernel_initializer="he_normal", name=f"merge{width}")
            for width in reversed(channels[:-1])
        ]
        self.head = keras.layers.Conv2D(4 * len(CLASSES), 3, padding="same")
        build_by_call(self, image_size)

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → logits [B, S, S, 3] at the network's own size."""
        *fine, x = self.trunk(fit_size(check_images(images), self.image_size))
        for up, merge, skip in zip(self.up, self.merge, reversed(fine), strict=True):
            x = tf.nn.depth_to_space(up(tf.nn.silu(x)), 2) + skip  # twice the size
            x = x + merge(tf.nn.silu(x))
        return tf.nn.depth_to_space(self.head(tf.nn.silu(x)), 2)

    def call(self, images: tf.Tensor, landmarks: tf.Tensor | None = None) -> tf.Tensor:
        """Images [B, H, W, 3] → probabilities [B, H, W, 3].

        `landmarks`, which `FaceParser` aligns faces by, are not needed: this network sees aligned pictures as they are.
        """
        del landmarks
        logits = self.logits(images)
        height, width = images.shape[1], images.shape[2]
        if height is None or width is None:
            height, width = tf.shape(images)[1], tf.shape(images)[2]
        if (height, width) != (self.image_size, self.image_size):
            logits = resize(logits, height, width)
        return tf.nn.softmax(logits, axis=-1)
