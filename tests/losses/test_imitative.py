"""Imitative losses on cases whose answer is known."""

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.losses import imitative


@pytest.mark.parametrize("degrees, expected", [(0, 0.3), (40, 0.3), (60, 0.5), (90, 1.0), (180, 2.0)])
def test_identity_is_the_cosine_distance_clipped_from_below(degrees, expected):
    angle = np.deg2rad(degrees)
    fake = tf.constant([[3.0 * np.cos(angle), 3.0 * np.sin(angle)]], tf.float32)
    np.testing.assert_allclose(imitative.identity_loss(fake, tf.constant([[2.0, 0.0]])), [expected], atol=1e-6)


def test_identity_closer_than_the_floor_has_no_gradient():
    fake = tf.Variable([[1.0, 0.2]])
    with tf.GradientTape() as tape:
        loss = imitative.identity_loss(fake, tf.constant([[1.0, 0.0]]))
    np.testing.assert_array_equal(tape.gradient(loss, fake), [[0.0, 0.0]])


def test_landmarks_off_by_a_tenth_of_the_crop():
    wanted = tf.random.stateless_uniform([2, 68, 2], [1, 1], maxval=224)
    loss = imitative.landmark_loss(wanted + tf.constant([[[22.4, 22.4]], [[22.4, 0.0]]]), wanted)
    np.testing.assert_allclose(loss, [0.01, 0.005], rtol=1e-4)


def test_lighting_is_the_mean_absolute_difference():
    loss = imitative.lighting_loss(tf.zeros([1, 27]), tf.constant([[0.3] * 9 + [-0.6] * 9 + [0.0] * 9]))
    np.testing.assert_allclose(loss, [0.3], rtol=1e-5)


def test_expression_is_compared_in_units_of_its_spread():
    std = tf.constant([0.5, 2.0])
    loss = imitative.expression_loss(tf.constant([[1.0, 0.0], [0.0, 0.0]]), tf.constant([[0.0, 2.0], [0.0, 0.0]]), std)
    np.testing.assert_allclose(loss, [(4.0 + 1.0) / 2, 0.0], rtol=1e-6)


def test_skin_colour_compares_means_and_sees_the_mask_alone():
    mask = np.zeros([1, 8, 8, 1], np.float32)
    mask[:, 2:6, 2:6] = 1
    fake = np.random.default_rng(0).normal(size=[1, 8, 8, 3]).astype(np.float32)
    inside = fake[0, 2:6, 2:6].reshape(-1, 3).mean(0)
    render = np.broadcast_to(inside + np.float32([0.3, 0.0, -0.4]), [1, 8, 8, 3]).astype(np.float32)
    np.testing.assert_allclose(imitative.skin_colour_loss(fake, render, mask), [0.5], atol=1e-4)


def test_masked_l1_is_the_mean_colour_distance_inside():
    mask = np.zeros([2, 4, 4, 1], np.float32)
    mask[0, :2], mask[1, 0, 0] = 1, 1
    fake, render = np.zeros([2, 4, 4, 3], np.float32), np.zeros([2, 4, 4, 3], np.float32)
    fake[0, 0] = [0.6, 0.0, 0.8]  # distance 1 in half of the mask
    fake[0, 3] = 9.0  # outside
    fake[1, 0, 0] = [0.0, 2.0, 0.0]
    np.testing.assert_allclose(imitative.masked_l1_loss(fake, render, mask), [0.5, 2.0], atol=1e-3)


def test_an_empty_mask_costs_nothing_and_has_finite_gradients():
    fake = tf.Variable(tf.ones([1, 4, 4, 3]))
    mask = tf.zeros([1, 4, 4, 1])
    with tf.GradientTape() as tape:
        loss = imitative.masked_l1_loss(fake, tf.ones([1, 4, 4, 3]), mask) + imitative.skin_colour_loss(
            fake, fake, mask
        )
    assert float(loss[0]) < 1e-3
    assert np.isfinite(tape.gradient(loss, fake).numpy()).all()
