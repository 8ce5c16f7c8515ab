"""Where hair can grow on a head of any face model: its skull from inside, its outline from above, its hairline."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from renderer.face_model import FaceModel

COLUMNS = 64  # around the head; column 0 is the middle of the back, the middle one is the front
ROWS = 12  # from the crown to the hairline
HEIGHTS = 28  # of the outline that falling hair keeps clear of
# Azimuth (degrees from the front, either side) and the polar angle from the crown at which hair begins there.
_HAIRLINE = np.array(
    [(0, 56), (18, 55), (34, 52), (46, 58), (58, 72), (66, 100), (76, 106), (84, 92), (104, 94), (116, 112), (135, 132),
     (180, 146)]
)  # fmt: skip


class Scalp:
    """Tables of a face model's mean head, in its re-centred frame (the one that `FaceRenderer.shape` gives).

    Args:
        model: any face model; where its mesh has no back of the head an ellipsoid stands in.
        mean: [V, 3] mean vertices, re-centred.
    """

    def __init__(self, model: FaceModel, mean: np.ndarray):
        self.mean = np.asarray(mean, np.float64)
        self.triangles = model.triangles
        ears = self.mean[model.landmarks[[0, 16]]]
        self.width = float(np.linalg.norm(ears[1] - ears[0]))  # of the face, decimetres
        self.centre = ears.mean(0) + self.width * np.array([0.0, 0.17, 0.02])
        self.azimuth = (np.arange(COLUMNS) / COLUMNS * 2 - 1) * np.pi  # [COLUMNS]
        self.hairline = hairline(self.azimuth)  # [COLUMNS]
        # The mean skull below the natural hairline is never covered by the cap, so rows are shares of the way to it.
        share = (np.arange(ROWS) + 0.35) / (ROWS - 0.65)
        directions = spherical(self.azimuth[:, None], self.hairline[:, None] * share)  # [COLUMNS, ROWS, 3]
        self.corners, self.weights, self.offsets = self._bind(directions.reshape(-1, 3))
        self.outward = directions  # what "away from the scalp" means
        self.top = float(self.mean[:, 1].max())
        self.heights = np.linspace(self.centre[1] + 0.35, self.centre[1] - 2.0, HEIGHTS)
        self.outline = self._outline()  # [COLUMNS, HEIGHTS] distance of the skin from the vertical axis
        polar, angle = self.polar(self.mean)
        self.vertex_azimuth, self.vertex_polar = angle, polar  # [V] each
        self.vertex_hairline = hairline(angle)

    def roots(self, vertices: np.ndarray) -> np.ndarray:
        """The scalp's grid [COLUMNS, ROWS, 3] on a head with the unposed `vertices` [V, 3]."""
        points = np.einsum("nk,nkc->nc", self.weights, vertices[self.corners]) + self.offsets
        return points.reshape(COLUMNS, ROWS, 3)

    @cached_property
    def mean_roots(self) -> np.ndarray:
        """The grid [COLUMNS, ROWS, 3] on the mean head."""
        return self.roots(self.mean)

    def polar(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Polar angle from the crown and azimuth [N] of `points` [N, 3], seen from the centre."""
        offset = points - self.centre
        length = np.linalg.norm(offset, axis=-1)
        return np.arccos(np.clip(offset[..., 1] / length, -1, 1)), np.arctan2(offset[..., 0], offset[..., 2])

    def _bind(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices [N, 3], weights [N, 3] and offsets [N, 3] of the first skin that rays from the centre meet."""
        triangle, weights, _ = cast_rays(self.mean, self.triangles, self.centre, directions, first=True)
        self.missing = float((triangle < 0).mean())  # share of the scalp that the mesh does not have
        corners, offsets = self.triangles[np.maximum(triangle, 0)].copy(), np.zeros_like(directions)
        for ray in np.nonzero(triangle < 0)[0]:  # no skin there: an ellipsoid, which moves with the nearest vertex
            target = self.centre + directions[ray] * self.width * np.array([0.54, 0.58, 0.66])
            nearest = np.linalg.norm(self.mean - target, axis=1).argmin()
            corners[ray], weights[ray], offsets[ray] = nearest, (1, 0, 0), target - self.mean[nearest]
        return corners, weights, offsets

    def _outline(self) -> np.ndarray:
        around = spherical(self.azimuth, np.full(COLUMNS, np.pi / 2))
        outline = np.zeros((COLUMNS, HEIGHTS))
        for level, height in enumerate(self.heights):
            start = np.array([self.centre[0], height, self.centre[2]])
            near = np.abs(self.mean[self.triangles][..., 1] - height).min(1) < 0.25 * self.width
            if near.any():
                _, _, distance = cast_rays(self.mean, self.triangles[near], start, around, first=False)
                outline[:, level] = distance
        return outline


def hairline(azimuth: np.ndarray) -> np.ndarray:
    """Polar angle from the crown (radians) of the natural hairline at `azimuth` (radians, 0 in front)."""
    degrees = np.abs(np.degrees(azimuth))
    return np.radians(np.interp(degrees, _HAIRLINE[:, 0], _HAIRLINE[:, 1]))


def spherical(azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
    """Unit vectors [..., 3]; azimuth 0 looks to the camera, polar 0 up."""
    azimuth, polar = np.broadcast_arrays(azimuth, polar)
    return np.stack([np.sin(azimuth) * np.sin(polar), np.cos(polar), np.cos(azimuth) * np.sin(polar)], -1)


def cast_rays(
    vertices: np.ndarray, triangles: np.ndarray, start: np.ndarray, directions: np.ndarray, first: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What rays from one point meet, first or last (Möller and Trumbore, 1997).

    Returns:
        Triangle [N] (-1 for none), barycentric weights [N, 3] and distance [N] (0 for none).
    """
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    edge1, edge2, offset = b - a, c - a, start - a
    across = np.cross(offset, edge1)  # [F, 3], the same for all rays, as they share their start
    reach = np.einsum("fc,fc->f", edge2, across)  # [F]
    normal = np.cross(edge1, edge2)
    found = np.full(len(directions), -1)
    weights, distances = np.zeros((len(directions), 3)), np.zeros(len(directions))
    for part in np.array_split(np.arange(len(directions)), max(1, len(directions) * len(triangles) // 2_000_000)):
        rays = directions[part]
        determinant = -rays @ normal.T  # [n, F]
        with np.errstate(divide="ignore", invalid="ignore"):  # rays in the plane of a triangle
            u = rays @ np.cross(edge2, offset).T / determinant
            v = rays @ across.T / determinant
            t = reach / determinant
            good = (u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6) & (t > 1e-6)
        distance = np.where(good, t, np.inf if first else -np.inf)
        best = distance.argmin(1) if first else distance.argmax(1)
        hit, row = good.any(1), np.arange(len(part))
        u, v = u[row, best], v[row, best]
        found[part] = np.where(hit, best, -1)
        weights[part] = np.where(hit[:, None], np.stack([1 - u - v, u, v], -1), 0)
        distances[part] = np.where(hit, t[row, best], 0)
    return found, weights, distances
