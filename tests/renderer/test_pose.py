from __future__ import annotations

import numpy as np
import pytest

from renderer.pose import rotate, rotation_matrix


def elementary(axis: int, angle: float) -> np.ndarray:
    """The right-handed rotation about an axis, written out."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array(
        [
            [[1, 0, 0], [0, c, -s], [0, s, c]],
            [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        ][axis]
    )


def test_rotation_is_roll_after_yaw_after_pitch():
    angles = np.random.default_rng(0).uniform(-1.5, 1.5, [20, 3])
    expected = [elementary(2, c) @ elementary(1, b) @ elementary(0, a) for a, b, c in angles]
    np.testing.assert_allclose(rotation_matrix(angles), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("angles", "point", "expected"),
    [
        ([np.pi / 2, 0, 0], [0, 0, 1], [0, -1, 0]),  # pitch: the nose goes down
        ([0, np.pi / 2, 0], [0, 0, 1], [1, 0, 0]),  # yaw: the nose goes to the picture's right
        ([0, 0, np.pi / 2], [0, 1, 0], [-1, 0, 0]),  # roll: the crown goes to the picture's left
    ],
)
def test_positive_angles(angles, point, expected):
    rotation = rotation_matrix(np.array([angles], np.float32))
    np.testing.assert_allclose(rotate(np.array([[point]], np.float32), rotation)[0, 0], expected, atol=1e-6)
