"""The other side of a head: its targets, vertices and atlas flipped, so that flipped pictures are of the same model."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from renderer.makehuman.atlas import TILES, texel_centres
from renderer.makehuman.head import Head
from renderer.makehuman.surface import Surface

_FLIP = np.array([-1.0, 1.0, 1.0])
_SAME = 0.1  # of a target's squared offsets, that its flipped image may differ by


def opposite_vertices(vertices: np.ndarray) -> np.ndarray:
    """[V] int64: the vertex of a symmetric mesh [V, 3] that lies nearest to where each one is flipped to."""
    return cKDTree(vertices).query(vertices * _FLIP)[1]


def opposite_targets(offsets: np.ndarray, opposite: np.ndarray) -> np.ndarray:
    """[W] int64: which target moves as each one does when flipped; itself where none does.

    Args:
        offsets: [W, V, 3] of the targets.
        opposite: [V], see `opposite_vertices`.
    """
    flat = offsets.reshape(len(offsets), -1)
    flipped = (offsets[:, opposite] * _FLIP).reshape(len(offsets), -1)
    size = np.square(flat).sum(1)
    distance = size[:, None] + size[None] - 2 * flat @ flipped.T  # squared, of target a to the flipped target b
    best = distance.argmin(0)
    numbers = np.arange(len(offsets))
    return np.where(distance[best, numbers] < _SAME * size, best, numbers)


def opposite_texels(surface: Surface) -> np.ndarray:
    """[A · A] int64: the texel of the same tile that shows the place to which each texel's place is flipped."""
    size, uv = surface.size, texel_centres(surface.size)
    tile = np.zeros((size, size))
    for number, (u0, v0, u1, v1) in enumerate((tile.place for tile in TILES.values()), 1):
        tile[((uv >= (u0, v0)) & (uv <= (u1, v1))).all(-1)] = number
    apart = 99.0 * tile[..., None]  # further than a head is wide
    drawn = np.flatnonzero(surface.drawn)
    tree = cKDTree(np.concatenate([surface.points, apart], -1).reshape(-1, 4)[drawn])
    result = drawn[tree.query(np.concatenate([surface.points * _FLIP, apart], -1).reshape(-1, 4))[1]]
    # Both eyes share their tile, which shows an eye from the front: the other eye's is this one's, flipped.
    u0, _, u1, _ = TILES["eye"].place
    rows, columns = np.nonzero(tile == 1 + list(TILES).index("eye"))
    across = np.clip(np.rint((u0 + u1) * size - 1 - columns), 0, size - 1).astype(int)
    result[rows * size + columns] = rows * size + across
    return result


def flipped_alike(values: np.ndarray, signs: np.ndarray, head: Head, opposite: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Vertex values [V, C, K], each the mean over the vertices that are one place or its flipped one, in one tile.

    Args:
        values: of the head's vertices.
        signs: [K] 1 for what stays when flipped, -1 for what changes its sign.
        head: the head.
        opposite: [19158] of the base mesh.
        x: [V] of the vertices, whose sign is their side.
    """
    other = opposite[head.base_vertex]
    side = np.where(other == head.base_vertex, 0.0, np.sign(x))[:, None, None]
    factor = np.where(signs > 0, 1.0, side)
    tiles = np.unique(head.tile, return_inverse=True)[1]
    pairs = np.column_stack([np.minimum(head.base_vertex, other), tiles])
    _, group, count = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    total = np.zeros((len(count), *values.shape[1:]))
    np.add.at(total, group.reshape(-1), values * factor)
    return (total / count[:, None, None])[group.reshape(-1)] * factor
