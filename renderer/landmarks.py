"""The 68 iBUG landmarks, and the five that alignments go by."""

from __future__ import annotations

import numpy as np


def _five_of_68() -> np.ndarray:
    matrix = np.zeros((5, 68), np.float32)
    matrix[0, [36, 39]] = matrix[1, [42, 45]] = 0.5  # an eye is half-way between its corners
    matrix[[2, 3, 4], [30, 48, 54]] = 1.0
    return matrix


# [5, 68]: eyes (the picture's left one first), nose tip and mouth corners, as means of the 68.
FIVE_OF_68 = _five_of_68()
