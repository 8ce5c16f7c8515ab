"""Shadows of the key lamp: one depth map from where it stands, read softly."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from datasets.synthetic.fragments import Fragments
from renderer.pose import looking_from, rotate
from renderer.rasterizer import interpolate, rasterize

_CENTRE, _REACH = np.array([0.0, -0.05, -0.3], np.float32), 1.9  # of the cube that the map covers, decimetres
_TAPS = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]), -1).reshape(-1, 2)
_WIDTH = 0.045  # decimetres between taps: how soft the edges are
_BIAS, _SOFT = 0.035, 0.04  # decimetres: what is this much nearer begins to hide, and hides wholly


class ShadowMap:
    """Depth along the key lamp's light.

    Args:
        vertices: [B, V, 3] in world coordinates.
        triangles: [F, 3] that cast shadows.
        directions: [B, 3] unit, towards the lamp.
        size: texels along a side.
    """

    def __init__(self, vertices: tf.Tensor, triangles: tf.Tensor, directions: tf.Tensor, size: int):
        self._size, self._turn = size, looking_from(directions)
        placed = rotate((vertices - _CENTRE) / _REACH, self._turn)
        # Nearest has the smallest depth; halved, as long hair reaches out of the cube.
        projection = tf.constant(np.diag([1.0, 1.0, -0.5, 1.0])[None], tf.float32)
        frame = rasterize(placed, triangles, projection, (size, size), enable_cull_face=False).layer(0)
        depth = interpolate(frame, placed[..., 2:])
        self._depth = tf.reshape(tf.where(frame.foreground_mask > 0, depth, -9.0), [-1])  # [B · size · size]

    def light(self, fragments: Fragments, positions: tf.Tensor, normals: tf.Tensor) -> tf.Tensor:
        """[P] 0-1: how much of the key light reaches `positions` [P, 3] with unit `normals` [P, 3]."""
        shifted = (positions + 0.04 * normals - _CENTRE) / _REACH
        placed = tf.einsum("pc,pdc->pd", shifted, tf.gather(self._turn, fragments.image))
        first = fragments.image * self._size**2
        # Taps turn from pixel to pixel, so that steps of the map become fine noise, which averaging takes away.
        turn = tf.cast((fragments.pixel * 7919) % 64, tf.float32) * (np.pi / 128)
        cos, sin = tf.cos(turn), tf.sin(turn)
        total = tf.zeros_like(placed[:, 0])
        for dx, dy in _TAPS * (_WIDTH / _REACH):
            column = self._texel(placed[:, 0] + dx * cos - dy * sin)
            row = self._texel(placed[:, 1] + dx * sin + dy * cos)
            hidden = (tf.gather(self._depth, first + row * self._size + column) - placed[:, 2]) * _REACH - _BIAS
            total += 1 - tf.clip_by_value(hidden / _SOFT, 0.0, 1.0)
        return total / len(_TAPS)

    def _texel(self, place: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.clip_by_value((place + 1) * (self._size / 2), 0.0, self._size - 1.0), tf.int32)
