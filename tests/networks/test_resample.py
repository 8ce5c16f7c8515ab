"""Resampling against upfirdn, written from its definition."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.networks.stylegan2.resample import band_matrix, conv_downsample, conv_upsample, downsample, upsample
from tests.helpers.layer_harness import check_directional_gradient, normal, squared_gradient
from tests.helpers.slow_resample import slow_conv_downsample, slow_conv_upsample, upfirdn

X = normal(2, 8, 6, 3)
KERNEL = normal(3, 3, 3, 4, seed=1)


@pytest.mark.parametrize("dtype, tolerance", [(tf.float64, 1e-12), (tf.float32, 1e-5), (tf.bfloat16, 0.2)])
def test_equals_the_definition(dtype, tolerance):
    x, kernel = tf.constant(X, dtype), tf.constant(KERNEL, dtype)
    for fast, slow in (
        (upsample(x), upfirdn(X, 2, 1, 2, 1)),
        (downsample(x), upfirdn(X, 1, 2, 1, 1)),
        (conv_upsample(x, kernel), slow_conv_upsample(X, KERNEL)),
        (conv_downsample(x, kernel), slow_conv_downsample(X, KERNEL)),
    ):
        assert fast.dtype == dtype
        np.testing.assert_allclose(tf.cast(fast, tf.float64), slow, atol=tolerance)


def test_known_values():
    np.testing.assert_allclose(band_matrix(4, 2, up=2, pad=2) * 4, [[3, 0], [3, 1], [1, 3], [0, 3]])
    np.testing.assert_allclose(band_matrix(2, 4, down=2, pad=1) * 8, [[3, 3, 1, 0], [0, 1, 3, 3]])
    flat = tf.ones([1, 8, 8, 1])  # away from the border, a constant stays what it is
    np.testing.assert_allclose(upsample(flat)[:, 1:-1, 1:-1], 1.0)
    np.testing.assert_allclose(downsample(flat)[:, 1:-1, 1:-1], 1.0)


def test_enlarging_then_convolving_is_the_same_inside():
    """The fused form differs from upsample, then a convolution, at the border alone."""
    plain = tf.nn.conv2d(upsample(tf.constant(X)), tf.constant(KERNEL), 1, "SAME")
    fused = conv_upsample(tf.constant(X), tf.constant(KERNEL))
    np.testing.assert_allclose(fused[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1], atol=1e-12)


@pytest.mark.parametrize("op", [upsample, downsample])
def test_gradients_of_plain_resampling(op):
    check_directional_gradient(lambda x: tf.reduce_sum(op(x) ** 3), X)
    check_directional_gradient(lambda x: squared_gradient(lambda x: op(x) ** 3, x), X)


@pytest.mark.parametrize("op", [conv_upsample, conv_downsample])
def test_gradients_of_resampling_convolutions(op):
    check_directional_gradient(lambda x, k: tf.reduce_sum(op(x, k) ** 3), X, KERNEL)
    check_directional_gradient(lambda x, k: squared_gradient(lambda x, k: op(x, k) ** 2, x, k), X, KERNEL)


def test_sizes_are_static_and_the_batch_may_be_unknown():
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 6, 3])])
    def run(x):
        up = conv_upsample(x, tf.constant(KERNEL, tf.float32))
        assert up.shape.as_list() == [None, 16, 12, 4]
        return downsample(up)

    assert run(tf.constant(X, tf.float32)).shape == (2, 8, 6, 4)
