"""Fragments, shadows and light at lists of pixels, beside slow references and plain cases."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from datasets.synthetic.fragments import Fragments, look_up, scatter
from datasets.synthetic.lamps import MAXIMUM, Lamps
from datasets.synthetic.shading import Light, Strands, Surface, strand_colour, surface_colour
from datasets.synthetic.shadows import ShadowMap
from renderer.rasterizer import interpolate, rasterize

CLIP = tf.constant(np.diag([1.0, 1.0, -0.5, 1.0])[None], tf.float32)


def square(z, half):
    return np.array([(-half, -half, z), (half, -half, z), (half, half, z), (-half, half, z)], np.float32)


QUAD = np.array([(0, 1, 2), (0, 2, 3)], np.int32)


def light_of(lamps):
    values = (lamps.ambient, lamps.slope, lamps.directions, lamps.colours)
    return Light(*(tf.constant(np.asarray(value)[None], tf.float32) for value in values))


def lamp(direction, colour=(1.0, 1.0, 1.0), ambient=0.0):
    directions, colours = np.tile([0.0, 0.0, 1.0], (MAXIMUM, 1)), np.zeros((MAXIMUM, 3))
    directions[0], colours[0] = np.array(direction) / np.linalg.norm(direction), colour
    return Lamps(np.full(3, ambient), 0.2, directions, colours)


def test_fragments_interpolate_as_the_whole_framebuffer_does():
    rng = np.random.default_rng(0)
    vertices = rng.uniform(-0.9, 0.9, (2, 9, 3)).astype(np.float32)
    triangles = np.arange(9, dtype=np.int32).reshape(3, 3)
    layer = rasterize(vertices, triangles, CLIP, (12, 12), False).layer(0)
    values = tf.constant(rng.normal(size=(2, 9, 4)), tf.float32)
    found = Fragments.of(layer)
    whole = scatter(found.pixel, found.interpolate(values), tf.constant(2 * 144))
    np.testing.assert_allclose(tf.reshape(whole, [2, 12, 12, 4]), interpolate(layer, values), atol=1e-5)
    assert 20 < len(found.pixel) < 288
    np.testing.assert_array_equal(found.image, found.pixel // 144)


def test_pictures_are_looked_up_between_texels_and_held_at_edges():
    ramp = np.tile(np.arange(4.0)[None, :, None], (4, 1, 1))
    pictures = tf.constant(np.stack([ramp, ramp.swapaxes(0, 1)]), tf.float32)
    u = np.array([0.125, 0.375, 0.5, 0.0, 1.0], np.float32)
    flat = look_up(pictures, tf.zeros(5, tf.int32), tf.constant(np.stack([u, 0 * u + 0.5], -1)))
    np.testing.assert_allclose(flat[:, 0], [0, 1, 1.5, 0, 3], atol=2e-3)
    upright = look_up(pictures, tf.ones(5, tf.int32), tf.constant(np.stack([0 * u + 0.5, 1 - u], -1)))
    np.testing.assert_allclose(upright[:, 0], [0, 1, 1.5, 0, 3], atol=2e-3)  # row 0 is at v = 1


@pytest.mark.parametrize("direction", [(0.0, 0.0, 1.0), (0.6, 0.0, 1.0), (0.0, 0.99, 0.05)])
def test_a_small_square_shades_what_is_behind_it_along_the_light_and_no_more(direction):
    unit = (np.array(direction) / np.linalg.norm(direction)).astype(np.float32)
    small, wall = square(0.0, 0.3) + np.float32(0.6) * unit, square(0.0, 1.0)
    vertices = tf.constant(np.concatenate([small, wall])[None])
    triangles = np.concatenate([QUAD, QUAD + 4])
    shadows = ShadowMap(vertices, triangles, tf.constant(unit[None]), 128)
    points = np.array([(0, 0, 0), (0.1, -0.1, 0), (0.7, 0, 0), (0, -0.7, 0), (-0.7, 0.7, 0)], np.float32)
    none = tf.zeros(5, tf.int32)
    found = Fragments(tf.range(5), none, none, tf.zeros([5, 3], tf.int32), tf.zeros([5, 3]))
    seen = shadows.light(found, tf.constant(points), tf.tile([[0.0, 0.0, 1.0]], [5, 1])).numpy()
    if direction[1] > 0.9:  # almost along the wall: the square is nearly edge on to it
        assert seen[2:].min() > 0.6
    else:
        np.testing.assert_allclose(seen[:2], 0, atol=1e-6)
        np.testing.assert_allclose(seen[2:], 1, atol=1e-6)


def matt(normals, skin=1.0, **changes):
    count = len(normals)
    values = {
        "albedo": np.full((count, 3), 100.0), "normals": normals, "positions": np.zeros((count, 3)),
        "occlusion": np.ones(count), "gloss": np.zeros(count), "skin": np.full(count, skin), "eye": np.zeros(count),
    } | changes  # fmt: skip
    return Surface(**{key: tf.constant(value, tf.float32) for key, value in values.items()})


def at(lamps, count):
    return light_of(lamps).at(tf.zeros(count, tf.int32))


def test_matt_skin_shows_the_irradiance_that_the_label_is_fitted_to():
    rng = np.random.default_rng(3)
    normals = rng.normal(size=(200, 3))
    normals[:, 2] = np.abs(normals[:, 2]) + 1  # not grazing, where skin shines with the sky
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    lamps = lamp((0.5, 0.4, 0.6), (0.7, 0.6, 0.5), 0.4)
    seen = surface_colour(matt(normals), at(lamps, 200), tf.ones(200)).numpy()
    np.testing.assert_allclose(seen / 100, lamps.irradiance(normals), atol=0.03)


def test_shadow_takes_the_key_light_and_leaves_a_red_glow():
    front = np.array([[0.0, 0.0, 1.0]])
    lamps = lamp((0, 0, 1), ambient=0.3)
    bright, half, dark = (surface_colour(matt(front), at(lamps, 1), tf.constant([s]))[0] for s in (1.0, 0.5, 0.0))
    assert np.all(np.diff(np.stack([dark, half, bright]), axis=0) > 0)
    assert half[0] / bright[0] > half[2] / bright[2]
    np.testing.assert_allclose(dark, 30, atol=8)


def test_eyes_reflect_lamps_as_small_bright_points():
    angle = np.radians(np.linspace(-40, 40, 81))
    normals = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], -1)
    eye = matt(normals, skin=0.0, eye=np.ones(81))
    seen = surface_colour(eye, at(lamp((0.4, 0, 1), (0.6, 0.6, 0.6), 0.3), 81), tf.ones(81)).numpy().mean(1)
    peak = seen > seen.min() + 0.5 * np.ptp(seen)
    assert seen.max() > 180 and 2 <= peak.sum() <= 14


def test_hair_is_brightest_across_the_light_and_darker_inside():
    count = 3
    along = np.array([[0.0, 1, 0], [0, 0.7, 0.7], [0, 1, 0]])
    normals = np.tile([0.0, 0, 1], (count, 1))
    values = (np.full((count, 3), 80.0), normals, along, np.zeros((count, 3)), [1.0, 1.0, 0.3], np.ones(count))
    strands = Strands(*(tf.constant(value, tf.float32) for value in values))
    seen = strand_colour(strands, at(lamp((0, 0, 1), ambient=0.3), count), tf.ones(count)).numpy().mean(1)
    assert seen[0] > seen[1] > 0 and seen[2] < 0.8 * seen[0]
