"""Resampling by matrices beside tf.image.resize, and beside a line that is mirrored by hand."""

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.perception.resizing import resample, resampling_matrix, resize


@pytest.mark.parametrize("size, out", [(64, 32), (64, 64), (48, 20), (16, 64), (7, 5), (1, 4), (5, 1)])
def test_resize_is_that_of_tensorflow(size, out):
    images = tf.random.stateless_normal([2, size, size + 3, 3], [1, size])
    expected = tf.image.resize(images, (out, out + 1), method="bilinear", antialias=True)
    np.testing.assert_allclose(resize(images, out, out + 1), expected, atol=5e-5)


def test_resize_of_pictures_whose_size_is_not_known_before():
    images = tf.random.stateless_normal([2, 12, 10, 3], [1, 2])
    free = tf.function(lambda x: resize(x, 5, 6), input_signature=[tf.TensorSpec([None, None, None, 3])])
    np.testing.assert_allclose(free(images), resize(images, 5, 6), atol=2e-6)


def test_mirrored_border():
    line = np.arange(6.0, dtype=np.float32)
    longer = np.concatenate([line[::-1], line, line[::-1]])  # by hand
    inner = resampling_matrix(18, 8, 5.0, 8.0) @ longer
    np.testing.assert_allclose(resampling_matrix(6, 8, -1.0, 8.0, mirror=True) @ line, inner, atol=1e-6)


def test_xla_compiles_it():
    images = tf.random.stateless_normal([1, 12, 12, 3], [1, 2])
    compiled = tf.function(lambda x: resize(x, 5, 7), jit_compile=True)
    np.testing.assert_allclose(compiled(images), resize(images, 5, 7), atol=2e-6)
    matrices = resampling_matrix(12, 5), resampling_matrix(12, 7)
    np.testing.assert_allclose(resample(images, *matrices), resize(images, 5, 7), atol=1e-6)
