"""The reference that the rasteriser must agree with: one pixel of one triangle at a time."""

from __future__ import annotations

import numpy as np


def clipped(corners: np.ndarray) -> np.ndarray:
    """A triangle [3, 4] in clip space, cut at the near plane z = -w: a polygon, its corners with their weights [3]."""
    points = [np.r_[corner, weight] for corner, weight in zip(corners, np.eye(3), strict=True)]
    result = []
    for here, after in zip(points, points[1:] + points[:1], strict=True):
        a, b = here[2] + here[3], after[2] + after[3]
        if a >= 0:
            result.append(here)
        if (a < 0) != (b < 0):
            result.append(here + (after - here) * a / (a - b))
    return np.array(result)


def slow_rasterize(vertices, triangles, matrix, size, cull, layers=1):
    """One pixel of one triangle at a time, in float64: ids [L, H, W], barycentrics, and where float32 may differ."""
    width, height = size
    clip = np.c_[vertices, np.ones(len(vertices))].astype(np.float64) @ matrix.astype(np.float64).T
    hits = [[{} for _ in range(width)] for _ in range(height)]  # of each pixel: triangle -> (depth, barycentrics)
    doubtful = np.zeros([height, width], bool)
    for number, triangle in enumerate(triangles):
        polygon = clipped(clip[triangle])
        for i in range(1, len(polygon) - 1):
            fan = polygon[[0, i, i + 1]]
            x, y = (fan[:, 0] / fan[:, 3] + 1) * width / 2, (fan[:, 1] / fan[:, 3] + 1) * height / 2
            area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
            if abs(area) < 1e-9 or (cull and area < 0):
                continue
            for row in range(height):
                for column in range(width):
                    u, v = x - column - 0.5, y - row - 0.5
                    cross = np.array([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
                    lengths = np.hypot(x - np.roll(x, 1), y - np.roll(y, 1))[[2, 0, 1]]
                    inside = cross / np.sign(area)
                    if (inside > -2e-3 * lengths).all() and (inside < 2e-3 * lengths).any():
                        doubtful[row, column] = True
                    if (inside < 0).any():
                        continue
                    linear = cross / area / fan[:, 3]
                    linear /= linear.sum()
                    z = linear @ fan[:, 2] / (linear @ fan[:, 3])
                    doubtful[row, column] |= abs(z - 1) < 1e-5
                    if z < 1:
                        hits[row][column][number] = (z, linear @ fan[:, 4:])
    ids, weights = np.full([layers, height, width], -1), np.zeros([layers, height, width, 3])
    for row, column in np.ndindex(height, width):
        order = sorted(hits[row][column].items(), key=lambda hit: (hit[1][0], hit[0]))
        depths = [depth for _, (depth, _) in order]
        doubtful[row, column] |= bool((np.diff(depths) < 1e-5).any())
        for layer, (number, (_, barycentrics)) in enumerate(order[:layers]):
            ids[layer, row, column], weights[layer, row, column] = number, barycentrics
    return ids, weights, doubtful
