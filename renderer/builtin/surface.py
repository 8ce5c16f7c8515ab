"""The sculpted head: a smooth surface through hand-placed points, with nose, lips, lids and brows modelled on top.

All lengths are decimetres; x is the person's left, y up, z to the camera. Everything here is symmetric in x.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import RBFInterpolator

CENTRE = np.array([0.0, 0.0, -0.45])
EYE_CENTRE = np.array([0.312, 0.297, 0.058])
EYE_RADIUS = 0.132
LID_RADIUS = 0.1455

# Points of the bald head without its features, person's left half: (x, y, z).
_CONTROL = np.array(
    [
        # midline, from the crown down the face to the foot of the neck, then down the back
        (0.00, 1.37, -0.55), (0.00, 1.25, -0.10), (0.00, 1.04, 0.13), (0.00, 0.82, 0.245), (0.00, 0.64, 0.300),
        (0.00, 0.48, 0.322), (0.00, 0.30, 0.285), (0.00, 0.10, 0.310), (0.00, -0.10, 0.345), (0.00, -0.18, 0.376),
        (0.00, -0.28, 0.384), (0.00, -0.37, 0.358), (0.00, -0.46, 0.338), (0.00, -0.54, 0.316), (0.00, -0.66, 0.324),
        (0.00, -0.745, 0.302), (0.00, -0.82, 0.205), (0.00, -0.865, 0.03), (0.00, -0.92, -0.12), (0.00, -1.02, -0.185),
        (0.00, -1.20, -0.20), (0.00, -1.45, -0.21), (0.00, -1.70, -0.17), (0.00, 1.21, -1.06), (0.00, 0.85, -1.36),
        (0.00, 0.45, -1.44), (0.00, 0.05, -1.35), (0.00, -0.35, -1.17), (0.00, -0.70, -1.08), (0.00, -1.20, -1.08),
        (0.00, -1.70, -1.22),
        # forehead, temples and cranium
        (0.20, 0.64, 0.276), (0.40, 0.62, 0.180), (0.51, 0.60, 0.075), (0.22, 0.82, 0.212), (0.40, 0.80, 0.105),
        (0.30, 1.03, 0.04), (0.55, 0.80, -0.06), (0.51, 1.02, -0.19), (0.39, 1.25, -0.50), (0.18, 1.25, -0.16),
        (0.20, 0.50, 0.302), (0.36, 0.51, 0.246), (0.50, 0.49, 0.140), (0.60, 0.44, -0.03), (0.66, 0.50, -0.20),
        (0.69, 0.80, -0.42), (0.60, 1.06, -0.50), (0.77, 0.62, -0.70), (0.68, 0.92, -0.80), (0.43, 1.19, -0.85),
        (0.65, 0.70, -1.10), (0.40, 0.98, -1.18), (0.52, 0.35, -1.29), (0.75, 0.30, -0.92), (0.55, -0.10, -1.12),
        (0.70, 0.00, -0.78), (0.45, -0.40, -1.04), (0.60, -0.42, -0.68),
        # orbit, cheekbone, cheek
        (0.31, 0.30, 0.150), (0.19, 0.34, 0.192), (0.44, 0.30, 0.100), (0.33, 0.41, 0.222), (0.46, 0.40, 0.172),
        (0.50, 0.31, 0.074), (0.30, 0.18, 0.192), (0.44, 0.19, 0.134), (0.20, 0.15, 0.215), (0.54, 0.15, 0.058),
        (0.63, 0.18, -0.09), (0.705, 0.22, -0.40), (0.36, 0.05, 0.208), (0.20, -0.06, 0.264), (0.46, -0.06, 0.148),
        (0.31, -0.12, 0.244), (0.45, -0.30, 0.112), (0.57, -0.18, -0.02), (0.635, -0.04, -0.14),
        (0.680, -0.16, -0.53), (0.62, -0.34, -0.27),
        # mouth surround, chin and jaw
        (0.18, -0.24, 0.322), (0.25, -0.38, 0.262), (0.16, -0.52, 0.286), (0.33, -0.46, 0.194), (0.12, -0.70, 0.296),
        (0.25, -0.66, 0.192), (0.38, -0.58, 0.060), (0.51, -0.47, -0.09), (0.582, -0.50, -0.42),
        (0.485, -0.637, -0.26),
        (0.37, -0.72, -0.06), (0.22, -0.787, 0.124),
        # under the jaw, neck, shoulders
        (0.18, -0.865, -0.06), (0.31, -0.82, -0.20), (0.42, -0.77, -0.40), (0.52, -0.68, -0.62), (0.27, -1.00, -0.27),
        (0.48, -1.00, -0.62), (0.34, -1.00, -0.98), (0.29, -1.25, -0.29), (0.48, -1.25, -0.62), (0.36, -1.25, -1.00),
        (0.30, -1.42, -0.30), (0.55, -1.43, -0.64), (0.38, -1.43, -1.04),
        (0.50, -1.70, -0.26), (0.86, -1.70, -0.68), (0.52, -1.70, -1.13),
    ]
)  # fmt: skip


def smoothstep(low: float | np.ndarray, high: float | np.ndarray, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, with zero slope at both."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def directions(points: np.ndarray) -> np.ndarray:
    """[N, 3] unit vectors that name places on the head; the long neck is spread so that its places stay apart."""
    offset = points - CENTRE
    narrow = 1.0 / (1.0 + 4.0 * np.maximum(-1.0 - points[:, 1], 0.0) ** 2)
    offset = offset * np.stack([narrow, np.ones_like(narrow), narrow], -1)
    return offset / np.linalg.norm(offset, axis=-1, keepdims=True)


@lru_cache(maxsize=1)
def _base() -> RBFInterpolator:
    inner = _CONTROL[:, 0] > 0
    points = np.concatenate([_CONTROL, _CONTROL[inner] * [-1, 1, 1]])
    return RBFInterpolator(directions(points), points, kernel="thin_plate_spline", smoothing=1.5e-3)


def head_from_directions(places: np.ndarray) -> np.ndarray:
    """[N, 3] points of the featureless head at the places [N, 3] (unit vectors, see `directions`)."""
    return _base()(places)


def base_depth(xy: np.ndarray) -> np.ndarray:
    """[N] z of the featureless face at the frontal positions [N, 2]; for the face only (|x| < 0.55)."""
    z = 0.3 - 0.9 * xy[:, 0] ** 2
    for _ in range(3):
        point = head_from_directions(directions(np.column_stack([xy, z])))
        # the place found lies beside (x, y); follow the surface's own slope back to it
        z = z + 0.9 * (point[:, 2] - z)
    return z


def ear_hollow(points: np.ndarray) -> np.ndarray:
    """[N, 3] how the head's left side gives way behind the hollow of the ear."""
    reach2 = ((points - [0.74, 0.098, -0.68]) ** 2).sum(1) / 0.11**2
    return np.exp(-reach2)[:, None] * np.array([-0.07, 0.0, 0.0])
