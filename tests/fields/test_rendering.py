from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.fields import Rays, TriplaneDecoder, camera_rays, in_chunks, look_up, ray_jitter, render
from renderer import Camera, WeakPerspectiveCamera
from renderer.pose import rotation_matrix

CAMERAS = [Camera.generator(16), WeakPerspectiveCamera(16, 0.8, (0.05, 0.0))]
PLACE = np.array([0.1, -0.05, 0.2])  # of the analytic cases, off every axis


def miss(rays: Rays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far each ray passes from PLACE, at which depth, and its length per depth; [H, W] each."""
    origins, directions = rays.origins[0].numpy().astype(float), rays.directions[0].numpy().astype(float)
    length = np.linalg.norm(directions, axis=-1)
    depth = ((PLACE - origins) * directions).sum(-1) / length**2
    return np.linalg.norm(origins + depth[..., None] * directions - PLACE, axis=-1), depth, length


def distance(points: tf.Tensor) -> tf.Tensor:
    return tf.norm(points - tf.constant(PLACE, tf.float32), axis=-1)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_homogeneous_ball(camera):
    """Opacity is 1 - exp(-σ chord); where dense, its depth is the sphere's and its colour that of the surface."""
    radius = 0.8
    rays = camera_rays(camera)
    passes, depth, length = miss(rays)
    half_chord = np.sqrt(np.maximum(radius**2 - passes**2, 0))
    sure = np.abs(passes - radius) > 0.05

    def ball(density, points, directions):
        return points, density[:, None] * tf.cast(distance(points) < radius, tf.float32)

    thin = render(ball, tf.constant([1.3]), rays, 8.5, 11.5, 1500)
    np.testing.assert_allclose(thin.opacity[0, ..., 0][sure], 1 - np.exp(-1.3 * 2 * half_chord)[sure], atol=3e-3)
    dense = render(ball, tf.constant([400.0]), rays, 8.5, 11.5, 64, 64)
    inside = sure & (passes < radius)
    assert 60 < inside.sum() < 200 and dense.opacity.numpy()[0, ..., 0][sure & ~inside].max() == 0
    np.testing.assert_allclose(dense.opacity[0, ..., 0][inside], 1, atol=1e-4)
    surface = (depth - half_chord / length)[inside]
    np.testing.assert_allclose(dense.depth[0, ..., 0][inside], surface, atol=0.06)  # bins of 3 / 64
    normals = (dense.values[0][inside] - PLACE) / radius
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=0.08)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("fine", [0, 24])
def test_a_gaussian_blob(camera, fine):
    """∫ σ exp(-r² / 2 s²) along a ray is √(2π) s σ exp(-b² / 2 s²) for one that passes at b."""
    s, density = 0.3, 2.0
    rays = camera_rays(camera)

    def blob(amount, points, directions):
        d = distance(points)
        sigma = amount[:, None] * tf.exp(-tf.square(d / s) / 2)
        return tf.ones_like(points[..., :1]), tf.where(d < 1.4, sigma, 0.0)  # the last sample stands for all behind it

    found = render(blob, tf.constant([density]), rays, 8.0, 12.0, 48, fine)
    expected = 1 - np.exp(-np.sqrt(2 * np.pi) * s * density * np.exp(-np.square(miss(rays)[0] / s) / 2))
    np.testing.assert_allclose(found.opacity[0, ..., 0], expected, atol=0.02)
    np.testing.assert_allclose(found.values, found.opacity, atol=1e-6)


def test_the_last_sample_can_fill_what_is_left():
    rays = camera_rays(Camera.generator(4))

    def fog(state, points, directions):
        return points[..., 2:], tf.fill(tf.shape(points)[:2], 0.2) * tf.cast(points[..., 2] > -1, tf.float32)

    plain, filled = (render(fog, (), rays, 8.0, 12.0, 8, 4, fill_back=fill) for fill in (False, True))
    np.testing.assert_array_equal(plain.opacity, filled.opacity)
    missing = 1 - plain.opacity
    assert missing.numpy().min() > 0.2 and missing.numpy().max() < 0.6
    np.testing.assert_allclose(filled.depth - plain.depth, 11.75 * missing, rtol=1e-5)
    np.testing.assert_allclose(filled.values - plain.values, -1.75 * missing, rtol=1e-5)


