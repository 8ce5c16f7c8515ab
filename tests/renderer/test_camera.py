from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from renderer import Camera, FaceRenderer, WeakPerspectiveCamera, rasterize


def test_generator_camera_has_the_published_field_of_view_at_any_size():
    for size in (32, 64, 256, 1024):
        assert Camera.generator(size).field_of_view == pytest.approx(2 * math.atan(128 / (1015 * 1.22)))


def test_reconstruction_camera():
    camera = Camera.reconstruction()
    assert (camera.image_size, camera.focal) == (224, 1015)
    # One decimetre up and half a decimetre nearer, by hand: 112 + 1015 · 1 / 9.5.
    np.testing.assert_allclose(camera.project(np.array([0, 1, 0.5], np.float32)), [112, 112 + 1015 / 9.5], rtol=1e-6)


@pytest.mark.parametrize("camera", [Camera.generator(64), Camera.reconstruction(), Camera(100, 300.0, 4.0)])
def test_projection_agrees_with_the_clip_matrix(camera):
    points = np.random.default_rng(0).uniform(-1, 1, [50, 3]).astype(np.float32)
    clip = np.c_[points, np.ones(50)] @ camera.view_projection().numpy().T
    pixels = (clip[:, :2] / clip[:, 3:] + 1) / 2 * camera.image_size
    np.testing.assert_allclose(camera.project(points), pixels, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("arguments", [(0, 100.0), (64, 0.0), (64, 100.0, 0.0)])
def test_impossible_cameras_are_refused(arguments):
    with pytest.raises(ValueError, match="camera: expected"):
        Camera(*arguments)


# ---- weak perspective --------------------------------------------------------------------------------------------


def clip_pixels(points: np.ndarray, matrix: np.ndarray, image_size: int) -> np.ndarray:
    clip = np.c_[points, np.ones(len(points))] @ matrix.T
    return (clip[:, :2] / clip[:, 3:] + 1) / 2 * image_size


def test_weak_perspective_by_hand():
    camera = WeakPerspectiveCamera(200, 0.5, (0.1, -0.2))
    # x: 0.5 · (1 + 0.1) = 0.55 of half a picture to the right of the middle; the depth does not matter.
    for depth in (-3.0, 0.0, 8.0):
        np.testing.assert_allclose(camera.project(np.array([1, 1, depth], np.float32)), [155, 140], rtol=1e-6)


def test_weak_perspective_agrees_with_its_clip_matrix():
    points = np.random.default_rng(0).uniform(-1, 1, [3, 50, 3]).astype(np.float32)
    scale, shift = np.array([0.5, 0.8, 1.2], np.float32), np.array([[0, 0], [0.1, -0.3], [-0.2, 0.1]], np.float32)
    for camera in (
        WeakPerspectiveCamera(64, 0.7, (0.1, 0.2)),
        WeakPerspectiveCamera(64, tf.constant(scale), tf.constant(shift)),
        WeakPerspectiveCamera(64, tf.constant(scale), (0.1, 0.2)),
        WeakPerspectiveCamera(64, 0.7, tf.constant(shift)),
    ):
        matrices = np.broadcast_to(camera.view_projection(), [3, 4, 4])
        pixels = camera.project(points).numpy()
        for row in range(3):
            np.testing.assert_allclose(pixels[row], clip_pixels(points[row], matrices[row], 64), rtol=1e-4, atol=1e-4)


def test_towards_the_camera():
    points = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(Camera(64, 300.0, 10.0).towards(points), [[-1, -2, 6], [0, 0, 10]])
    np.testing.assert_array_equal(WeakPerspectiveCamera(64, 1.0).towards(points), [[0, 0, 1], [0, 0, 1]])


def test_a_camera_per_image_takes_maps_of_points():
    camera = WeakPerspectiveCamera(64, tf.constant([0.5, 0.8]), tf.constant([[0.0, 0.1], [0.2, 0.0]]))
    points = np.random.default_rng(0).uniform(-1, 1, [2, 5, 6, 3]).astype(np.float32)
    flat = camera.project(points.reshape(2, 30, 3)).numpy()
    np.testing.assert_array_equal(camera.project(points), flat.reshape(2, 5, 6, 2))


@pytest.mark.parametrize(
    "arguments",
    [(0, 1.0), (64, 0.0), (64, math.inf), (64, 1.0, (0.0, 0.0, 0.0)), (64, np.ones((2, 2))), (64, 1.0, 0.0)],
)
def test_impossible_weak_perspective_is_refused(arguments):
    with pytest.raises(ValueError, match="camera: expected"):
        WeakPerspectiveCamera(*arguments)


def test_one_mesh_drawn_both_ways(sphere):
    """A pinhole shows (x, y) · (d - z) / d where weak perspective shows (x, y): same triangles at the same pixels."""
    camera = Camera(64, 300.0)
    weak = WeakPerspectiveCamera(64, 2 * camera.focal / camera.distance / 64)
    head = sphere.mean_shape @ np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]], np.float32)
    # Two balls, one before the other, so that depth decides.
    both = np.concatenate([head * 0.6 + np.float32([0.2, 0.1, 1.5]), head - np.float32([0, 0, 1.0])])
    triangles = np.concatenate([sphere.triangles, sphere.triangles + len(head)])
    there = both * np.concatenate([np.repeat(1 - both[:, 2:] / camera.distance, 2, 1), np.ones((len(both), 1))], 1)
    pinhole = rasterize(there[None], triangles, camera.view_projection()[None], (64, 64)).layer(0)
    flat = rasterize(both[None], triangles, weak.view_projection()[None], (64, 64)).layer(0)
    np.testing.assert_allclose(weak.project(both), camera.project(there), atol=1e-3)
    seen = flat.foreground_mask.numpy()[0, ..., 0] > 0
    assert (seen != (pinhole.foreground_mask.numpy()[0, ..., 0] > 0)).mean() < 2e-3  # rounding at the outline
    same = flat.triangle_id.numpy() == pinhole.triangle_id.numpy()
    assert same.mean() > 0.98 and 0.3 < seen.mean() < 0.9
    near = flat.triangle_id.numpy()[0, ..., 0][seen] < len(sphere.triangles)
    assert 0.1 < near.mean() < 0.9


