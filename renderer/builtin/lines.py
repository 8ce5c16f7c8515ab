"""Where the skin's vertices must lie: lines of the lips, rays of the nose, rows of the brows, landmarks of the jaw."""

from __future__ import annotations

import numpy as np

from renderer.builtin import features, surface

EYE_COUNT = 36  # vertices along the opening of one eye
LIP_COLUMNS = 17  # vertices from the middle of the mouth to its corner
LID_OFFSETS = (0.0, 0.009, 0.021, 0.034, 0.050)  # how far the rings lie from the opening; the first is the lids' edge
_LIP_ROWS = (0.2, 0.45, 0.75, 1.0, 1.2)
NOSE_TIP = np.array([0.0, -0.05])
_NOSE_ROWS = 13
# The border of the nose: how far from the tip, over the angle clockwise from the picture's right (degrees).
_NOSE_BORDER = ((-90, -60, -40, -20, 0, 20, 35, 50, 65, 90), (0.13, 0.13, 0.15, 0.18, 0.200, 0.198, 0.186, 0.165, 0.15,
                0.145))  # fmt: skip

# The jaw's landmarks of the person's left half, from the chin to the ear: vertices are laid there.
JAW_LANDMARKS = ((0.0, -0.828, 0.197), (0.22, -0.787, 0.124), (0.37, -0.72, -0.06), (0.485, -0.637, -0.259),
                 (0.582, -0.5, -0.42), (0.637, -0.325, -0.51), (0.675, -0.16, -0.549), (0.711, 0.02, -0.566),
                 (0.731, 0.218, -0.59))  # fmt: skip


def outside_lids(points: np.ndarray) -> np.ndarray:
    """[N] bool: clear of the outermost ring around the left eye, seen from the front."""
    return (points[:, 0] <= 0.0) | (features.lid_distance(points[:, :2])[0] > LID_OFFSETS[-1] + 0.014)


def lip_points() -> tuple[np.ndarray, np.ndarray]:
    """The line of the closed mouth [LIP_COLUMNS + 1, 2] from the middle out, and the rows of both lips [N, 2]."""
    even = np.arange(LIP_COLUMNS + 1) / LIP_COLUMNS
    x = features.MOUTH_HALF * (0.45 * even + 0.55 * np.sin(0.5 * np.pi * even))  # closer, but no slivers, at the corner
    x[-1] = features.MOUTH_HALF
    line = features.LIP_LINE(x)
    spacing = np.gradient(x)
    rows = []
    for edge in (features.LIP_TOP(x), features.LIP_BOTTOM(x)):
        for fraction in _LIP_ROWS:
            row = np.column_stack([x, line + fraction * (edge - line)])
            rows.append(row[np.abs(row[:, 1] - line) > 0.55 * spacing])
    return np.column_stack([x, line]), np.concatenate(rows)


def nose_patch() -> tuple[np.ndarray, np.ndarray]:
    """Rays from the tip of the nose to its border: evenly spaced in the plane [N, 2], where they are joined to
    triangles, and where they end up [N, 2], evenly spaced along the steep walls of the finished nose."""
    turn = np.radians(np.concatenate([np.linspace(90, 14, 7), np.linspace(8, -90, 18)]))
    border = np.interp(-np.degrees(turn), *_NOSE_BORDER)
    fine = np.linspace(0.0, 1.0, 400)
    flat, final = [NOSE_TIP[None]], [NOSE_TIP[None]]
    for number, (angle, reach) in enumerate(zip(turn, border, strict=True)):
        ray = np.array([np.cos(angle), np.sin(angle)])
        ray[0] = 0.0 if abs(ray[0]) < 1e-9 else ray[0]
        track = NOSE_TIP + fine[:, None] * reach * ray
        rise = np.diff(features.face_depth(track))
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(fine) * reach, rise))])
        even = np.arange(1, _NOSE_ROWS + 1) / _NOSE_ROWS
        kept = [k for k in range(_NOSE_ROWS) if number % (4 if k < 1 else 2 if k < 3 else 1) == 0]
        flat.append(NOSE_TIP + even[kept, None] * reach * ray)
        final.append(NOSE_TIP + np.interp(even[kept], length / length[-1], fine)[:, None] * reach * ray)
    return np.concatenate(flat), np.concatenate(final)


def brow_line(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the eyebrow's middle and half its thickness at distance x from the midline."""
    middle = np.interp(x, [0.14, 0.20, 0.26, 0.34, 0.42, 0.50, 0.56, 0.60], _BROW_MIDDLE)
    return middle, np.interp(x, [0.14, 0.19, 0.26, 0.40, 0.52, 0.60], [0.022, 0.031, 0.033, 0.027, 0.018, 0.009])


_BROW_MIDDLE = [0.462, 0.476, 0.490, 0.507, 0.511, 0.494, 0.464, 0.436]


def brow_points() -> np.ndarray:
    """Rows along the eyebrow and beyond its ends, which stay apart where it thins out, so that it has no gaps."""
    rows = []
    fine = np.linspace(0.130, 0.612, 200)
    track = np.column_stack([fine, brow_line(fine)[0]])
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(fine), np.diff(surface.base_depth(track))))])
    x = np.interp(np.linspace(0, length[-1], 38), length, fine)
    middle, half = brow_line(x)
    slope = np.gradient(middle, x)
    for across in (-1.6, -0.75, 0.0, 0.75, 1.6):
        away = across * np.maximum(half, 0.018)
        rows.append(np.column_stack([x - away * slope / np.hypot(1, slope), middle + away / np.hypot(1, slope)]))
    brow = np.concatenate(rows)
    return brow[outside_lids(brow) & (brow[:, 0] < 0.61)]
