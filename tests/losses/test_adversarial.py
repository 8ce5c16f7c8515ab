"""Adversarial losses against their formulas and cases with a known answer."""

import numpy as np
import tensorflow as tf

from discoface_tf2.losses import adversarial
from discoface_tf2.networks.stylegan2 import Discriminator, Synthesis
from tests.helpers.layer_harness import normal


def test_logistic_losses_equal_their_formulas():
    real, fake = np.array([[2.0], [-1.0]], np.float32), np.array([[0.5], [-3.0]], np.float32)

    def softplus(x):
        return np.log1p(np.exp(x))

    np.testing.assert_allclose(adversarial.generator_loss(tf.constant(fake)), softplus(-fake[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(adversarial.real_loss(tf.constant(real)), softplus(-real[:, 0]), rtol=1e-6)
    np.testing.assert_allclose(adversarial.fake_loss(tf.constant(fake)), softplus(fake[:, 0]), rtol=1e-6)


def test_r1_of_a_linear_discriminator_is_its_squared_weight_norm():
    weights = tf.random.stateless_normal([8, 8, 3], [1, 2])
    images = tf.random.stateless_normal([5, 8, 8, 3], [3, 4])
    penalty = adversarial.r1_penalty(lambda x: tf.tensordot(x, weights, 3)[:, None] + 7.0, images)
    np.testing.assert_allclose(penalty, np.full(5, np.sum(np.square(weights))), rtol=1e-5)


def random_networks():
    """A discriminator of 8 × 8 and a synthesis of 4 × 4, in float64, small enough to differentiate by hand."""
    discriminator = Discriminator({4: 4, 8: 3}, minibatch_std_group=1, dtype="float64")
    discriminator.build((None, 8, 8, 3))
    synthesis = Synthesis({4: 3}, w_dim=2, dtype="float64")
    synthesis.build((None, 2, 2))
    return discriminator, synthesis


def check_weight_gradient(value, variables):
    """The gradient of value() along one direction of all weights beside central differences."""
    with tf.GradientTape() as tape:
        result = value()
    gradients = tape.gradient(result, [v.value for v in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    start = [v.numpy() for v in variables]
    directions = [normal(*v.shape, seed=k) for k, v in enumerate(start)]
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions, strict=True))

    def moved(step):
        for variable, was, direction in zip(variables, start, directions, strict=True):
            variable.assign(was + step * direction)
        return float(value())

    assert abs(slope) > 1e-3
    np.testing.assert_allclose(slope, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-5)


def test_r1_is_each_images_squared_slope_and_its_gradient_is_exact():
    discriminator, _ = random_networks()
    images = normal(2, 8, 8, 3)
    penalty = adversarial.r1_penalty(discriminator, tf.constant(images)).numpy()
    for image, expected in zip(images, penalty, strict=True):
        steps = 1e-6 * np.eye(image.size).reshape(image.size, *image.shape)  # one pixel at a time
        above, below = discriminator(image + steps)[:, 0], discriminator(image - steps)[:, 0]
        slopes = (above - below) / 2e-6
        np.testing.assert_allclose(np.sum(np.square(slopes)), expected, rtol=1e-6)
    x = tf.constant(images)
    check_weight_gradient(
        lambda: tf.reduce_sum(adversarial.r1_penalty(discriminator, x)), discriminator.trainable_variables
    )


def test_path_length_by_the_whole_jacobian_and_its_gradient():
    _, synthesis = random_networks()
    ws, noise = tf.constant(normal(3, 2, 2)), tf.constant(normal(3, 4, 4, 3, seed=1))
    with tf.GradientTape() as tape:
        tape.watch(ws)
        images = synthesis(ws)
    jacobian = tape.batch_jacobian(images, ws).numpy()  # [B, 4, 4, 3, layers, w]
    product = np.einsum("bhwclv,bhwc->blv", jacobian, noise.numpy()) / np.sqrt(4 * 4)
    expected = np.sqrt((product**2).sum(2).mean(1))
    np.testing.assert_allclose(adversarial.path_lengths(synthesis, ws, noise), expected, rtol=1e-9)
    check_weight_gradient(
        lambda: tf.reduce_sum((adversarial.path_lengths(synthesis, ws, noise) - 0.3) ** 2),
        synthesis.trainable_variables,
    )


def test_path_length_of_a_linear_synthesis():
    # The image is w summed over layers, times a fixed picture A: the gradient to each layer is Σ A·y / size, the length
    # its norm over the (single) dimension.
    picture = tf.random.stateless_normal([6, 6, 3], [7, 8])
    noise = tf.random.stateless_normal([4, 6, 6, 3], [9, 10])
    ws = tf.ones([4, 3, 1])
    lengths = adversarial.path_lengths(lambda w: tf.reduce_sum(w, 1)[:, :, None, None] * picture, ws, noise)
    expected = np.abs(np.sum(picture * noise, axis=(1, 2, 3))) / 6
    np.testing.assert_allclose(lengths, expected, rtol=1e-5)
