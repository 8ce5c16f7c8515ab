from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_graphics.rendering.volumetric import ray_radiance

from discoface_tf2.fields import (
    Order,
    composite,
    importance,
    last_back,
    opacity,
    ray_jitter,
    ray_weights,
    stratified,
)
from discoface_tf2.sampling import RAYS, ReplicaShare
from tests.helpers.layer_harness import check_directional_gradient, normal

RANDOM = np.random.default_rng(0)


def slow_weights(density: np.ndarray, depths: np.ndarray, behind: float) -> np.ndarray:
    """One sample of one ray at a time, [R, N]."""
    weights = np.zeros_like(density)
    for ray in range(len(density)):
        through = 1.0
        for k in range(density.shape[1]):
            step = depths[ray, k + 1] - depths[ray, k] if k + 1 < density.shape[1] else behind
            alpha = 1 - np.exp(-density[ray, k] * step)
            weights[ray, k] = through * alpha
            through *= 1 - alpha
    return weights


def test_weights_against_a_slow_loop_and_tensorflow_graphics():
    density, depths = RANDOM.uniform(0, 3, [5, 7]), np.sort(RANDOM.uniform(8, 12, [5, 7]))
    weights = ray_weights(opacity(tf.constant(density), tf.constant(depths), behind=0.5))
    np.testing.assert_allclose(weights, slow_weights(density, depths, 0.5), atol=1e-7)
    colours, steps = RANDOM.uniform(0, 1, [5, 7, 3]), np.diff(depths, append=depths[:, -1:] + 0.5)
    rgb, shown, same = ray_radiance.compute_radiance(np.concatenate([colours, density[..., None]], -1), steps)
    np.testing.assert_allclose(weights, same, atol=1e-12)
    values, depth = composite(tf.constant(colours), weights, tf.constant(depths))
    np.testing.assert_allclose(values, rgb, atol=1e-12)
    np.testing.assert_allclose(tf.reduce_sum(weights, -1, keepdims=True), shown)
    np.testing.assert_allclose(depth[:, 0], (same * depths).numpy().sum(-1))


