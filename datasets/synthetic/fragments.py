"""Lists of the pixels that a framebuffer covers, so that only they are shaded, and what is looked up at them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from tensorflow_graphics.rendering import framebuffer as fb


class Fragments(NamedTuple):
    """P covered pixels of B images of D × D pixels, or of one of their depth layers."""

    pixel: tf.Tensor  # [P] int32, places in [B · D · D]
    image: tf.Tensor  # [P] int32
    triangle: tf.Tensor  # [P] int32
    corners: tf.Tensor  # [P, 3] int32, vertices of that image
    weights: tf.Tensor  # [P, 3] perspective-correct barycentric coordinates

    @classmethod
    def of(cls, layer: fb.Framebuffer, wanted: tf.Tensor | None = None) -> Fragments:
        """The covered pixels of `layer` (tensors [B, D, D, C]) where `wanted` [B · D · D] bool is true."""
        covered = tf.reshape(layer.foreground_mask, [-1]) > 0
        pixel = tf.cast(tf.where(covered if wanted is None else covered & wanted)[:, 0], tf.int32)
        size = layer.triangle_id.shape[1] * layer.triangle_id.shape[2]
        return cls(
            pixel=pixel,
            image=pixel // size,
            triangle=tf.gather(tf.reshape(layer.triangle_id, [-1]), pixel),
            corners=tf.gather(tf.reshape(layer.vertex_ids, [-1, 3]), pixel),
            weights=tf.gather(tf.reshape(layer.barycentrics.value, [-1, 3]), pixel),
        )

    def where(self, wanted: tf.Tensor) -> Fragments:
        """Those for which `wanted` [P] bool is true."""
        place = tf.where(wanted)[:, 0]
        return Fragments(*(tf.gather(value, place) for value in self))

    def interpolate(self, attributes: tf.Tensor) -> tf.Tensor:
        """[P, C] of vertex attributes [B, V, C]."""
        count, channels = attributes.shape[1], attributes.shape[2]
        rows = tf.gather(tf.reshape(attributes, [-1, channels]), self.corners + (self.image * count)[:, None])
        return tf.einsum("pk,pkc->pc", self.weights, rows)


def scatter(places: tf.Tensor, values: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """[count, C] of zeros, but for `values` [P, C] at `places` [P], which are all different."""
    return tf.scatter_nd(places[:, None], values, tf.stack([count, values.shape[1]]))


def look_up(pictures: tf.Tensor, number: tf.Tensor, uv: tf.Tensor) -> tf.Tensor:
    """[P, C] bilinear samples of pictures [M, H, W, C] (row 0 at v = 1; edges are held).

    Args:
        pictures: any number of equal size, float32 or uint8.
        number: [P] int32, the picture of each sample.
        uv: [P, 2], v up.
    """
    height, width, channels = pictures.shape[1:]
    u = tf.clip_by_value(uv[:, 0] * width - 0.5, 0.0, width - 1.001)
    v = tf.clip_by_value((1 - uv[:, 1]) * height - 0.5, 0.0, height - 1.001)
    left, top = tf.floor(u), tf.floor(v)
    x, y = (u - left)[:, None], (v - top)[:, None]
    first = (number * height + tf.cast(top, tf.int32)) * width + tf.cast(left, tf.int32)
    right, down = int(width > 1), width * int(height > 1)
    table = tf.reshape(pictures, [-1, channels])
    corners = (first, first + right, first + down, first + down + right)
    a, b, c, d = (tf.cast(tf.gather(table, corner), tf.float32) for corner in corners)
    upper, lower = a + (b - a) * x, c + (d - c) * x
    return upper + (lower - upper) * y
