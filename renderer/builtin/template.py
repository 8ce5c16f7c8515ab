"""The skin's mesh: rings around eyes and lips, graded elsewhere, with an exactly mirrored topology."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from renderer.builtin import features, lines, surface
from renderer.builtin.parts import ring_strip

_SETTLE_ROUNDS = 8
_LID_POINTS = len(lines.LID_OFFSETS) * lines.EYE_COUNT


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


def _spacing(points: np.ndarray) -> np.ndarray:
    """[N] wanted distance between neighbouring vertices near points [N, 3] of the left half."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]

    def near(cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        return np.maximum(np.hypot((x - cx) / rx, (y - cy) / ry) - 1.0, 0.0) * min(rx, ry)

    coarse = 0.062 + 0.055 * surface.smoothstep(0.05, -0.75, z)
    coarse = np.maximum(coarse, 0.062 + 0.062 * surface.smoothstep(0.85, 1.15, y))
    coarse = np.maximum(coarse, 0.062 + 0.05 * surface.smoothstep(-0.85, -1.1, y))
    fine = np.full(len(points), np.inf)
    for place, size in (
        ((0.31, 0.30, 0.17, 0.10), 0.027),
        ((0.37, 0.49, 0.22, 0.055), 0.024),
        ((0.0, 0.10, 0.10, 0.30), 0.028),
        ((0.09, -0.09, 0.10, 0.08), 0.019),
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
    face = face[lines.outside_lids(face) & _is_front(face)]
    face = _lift(face)
    count = 4000
    up, around = 2 * _halton(count, 2) - 1, np.pi * _halton(count, 3)
    flat = np.sqrt(1 - up**2)
    head = surface.head_from_directions(np.column_stack([flat * np.sin(around), up, flat * np.cos(around)]))
    facing = (head[:, 2] > -0.15) & _is_front(head)
    head = head[~facing & (head[:, 0] > 0.02) & (head[:, 1] > -1.50)]
    sides = np.round(np.concatenate([face, head]), 6)  # so that the last bits, which differ by machine, decide nothing
    return midline, sides[sides[:, 0] > 0.6 * _spacing(sides)]


def _neck_ring(count: int = 15) -> np.ndarray:
    turn = np.pi * np.arange(count) / (count - 1)
    depth = -0.695 + 0.525 * np.cos(turn) * (1 - 0.1 * np.sin(2 * turn) ** 2)
    return np.column_stack([0.86 * np.sin(turn), np.full(count, -1.70), depth])


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
        moved[:, 0] = np.where(free & ~on_midline, np.maximum(moved[:, 0], 0.6 * _spacing(moved)), points[:, 0])
        front = _is_front(moved) & (moved[:, 2] > -0.15)
        moved = np.where(lines.outside_lids(moved)[:, None], moved, points)
        bare = surface.head_from_directions(surface.directions(moved))
        points = np.where((free & ~on_midline & ~front)[:, None], bare, moved)
        points[free & front, 2] = surface.base_depth(points[free & front, :2])
    return np.round(points, 6)


def _across_the_midline(half: np.ndarray) -> np.ndarray:
    """[N] bool: off the midline, yet joined to a mirror image, as the midline is too sparse there."""
    both = np.concatenate([half, half * [-1, 1, 1]])
    side = np.concatenate([half[:, 0] > 0, half[:, 0] > 0])
    used = np.flatnonzero(np.concatenate([np.ones(len(half), bool), half[:, 0] > 0]))
    triangles = used[ConvexHull(surface.directions(both)[used]).simplices]
    number = np.where(side[triangles], triangles, -1)
    mixed = ((number >= 0) & (number < len(half))).any(1) & (number >= len(half)).any(1)
    found = np.zeros(len(half), bool)
    found[np.unique(number[mixed][number[mixed] >= 0]) % len(half)] = True
    return found & (half[:, 1] > -1.65)


def _settle(half: np.ndarray, front: np.ndarray, free: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[N, 3] the bare left half with its features; free points slide to where the features' slopes stretch the mesh."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, 1), axis=0)
    start, end = np.concatenate([edges, edges[:, ::-1]]).T
    points, moves = half.copy(), (front & free)[:, None]
    points[front, 2] = features.face_depth(half[front, :2])
    for _ in range(_SETTLE_ROUNDS):
        pull = np.linalg.norm(points[start] - points[end], axis=1) ** 1.5
        total = np.stack([np.bincount(start, pull * points[end, k], len(half)) for k in range(2)], 1)
        target = total / np.bincount(start, pull, len(half))[:, None]
        target[half[:, 0] == 0.0, 0] = 0.0
        xy = points[:, :2] + 0.5 * np.where(moves, target - points[:, :2], 0.0)
        points[front] = np.column_stack([xy[front], features.face_depth(xy[front])])
    return np.round(points, 6)


def build_skin() -> Skin:
    """The skin of the whole head with holes for eyes, mouth and the cut neck."""
    opening = features.eye_opening(lines.EYE_COUNT)
    eye = [features.lid_offset(opening, distance) for distance in lines.LID_OFFSETS]
    line, lip = lines.lip_points()
    nose, nose_end = lines.nose_patch()
    flat = np.concatenate([*eye, line, lip, nose, lines.brow_points()])
    nose_ids = _LID_POINTS + len(line) + len(lip) + np.arange(len(nose))
    neck = _neck_ring()
    jaw = surface.head_from_directions(surface.directions(np.array(lines.JAW_LANDMARKS)))
    jaw[0, 0] = 0.0
    fixed = np.concatenate([_lift(flat), neck, jaw])
    fixed[np.abs(fixed[:, 0]) < 1e-9, 0] = 0.0
    midline, sides = _candidates()
    middle = _thrown(fixed, midline, 0.55)
    rest = _thrown(np.concatenate([fixed, middle]), sides)
    half = np.concatenate([fixed, middle, rest])
    free = np.arange(len(half)) >= len(fixed)
    half = _relax(half, free, half[:, 0] == 0.0)
    crowded = _across_the_midline(half) & free
    while crowded.any():
        half, free = half[~crowded], free[~crowded]
        crowded = _across_the_midline(half) & free

    is_front = np.zeros(len(half), bool)
    is_front[: len(flat)] = True
    is_front |= free & _is_front(half) & (half[:, 2] > -0.15)
    places = surface.directions(half)
    shaped = half

    # the right half: every vertex off the midline again, mirrored
    side = np.flatnonzero(half[:, 0] > 0)
    twin = np.arange(len(half))
    twin[side] = len(half) + np.arange(len(side))
    vertices = np.concatenate([shaped, shaped[side] * [-1, 1, 1]])
    places = np.concatenate([places, places[side] * [-1, 1, 1]])
    mirror = np.concatenate([twin, side])

    # the lids' inner rings are joined by hand below, which keeps lashes and creases free of jags
    lids = np.arange(_LID_POINTS - lines.EYE_COUNT)
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

    first_line = _LID_POINTS
    ring = np.arange(lines.EYE_COUNT)
    line_ids = first_line + np.arange(len(line))
    left = left[(left >= _LID_POINTS).any(1)]  # the eye's hole
    pairs = [
        ring_strip(k * lines.EYE_COUNT + ring[::-1], (k + 1) * lines.EYE_COUNT + ring[::-1])
        for k in range(len(lines.LID_OFFSETS) - 1)
    ]
    left = np.concatenate([left, *pairs])
    laid = half.copy()
    laid[nose_ids, :2] = nose_end
    settled = _settle(laid, is_front, free, left)
    nostril, inwards = features.nostrils(settled)
    settled = np.round(settled + inwards + surface.ear_hollow(settled), 6)
    vertices = np.concatenate([settled, settled[side] * [-1, 1, 1]])
    # the lower lip gets its own copy of the line where the lips meet (all but the corners)
    copied = line_ids[:-1]
    above = half[:, 1] > features.LIP_LINE(np.clip(half[:, 0], 0, 0.26))
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
        "nostril_left": np.flatnonzero(nostril > 0.5),
    }
    loops["nostril_right"] = mirror[loops["nostril_left"]]
    for depth in range(1, len(lines.LID_OFFSETS)):
        loops[f"lid_{depth}"] = depth * lines.EYE_COUNT + ring
    return Skin(vertices, places, triangles, mirror, copied_all, loops)
