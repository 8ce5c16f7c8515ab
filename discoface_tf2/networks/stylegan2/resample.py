"""Resampling by two with the [1, 3, 3, 1] filter, alone or around a convolution.

The definitions are upfirdn's (StyleGAN2, appendix B): insert zeros, pad, filter, keep every other sample. At one rate
that is a depthwise convolution. Between two rates it runs as a matrix product with a banded constant along each axis:
on CPU several times faster than slices or fused convolutions, and the gradients of a strided depthwise convolution
are slow in bfloat16. `tests/networks/test_resample.py` holds the slow definitions.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

FILTER = (1.0, 3.0, 3.0, 1.0)


@functools.cache
def band_matrix(outputs: int, inputs: int, *, up: int = 1, down: int = 1, pad: int) -> np.ndarray:
    """upfirdn along one axis as a matrix [outputs, inputs], float32.

    Sample i lands at place pad + up·i of a line of zeros; output o is the filter's sum over the places from down·o on.
    The filter sums to `up`, which makes up for the inserted zeros.
    """
    taps = np.asarray(FILTER) * (up / sum(FILTER))
    tap = pad + up * np.arange(inputs)[None, :] - down * np.arange(outputs)[:, None]
    inside = (tap >= 0) & (tap < len(taps))
    return np.where(inside, taps[np.where(inside, tap, 0)], 0.0).astype(np.float32)


def _resample(x: tf.Tensor, size: tuple[int, int], *, up: int = 1, down: int = 1, pad: int) -> tf.Tensor:
    """Map both axes of x [B, H, W, C] with `band_matrix` → [B, *size, C]."""
    height, width, channels = x.shape[1:]
    columns = tf.constant(band_matrix(size[1], width, up=up, down=down, pad=pad), x.dtype)
    rows = tf.constant(band_matrix(size[0], height, up=up, down=down, pad=pad), x.dtype)
    x = tf.matmul(columns, tf.reshape(x, [-1, width, channels]))  # [B·H, W', C]
    x = tf.matmul(rows, tf.reshape(x, [-1, height, size[1] * channels]))  # [B, H', W'·C]
    return tf.reshape(x, [-1, *size, channels])


def _blur(x: tf.Tensor, pad: int) -> tf.Tensor:
    """Filter x [B, H, W, C], with `pad` zeros around it → [B, H + 2·pad - 3, W + 2·pad - 3, C]."""
    taps = np.asarray(FILTER) / sum(FILTER)
    kernel = np.tile(np.outer(taps, taps)[:, :, None, None], [1, 1, x.shape[3], 1])
    x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    return tf.nn.depthwise_conv2d(x, tf.constant(kernel, x.dtype), [1, 1, 1, 1], "VALID")


def upsample(x: tf.Tensor) -> tf.Tensor:
    """Enlarge x [B, H, W, C] by two → [B, 2H, 2W, C]: 3/4 of the nearest sample and 1/4 of the next, an axis."""
    return _resample(x, (2 * x.shape[1], 2 * x.shape[2]), up=2, pad=2)


def downsample(x: tf.Tensor) -> tf.Tensor:
    """Reduce x [B, H, W, C] by two → [B, H/2, W/2, C]: the filter over the 4 × 4 pixels around each output."""
    return _resample(x, (x.shape[1] // 2, x.shape[2] // 2), down=2, pad=1)


def conv_upsample(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Enlarge x [B, H, W, I] by two and convolve with kernel [3, 3, I, O] → [B, 2H, 2W, O].

    Zeros are inserted, the kernel is applied (together a transposed convolution), then the filter, which commutes.
    """
    height, width, outputs = 2 * x.shape[1], 2 * x.shape[2], kernel.shape[3]
    # A transposed convolution scatters: turned by half a turn, the kernel gathers as convolutions here do.
    turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    shape = [tf.shape(x)[0], height + 1, width + 1, outputs]
    x = tf.nn.conv2d_transpose(x, tf.cast(4.0 * turned, x.dtype), shape, 2, "VALID")
    return _blur(tf.ensure_shape(x, [None, height + 1, width + 1, outputs]), pad=1)


def conv_downsample(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Filter x [B, H, W, I], convolve with kernel [3, 3, I, O] and keep every other pixel → [B, H/2, W/2, O]."""
    return tf.nn.conv2d(_blur(x, pad=2), tf.cast(kernel, x.dtype), 2, "VALID")
