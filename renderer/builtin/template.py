"""The skin's mesh: rings around eyes and lips, graded elsewhere, with an exactly mirrored topology."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from renderer.builtin import surface
from renderer.builtin.parts import ring_strip

EYE_COUNT = 36  # vertices along the opening of one eye
LIP_COLUMNS = 14  # vertices from the middle of the mouth to its corner
LID_OFFSETS = (0.0, 0.013, 0.030, 0.052)  # how far the rings lie from the opening; the first is the lids' edge
_EYE_MIDDLE = np.array([0.309, 0.296])
_LIP_ROWS = (0.28, 0.54, 0.80, 1.0, 1.2)


# The jaw's landmarks of the person's left half, from the chin to the ear: vertices are laid there.
JAW_LANDMARKS = ((0.0, -0.828, 0.197), (0.22, -0.787, 0.124), (0.37, -0.72, -0.06), (0.485, -0.637, -0.259),
                 (0.582, -0.5, -0.42), (0.637, -0.325, -0.51), (0.675, -0.16, -0.549), (0.711, 0.02, -0.566),
                 (0.731, 0.218, -0.59))  # fmt: skip


@dataclass(frozen=True)
class Skin:
    """Vertices [N, 3], their places on the head [N, 3] (unit vectors), triangles [F, 3] and the named vertex loops.

    `eye_left`/`eye_right` run from the inner corner over the upper lid to the outer corner and back below;
    `lip_upper`/`lip_lower` run along the opening from the person's right corner (x < 0) to the left, both with the same
    two corners.
    """

    vertices: np.ndarray
    places: np.ndarray
    triangles: np.ndarray
    mirror: np.ndarray
    lower_lip_copy: np.ndarray
    loops: dict[str, np.ndarray]


def eye_opening(count: int = EYE_COUNT) -> np.ndarray:
    """[count, 2] the open lids' edge of the person's left eye: inner corner, upper lid, outer corner, lower lid."""
    half = count // 2
    t = 0.5 - 0.5 * np.cos(np.pi * np.arange(half + 1) / half)
    inner, outer = np.array([0.184, 0.280]), np.array([0.434, 0.291])
    upper = inner + t[:, None] * (outer - inner)
    lower = upper.copy()
    upper[:, 1] += 0.066 * np.sin(np.pi * t**0.92) ** 0.85
    lower[:, 1] -= 0.038 * np.sin(np.pi * t**1.15) ** 0.9
    return np.concatenate([upper, lower[-2:0:-1]])


def _outside_lids(points: np.ndarray) -> np.ndarray:
    """[N] bool: clear of the outermost ring around the left eye, seen from the front."""
    ring = _offset(eye_opening(), LID_OFFSETS[-1]) - _EYE_MIDDLE
    angle, reach = np.arctan2(ring[:, 1], ring[:, 0]), np.hypot(*ring.T)
    place = points[:, :2] - _EYE_MIDDLE
    order = np.argsort(angle)
    limit = np.interp(np.arctan2(place[:, 1], place[:, 0]), angle[order], reach[order], period=2 * np.pi)
    return np.hypot(*place.T) > limit + 0.020


def _offset(loop: np.ndarray, distance: float) -> np.ndarray:
    normal = (loop - _EYE_MIDDLE) / np.array([0.125, 0.075]) ** 1.5
    return loop + distance * normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _lip_points() -> tuple[np.ndarray, np.ndarray]:
    """The line of the closed mouth [LIP_COLUMNS + 1, 2] from the middle out, and the rows of both lips [N, 2]."""
    x = surface.MOUTH_HALF * np.sin(0.5 * np.pi * np.arange(LIP_COLUMNS + 1) / LIP_COLUMNS) ** 0.95
    x[-1] = surface.MOUTH_HALF
    line = surface.LIP_LINE(x)
    spacing = np.gradient(x)
    rows = []
    for edge in (surface.LIP_TOP(x), surface.LIP_BOTTOM(x)):
        for fraction in _LIP_ROWS:
            row = np.column_stack([x, line + fraction * (edge - line)])
            rows.append(row[np.abs(row[:, 1] - line) > 0.75 * spacing])
    return np.column_stack([x, line]), np.concatenate(rows)


def _nostril() -> np.ndarray:
    turn = 2 * np.pi * np.arange(10) / 10
    ring = np.column_stack([0.056 + 0.026 * np.cos(turn), -0.137 + 0.013 * np.sin(turn) + 0.006 * np.cos(turn)])
    return np.concatenate([ring, [[0.056, -0.137]]])


def brow_line(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the eyebrow's middle and half its thickness at distance x from the midline."""
    middle = np.interp(x, [0.14, 0.20, 0.26, 0.34, 0.42, 0.50, 0.56, 0.60], _BROW_MIDDLE)
    return middle, np.interp(x, [0.14, 0.19, 0.26, 0.40, 0.52, 0.60], [0.020, 0.028, 0.029, 0.023, 0.015, 0.008])


