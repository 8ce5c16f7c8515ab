"""Nose, lips and lids: what is modelled on top of the smooth head, as depths over the frontal plane.

Lengths are decimetres; everything is symmetric in x.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from renderer.builtin.surface import EYE_CENTRE, LID_RADIUS, base_depth, smoothstep

EYE_MIDDLE = np.array([0.309, 0.294])  # of the opening between the lids
MOUTH_HALF = 0.252
NOSTRIL = np.array([0.057, -0.133])  # the middle of the left one, seen from the front
LID_CREASE = 0.034  # how far above its edge the upper lid folds

LIP_LINE = PchipInterpolator([0.0, 0.06, 0.13, 0.20, 0.26], [-0.366, -0.361, -0.364, -0.373, -0.381])
LIP_TOP = PchipInterpolator(
    [0.0, 0.024, 0.058, 0.11, 0.165, 0.22, 0.255], [-0.293, -0.288, -0.279, -0.292, -0.322, -0.358, -0.381]
)
LIP_BOTTOM = PchipInterpolator([0.0, 0.05, 0.10, 0.16, 0.22, 0.255], [-0.464, -0.461, -0.450, -0.424, -0.393, -0.381])
# How far the lips stand out, over the height above (below) the line where they meet: 1 is the border of the red.
_UPPER_LIP = PchipInterpolator(
    [-0.5, 0.0, 0.20, 0.50, 0.85, 1.05, 1.35, 1.9, 9.0], [0.0, 0.0, 0.018, 0.028, 0.032, 0.026, 0.010, 0.0, 0.0]
)
_LOWER_LIP = PchipInterpolator(
    [-0.5, 0.0, 0.18, 0.48, 0.80, 1.05, 1.40, 1.9, 9.0], [0.0, 0.0, 0.022, 0.040, 0.039, 0.022, 0.003, 0.0, 0.0]
)
# The nose's bridge over y: its height along the midline and how steeply it falls to the sides.
_BRIDGE = PchipInterpolator(
    [-0.30, -0.12, -0.04, 0.056, 0.12, 0.20, 0.27, 0.33, 0.40, 0.50],
    [0.20, 0.46, 0.520, 0.500, 0.456, 0.390, 0.338, 0.312, 0.290, 0.240],
)
_FLANK = PchipInterpolator([-0.30, 0.0, 0.10, 0.20, 0.30, 0.42], [2.6, 2.6, 2.2, 2.3, 2.2, 1.4])


def smooth_max(a: np.ndarray, b: np.ndarray, softness: float) -> np.ndarray:
    """The larger of both, rounded where they meet."""
    return 0.5 * (a + b + np.sqrt((a - b) ** 2 + softness**2))


def _ball(xy: np.ndarray, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    """[N] depth of an ellipsoid's front; behind its rim it falls away steeply."""
    reach2 = ((np.abs(xy[:, 0]) - centre[0]) / radii[0]) ** 2 + ((xy[:, 1] - centre[1]) / radii[1]) ** 2
    front = radii[2] * np.sqrt(np.maximum(1.0 - reach2, 0.0))
    return centre[2] + front - 0.35 * np.maximum(np.sqrt(reach2) - 1.0, 0.0)


def nose(xy: np.ndarray, face: np.ndarray) -> np.ndarray:
    """[N] depth of the face with its nose: bridge, tip, wings and the septum between the nostrils, on `face` [N]."""
    x, y = np.abs(xy[:, 0]), xy[:, 1]
    inside = np.clip(y, -0.3, 0.5)
    bridge = _BRIDGE(inside) - _FLANK(np.minimum(inside, 0.42)) * (np.sqrt(x**2 + 0.075**2) - 0.075)
    tip = _ball(xy, (0.0, -0.046, 0.400), (0.104, 0.084, 0.138))
    side = _ball(xy, (0.058, -0.068, 0.360), (0.072, 0.064, 0.120))
    wing = _ball(xy, (0.100, -0.080, 0.315), (0.062, 0.066, 0.112))
    septum = _ball(xy, (0.0, -0.088, 0.366), (0.034, 0.048, 0.088))
    body = smooth_max(smooth_max(bridge, tip, 0.03), side, 0.04)
    body = smooth_max(smooth_max(body, septum, 0.02), wing, 0.03)
    return smooth_max(face, body, 0.025) - 0.0125 * np.exp(-np.abs(face - body) / 0.025)


def nostril_reach(xy: np.ndarray) -> np.ndarray:
    """[N] distance of frontal positions from the nearer nostril's middle, 1 on its border."""
    across = (np.abs(xy[:, 0]) - NOSTRIL[0]) / 0.030
    along = (xy[:, 1] - NOSTRIL[1] + 0.25 * (np.abs(xy[:, 0]) - NOSTRIL[0])) / 0.019
    return np.hypot(across, along)


