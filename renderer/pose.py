"""Head pose as a rotation, and directions to look from."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_graphics.geometry.transformation import rotation_matrix_3d


def rotation_matrix(angles: tf.Tensor) -> tf.Tensor:
    """Rotation R = Rz·Ry·Rx of right-handed elementary rotations.

    Args:
        angles: [..., 3] pitch (about x), yaw (about y) and roll (about z), radians. Positive pitch bows the head,
            positive yaw turns the face to the picture's right, positive roll turns it counter-clockwise.

    Returns:
        [..., 3, 3], to be applied to column vectors; row vectors take its transpose from the right.
    """
    return rotation_matrix_3d.from_euler(angles)


def rotate(points: tf.Tensor, rotation: tf.Tensor) -> tf.Tensor:
    """Turns row vectors: `points` [B, N, 3] and `rotation` [B, 3, 3] give points · Rᵀ, [B, N, 3]."""
    return tf.matmul(points, rotation, transpose_b=True)


def axis_angle_matrix(turns: tf.Tensor) -> tf.Tensor:
    """Rotation matrices [..., 3, 3] of axis-angles `turns` [..., 3], radians times a unit axis (Rodrigues).

    R = I + sin θ / θ · K + ½ (sin ½θ / ½θ)² · K², K = [turns]×. The gradient is finite at no turn, too.
    """
    x, y, z = tf.unstack(turns, axis=-1)
    zero = tf.zeros_like(x)
    cross = tf.reshape(tf.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1), tf.concat([tf.shape(turns), [3]], 0))
    angle = tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(turns), -1), 1e-12))[..., None, None]
    first, second = tf.sin(angle) / angle, 0.5 * tf.square(tf.sin(angle / 2) / (angle / 2))
    return tf.eye(3, dtype=turns.dtype) + first * cross + second * tf.matmul(cross, cross)


def looking_from(directions: tf.Tensor) -> tf.Tensor:
    """[B, 3, 3] rotations that bring each of the unit `directions` [B, 3] to the z axis."""
    steep = tf.abs(directions[:, 1:2]) > 0.9
    helper = tf.where(steep, tf.constant([[1.0, 0.0, 0.0]]), tf.constant([[0.0, 1.0, 0.0]]))
    x = tf.math.l2_normalize(tf.linalg.cross(helper, directions), -1)
    return tf.stack([x, tf.linalg.cross(directions, x), directions], 1)


def all_around(count: int) -> np.ndarray:
    """[count, 3] float64 unit vectors spread evenly over the sphere (a Fibonacci spiral)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    return np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], -1)