_BROW_MIDDLE = [0.462, 0.476, 0.490, 0.507, 0.511, 0.494, 0.464, 0.436]


def _brow_points() -> np.ndarray:
    """Rows along the eyebrow, dense enough for its outline and the hairs' streaks."""
    rows = []
    for number, across in enumerate((-1.5, -0.75, 0.0, 0.75, 1.5)):
        x = np.linspace(0.145, 0.575, 24) + 0.008 * (number % 2)
        middle, half = brow_line(x)
        rows.append(np.column_stack([x + 0.008 * across, middle + across * half]))
    brow = np.concatenate(rows)
    return brow[_outside_lids(brow)]


def _spacing(points: np.ndarray) -> np.ndarray:
    """[N] wanted distance between neighbouring vertices near points [N, 3] of the left half."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]

    def near(cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        return np.maximum(np.hypot((x - cx) / rx, (y - cy) / ry) - 1.0, 0.0) * min(rx, ry)

    coarse = 0.062 + 0.10 * surface.smoothstep(0.05, -0.75, z)
    coarse = np.maximum(coarse, 0.062 + 0.10 * surface.smoothstep(0.85, 1.15, y))
    coarse = np.maximum(coarse, 0.062 + 0.10 * surface.smoothstep(-0.85, -1.1, y))
    fine = np.full(len(points), np.inf)
    for place, size in (
        ((0.31, 0.30, 0.17, 0.10), 0.027),
        ((0.37, 0.49, 0.22, 0.055), 0.024),
        ((0.0, 0.10, 0.10, 0.30), 0.028),
        ((0.06, -0.10, 0.13, 0.09), 0.016),
        ((0.0, -0.37, 0.29, 0.12), 0.026),
        ((0.0, -0.70, 0.20, 0.10), 0.045),
    ):
        fine = np.minimum(fine, size + 0.24 * near(*place))
    return np.where(z > -0.35, np.minimum(coarse, fine), coarse)


def _halton(count: int, base: int) -> np.ndarray:
    result, fraction, index = np.zeros(count), 1.0, np.arange(1, count + 1)
    while index.any():
        fraction /= base
        result += fraction * (index % base)
        index //= base
    return result


def _thrown(fixed: np.ndarray, candidates: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Those candidates [N, 3], in order, that keep their distance (`_spacing`) from the fixed points and each other."""
    spacing = scale * _spacing(candidates)
    alive = np.ones(len(candidates), bool)
    tree = cKDTree(candidates)
    for point in fixed:
        reach = 0.75 * spacing
        close = np.asarray(tree.query_ball_point(point, 0.14), dtype=int)
        if len(close):
            alive[close[np.linalg.norm(candidates[close] - point, axis=1) < reach[close]]] = False
    chosen = []
    for index in np.flatnonzero(alive):
        if alive[index]:
            chosen.append(index)
            alive[tree.query_ball_point(candidates[index], spacing[index])] = False
    return candidates[chosen]


def _is_front(points: np.ndarray) -> np.ndarray:
    return (points[:, 0] / 0.50) ** 2 + ((points[:, 1] + 0.02) / 0.74) ** 2 < 1.0


def _lift(xy: np.ndarray) -> np.ndarray:
    """[N, 3] featureless points below frontal positions."""
    return np.column_stack([xy, surface.base_depth(xy)])


