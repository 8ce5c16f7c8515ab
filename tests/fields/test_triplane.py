from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.fields import TriplaneDecoder, look_up
from tests.helpers.layer_harness import check_directional_gradient, check_gradients, normal, run_layer_test


def slow_look_up(planes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """One point and one plane at a time."""
    batch, size, _, channels = planes.shape
    result = np.zeros([*points.shape[:2], channels // 3])
    for b in range(batch):
        for p, point in enumerate(points[b]):
            for plane, (right, up) in enumerate([(0, 1), (0, 2), (1, 2)]):
                image = planes[b, :, :, plane * channels // 3 : (plane + 1) * channels // 3]
                x = np.clip((point[right] + 1) / 2 * size - 0.5, 0, size - 1)
                y = np.clip((1 - point[up]) / 2 * size - 0.5, 0, size - 1)
                i, j = min(int(y), size - 2), min(int(x), size - 2)
                upper = image[i, j] * (1 - x + j) + image[i, j + 1] * (x - j)
                lower = image[i + 1, j] * (1 - x + j) + image[i + 1, j + 1] * (x - j)
                result[b, p] += upper * (1 - y + i) + lower * (y - i)
    return result


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_look_up_against_a_slow_loop(mode):
    planes, points = normal(2, 5, 5, 12), np.random.default_rng(1).uniform(-1.3, 1.3, [2, 40, 3])
    run = look_up if mode == "eager" else tf.function(look_up, jit_compile=mode == "xla")
    found = run(tf.constant(planes, tf.float32), tf.constant(points, tf.float32))
    np.testing.assert_allclose(found, slow_look_up(planes, points), atol=1e-5)


def test_planes_of_the_coordinates_give_them_back():
    """A plane that holds its own coordinates, row 0 at the top, is the identity between the outermost centres."""
    size = 8
    centres = (np.arange(size) + 0.5) / size * 2 - 1
    across, up = np.meshgrid(centres, -centres)
    planes = np.zeros([1, size, size, 9], np.float32)
    planes[0, ..., 0], planes[0, ..., 1], planes[0, ..., 5] = across, up, up  # xy gives x and y, xz gives z
    points = np.random.default_rng(0).uniform(-0.87, 0.87, [1, 50, 3]).astype(np.float32)
    np.testing.assert_allclose(look_up(tf.constant(planes), tf.constant(points)), points, atol=1e-6)


def test_gradients_of_the_look_up():
    points = np.random.default_rng(1).uniform(-0.9, 0.9, [2, 9, 3])
    check_directional_gradient(
        lambda planes, points: tf.reduce_sum(look_up(planes, points) ** 2), normal(2, 4, 4, 6), points
    )


@pytest.mark.parametrize("shape", [(1, 4, 5, 6), (1, 4, 4, 5), (1, 1, 1, 6)])
def test_other_planes_are_refused(shape):
    with pytest.raises(ValueError, match=r"planes: expected \[B, A, A, 3·C\]"):
        look_up(tf.zeros(shape), tf.zeros([1, 2, 3]))


@pytest.mark.parametrize("activation", ["softplus", "leaky_relu"])
def test_decoder(activation):
    kwargs = dict(outputs=5, hidden=6, activation=activation, seed=1)
    run_layer_test(TriplaneDecoder, kwargs, [(2, 7, 4)], (2, 7, 5), exact_output=True)
    layer = TriplaneDecoder(**kwargs, dtype="float64")
    layer.build((None, None, 4))
    check_gradients(layer, [normal(2, 3, 4)], layer.trainable_variables)
    with pytest.raises(ValueError, match="softplus or leaky_relu"):
        TriplaneDecoder(5, activation="relu")


@pytest.mark.parametrize(("outputs", "parameters"), [
    (1 + 32, 32 * 64 + 64 + 64 * 33 + 33),  # Exp-GAN's: 4.3 thousand
    (1 + 32 + 19, 32 * 64 + 64 + (64 * 33 + 33) + (64 * 19 + 19)),  # CoPo's, its two heads side by side
])  # fmt: skip
def test_decoders_have_the_published_sizes(outputs, parameters):
    layer = TriplaneDecoder(outputs)
    layer.build((None, None, 32))
    assert layer.count_params() == parameters == {33: 4257, 52: 5492}[outputs]