def test_a_flat_mesh_at_the_origin_looks_the_same_through_both(plate, draw):
    coefficients = np.zeros((1, plate.layout.size), np.float32)
    coefficients[:, plate.layout.slice("texture")] = draw(plate, 1)[:, plate.layout.slice("texture")]
    camera = Camera.generator(64)
    weak = WeakPerspectiveCamera(64, 2 * camera.focal / camera.distance / 64)
    first, second = FaceRenderer(plate, 64)(coefficients), FaceRenderer(plate, camera=weak)(coefficients)
    np.testing.assert_array_equal(first.mask, second.mask)
    np.testing.assert_allclose(first.image, second.image, atol=0.1)
    np.testing.assert_allclose(first.landmarks, second.landmarks, atol=1e-3)


def test_one_camera_per_image(sphere, draw):
    coefficients = draw(sphere, 3)
    scale = tf.constant([0.5, 0.8, 1.0])
    shift = tf.constant([[0.0, 0.0], [0.2, -0.1], [-0.1, 0.3]])
    renderer = FaceRenderer(sphere, 64)
    together = renderer(coefficients, WeakPerspectiveCamera(64, scale, shift))
    for row in range(3):
        one = WeakPerspectiveCamera(64, float(scale[row]), tuple(shift[row].numpy().tolist()))
        alone = FaceRenderer(sphere, camera=one)(coefficients[row : row + 1])
        np.testing.assert_array_equal(together.framebuffer.triangle_id[row], alone.framebuffer.triangle_id[0])
        np.testing.assert_allclose(together.image[row], alone.image[0], atol=0.1)
        np.testing.assert_allclose(together.landmarks[row], alone.landmarks[0], atol=1e-3)
    with pytest.raises(ValueError, match=r"camera: expected an image of 64 pixels\. Received: 16"):
        renderer(coefficients, WeakPerspectiveCamera(16, scale, shift))


def test_gradients_reach_scale_and_shift(sphere, draw):
    renderer, coefficients = FaceRenderer(sphere, 64), draw(sphere, 2)
    scale, shift = tf.constant([0.6, 0.9]), tf.constant([[0.1, 0.0], [0.0, 0.1]])

    def loss(scale, shift):
        rendering = renderer(coefficients, WeakPerspectiveCamera(64, scale, shift))
        return tf.reduce_mean(rendering.image) / 100, tf.reduce_mean(rendering.landmarks**2) / 100

    with tf.GradientTape(persistent=True) as tape:
        tape.watch([scale, shift])
        image, landmarks = loss(scale, shift)
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(image, [scale, shift]))
    by_scale, by_shift = tape.gradient(landmarks, [scale, shift])
    step = np.array([0.0, 0.01], np.float32)
    numeric = (loss(scale + step, shift)[1] - loss(scale - step, shift)[1]) / 0.02
    np.testing.assert_allclose(by_scale[1], numeric, rtol=1e-3)
    numeric = (loss(scale, shift + step)[1] - loss(scale, shift - step)[1]) / 0.02
    np.testing.assert_allclose(tf.reduce_sum(by_shift[:, 1]), numeric, rtol=1e-3)