def test_a_field_is_told_from_where_it_is_seen():
    camera, rotation = Camera.generator(4), rotation_matrix(tf.constant([[0.2, -0.4, 0.1]]))

    def field(state, points, directions):
        return directions, tf.ones_like(points[..., 0])

    rays = camera_rays(camera, rotation)
    seen = render(field, (), rays, 9.0, 11.0, 4).values
    np.testing.assert_allclose(seen, tf.math.l2_normalize(rays.directions, -1), atol=1e-5)


# ---- chunks ------------------------------------------------------------------------------------------------------


def triplane_loss(decoder, chunk, largest=None):
    """A rendering of random tri-planes and its loss's gradients by planes, pose and weights."""

    def field(state, points, directions):
        if largest is not None:
            largest.append(points.shape[1])
        out = decoder(look_up(state["planes"], points))
        return out[..., :-1], tf.nn.softplus(out[..., -1])

    def run(planes, angles):
        with tf.GradientTape() as tape:
            tape.watch([planes, angles])
            rays = camera_rays(Camera.generator(8), rotation_matrix(angles))
            jitter = ray_jitter(tf.constant([[0, 1], [0, 2]], tf.int64), 64, 10)
            images = render(field, {"planes": planes}, rays, 9.0, 11.0, 6, 4, jitter, chunk=chunk)
            loss = sum(tf.reduce_sum(tf.square(x)) for x in images)
        return images, tape.gradient(loss, [planes, angles, *decoder.trainable_variables])

    return run


@pytest.fixture(scope="module")
def decoder():
    layer = TriplaneDecoder(4, 8)
    layer.build((None, None, 3))
    return layer


INPUTS = (tf.random.stateless_normal([2, 6, 6, 9], [0, 0]), tf.constant([[0.1, 0.2, 0.0], [-0.3, 0.1, 0.2]]))


@pytest.mark.parametrize(("chunk", "compiled"), [(13, False), (16, True)])
def test_chunks_and_compilation_change_nothing(chunk, compiled):
    """Values and gradients, by state, rays and variables; 13 does not divide 64, so 8 rays are taken at a time."""
    decoder = TriplaneDecoder(4, 8)
    decoder.build((None, None, 3))
    images, gradients = triplane_loss(decoder, None)(*INPUTS)
    sizes: list[int] = []
    others, same = tf.function(triplane_loss(decoder, chunk, sizes), jit_compile=compiled, autograph=False)(*INPUTS)
    assert max(sizes) == {16: 16, 13: 8}[chunk] * 6
    for a, b in zip(images, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    for a, b in zip(gradients, same, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * float(tf.reduce_max(tf.abs(a))))
        assert float(tf.reduce_max(tf.abs(a))) > 1e-3


def test_chunks_on_two_replicas():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        weight = tf.Variable([[2.0, 3.0]])

    def gradients():
        state, rays = {"a": tf.constant([[[0.5]]])}, tf.reshape(tf.range(6.0), [1, 6, 1])
        with tf.GradientTape() as tape:
            tape.watch(state)
            (made,) = in_chunks(lambda state, x: ((x + state["a"]) ** 2 @ weight[None],), state, (rays,), 2, outputs=1)
            loss = tf.reduce_sum(made)
        return tape.gradient(loss, [weight, state["a"]])

    for found, wanted in zip(tf.function(strategy.run)(gradients), ([[71.5, 71.5]], [[[180.0]]]), strict=True):
        for value in found.values:
            np.testing.assert_allclose(value, wanted)


def test_a_chunk_is_one_ray_or_more():
    with pytest.raises(ValueError, match="one ray or more"):
        in_chunks(lambda state, x: (x, x, x), (), (tf.zeros([1, 4, 3]),), 0)
