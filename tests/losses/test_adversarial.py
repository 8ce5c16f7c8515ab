"""Adversarial losses against their formulas and cases with a known answer."""

import numpy as np
import tensorflow as tf

from discoface_tf2.losses import adversarial


def test_logistic_losses_equal_their_formulas():
    real, fake = np.array([[2.0], [-1.0]], np.float32), np.array([[0.5], [-3.0]], np.float32)

    def softplus(x):
        return np.log1p(np.exp(x))

    np.testing.assert_allclose(adversarial.generator_loss(tf.constant(fake)), softplus(-fake[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(
        adversarial.discriminator_loss(tf.constant(real), tf.constant(fake)),
        softplus(-real[:, 0]) + softplus(fake[:, 0]),
        rtol=1e-6,
    )


def test_r1_of_a_linear_discriminator_is_its_squared_weight_norm():
    weights = tf.random.stateless_normal([8, 8, 3], [1, 2])
    images = tf.random.stateless_normal([5, 8, 8, 3], [3, 4])
    penalty = adversarial.r1_penalty(lambda x: tf.tensordot(x, weights, 3)[:, None] + 7.0, images)
    np.testing.assert_allclose(penalty, np.full(5, np.sum(np.square(weights))), rtol=1e-5)


def test_r1_second_order_gradient_against_finite_differences():
    images = tf.random.stateless_normal([2, 4, 4, 3], [5, 6])
    scale = tf.Variable(0.7)

    def penalty():
        return tf.reduce_sum(
            adversarial.r1_penalty(lambda x: tf.reduce_sum(tf.tanh(scale * x), [1, 2, 3])[:, None], images)
        )

    with tf.GradientTape() as tape:
        value = penalty()
    gradient = tape.gradient(value, scale)
    step = 1e-2
    scale.assign(0.7 + step)
    above = penalty()
    scale.assign(0.7 - step)
    np.testing.assert_allclose(gradient, (above - penalty()) / (2 * step), rtol=1e-2)


def test_path_length_of_a_linear_synthesis():
    # The image is w summed over layers, times a fixed picture A: the gradient to each layer is Σ A·y / size, the length
    # its norm over the (single) dimension.
    picture = tf.random.stateless_normal([6, 6, 3], [7, 8])
    noise = tf.random.stateless_normal([4, 6, 6, 3], [9, 10])
    ws = tf.ones([4, 3, 1])
    lengths = adversarial.path_lengths(lambda w: tf.reduce_sum(w, 1)[:, :, None, None] * picture, ws, noise)
    expected = np.abs(np.sum(picture * noise, axis=(1, 2, 3))) / 6
    np.testing.assert_allclose(lengths, expected, rtol=1e-5)
