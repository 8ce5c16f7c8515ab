"""The last step of a factor's decoder: sampled quantiles to the data's quantiles, coefficient by coefficient."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy.special import ndtr

GRID = np.linspace(-4.0, 4.0, 33)
"""Where quantiles are taken: at the probabilities Φ(GRID) of a normal distribution."""

_LEAST_STEP = 1e-4  # of a coefficient's standard deviation, from one quantile to the next


def quantile_table(values: np.ndarray) -> np.ndarray:
    """[N, size] values → [size, 33] strictly rising: their quantiles at the probabilities Φ(GRID).

    A value that many vectors share (an expression at rest) takes up several quantiles; they are set apart by a hair,
    around the value, so that the table stays invertible.
    """
    std = values.std(axis=0, dtype=np.float64)
    step = _LEAST_STEP * np.where(std > 1e-8, std, 1e-2)  # [size]
    table = np.quantile(values.astype(np.float64), ndtr(GRID), axis=0).T  # [size, 33]
    numbers = np.arange(GRID.size)
    for row, least in zip(table, step, strict=True):
        for value in np.unique(row):
            tied = np.flatnonzero(row == value)
            row[tied] += least * (tied - tied.mean())
        row[:] = np.maximum.accumulate(row - least * numbers) + least * numbers
    return table


def piecewise_linear(value: tf.Tensor, knots: np.ndarray, images: np.ndarray) -> tf.Tensor:
    """[B, size] → [B, size]: column k through the points (knots[k], images[k]), both [size, K] and rising.

    Beyond the first and the last point it stays at their images. Differentiable almost everywhere.
    """
    left, length = knots[:, :-1].astype(np.float32), np.diff(knots).astype(np.float32)  # [size, K − 1]
    slope = (np.diff(images) / np.diff(knots)).astype(np.float32)
    inside = tf.clip_by_value(value[..., None] - left, 0.0, length)  # [B, size, K − 1]
    return images[:, 0].astype(np.float32) + tf.reduce_sum(inside * slope, axis=-1)
