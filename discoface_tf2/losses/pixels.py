"""The pixel by pixel part of imitation: generated and rendered images, side by side, under the render's mask."""

from __future__ import annotations

import tensorflow as tf

from discoface_tf2.losses import imitative
from renderer.face_renderer import Rendering


def to_network_range(images: tf.Tensor) -> tf.Tensor:
    """0-255, any type, to float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def reduce_to(images: tf.Tensor, size: int) -> tf.Tensor:
    """[B, H, W, C] averaged down to [B, size, size, C]; smaller images are left as they are."""
    factor = images.shape[1] // size
    return images if factor <= 1 else tf.nn.avg_pool2d(images, factor, factor, "VALID")


def pixel_loss(fakes: tf.Tensor, rendering: Rendering, size: int) -> tf.Tensor:
    """`imitative.masked_l1_loss` [B] of generated images [B, H, W, 3] in [-1, 1] and their renders.

    Both are reduced to `size` pixels, and neither may be smaller.
    """
    inside = tf.cast(reduce_to(rendering.mask, size) > 0.999, tf.float32)  # pixels that the mesh covers wholly
    render = reduce_to(to_network_range(rendering.image), size)
    return imitative.masked_l1_loss(reduce_to(tf.cast(fakes, tf.float32), size), render, inside)
