"""Where eyes, lips and brows lie on a face, by its landmarks: distances in the frontal plane."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

RIGHT_BROW, LEFT_BROW = range(17, 22), range(22, 27)
RIGHT_EYE, LEFT_EYE = range(36, 42), range(42, 48)
MOUTH = range(48, 60)
_SAMPLES = 240


def closed_curve(points: np.ndarray) -> np.ndarray:
    """[N, 2] along the smooth closed curve through `points` [K, 2], in order."""
    ring = np.concatenate([points, points[:1]])
    steps = np.linalg.norm(np.diff(ring, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(np.sqrt(np.maximum(steps, 1e-9)))])  # centripetal: no loops at corners
    return CubicSpline(along, ring, bc_type="periodic")(np.linspace(0, along[-1], _SAMPLES, endpoint=False))


def open_curve(points: np.ndarray) -> np.ndarray:
    """[N, 2] along the smooth curve through `points` [K, 2]."""
    along = np.linspace(0, 1, len(points))
    return CubicSpline(along, points)(np.linspace(0, 1, _SAMPLES))


def signed_distance(places: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """[V] distance of `places` [V, 2] from the closed polygon `outline` [N, 2]: positive inside, negative outside."""
    distance = cKDTree(outline).query(places)[0]
    x, y = places[:, :1], places[:, 1:]
    (x0, y0), (x1, y1) = outline.T, np.roll(outline, -1, 0).T
    # Even-odd rule: a ray to the right crosses the outline an odd number of times from inside.
    above = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    inside = (above & (x < crossing)).sum(1) % 2 == 1
    return np.where(inside, distance, -distance)


def brow_distance(places: np.ndarray, brow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance [V] of `places` [V, 2] from the line through the `brow` landmarks [5, 2], and the place along it 0-1."""
    distance, nearest = cKDTree(curve := open_curve(brow)).query(places)
    return distance, nearest / (len(curve) - 1)
