"""Lighting by nine spherical harmonics, in the scaling that the reference's coefficients are learned in."""

from __future__ import annotations

import math

import tensorflow as tf

AMBIENT = 0.8  # added to the first term of each channel: zero coefficients are an even, slightly dim light
_A0, _A1, _A2 = math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8)
_C0 = 1 / math.sqrt(4 * math.pi)
_C1 = math.sqrt(3) / math.sqrt(4 * math.pi)
_C2 = 3 * math.sqrt(5) / math.sqrt(12 * math.pi)


def harmonics(normals: tf.Tensor) -> tf.Tensor:
    """The nine basis functions of Ramamoorthi and Hanrahan (2001) at unit `normals` [..., 3]: [..., 9]."""
    x, y, z = tf.unstack(normals, axis=-1)
    return tf.stack(
        [
            tf.fill(tf.shape(x), tf.constant(_A0 * _C0, x.dtype)),
            -_A1 * _C1 * y,
            _A1 * _C1 * z,
            -_A1 * _C1 * x,
            _A2 * _C2 * x * y,
            -_A2 * _C2 * y * z,
            _A2 * _C2 / (2 * math.sqrt(3)) * (3 * z * z - 1),
            -_A2 * _C2 * x * z,
            _A2 * _C2 / 2 * (x * x - y * y),
        ],
        axis=-1,
    )


def shade(texture: tf.Tensor, normals: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
    """Lit colours, texture × (harmonics · γ), not clipped.

    Args:
        texture: [B, N, 3] albedo, RGB in 0-255.
        normals: [B, N, 3] unit normals in world coordinates (after the pose).
        gamma: [B, 27] lighting coefficients, channel-major; 0.8 is added to each channel's first term.

    Returns:
        [B, N, 3] RGB; values outside 0-255 are possible.
    """
    gamma = tf.reshape(gamma, [-1, 3, 9])
    gamma += tf.constant([AMBIENT] + [0.0] * 8, gamma.dtype)
    return texture * tf.matmul(harmonics(normals), gamma, transpose_b=True)