def _candidates() -> tuple[np.ndarray, np.ndarray]:
    """Places to choose from: on the midline [M, 3], and on the left half [N, 3] with x > 0, all on the bare head."""
    turn = np.linspace(-0.47 * np.pi, 1.45 * np.pi, 1500)
    turn = turn[(turn > -0.46 * np.pi)]
    midline = surface.head_from_directions(np.column_stack([np.zeros_like(turn), np.sin(turn), np.cos(turn)]))
    midline[:, 0] = 0.0
    midline = midline[midline[:, 1] > -1.50]
    count = 7000
    face = np.column_stack([0.55 * _halton(count, 2), -0.80 + 1.60 * _halton(count, 3)])
    # nothing inside the eye's opening: the rings around it are laid by hand
    face = face[_outside_lids(face) & _is_front(face)]
    face = _lift(face)
    count = 4000
    up, around = 2 * _halton(count, 2) - 1, np.pi * _halton(count, 3)
    flat = np.sqrt(1 - up**2)
    head = surface.head_from_directions(np.column_stack([flat * np.sin(around), up, flat * np.cos(around)]))
    facing = (head[:, 2] > -0.15) & _is_front(head)
    head = head[~facing & (head[:, 0] > 0.02) & (head[:, 1] > -1.50)]
    sides = np.round(np.concatenate([face, head]), 6)  # so that the last bits, which differ by machine, decide nothing
    return midline, sides[sides[:, 0] > 0.5 * _spacing(sides)]


def _neck_ring(count: int = 15) -> np.ndarray:
    turn = np.pi * np.arange(count) / (count - 1)
    return np.column_stack(
        [0.86 * np.sin(turn), np.full(count, -1.70), -0.56 + 0.56 * np.cos(turn) * (1 - 0.1 * np.sin(2 * turn) ** 2)]
    )


def _relax(points: np.ndarray, free: np.ndarray, on_midline: np.ndarray, rounds: int = 4) -> np.ndarray:
    """Moves the free points of the bare left half towards the middle of their neighbours."""
    for _ in range(rounds):
        everything = np.concatenate([points, points * [-1, 1, 1]])
        triangles = ConvexHull(surface.directions(everything)).simplices
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        total, count = np.zeros_like(everything), np.zeros(len(everything))
        for a, b in (edges.T, edges.T[::-1]):
            np.add.at(total, a, everything[b])
            np.add.at(count, a, 1.0)
        count = np.maximum(count, 1.0)
        target = (total / count[:, None])[: len(points)]
        moved = points + 0.5 * np.where((free & ~on_midline)[:, None], target - points, 0.0)
        moved[:, 0] = np.where(free & ~on_midline, np.maximum(moved[:, 0], 0.5 * _spacing(moved)), points[:, 0])
        front = _is_front(moved) & (moved[:, 2] > -0.15)
        moved = np.where(_outside_lids(moved)[:, None], moved, points)
        bare = surface.head_from_directions(surface.directions(moved))
        points = np.where((free & ~on_midline & ~front)[:, None], bare, moved)
        points[free & front, 2] = surface.base_depth(points[free & front, :2])
    return np.round(points, 6)


