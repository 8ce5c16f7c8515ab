"""The separate parts of the head: eyeballs, lid rims, mouth bag, teeth and ears, each a small grid of rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from renderer.builtin.surface import EYE_CENTRE, EYE_RADIUS

# How far each ring of the eyeball lies from the gaze axis (degrees), and what it shows.
EYE_RINGS = (9.0, 10.3, 13.5, 17.5, 21.8, 24.4, 26.4, 34.0, 48.0, 66.0, 90.0)
EYE_SEGMENTS = 26
EYE_PUPIL_RINGS, EYE_IRIS_RINGS = 1, 6
BAG_ROWS = 5
TEETH_COLUMNS = 25
TOOTH_COLUMNS = 3  # columns to a tooth, the first of them between two teeth


@dataclass(frozen=True)
class Part:
    """One part: vertices [N, 3], triangles [F, 3], a label for each vertex, and flat coordinates [N, 2] in [0, 1]."""

    vertices: np.ndarray
    triangles: np.ndarray
    labels: np.ndarray
    flat: np.ndarray

    def mirrored(self, left: str, right: str) -> Part:
        """The same part on the person's right; labels named `left` become `right`."""
        labels = np.where(self.labels == left, right, self.labels)
        return Part(self.vertices * [-1, 1, 1], self.triangles[:, ::-1], labels, self.flat * [-1, 1] + [1, 0])


def ring_strip(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """[2N, 3] triangles between two closed rings of N vertices that turn counter-clockwise seen from outside."""
    a, b, c, d = inner, np.roll(inner, -1), outer, np.roll(outer, -1)
    return np.concatenate([np.stack([a, c, d], 1), np.stack([a, d, b], 1)])


def grid_strip(rows: int, columns: int) -> np.ndarray:
    """Triangles of an open grid of rows x columns vertices; rows run up, columns to the picture's right."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel()
    return np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])


def _disc(rings: int, segments: int) -> np.ndarray:
    """Triangles of a disc: vertex 0 in the middle, then rings outwards."""
    ring = 1 + np.arange(rings * segments).reshape(rings, segments)
    fan = np.stack([np.zeros(segments, int), ring[0], np.roll(ring[0], -1)], 1)
    return np.concatenate([fan, *[ring_strip(ring[k], ring[k + 1]) for k in range(rings - 1)]])


def eyeball() -> Part:
    """The person's left eyeball, looking along z."""
    angle = np.radians(np.array(EYE_RINGS))[:, None]
    turn = 2 * np.pi * (np.arange(EYE_SEGMENTS) + 0.5)[None] / EYE_SEGMENTS
    unit = np.stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle) + 0 * turn], -1)
    unit = np.concatenate([[[0.0, 0.0, 1.0]], unit.reshape(-1, 3)])
    bulge = 1.0 + 0.035 * np.exp(-((np.arccos(np.clip(unit[:, 2], -1, 1)) / 0.40) ** 4))  # the cornea
    ring = np.concatenate([[0], 1 + np.repeat(np.arange(len(EYE_RINGS)), EYE_SEGMENTS)])
    labels = np.where(ring <= EYE_PUPIL_RINGS, "pupil", np.where(ring <= EYE_IRIS_RINGS, "iris", "eye_white"))
    reach = ring / len(EYE_RINGS) / 2
    flat = 0.5 + reach[:, None] * unit[:, :2] / np.maximum(np.linalg.norm(unit[:, :2], axis=1, keepdims=True), 1e-9)
    return Part(
        EYE_CENTRE + EYE_RADIUS * bulge[:, None] * unit,
        _disc(len(EYE_RINGS), EYE_SEGMENTS),
        labels.astype(object),
        flat,
    )


def catchlight() -> Part:
    """A small bright disc above the person's left pupil: the reflection of the sky."""
    turn = 2 * np.pi * np.arange(8) / 8
    rim = 0.0085 * np.column_stack([np.cos(turn), np.sin(turn)])
    xy = np.concatenate([np.zeros((1, 2)), rim]) + np.array([0.0, 0.021])
    z = np.sqrt((EYE_RADIUS * 1.052) ** 2 - (xy**2).sum(1))
    return Part(
        EYE_CENTRE + np.column_stack([xy, z]),
        _disc(1, 8),
        np.full(9, "eye_light", object),
        0.5 + 40 * (xy - [0, 0.021]),
    )


