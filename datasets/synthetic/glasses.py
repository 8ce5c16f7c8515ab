"""Spectacle frames: two rims, a bridge and two temples, in the head's own frame."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.style import Style

_RIM = 30  # points around a lens
VERTICES = 2 * (2 * _RIM + 4) + 4


def triangles() -> np.ndarray:
    """[F, 3] int32, both sides."""
    quads: list[tuple[int, ...]] = []
    for eye in range(2):
        first = eye * (2 * _RIM + 4)
        inner, outer = first + np.arange(_RIM), first + _RIM + np.arange(_RIM)
        rim = np.stack([inner, outer, np.roll(outer, -1), np.roll(inner, -1)], -1)
        quads += [tuple(quad) for quad in rim.tolist()]
        hinge = first + 2 * _RIM
        quads.append((hinge, hinge + 1, hinge + 2, hinge + 3))
    quads.append((VERTICES - 4, VERTICES - 3, VERTICES - 2, VERTICES - 1))
    a, b, c, d = np.array(quads).T
    front = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    return np.concatenate([front, front[:, ::-1]]).astype(np.int32)


def frames(points: np.ndarray, style: Style) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [VERTICES, 3] and albedo [3] for a head with unposed `points` [68, 3].

    Who wears none gets a frame of no size, inside the head.
    """
    if not style.glasses:
        return np.repeat(points[[27]] - [0, 0, 0.3], VERTICES, 0).astype(np.float32), np.zeros(3, np.float32)
    rng = np.random.default_rng(style.seed + 3)
    eyes = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
    between = eyes[1, 0] - eyes[0, 0]
    plane = max(points[27, 2] - 0.02, points[36:48, 2].max() + 0.06)  # just in front of the bridge of the nose
    half = between * np.array([rng.uniform(0.34, 0.42), rng.uniform(0.24, 0.36)])
    corner, thick = rng.uniform(2.0, 4.0), rng.uniform(0.012, 0.04)
    turn = np.arange(_RIM) / _RIM * 2 * np.pi
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    circle /= (np.abs(circle) ** corner).sum(-1, keepdims=True) ** (1 / corner)
    parts = []
    for eye, side in zip(eyes, (-1.0, 1.0), strict=True):
        centre = eye[:2] + np.array([0.0, -0.15 * half[1]])
        rim = np.concatenate([centre + circle * half, centre + circle * (half + thick)])
        outside = np.maximum(0, side * (rim[:, 0] - eye[0]))
        parts.append(np.column_stack([rim, plane - 0.5 * outside**2]))
        hinge = np.array([centre[0] + side * (half[0] + thick), centre[1] + 0.4 * half[1], plane - 0.5 * half[0] ** 2])
        ear = points[0 if side < 0 else 16] + np.array([side * 0.03, 0.0, 0.0])
        ear[1] = hinge[1] + 0.02
        up = np.array([0.0, 0.6 * thick + 0.008, 0.0])
        parts.append(np.stack([hinge - up, hinge + up, ear + up, ear - up]))
    left, right = eyes[0, 0] + half[0], eyes[1, 0] - half[0]
    high = eyes[:, 1].mean() + 0.15 * half[1]
    width = 0.6 * thick + 0.008
    parts.append(
        np.array(
            [
                (left, high - width, plane),
                (right, high - width, plane),
                (right, high + width, plane),
                (left, high + width, plane),
            ]
        )
    )
    colour = _COLOURS[rng.integers(len(_COLOURS))]
    return np.concatenate(parts).astype(np.float32), colour.astype(np.float32)


_COLOURS = np.array(
    [(24, 22, 22), (30, 28, 30), (62, 40, 28), (120, 116, 110), (150, 120, 70), (110, 36, 36), (40, 50, 80)]
)