def test_the_last_sample_stands_for_all_that_is_behind():
    depths = tf.constant([[8.0, 9.0, 10.0]])
    alpha = opacity(tf.constant([[0.1, 0.0, 1e-3]]), depths, lengths=2.0)
    np.testing.assert_allclose(alpha, [[1 - np.exp(-0.2), 0, 1]], rtol=1e-6)
    weights = ray_weights(opacity(tf.constant([[0.1, 0.2, 0.0]]), depths))
    filled = last_back(weights)
    np.testing.assert_allclose(filled[:, :2], weights[:, :2])
    np.testing.assert_allclose(filled[0, 2], np.exp(-0.3), rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_samples_in_any_order_are_those_in_order(compiled):
    """Also where depths are equal: the first of the two is before the other."""
    depths = RANDOM.permuted(np.repeat(np.linspace(8, 12, 5)[None, None], 6, 1).reshape(2, 3, 5), axis=-1)
    depths = np.concatenate([depths, depths[..., 1:3]], -1).astype(np.float32)

    def both(depths, x):
        order = Order(depths)
        return order.ascending(depths), order.ascending(x), order.back(order.ascending(x))

    x = RANDOM.normal(size=depths.shape).astype(np.float32)
    ascending, moved, again = tf.function(both, jit_compile=compiled)(tf.constant(depths), tf.constant(x))
    np.testing.assert_array_equal(ascending, np.sort(depths))
    np.testing.assert_array_equal(moved, np.take_along_axis(x, np.argsort(depths, kind="stable"), -1))
    np.testing.assert_array_equal(again, x)


def test_a_surface_among_the_samples_hides_what_is_behind():
    """As Exp-GAN's face: its α is its own, and what lies before it shows."""
    depths = tf.constant([[[9.0, 11.0, 10.0]]])  # hair, neck, face
    alpha = tf.constant([[[0.25, 0.5, 1.0]]])
    order = Order(depths)
    weights = order.back(ray_weights(order.ascending(alpha)))
    np.testing.assert_allclose(weights, [[[0.25, 0.0, 0.75]]], atol=1e-6)


def test_gradients():
    depths = tf.constant(np.sort(RANDOM.uniform(8, 12, [4, 6])), tf.float64)
    aim = tf.constant(normal(4, 3))

    def loss(density, values, places):
        weights = last_back(ray_weights(opacity(tf.square(density), depths + 0.01 * places, behind=0.3)))
        shown, depth = composite(values, weights, depths)
        return tf.reduce_sum(aim * shown**2) + tf.reduce_sum(depth**2)

    check_directional_gradient(loss, normal(4, 6), normal(4, 6, 3, seed=1), normal(4, 6, seed=2))


# ---- depths ------------------------------------------------------------------------------------------------------


def test_stratified_depths_are_one_in_each_bin():
    depths = stratified(8.0, 12.0, tf.constant(RANDOM.uniform(0, 1, [50, 8]), tf.float32)).numpy()
    np.testing.assert_array_equal(np.floor((depths - 8) * 2), np.broadcast_to(np.arange(8), [50, 8]))
    np.testing.assert_allclose(stratified(8.0, 12.0, tf.fill([1, 4], 0.5)), [[8.5, 9.5, 10.5, 11.5]])
    near, far = tf.constant([[8.0], [9.0]]), tf.constant([[12.0], [10.0]])
    np.testing.assert_allclose(stratified(near, far, tf.zeros([2, 2])), [[8, 10], [9, 9.5]])


def slow_importance(depths: np.ndarray, weights: np.ndarray, share: np.ndarray) -> np.ndarray:
    """By searching the distribution function, one sample at a time."""
    result = np.zeros_like(share)
    for ray in range(len(depths)):
        edges, mass = (depths[ray, 1:] + depths[ray, :-1]) / 2, weights[ray, 1:-1] + 1e-5
        total = np.concatenate([[0], np.cumsum(mass / mass.sum())])
        result[ray] = [np.interp(u, total, edges) for u in share[ray]]
    return result


def test_importance_against_a_slow_search():
    depths, weights = np.sort(RANDOM.uniform(8, 12, [9, 12])), RANDOM.uniform(0, 1, [9, 12]) ** 4
    weights[0], weights[1, 5] = 0, 1e6  # nothing was seen; one sample saw everything
    jitter = RANDOM.uniform(0, 1, [9, 16])
    sampled = importance(tf.constant(depths), tf.constant(weights), tf.constant(jitter)).numpy()
    np.testing.assert_allclose(sampled, slow_importance(depths, weights, (np.arange(16) + jitter) / 16), atol=1e-9)
    assert (np.diff(sampled) > 0).all()
    low, high = (depths[1, 4] + depths[1, 5]) / 2, (depths[1, 5] + depths[1, 6]) / 2
    assert ((low <= sampled[1]) & (sampled[1] <= high)).all()
    with pytest.raises(ValueError, match="3 depths or more"):
        importance(tf.zeros([1, 2]), tf.zeros([1, 2]), tf.zeros([1, 4]))


def test_an_images_jitter_is_its_own_on_any_number_of_replicas():
    images = tf.Variable(800, dtype=tf.int64)
    alone = ray_jitter(ReplicaShare(3, images, 4).image_seeds(RAYS, 4), 6, 5).numpy()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    share = ReplicaShare(3, images, 2, 2)
    shares = strategy.run(lambda: ray_jitter(share.image_seeds(RAYS, 2), 6, 5)).values
    np.testing.assert_array_equal(np.stack(shares, 1).reshape(4, 6, 5), alone)
    images.assign(804)
    later = ray_jitter(ReplicaShare(3, images, 4).image_seeds(RAYS, 4), 6, 5).numpy()
    assert len(np.unique(np.concatenate([alone, later]))) == 240 and alone.min() >= 0 and alone.max() < 1
