from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.fields import FilmMapping, FilmSiren
from tests.helpers.layer_harness import check_gradients, normal, run_layer_test


def test_mapping():
    kwargs = dict(films=3, film_width=4, width=5, seed=1)
    run_layer_test(FilmMapping, kwargs, [(2, 6)], (2, 2, 3, 4), exact_output=True, build_shape=(None, 6))


def test_field():
    shapes = [(2, 7, 3), (2, 7, 3), (2, 2, 3, 8)]
    run_layer_test(FilmSiren, dict(layers=2, width=8, seed=1), shapes, (2, 7, 4), exact_output=True)
    with pytest.raises(ValueError, match="layers and width ≥ 1"):
        FilmSiren(0)


def test_cgofs_sizes():
    """z of 411 to 9 frequencies and phases of 256; 8 layers, a density, a layer and a head for colours."""
    mapping, field = FilmMapping(), FilmSiren()
    mapping.build((None, 411))
    field.build((None, None, 3))
    assert mapping.dense[-1].units == 4608
    assert mapping.count_params() == 411 * 256 + 256 + 2 * (256 * 256 + 256) + 256 * 4608 + 4608 == 1_421_312
    hidden = 3 * 256 + 256 + 7 * (256 * 256 + 256)
    assert field.count_params() == hidden + (256 + 1) + (259 * 256 + 256) + (256 * 3 + 3) == 529_156


def test_initial_weights():
    """pi-GAN's: first layer ±1/3, others ±√(6 / n) / 25; the mapping's Kaiming, its last layer a quarter of that."""
    mapping, field = FilmMapping(seed=1), FilmSiren(seed=1)
    mapping.build((None, 411))
    field.build((None, None, 3))
    films = [*field.films, field.colour_film]
    for layer, inputs in zip([*films, field.density, field.colour], [3, *[256] * 7, 259, 256, 256], strict=True):
        spread = 1 / 3 if inputs == 3 else np.sqrt(6 / inputs) / 25
        kernel, bias = np.abs(layer.kernel), np.abs(layer.bias)
        assert 0.97 * spread < kernel.max() <= spread and kernel.mean() == pytest.approx(spread / 2, rel=0.15)
        assert bias.max() <= 1 / np.sqrt(inputs)
    for number, inputs in enumerate([411, 256, 256, 256]):
        expected = np.sqrt(2 / 1.04 / inputs) / (4 if number == 3 else 1)
        assert np.std(mapping.dense[number].kernel) == pytest.approx(expected, rel=0.02)


def test_field_against_its_equations():
    layer = FilmSiren(2, 8, seed=2)
    layer.build((None, None, 3))
    points, directions, styles = normal(2, 5, 3), normal(2, 5, 3, seed=1), normal(2, 2, 3, 8, seed=2)
    found = layer(*(tf.constant(x, tf.float32) for x in (points, directions, styles))).numpy()
    for b in range(2):
        f, p = 15 * styles[b, 0] + 30, styles[b, 1]
        x = points[b]
        for k in range(2):
            x = np.sin(f[k] * (x @ layer.films[k].kernel.numpy() + layer.films[k].bias.numpy()) + p[k])
        density = x @ layer.density.kernel.numpy() + layer.density.bias.numpy()
        x = np.concatenate([directions[b], x], -1)
        x = np.sin(f[2] * (x @ layer.colour_film.kernel.numpy() + layer.colour_film.bias.numpy()) + p[2])
        rgb = 1 / (1 + np.exp(-(x @ layer.colour.kernel.numpy() + layer.colour.bias.numpy())))
        np.testing.assert_allclose(found[b], np.concatenate([rgb, density], -1), atol=2e-4)


def test_gradients_of_first_and_second_order():
    """Normals are gradients of the density, and cGOF's smoothness of them is a second."""
    layer = FilmSiren(2, 4, seed=3, dtype="float64")
    layer.build((None, None, 3))
    tensors = [0.1 * normal(2, 3, 3), normal(2, 3, 3, seed=1), 0.3 * normal(2, 2, 3, 4, seed=2)]
    check_gradients(layer, tensors, layer.trainable_variables)
