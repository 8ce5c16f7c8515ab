"""Head pose: pitch, yaw and roll as a rotation."""

from __future__ import annotations

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
