"""The 68 iBUG landmarks on MakeHuman's base mesh: vertices of the person's left side and of the middle, by number."""

from __future__ import annotations

import numpy as np

# iBUG number -> base vertex; the person's left is the picture's right.
_MIDDLE = {8: 5225, 27: 132, 28: 131, 29: 201, 30: 5054, 33: 317, 51: 455, 57: 492, 62: 474, 66: 493}
_LEFT = {
    16: 12001, 15: 7573, 14: 11854, 13: 11851, 12: 11849, 11: 7617, 10: 11901, 9: 11898,
    22: 6957, 23: 6950, 24: 6952, 25: 6954, 26: 6987,
    34: 7076, 35: 7055,
    42: 13365, 43: 6838, 44: 6784, 45: 6805, 46: 6825, 47: 6831,
    52: 7210, 53: 7170, 54: 7249, 55: 7166, 56: 7241, 63: 7226, 64: 7204, 65: 7236,
}  # fmt: skip
# The same point of the other side.
_ACROSS = {
    16: 0, 15: 1, 14: 2, 13: 3, 12: 4, 11: 5, 10: 6, 9: 7, 22: 21, 23: 20, 24: 19, 25: 18, 26: 17, 34: 32, 35: 31,
    42: 39, 43: 38, 44: 37, 45: 36, 46: 41, 47: 40, 52: 50, 53: 49, 54: 48, 55: 59, 56: 58, 63: 61, 64: 60, 65: 67,
}  # fmt: skip


def base_landmarks(vertices: np.ndarray) -> np.ndarray:
    """[68] base vertices in iBUG order; the right side is what lies nearest to the left's reflection.

    Args:
        vertices: [19158, 3] of the base mesh, which is symmetric.
    """
    result = np.zeros(68, np.int64)
    for number, vertex in _MIDDLE.items():
        result[number] = vertex
    for number, vertex in _LEFT.items():
        result[number] = vertex
        across = vertices[vertex] * (-1, 1, 1)
        result[_ACROSS[number]] = np.argmin(((vertices - across) ** 2).sum(1))
    return result
