"""Backward warping of images by a dense flow."""

from __future__ import annotations

import tensorflow as tf


def warp(image: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Fills each pixel p of the result from `image` at p + flow(p), bilinearly.

    Differentiable with respect to both. What lies outside the picture is the nearest pixel of its border.

    Args:
        image: [B, H, W, C] float32.
        flow: [B, H, W, 2] in pixels, x to the right and y down the rows (see `renderer.face_renderer.Flow`).

    Returns:
        [B, H, W, C].
    """
    batch, height, width, channels = tf.unstack(tf.shape(image))
    last_x, last_y = tf.cast(width - 1, flow.dtype), tf.cast(height - 1, flow.dtype)
    x = tf.clip_by_value(tf.range(width, dtype=flow.dtype) + flow[..., 0], 0.0, last_x)  # [B, H, W]
    y = tf.clip_by_value(tf.range(height, dtype=flow.dtype)[:, None] + flow[..., 1], 0.0, last_y)
    left, top = tf.floor(x), tf.floor(y)
    right, bottom = tf.minimum(left + 1, last_x), tf.minimum(top + 1, last_y)
    pixels = tf.reshape(image, [batch * height * width, channels])
    first = tf.range(batch)[:, None, None] * height * width

    def at(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        return tf.gather(pixels, first + tf.cast(row, tf.int32) * width + tf.cast(column, tf.int32))

    dx, dy = (x - left)[..., None], (y - top)[..., None]
    upper = at(top, left) * (1 - dx) + at(top, right) * dx
    lower = at(bottom, left) * (1 - dx) + at(bottom, right) * dx
    return tf.reshape(upper * (1 - dy) + lower * dy, tf.shape(image))
