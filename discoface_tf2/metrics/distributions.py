"""How far two sets of images are apart, by their features: Fréchet and kernel distance, precision and recall.

Plain numpy on features [N, D]; which network they are of is part of a metric's name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SUBSETS, SUBSET_SIZE = 100, 1000  # of the kernel distance
NEIGHBOURS = 3
_ROWS = 1024  # of a matrix of distances at a time


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """‖μ₁ − μ₂‖² + Tr(C₁ + C₂ − 2 (C₁ C₂)^½) of features [N, D] and [M, D] (Heusel et al., 2017).

    The trace of the root is that of (C₁^½ C₂ C₁^½)^½, which is symmetric, so that no part of it is imaginary.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    c1, c2 = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (first, second))
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    trace = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ c2 @ root), 0)).sum()
    offset = np.square(first.mean(0) - second.mean(0)).sum()
    return float(offset + np.trace(c1) + np.trace(c2) - 2 * trace)


def kernel_distance(first: np.ndarray, second: np.ndarray, seed: int = 0, subsets: int = SUBSETS) -> float:
    """Unbiased squared MMD with the kernel (x·y / D + 1)³ of features [N, D] and [M, D] (Bińkowski et al., 2018).

    The mean over `subsets` pairs of random subsets of 1,000; with 1,000 of a kind or fewer, of all of them at once.
    """
    size = min(len(first), len(second), SUBSET_SIZE)
    rng = np.random.default_rng(seed)
    total, rounds = 0.0, 1 if max(len(first), len(second)) == size else subsets
    for _ in range(rounds):
        x, y = (np.asarray(f, np.float64)[rng.permutation(len(f))[:size]] for f in (first, second))
        xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (size * (size - 1))
        total += within - 2 * xy.mean()
    return float(total / rounds)


def precision_recall(real: np.ndarray, generated: np.ndarray, neighbours: int = NEIGHBOURS) -> dict[str, float]:
    """Shares of generated features [M, D] within the manifold of real ones [N, D] (`precision`), and the reverse.

    A manifold is the union of balls about each feature that reach to its k-th neighbour of the same set (Kynkäänniemi
    et al., 2019).
    """

    def covered(points: np.ndarray, centres: np.ndarray) -> float:
        # the first neighbour of each is itself
        radii = np.concatenate(
            [np.partition(d, neighbours, axis=1)[:, neighbours] for d in _distances(centres, centres)]
        )
        inside = [np.any(d <= radii, axis=1) for d in _distances(points, centres)]
        return float(np.concatenate(inside).mean())

    if min(len(real), len(generated)) <= neighbours:
        raise ValueError(f"precision and recall: expected more than {neighbours} images of a kind")
    return {"precision": covered(generated, real), "recall": covered(real, generated)}


def _distances(points: np.ndarray, centres: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances [_ROWS, M] of points [N, D] to centres [M, D], some rows at a time."""
    points, centres = np.asarray(points, np.float64), np.asarray(centres, np.float64)
    lengths = np.square(centres).sum(1)
    for start in range(0, len(points), _ROWS):
        part = points[start : start + _ROWS]
        # Differences of equal numbers are not quite 0 this way; both uses compare like with like.
        yield np.maximum(np.square(part).sum(1)[:, None] + lengths - 2 * part @ centres.T, 0)
