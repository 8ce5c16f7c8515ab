"""Resampling by upfirdn, written from its definition: float64 numpy, slow."""

from __future__ import annotations

import numpy as np


def upfirdn(x: np.ndarray, up: int, down: int, before: int, after: int) -> np.ndarray:
    """Insert zeros, pad, filter with [1, 3, 3, 1] in both axes with a gain of up², keep every `down`-th sample."""
    batch, height, width, channels = x.shape
    sparse = np.zeros((batch, height * up, width * up, channels))
    sparse[:, ::up, ::up] = x
    sparse = np.pad(sparse, ((0, 0), (before, after), (before, after), (0, 0)))
    taps = np.asarray([1, 3, 3, 1]) / 8 * up
    return correlate(sparse, np.einsum("i,j,cd->ijcd", taps, taps, np.eye(channels)))[:, ::down, ::down]


def correlate(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Every place at which the kernel [k, k, I, O] fits into x [B, H, W, I]."""
    k, height, width = len(kernel), x.shape[1] - len(kernel) + 1, x.shape[2] - len(kernel) + 1
    places = [(i, j) for i in range(k) for j in range(k)]
    return sum(x[:, i : i + height, j : j + width] @ kernel[i, j] for i, j in places)


def slow_conv_upsample(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Zeros inserted, kernel wherever it touches a sample, then the filter with upsampling's gain."""
    batch, height, width, channels = x.shape
    sparse = np.zeros((batch, 2 * height - 1, 2 * width - 1, channels))
    sparse[:, ::2, ::2] = x
    sparse = np.pad(sparse, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return 4 * upfirdn(correlate(sparse, kernel), 1, 1, 1, 1)


def slow_conv_downsample(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return correlate(upfirdn(x, 1, 1, 2, 2), kernel)[:, ::2, ::2]
