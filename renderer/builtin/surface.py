"""The sculpted head: a smooth surface through hand-placed points, with nose, lips, lids and brows modelled on top.

All lengths are decimetres; x is the person's left, y up, z to the camera. Everything here is symmetric in x.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator, RBFInterpolator

CENTRE = np.array([0.0, 0.0, -0.45])
EYE_CENTRE = np.array([0.312, 0.297, 0.058])
EYE_RADIUS = 0.132
LID_RADIUS = 0.145

# Points of the bald head without its features, person's left half: (x, y, z).
_CONTROL = np.array(
    [
        # midline, from the crown down the face to the foot of the neck, then down the back
        (0.00, 1.30, -0.45), (0.00, 1.20, -0.05), (0.00, 1.00, 0.17), (0.00, 0.78, 0.29), (0.00, 0.60, 0.335),
        (0.00, 0.46, 0.348), (0.00, 0.30, 0.290), (0.00, 0.10, 0.320), (0.00, -0.10, 0.350), (0.00, -0.18, 0.380),
        (0.00, -0.28, 0.378), (0.00, -0.37, 0.350), (0.00, -0.52, 0.300), (0.00, -0.68, 0.312), (0.00, -0.76, 0.290),
        (0.00, -0.83, 0.195), (0.00, -0.87, 0.02), (0.00, -0.95, -0.12), (0.00, -1.20, -0.11), (0.00, -1.45, -0.08),
        (0.00, -1.70, 0.00), (0.00, 1.15, -0.92), (0.00, 0.80, -1.23), (0.00, 0.40, -1.33), (0.00, 0.00, -1.22),
        (0.00, -0.35, -1.03), (0.00, -0.70, -0.94), (0.00, -1.20, -0.97), (0.00, -1.70, -1.12),
        # forehead, temples and cranium
        (0.20, 0.65, 0.302), (0.40, 0.66, 0.220), (0.30, 0.78, 0.232),
        (0.30, 1.00, 0.07), (0.54, 0.78, 0.00), (0.50, 1.00, -0.14), (0.38, 1.19, -0.42),
        (0.20, 0.50, 0.325), (0.38, 0.53, 0.255), (0.52, 0.48, 0.130), (0.60, 0.42, 0.00), (0.66, 0.50, -0.22),
        (0.70, 0.80, -0.38), (0.61, 1.03, -0.48), (0.79, 0.62, -0.66), (0.70, 0.88, -0.76), (0.42, 1.12, -0.78),
        (0.62, 0.70, -1.00), (0.38, 0.92, -1.07), (0.50, 0.35, -1.18), (0.75, 0.30, -0.85), (0.52, -0.10, -1.02),
        (0.68, 0.00, -0.75), (0.40, -0.40, -0.95), (0.58, -0.42, -0.68),
        # orbit, cheekbone, cheek
        (0.31, 0.30, 0.135), (0.19, 0.34, 0.190), (0.44, 0.30, 0.080), (0.33, 0.41, 0.185), (0.50, 0.31, 0.050),
        (0.30, 0.18, 0.195), (0.44, 0.19, 0.135), (0.20, 0.15, 0.250), (0.54, 0.15, 0.035), (0.63, 0.18, -0.15),
        (0.71, 0.22, -0.45), (0.36, 0.05, 0.220), (0.20, -0.06, 0.285), (0.45, -0.10, 0.135), (0.31, -0.12, 0.250),
        (0.45, -0.30, 0.090), (0.56, -0.22, -0.10), (0.63, -0.06, -0.23), (0.675, -0.16, -0.54), (0.61, -0.34, -0.32),
        # mouth surround, chin and jaw
        (0.18, -0.24, 0.325), (0.25, -0.38, 0.235), (0.16, -0.52, 0.265), (0.33, -0.46, 0.155), (0.12, -0.70, 0.275),
        (0.25, -0.66, 0.170), (0.38, -0.60, 0.030), (0.51, -0.49, -0.150), (0.582, -0.50, -0.42),
        (0.485, -0.637, -0.26),
        (0.37, -0.72, -0.06), (0.22, -0.787, 0.124),
        # under the jaw, neck, shoulders
        (0.18, -0.86, -0.03), (0.32, -0.80, -0.20), (0.43, -0.76, -0.40), (0.50, -0.68, -0.58), (0.28, -1.00, -0.19),
        (0.47, -1.00, -0.53), (0.30, -1.00, -0.87), (0.30, -1.25, -0.20), (0.48, -1.25, -0.54), (0.33, -1.25, -0.89),
        (0.50, -1.70, -0.10), (0.86, -1.70, -0.55), (0.52, -1.70, -1.02),
    ]
)  # fmt: skip


def smoothstep(low: float | np.ndarray, high: float | np.ndarray, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, with zero slope at both."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def directions(points: np.ndarray) -> np.ndarray:
    """[N, 3] unit vectors that name places on the head; the long neck is spread so that its places stay apart."""
    offset = points - CENTRE
    narrow = 1.0 / (1.0 + 1.3 * np.maximum(-0.8 - points[:, 1], 0.0))
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


def _smooth_max(a: np.ndarray, b: np.ndarray, softness: float) -> np.ndarray:
    return 0.5 * (a + b + np.sqrt((a - b) ** 2 + softness**2))


_NOSE_HEIGHT = PchipInterpolator(
    [-0.30, -0.176, -0.160, -0.140, -0.115, -0.085, -0.050, -0.010, 0.056, 0.176, 0.296, 0.40, 0.60],
    [0.0, 0.0, 0.012, 0.070, 0.150, 0.195, 0.210, 0.206, 0.190, 0.118, 0.052, 0.0, 0.0],
)
_NOSE_WIDTH = PchipInterpolator(
    [-0.30, -0.14, -0.06, 0.02, 0.10, 0.20, 0.30, 0.45], [0.085, 0.090, 0.095, 0.086, 0.078, 0.074, 0.080, 0.10]
)
LIP_LINE = PchipInterpolator([0.0, 0.06, 0.13, 0.20, 0.26], [-0.362, -0.358, -0.362, -0.371, -0.381])
LIP_TOP = PchipInterpolator(
    [0.0, 0.028, 0.062, 0.11, 0.165, 0.22, 0.255], [-0.296, -0.288, -0.280, -0.294, -0.322, -0.358, -0.381]
)
LIP_BOTTOM = PchipInterpolator([0.0, 0.05, 0.10, 0.16, 0.22, 0.255], [-0.455, -0.453, -0.444, -0.420, -0.391, -0.381])
_UPPER_LIP = PchipInterpolator(
    [-0.5, 0.0, 0.30, 0.65, 1.0, 1.25, 1.8, 9.0], [0.0, 0.0, 0.024, 0.034, 0.026, 0.010, 0.0, 0.0]
)
_LOWER_LIP = PchipInterpolator(
    [-0.5, 0.0, 0.25, 0.55, 0.85, 1.1, 1.6, 9.0], [0.0, 0.0, 0.026, 0.036, 0.024, 0.004, -0.004, 0.0]
)
MOUTH_HALF = 0.252


def nose(xy: np.ndarray) -> np.ndarray:
    """[N] how far the nose stands out of the face at frontal positions."""
    x, y = np.abs(xy[:, 0]), xy[:, 1]
    ridge = _NOSE_HEIGHT(np.clip(y, -0.3, 0.6)) * np.exp(-0.69 * (x / _NOSE_WIDTH(np.clip(y, -0.3, 0.45))) ** 2.6)
    tip = 0.207 * np.exp(-(((x / 0.088) ** 2 + ((y + 0.045) / 0.085) ** 2) ** 1.35))
    wing = 0.122 * np.exp(-((((x - 0.098) / 0.055) ** 2 + ((y + 0.090) / 0.056) ** 2) ** 1.5))
    body = _smooth_max(ridge, tip, 0.02) - 0.01 * np.exp(-np.maximum(ridge, tip) / 0.02)
    return _smooth_max(body, wing, 0.02) - 0.01 * np.exp(-np.maximum(body, wing) / 0.02)


def lips(xy: np.ndarray) -> np.ndarray:
    """[N] how far the lips stand out of the face at frontal positions; zero on the line where they meet."""
    x, y = np.minimum(np.abs(xy[:, 0]), MOUTH_HALF), xy[:, 1]
    line = LIP_LINE(x)
    up = (y - line) / np.maximum(LIP_TOP(x) - line, 0.012)
    down = (line - y) / np.maximum(line - LIP_BOTTOM(x), 0.012)
    side = np.clip(1.0 - (np.abs(xy[:, 0]) / (MOUTH_HALF + 0.02)) ** 2, 0.0, 1.0)
    pout = np.where(y > line, _UPPER_LIP(np.clip(up, -0.5, 9)), _LOWER_LIP(np.clip(down, -0.5, 9)))
    crease = -0.006 * np.exp(-(((np.abs(xy[:, 0]) - MOUTH_HALF) / 0.04) ** 2 + ((y + 0.38) / 0.04) ** 2))
    philtrum = -0.010 * np.exp(-((xy[:, 0] / 0.022) ** 2)) * smoothstep(-0.30, -0.27, y) * smoothstep(-0.165, -0.20, y)
    return pout * side**0.7 + crease + philtrum


def face_depth(xy: np.ndarray, *, base: np.ndarray | None = None) -> np.ndarray:
    """[N] z of the finished face at frontal positions [N, 2]."""
    x, y = np.abs(xy[:, 0]), xy[:, 1]
    z = (base_depth(xy) if base is None else base) + nose(xy) + lips(xy)
    reach2 = (x - EYE_CENTRE[0]) ** 2 + (y - EYE_CENTRE[1]) ** 2
    z = z - 0.035 * np.exp(-((((x - 0.31) / 0.15) ** 2 + ((y - 0.315) / 0.085) ** 2) ** 1.3))
    ball = EYE_CENTRE[2] + np.sqrt(np.maximum(LID_RADIUS**2 - reach2, 0.0))
    inside = smoothstep(LID_RADIUS, 0.92 * LID_RADIUS, np.sqrt(reach2))
    z = np.where(reach2 < LID_RADIUS**2, z + inside * (_smooth_max(z, ball, 0.02) - z), z)
    return z
