"""Attributes at the pixels, and the gradients that pass through them and through the barycentrics."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_graphics.rendering import interpolate as tfg_interpolate

from renderer import Camera
from renderer.rasterizer import interpolate, rasterize

MODES = ("eager", "graph", "xla")


def test_interpolation_agrees_with_tensorflow_graphics(sphere):
    random = np.random.default_rng(0)
    vertices = sphere.mean_shape + random.normal(0, 0.02, [2, *sphere.mean_shape.shape]).astype(np.float32)
    framebuffer = rasterize(vertices, sphere.triangles, Camera.generator(32).view_projection()[None], (32, 32))
    attributes = tf.constant(random.normal(size=[2, vertices.shape[1], 5]), tf.float32)
    expected = tfg_interpolate.interpolate_vertex_attribute(attributes, framebuffer).value
    assert interpolate(framebuffer, attributes).shape == (2, 1, 32, 32, 5)
    np.testing.assert_allclose(interpolate(framebuffer, attributes), expected, atol=1e-5)
    layer = framebuffer.layer(0)
    np.testing.assert_allclose(interpolate(layer, attributes), expected[:, 0], atol=1e-5)


def test_interpolation_is_perspective_correct():
    # The world coordinates of what a pixel shows must project back onto the pixel.
    camera = Camera(24, 40.0, distance=3.0)
    vertices = np.array([[[-3, -2, -4], [2.5, -2, 1.5], [0, 3, -1.0]]], np.float32)
    framebuffer = rasterize(vertices, [[0, 1, 2]], camera.view_projection()[None], (24, 24)).layer(0)
    seen = framebuffer.foreground_mask[0, ..., 0].numpy() > 0
    rows, columns = np.nonzero(seen)
    places = camera.project(interpolate(framebuffer, tf.constant(vertices))[0][seen])
    assert len(rows) > 50
    np.testing.assert_allclose(places, np.c_[columns, rows] + 0.5, atol=1e-3)


def test_gradient_of_an_attribute_image(sphere):
    random = np.random.default_rng(0)
    attributes = tf.constant(random.normal(size=[1, len(sphere.mean_shape), 2]), tf.float32)
    matrix = Camera.generator(24).view_projection()[None]
    framebuffer = rasterize(sphere.mean_shape[None], sphere.triangles, matrix, (24, 24))
    weights = random.normal(size=[1, 1, 24, 24, 2])

    def loss(values):
        return tf.reduce_sum(interpolate(framebuffer, values) * weights)

    with tf.GradientTape() as tape:
        tape.watch(attributes)
        value = loss(attributes)
    change = tf.constant(random.normal(size=attributes.shape), tf.float32)
    numeric = (loss(attributes + change) - loss(attributes - change)) / 2  # exact: the image is linear in them
    np.testing.assert_allclose(tf.reduce_sum(tape.gradient(value, attributes) * change), numeric, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layers", [1, 2])
def test_gradient_of_barycentrics_against_finite_differences(mode, layers):
    random = np.random.default_rng(1)
    matrix = tf.constant(Camera(8, 20.0).view_projection()[None])
    triangles = tf.constant([[0, 1, 2], [3, 4, 5]])
    front = [[-9, -8, 1.0], [9, -7, -2.0], [1, 10, 0.5]]
    vertices = tf.constant(
        [[*front, [-7, -9, -6.0], [9, -9, -5.0], [1, 9, -6.0]]]
    )  # one behind the other, no edge seen
    weights = tf.constant(random.normal(size=[1, layers, 8, 8, 3]), tf.float32)

    def loss(points):
        framebuffer = rasterize(points, triangles, matrix, (8, 8), num_layers=layers, differentiable=True)
        return tf.reduce_sum(framebuffer.barycentrics.value * weights)

    def gradient(points):
        with tf.GradientTape() as tape:
            tape.watch(points)
            value = loss(points)
        return tape.gradient(value, points)

    found = (gradient if mode == "eager" else tf.function(gradient, jit_compile=mode == "xla"))(vertices).numpy()
    numeric = np.zeros_like(found)
    for place in np.ndindex(*found.shape):
        step = np.zeros_like(found)
        step[place] = 0.02
        numeric[place] = (loss(vertices + step) - loss(vertices - step)) / 0.04
    assert np.abs(numeric[:, 3:]).any() == (layers == 2)
    np.testing.assert_allclose(found, numeric, rtol=0.01, atol=0.01 * np.abs(numeric).max())


@pytest.mark.parametrize("layers", [1, 2])
def test_no_gradient_passes_unless_it_is_asked_for(layers):
    """As tensorflow-graphics' backends, which stop it."""
    vertices = tf.constant([[[-9, -8, 1.0], [9, -7, -2.0], [1, 10, 0.5]]])
    matrix = tf.constant(Camera(8, 20.0).view_projection()[None])
    with tf.GradientTape() as tape:
        tape.watch([vertices, matrix])
        framebuffer = rasterize(vertices, [[0, 1, 2]], matrix, (8, 8), num_layers=layers)
        value = tf.reduce_sum(framebuffer.barycentrics.value * tf.random.stateless_normal([8, 8, 3], [0, 1]))
    assert tape.gradient(value, [vertices, matrix]) == [None, None]