def nostrils(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far places [N, 3] of the nose lie inside a nostril [N], 0-1, and how they are drawn in there [N, 3]."""
    inside = smoothstep(1.15, 0.55, nostril_reach(points)) * (points[:, 2] > 0.2)
    return inside, inside[:, None] * np.array([0.0, 0.014, -0.045])


def lips(xy: np.ndarray) -> np.ndarray:
    """[N] how far lips and chin stand out of the face at frontal positions."""
    reach, y = np.abs(xy[:, 0]), xy[:, 1]
    x = np.minimum(reach, MOUTH_HALF)
    line = LIP_LINE(x)
    up = (y - line) / np.maximum(LIP_TOP(x) - line, 0.028)
    down = (line - y) / np.maximum(line - LIP_BOTTOM(x), 0.028)
    side = smoothstep(MOUTH_HALF + 0.03, 0.06, reach)
    pout = np.where(y > line, _UPPER_LIP(np.clip(up, -0.5, 9)), _LOWER_LIP(np.clip(down, -0.5, 9)))
    dimple = -0.009 * np.exp(-(((reach - MOUTH_HALF - 0.008) / 0.042) ** 2 + ((y + 0.382) / 0.050) ** 2))
    upper = smoothstep(-0.305, -0.275, y) * smoothstep(-0.165, -0.20, y)
    philtrum = (-0.012 * np.exp(-((reach / 0.022) ** 2)) + 0.005 * np.exp(-(((reach - 0.046) / 0.020) ** 2))) * upper
    sulcus = -0.012 * np.exp(-((reach / 0.15) ** 2) - ((y + 0.535) / 0.035) ** 2)
    chin = 0.014 * np.exp(-((reach / 0.14) ** 2) - ((y + 0.665) / 0.075) ** 2)
    return pout * side + dimple + philtrum + sulcus + chin


def eye_opening(count: int) -> np.ndarray:
    """[count, 2] the open lids' edge of the person's left eye: inner corner, upper lid, outer corner, lower lid."""
    half = count // 2
    t = 0.5 - 0.5 * np.cos(np.pi * np.arange(half + 1) / half)
    inner, outer = np.array([0.181, 0.275]), np.array([0.434, 0.287])
    upper = inner + t[:, None] * (outer - inner)
    lower = upper.copy()
    upper[:, 1] += 0.064 * np.sin(np.pi * t**0.92) ** 0.85
    lower[:, 1] -= 0.038 * np.sin(np.pi * t**1.15) ** 0.9
    return np.concatenate([upper, lower[-2:0:-1]])


def lid_offset(loop: np.ndarray, distance: float) -> np.ndarray:
    """[N, 2] the loop around the left eye, moved outwards."""
    normal = (loop - EYE_MIDDLE) / np.array([0.125, 0.075]) ** 1.5
    return loop + distance * normal / np.linalg.norm(normal, axis=1, keepdims=True)


def lid_distance(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N] how far outside the lids' edge the places lie, and 1 above, -1 below, 0 beside the eye."""
    place = np.column_stack([np.abs(xy[:, 0]), xy[:, 1]]) - EYE_MIDDLE
    turn = np.arctan2(place[:, 1], place[:, 0])

    def reach(loop: np.ndarray) -> np.ndarray:
        ring = loop - EYE_MIDDLE
        angle = np.arctan2(ring[:, 1], ring[:, 0])
        order = np.argsort(angle)
        return np.interp(turn, angle[order], np.hypot(*ring.T)[order], period=2 * np.pi)

    opening = eye_opening(72)
    near, far = reach(opening), reach(lid_offset(opening, 0.05))
    distance = 0.05 * (np.hypot(*place.T) - near) / (far - near)
    return distance, np.sin(turn)


def lids(xy: np.ndarray, face: np.ndarray) -> np.ndarray:
    """[N] depth of the face with lids that lie on the eyeball, the fold of the upper lid and the hollow below."""
    x, y = np.abs(xy[:, 0]), xy[:, 1]
    distance, up = lid_distance(xy)
    reach = np.hypot(x - EYE_CENTRE[0], y - EYE_CENTRE[1])
    ball = EYE_CENTRE[2] + np.sqrt(np.maximum(LID_RADIUS**2 - reach**2, 0.02**2))
    above, below = smoothstep(0.15, 0.6, up), smoothstep(-0.1, -0.6, up)
    on_ball = smoothstep(1.0, 0.86, reach / LID_RADIUS)
    cover = 1.0 - smoothstep(0.022 * above - 0.004 * below, 0.048 + 0.024 * below, distance)
    hollow = 0.012 * np.exp(-(((x - 0.20) / 0.05) ** 2) - ((y - 0.275) / 0.06) ** 2)
    z = face - hollow
    z = z + on_ball * cover * (smooth_max(z - 0.02, ball, 0.01) - z)
    fold = above * smoothstep(0.20, 0.25, x) * smoothstep(0.47, 0.42, x)
    z = z - 0.012 * fold * np.exp(-(((distance - LID_CREASE) / 0.0085) ** 2))
    z = z + 0.007 * fold * np.exp(-(((distance - LID_CREASE - 0.020) / 0.012) ** 2))
    return z


def face_depth(xy: np.ndarray, *, base: np.ndarray | None = None) -> np.ndarray:
    """[N] z of the finished face at frontal positions [N, 2]."""
    z = nose(xy, base_depth(xy) if base is None else base)
    return lids(xy, z + lips(xy))
