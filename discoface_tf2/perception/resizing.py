"""Pictures of another size, as products with matrices: XLA compiles them, and gradients of any order pass."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import tensorflow as tf


@lru_cache(maxsize=64)
def resampling_matrix(
    size: int, out: int, start: float = 0.0, span: float | None = None, *, mirror: bool = False
) -> np.ndarray:
    """[out, size]: `out` pixels over the interval [start, start + span] of a line of `size` pixels.

    Bilinear with antialiasing (a triangle as wide as the larger of both pixels), as `tf.image.resize` has it. `span`
    None: the whole line. What lies outside of the line does not count, or, with `mirror`, is the mirrored line.
    """
    step = (size if span is None else span) / out
    reach = max(1.0, step)
    centres = start + (np.arange(out) + 0.5) * step
    places = np.arange(int(np.floor(centres[0] - reach)), int(np.ceil(centres[-1] + reach)) + 1)
    weights = np.maximum(0, 1 - np.abs(places + 0.5 - centres[:, None]) / reach)
    if not mirror:
        weights *= (places >= 0) & (places < size)
    weights /= weights.sum(1, keepdims=True)
    folded = places % (2 * size)
    folded = np.where(folded < size, folded, 2 * size - 1 - folded)
    matrix = np.zeros((out, size))
    for column, place in enumerate(folded):
        matrix[:, place] += weights[:, column]
    return matrix.astype(np.float32)


def resample(images: tf.Tensor, rows: np.ndarray, columns: np.ndarray) -> tf.Tensor:
    """Images [B, H, W, C] by matrices [h, H] and [w, W] → [B, h, w, C]."""
    return tf.einsum("jw,biwc->bijc", tf.constant(columns), tf.einsum("ih,bhwc->biwc", tf.constant(rows), images))


def resize(images: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Images [B, H, W, C], float32 → [B, height, width, C], bilinear with antialiasing."""
    sizes = (images.shape[1], images.shape[2], height, width)
    if all(isinstance(size, int) for size in sizes):
        return resample(images, resampling_matrix(sizes[0], height), resampling_matrix(sizes[1], width))
    return tf.image.resize(images, (height, width), method="bilinear", antialias=True)
