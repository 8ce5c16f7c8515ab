"""Perceptual path length (Karras et al., 2019): how fast the images change along paths between two random people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Step along a path of length 1. StyleGAN's is 1e-4; where renders enter the generator their edges jump from pixel to
# pixel, and the square of a jump over ε² grows without end as ε shrinks (docs/metrics.md).
EPSILON = 1e-2


def on_path(first: np.ndarray, second: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points [N, D] at t [N] in [0, 1] between normal numbers [N, D]: cos(πt/2) first + sin(πt/2) second.

    They are normal at every t, as the generator's inputs were in training.
    """
    angle = np.pi / 2 * t[:, None]
    return np.cos(angle) * first + np.sin(angle) * second


def path_length(
    features: Callable[[np.ndarray], np.ndarray], latent_size: int, count: int, seed: int = 0,
    epsilon: float = EPSILON, batch_size: int = 16,
) -> float:  # fmt: skip
    """Mean of ‖f(z(t + ε)) − f(z(t))‖² / ε² over `count` paths, at t uniform in [0, 1].

    As in StyleGAN's, what lies below the 1st percentile or above the 99th is left out.

    Args:
        features: latents [B, latent_size] float32 → [B, D], of as many rows as it is given.
        latent_size: normal numbers per image.
        count: of paths.
        seed: path k of a seed is the same for any count.
    """
    lengths = []
    for start in range(0, count, batch_size):
        # a full batch always; see `generation.in_batches`
        rngs = [np.random.default_rng([seed, k]) for k in range(start, start + batch_size)]
        ends = np.stack([rng.standard_normal([2, latent_size]) for rng in rngs])
        t = np.array([rng.uniform() for rng in rngs])
        near, far = (features(on_path(ends[:, 0], ends[:, 1], at).astype(np.float32)) for at in (t, t + epsilon))
        lengths.append(np.square((far.astype(np.float64) - near) / epsilon).sum(1))
    values = np.concatenate(lengths)[:count]
    low, high = np.percentile(values, [1, 99])
    return float(values[(values >= low) & (values <= high)].mean())
