"""Blur and resampling of StyleGAN (2019): a [1, 2, 1] filter, and convolutions that enlarge or reduce by two.

Zeros surround the feature map at each step (blur, then convolve), which is where this differs from the [1, 3, 3, 1]
filter of `networks.resample`: inside they are the same sums. `reference` holds the slow definitions.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def blur(x: tf.Tensor) -> tf.Tensor:
    """Filter x [B, H, W, C] with [1, 2, 1] / 4 along both axes, zeros around it → the same shape."""
    taps = np.asarray([1.0, 2.0, 1.0]) / 4.0
    kernel = np.tile(np.outer(taps, taps)[:, :, None, None], [1, 1, x.shape[3], 1])
    return tf.nn.depthwise_conv2d(x, tf.constant(kernel, x.dtype), [1, 1, 1, 1], "SAME")


def _spread(kernel: tf.Tensor) -> tf.Tensor:
    """A kernel [3, 3, I, O] over 2 × 2 equal pixels at once: [4, 4, I, O]."""
    padded = tf.pad(kernel, [[1, 1], [1, 1], [0, 0], [0, 0]])
    return padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]


def conv_enlarge(x: tf.Tensor, kernel: tf.Tensor, *, turned: bool) -> tf.Tensor:
    """Repeat each pixel of x [B, H, W, I] twice along both axes and convolve with kernel [3, 3, I, O] → [B, 2H, 2W, O].

    It runs as one transposed convolution. `turned` convolves with the kernel turned by half a turn, as the original
    does where it fuses both steps (at 128 and above), because a transposed convolution scatters what others gather.
    """
    scattered = kernel if turned else tf.reverse(kernel, [0, 1])
    weights = tf.transpose(_spread(scattered), [0, 1, 3, 2])  # [4, 4, O, I]
    height, width, outputs = 2 * x.shape[1], 2 * x.shape[2], kernel.shape[3]
    shape = [tf.shape(x)[0], height, width, outputs]
    y = tf.nn.conv2d_transpose(x, tf.cast(weights, x.dtype), shape, 2, "SAME")
    return tf.ensure_shape(y, [None, height, width, outputs])


def conv_reduce(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve x [B, H, W, I] with kernel [3, 3, I, O] and average 2 × 2 pixels → [B, H/2, W/2, O]."""
    return tf.nn.conv2d(x, tf.cast(_spread(kernel) / 4.0, x.dtype), 2, "SAME")
