"""The separate parts of the head: eyeballs, lid rims, mouth bag, teeth and ears, each a small grid of rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer.builtin.surface import EYE_CENTRE, EYE_RADIUS, smoothstep

# How far each ring of the eyeball lies from the gaze axis (degrees), and what it shows.
EYE_RINGS = (9.3, 10.6, 14.0, 18.5, 23.0, 25.6, 27.6, 35.0, 48.0, 66.0, 90.0)
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
    z = np.sqrt((EYE_RADIUS * 1.041) ** 2 - (xy**2).sum(1))
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


def ear(segments: int = 30) -> Part:
    """The person's left ear: rings from the root behind it over the helix into the concha."""
    turn = 2 * np.pi * np.arange(segments) / segments
    back, up = np.cos(turn), np.sin(turn)  # 0 = backwards, a quarter = up
    wide = 0.150 + 0.045 * np.clip(up, 0, 1) * np.clip(back, 0, 1) - 0.02 * np.clip(-up, 0, 1)
    outline = np.column_stack([wide * back - 0.03 * np.clip(-up, 0, 1), 0.275 * up])
    lobe = np.exp(-(((turn - 1.5 * np.pi) / 0.6) ** 2))
    forward = smoothstep(0.2, -0.7, back)  # towards the face the ear melts into the cheek
    # ring: scale of the outline, height off the head
    table = (
        (0.80, -0.06), (0.92, 0.02), (1.00, 0.085), (1.01, 0.110), (0.95, 0.118), (0.86, 0.098), (0.77, 0.082),
        (0.66, 0.098), (0.54, 0.092), (0.42, 0.045), (0.24, 0.020),
    )  # fmt: skip
    rings = []
    for scale, height in table:
        lift = height * (1 - forward) + forward * np.minimum(height, 0.03 + 0.03 * (0.9 < scale < 0.97))
        lift = lift * (1 - 0.5 * lobe) + 0.5 * lobe * min(height, 0.07)
        rings.append(np.column_stack([scale * outline, lift]))
    local = np.concatenate([[[-0.02, 0.0, 0.012]], np.concatenate(rings[::-1])])
    # the ear's own axes: backwards (leaning outwards), up (leaning backwards), off the head
    backwards = np.array([0.25, 0.10, -0.95])
    upwards = np.array([0.06, 0.97, -0.22])
    away = np.cross(upwards, backwards) * -1.0
    away = away if away[0] > 0 else -away
    points = np.array([0.715, 0.185, -0.60]) + local @ np.stack([backwards, upwards, away])
    flat = 0.5 + 1.6 * local[:, :2]
    triangles = _disc(len(table), segments)
    return Part(points, triangles, np.full(len(points), "ear", object), flat)
