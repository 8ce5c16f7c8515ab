"""The 68 iBUG landmarks, the five that alignments go by, and where a face lies in the renderer's frame."""

from __future__ import annotations

import numpy as np


def _five_of_68() -> np.ndarray:
    matrix = np.zeros((5, 68), np.float32)
    matrix[0, [36, 39]] = matrix[1, [42, 45]] = 0.5  # an eye is half-way between its corners
    matrix[[2, 3, 4], [30, 48, 54]] = 1.0
    return matrix


# [5, 68]: eyes (the picture's left one first), nose tip and mouth corners, as means of the 68.
FIVE_OF_68 = _five_of_68()

# Where eyes, nose tip and corners of the mouth lie in the renderer's frame, that of the standard 68 landmarks: y, z.
_PLACE = {"eyes": (0.297, 0.155), "nose": (-0.046, 0.552), "mouth": (-0.381, 0.223)}
_PLACED = {"eyes": range(36, 48), "nose": range(30, 31), "mouth": (48, 54)}


def offset_to_standard(points: np.ndarray) -> np.ndarray:
    """[3] decimetres: what to add to a face of landmarks `points` [68, 3] so that it lies where the camera looks."""
    found = np.array([points[list(_PLACED[name]), 1:].mean(0) for name in _PLACE])
    y, z = (np.array(list(_PLACE.values())) - found).mean(0)
    return np.array([-points[[36, 45], 0].mean(), y, z])
