"""Contrastive losses: zero for pairs that differ as they may, and known values for pairs that do not."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from discoface_tf2.losses import contrastive


def _smooth_image(seed, size=32):
    noise = np.random.default_rng(seed).normal(size=[size, size, 3])
    image = scipy.ndimage.gaussian_filter(noise, (3, 3, 0))
    return (image / np.abs(image).max()).astype(np.float32)[None]


def test_gaussian_blur_equals_scipy():
    image = _smooth_image(0)
    offsets = np.arange(5) - 2.0
    line = np.exp(-(offsets**2) / 8)
    line /= line.sum()
    expected = scipy.ndimage.correlate1d(image, line, axis=1, mode="mirror")
    expected = scipy.ndimage.correlate1d(expected, line, axis=2, mode="mirror")
    np.testing.assert_allclose(contrastive.gaussian_blur(tf.constant(image)), expected, atol=1e-6)


@pytest.mark.parametrize(
    "resolution, size, sigma", [(1024, 17, 8), (512, 9, 4), (256, 5, 2), (128, 3, 1), (64, 3, 0.5), (32, 3, 0.5)]
)
def test_the_blur_covers_the_same_share_of_a_face_at_every_resolution(resolution, size, sigma):
    assert contrastive.blur_of(resolution) == (size, sigma)


def test_expression_warp_blurs_as_its_resolution_asks():
    first, second = _smooth_image(2, 256), _smooth_image(3, 256)
    nothing = np.zeros([1, 256, 256, 1], np.float32)
    loss = contrastive.expression_warp_loss(first, second, np.zeros([1, 256, 256, 2], np.float32), nothing, nothing)
    difference = contrastive.gaussian_blur(tf.constant(first - second), 5, 2.0).numpy()  # the method's at 256
    np.testing.assert_allclose(loss, [np.linalg.norm(difference, axis=-1).mean()], rtol=1e-3)


def test_a_pair_that_moves_as_its_flow_says_costs_nothing_and_a_still_one_costs():
    wide = _smooth_image(1, 48)
    first, second = wide[:, 8:40, 8:40], wide[:, 8:40, 5:37]  # the picture moves 3 pixels to the right
    flow = np.zeros([1, 32, 32, 2], np.float32)
    flow[..., 0] = -3  # pixel x of image 2 is found at x - 3 in image 1
    masks = np.zeros([2, 1, 32, 32, 1], np.float32)
    masks[:, :, :, :6] = [[[[[1]]]], [[[[0]]]]]  # image 1's columns that only mesh 1 covers do not count
    moved = contrastive.expression_warp_loss(first, second, flow, masks[0], masks[1])
    still = contrastive.expression_warp_loss(first, first, flow, masks[0], masks[1])
    # The columns that image 1 does not have (clamped at the border) lie under the mask that is left out.
    assert float(moved[0]) < 1e-3
    assert float(still[0]) > 0.05


def test_expression_warp_of_a_constant_difference_is_its_length():
    first = np.zeros([1, 16, 16, 3], np.float32)
    second = np.broadcast_to(np.array([0.3, 0.0, 0.4], np.float32), [1, 16, 16, 3])
    nothing = np.zeros([1, 16, 16, 1], np.float32)
    loss = contrastive.expression_warp_loss(first, second, np.zeros([1, 16, 16, 2], np.float32), nothing, nothing)
    np.testing.assert_allclose(loss, [0.5], atol=1e-3)


def test_lighting_change_adds_its_three_terms():
    hair = tf.zeros([1, 8, 8, 1])
    front, side = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
    landmarks = tf.zeros([1, 68, 2])
    same = contrastive.lighting_change_loss(hair, hair, front, front, landmarks, landmarks)
    np.testing.assert_allclose(same, [0.0], atol=1e-6)
    other = contrastive.lighting_change_loss(hair, hair + 0.5, front, side, landmarks, landmarks + 2.24)
    np.testing.assert_allclose(other, [0.25 + 2.0 * 1.0 + 1000 * 1e-4], rtol=1e-5)