def build_skin() -> Skin:
    """The skin of the whole head with holes for eyes, mouth and the cut neck."""
    opening = eye_opening()
    eye = [_offset(opening, distance) for distance in LID_OFFSETS]
    line, lip = _lip_points()
    flat = np.concatenate([*eye, line, lip, _nostril(), _brow_points()])
    neck = _neck_ring()
    jaw = surface.head_from_directions(surface.directions(np.array(JAW_LANDMARKS)))
    jaw[0, 0] = 0.0
    fixed = np.concatenate([_lift(flat), neck, jaw])
    fixed[np.abs(fixed[:, 0]) < 1e-9, 0] = 0.0
    midline, sides = _candidates()
    middle = _thrown(fixed, midline, 0.7)
    rest = _thrown(np.concatenate([fixed, middle]), sides)
    half = np.concatenate([fixed, middle, rest])
    free = np.arange(len(half)) >= len(fixed)
    half = _relax(half, free, half[:, 0] == 0.0)

    is_front = np.zeros(len(half), bool)
    is_front[: len(flat)] = True
    is_front |= free & _is_front(half) & (half[:, 2] > -0.15)
    places = surface.directions(half)
    shaped = half.copy()
    shaped[is_front, 2] = surface.face_depth(half[is_front, :2], base=half[is_front, 2])

    # the right half: every vertex off the midline again, mirrored
    side = np.flatnonzero(half[:, 0] > 0)
    twin = np.arange(len(half))
    twin[side] = len(half) + np.arange(len(side))
    vertices = np.concatenate([shaped, shaped[side] * [-1, 1, 1]])
    places = np.concatenate([places, places[side] * [-1, 1, 1]])
    mirror = np.concatenate([twin, side])

    # the lids' inner rings are joined by hand below, which keeps lashes and creases free of jags
    lids = np.arange(3 * EYE_COUNT)
    outside = np.setdiff1d(np.arange(len(vertices)), np.concatenate([lids, mirror[lids]]))
    hull = outside[ConvexHull(places[outside]).simplices]
    corners = places[hull]
    facing = np.einsum(
        "ij,ij->i", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), corners.sum(1)
    )
    hull = np.where((facing < 0)[:, None], hull[:, ::-1], hull)
    neck_ids = len(flat) + np.arange(len(neck))
    hull = hull[~np.isin(hull, np.concatenate([neck_ids, mirror[neck_ids]])).all(1)]
    left = hull[(vertices[hull, 0] >= 0).all(1) & (vertices[hull, 0] > 0).any(1)]
    straddling = (vertices[hull, 0] > 0).any(1) & (vertices[hull, 0] < 0).any(1)
    if straddling.any():
        raise ValueError(f"built-in face: the midline is too sparse, {straddling.sum()} triangles cross it")

    first_line = 4 * EYE_COUNT
    ring = np.arange(EYE_COUNT)
    line_ids = first_line + np.arange(len(line))
    left = left[(left >= 4 * EYE_COUNT).any(1)]  # the eye's hole
    pairs = [ring_strip(k * EYE_COUNT + ring[::-1], (k + 1) * EYE_COUNT + ring[::-1]) for k in range(3)]
    left = np.concatenate([left, *pairs])
    # the lower lip gets its own copy of the line where the lips meet (all but the corners)
    copied = line_ids[:-1]
    above = half[:, 1] > surface.LIP_LINE(np.clip(half[:, 0], 0, 0.26))
    on_line = np.isin(left, line_ids)
    other_above = (above[np.minimum(left, len(half) - 1)] & ~on_line).any(1)
    touching = np.isin(left, copied).any(1)
    lower = touching & ~other_above
    copy_left = np.full(len(vertices), -1)
    copied_all = np.concatenate([copied, mirror[copied[1:]]])
    copy_left[copied_all] = len(vertices) + np.arange(len(copied_all))
    left = np.where(lower[:, None] & np.isin(left, copied), copy_left[left], left)

    vertices = np.concatenate([vertices, vertices[copied_all]])
    places = np.concatenate([places, places[copied_all]])
    mirror = np.concatenate([mirror, copy_left[mirror[copied_all]]])
    triangles = np.concatenate([left, mirror[left][:, ::-1]])
    upper = np.concatenate([mirror[line_ids[:0:-1]], line_ids])
    loops = {
        "eye_left": ring,
        "eye_right": mirror[ring],
        "lip_upper": upper,
        "lip_lower": np.where(copy_left[upper] >= 0, copy_left[upper], upper),
        "neck": np.concatenate([neck_ids, mirror[neck_ids[-2:0:-1]]]),
        "nostril_left": first_line + len(line) + len(lip) + np.arange(11),
    }
    for name, depth in (("lid_1", 1), ("lid_2", 2), ("lid_3", 3)):
        loops[name] = depth * EYE_COUNT + ring
    loops["nostril_right"] = mirror[loops["nostril_left"]]
    return Skin(vertices, places, triangles, mirror, copied_all, loops)