def lid_rim(edge: np.ndarray) -> np.ndarray:
    """[N, 3] the inner edge of the lids behind their visible edge [N, 3] (left eye), almost touching the eyeball."""
    rim = EYE_CENTRE + (edge - EYE_CENTRE) * [0.955, 0.90, 1.0]
    reach2 = ((rim - EYE_CENTRE)[:, :2] ** 2).sum(1)
    ball = EYE_CENTRE[2] + np.sqrt(np.maximum((EYE_RADIUS * 1.012) ** 2 - reach2, 0.02**2))
    rim[:, 2] = np.minimum(edge[:, 2] - 0.004, np.maximum(ball, edge[:, 2] - 0.10))
    return rim


def mouth_bag(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the inside of the mouth behind the closed ring of lip vertices [N, 3] (upper lip right to left, then back
    along the lower lip), as [BAG_ROWS * N, 3], and the last vertex [1, 3] that closes the bag."""
    count = len(ring)
    half = count // 2
    side = np.concatenate([np.ones(half + 1), -np.ones(count - half - 1)])
    open_ = side * np.clip(1.0 - (np.abs(ring[:, 0]) / 0.252) ** 4, 0.0, 1.0)
    rows = []
    for depth, height, narrow in (
        (0.035, 0.012, 0.99),
        (0.085, 0.045, 0.96),
        (0.16, 0.085, 0.88),
        (0.30, 0.11, 0.7),
        (0.45, 0.09, 0.4),
    ):
        row = ring * [narrow, 1.0, 1.0]
        row[:, 1] += height * open_
        row[:, 2] -= depth * (1.0 - 0.35 * (np.abs(ring[:, 0]) / 0.252) ** 2)
        rows.append(row)
    return np.concatenate(rows), rows[-1].mean(0, keepdims=True) - [[0.0, 0.0, 0.03]]


def teeth(upper: bool) -> Part:
    """One row of teeth and its gum, an open arch that faces forwards."""
    across = np.linspace(-1.0, 1.0, TEETH_COLUMNS)
    x = 0.235 * across * (1.0 if upper else 0.93)
    front = (0.292 if upper else 0.268) - 4.2 * x**2
    gap = np.arange(TEETH_COLUMNS) % TOOTH_COLUMNS == 0
    if upper:
        edge = -0.381 + 0.010 * across**2 + 0.007 * gap - 0.004 * (np.abs(across) < 0.25)
        heights = [edge, edge + 0.012, -0.345 + 0 * x, -0.306 + 0.010 * gap * -1.0, -0.285 + 0 * x, -0.23 + 0 * x]
        labels = ["teeth"] * 4 + ["gum"] * 2
    else:
        edge = -0.372 - 0.006 * gap + 0.008 * across**2
        heights = [-0.52 + 0 * x, -0.458 + 0 * x, -0.440 + 0.008 * gap, -0.405 + 0 * x, edge - 0.012, edge]
        labels = ["gum"] * 2 + ["teeth"] * 4
    lean = [0.0, 0.004, 0.006, 0.002, -0.002, -0.02] if upper else [-0.02, -0.002, 0.002, 0.006, 0.004, 0.0]
    points = np.stack([np.column_stack([x, h, front + z - 0.006 * gap]) for h, z in zip(heights, lean, strict=True)])
    rows = len(heights)
    flat = np.stack(np.meshgrid(np.linspace(0, 1, TEETH_COLUMNS), np.linspace(0, 1, rows)), -1)
    return Part(
        points.reshape(-1, 3),
        grid_strip(rows, TEETH_COLUMNS),
        np.repeat(np.array(labels, object), TEETH_COLUMNS),
        flat.reshape(-1, 2),
    )


# The ear's outline around its hollow: (backwards, up), from the middle of its back edge upwards and round to the front.
_EAR_OUTLINE = np.array(
    [(0.192, 0.08), (0.178, 0.17), (0.125, 0.245), (0.035, 0.278), (-0.055, 0.252), (-0.105, 0.175), (-0.115, 0.06),
     (-0.115, -0.06), (-0.100, -0.160), (-0.072, -0.230), (-0.010, -0.262), (0.055, -0.236), (0.102, -0.165),
     (0.142, -0.08), (0.180, 0.00)]
)  # fmt: skip
# Rings of the ear from its root behind it, over the rim, into the hollow: share of the outline, then the height off the
# head at its back and top, at its front, and at the lobe.
_EAR_RINGS = np.array(
    [(0.72, -0.080, -0.080, -0.050), (0.92, 0.020, -0.050, 0.000), (1.00, 0.078, -0.030, 0.030),
     (1.01, 0.106, -0.018, 0.050), (0.96, 0.118, -0.008, 0.060), (0.89, 0.100, -0.001, 0.064),
     (0.81, 0.078, 0.006, 0.066), (0.71, 0.088, 0.013, 0.068), (0.60, 0.108, 0.020, 0.066), (0.50, 0.092, 0.022, 0.058),
     (0.40, 0.026, 0.012, 0.034), (0.24, 0.004, 0.002, 0.012)]
)  # fmt: skip
EAR_SEGMENTS = 32
_EAR_HOLLOW = np.array([-0.028, -0.045])
EAR_PLACE = np.array([0.722, 0.128, -0.690])


def _bump(turn: np.ndarray, at: float, width: float) -> np.ndarray:
    """[N] 1 at the angle `at` (degrees), falling to both sides."""
    away = (np.degrees(turn) - at + 180.0) % 360.0 - 180.0
    return np.exp(-((away / width) ** 2))


def ear(segments: int = EAR_SEGMENTS) -> Part:
    """The person's left ear: rings from the root behind it over the rim, groove and ridge into the hollow."""
    closed = np.concatenate([_EAR_OUTLINE, _EAR_OUTLINE[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    outline = CubicSpline(along, closed, bc_type="periodic")(along[-1] * np.arange(segments) / segments)
    spoke = outline - _EAR_HOLLOW
    turn = np.arctan2(spoke[:, 1], spoke[:, 0])
    lobe = _bump(turn, 272.0, 26.0)
    front = np.clip(_bump(turn, 180.0, 62.0) * 1.25, 0, 1) ** 1.5 * (1 - lobe)
    rings = []
    for share, behind, before, below in _EAR_RINGS:
        height = behind + front * (before - behind) + lobe * (below - behind) * (1 - front)
        inner = np.exp(-(((share - 0.62) / 0.16) ** 2))
        height = height + 0.034 * _bump(turn, 200.0, 26.0) * np.exp(-(((share - 0.66) / 0.14) ** 2))  # tragus
        height = height + 0.020 * _bump(turn, 252.0, 14.0) * inner  # antitragus
        height = height - 0.022 * _bump(turn, 232.0, 15.0) * inner  # the notch between them
        height = height + 0.030 * _bump(turn, 152.0, 24.0) * np.exp(-(((share - 0.55) / 0.20) ** 2))  # the rim's root
        height = height - 0.034 * _bump(turn, 98.0, 20.0) * np.exp(-(((share - 0.62) / 0.12) ** 2))  # triangular hollow
        rings.append(np.column_stack([_EAR_HOLLOW + share * spoke, height]))
    local = np.concatenate([[[*_EAR_HOLLOW, 0.000]], np.concatenate(rings[::-1])])
    # the ear's own axes: backwards (leaning outwards), up (leaning backwards), off the head
    backwards = np.array([0.33, 0.09, -0.94])
    upwards = np.array([0.05, 0.985, -0.14])
    away = np.cross(backwards, upwards)
    points = EAR_PLACE + local @ np.stack([backwards, upwards, away / np.linalg.norm(away)])
    return Part(points, _disc(len(_EAR_RINGS), segments), np.full(len(points), "ear", object), 0.5 + 1.6 * local[:, :2])
