from __future__ import annotations

import numpy as np
import tensorflow as tf

from renderer.warp import warp


def slow_warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """One pixel at a time."""
    height, width = image.shape[:2]
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x = min(max(column + flow[row, column, 0], 0), width - 1)
            y = min(max(row + flow[row, column, 1], 0), height - 1)
            for r in (int(y), min(int(y) + 1, height - 1)):
                for c in (int(x), min(int(x) + 1, width - 1)):
                    if abs(x - c) < 1 and abs(y - r) < 1:
                        weight = (1 - abs(x - c)) * (1 - abs(y - r))
                        # At the last row or column both neighbours are the same pixel, counted once.
                        repeats = (1 + (int(y) == height - 1)) * (1 + (int(x) == width - 1))
                        result[row, column] += weight * image[r, c] / repeats
    return result


def test_warp_against_one_pixel_at_a_time():
    random = np.random.default_rng(0)
    image = random.normal(size=[2, 6, 9, 3]).astype(np.float32)
    flow = random.uniform(-5, 5, [2, 6, 9, 2]).astype(np.float32)
    flow[0, :3] = np.round(flow[0, :3])
    expected = np.stack([slow_warp(*pair) for pair in zip(image, flow, strict=True)])
    np.testing.assert_allclose(warp(image, flow), expected, atol=1e-5)
    np.testing.assert_allclose(tf.function(warp)(image, flow), expected, atol=1e-5)


def test_x_is_to_the_right_and_y_down_the_rows():
    image = np.arange(20, dtype=np.float32).reshape(1, 4, 5, 1)
    moved = warp(image, np.broadcast_to(np.float32([1, 2]), [1, 4, 5, 2]))
    np.testing.assert_array_equal(moved[0, :2, :4, 0], image[0, 2:, 1:, 0])


def test_gradients_against_finite_differences():
    random = np.random.default_rng(1)
    image = tf.constant(random.normal(size=[1, 5, 5, 2]), tf.float64)
    flow = tf.constant(random.uniform(0.1, 0.9, [1, 5, 5, 2]) - random.integers(0, 3, [1, 5, 5, 2]), tf.float64)
    weights = random.normal(size=[1, 5, 5, 2])
    with tf.GradientTape() as tape:
        tape.watch([image, flow])
        loss = tf.reduce_sum(warp(image, flow) * weights)
    gradients = tape.gradient(loss, [image, flow])
    for argument, gradient in zip((0, 1), gradients, strict=True):
        change = random.normal(size=[1, 5, 5, 2])
        up, down = ([image, flow] for _ in range(2))
        up[argument], down[argument] = up[argument] + 1e-6 * change, down[argument] - 1e-6 * change
        numeric = np.sum((warp(*up) - warp(*down)) * weights) / 2e-6
        np.testing.assert_allclose(np.sum(gradient * change), numeric, rtol=1e-5)
