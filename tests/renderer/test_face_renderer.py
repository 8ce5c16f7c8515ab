from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from renderer import FaceRenderer
from renderer.warp import warp


@pytest.fixture(scope="module")
def renderer(sphere) -> FaceRenderer:
    return FaceRenderer(sphere, 64)


def test_shapes_and_ranges(renderer, sphere, draw):
    coefficients = draw(sphere, 3)
    rendering = renderer(coefficients)
    assert rendering.image.shape == (3, 64, 64, 3)
    assert rendering.mask.shape == rendering.framebuffer.triangle_id.shape == (3, 64, 64, 1)
    assert rendering.landmarks.shape == (3, 68, 2)
    assert rendering.vertices.shape == (3, len(sphere.mean_shape), 3)
    mask, image = rendering.mask.numpy(), rendering.image.numpy()
    assert set(np.unique(mask)) == {0.0, 1.0} and 0.2 < mask.mean() < 0.9
    assert image.min() >= 0 and image.max() <= 255 and image[mask[..., 0] > 0].std() > 10
    assert not image[mask[..., 0] == 0].any()


def test_colours_beyond_the_range_are_clipped(renderer, sphere, draw):
    coefficients = draw(sphere, 1)
    coefficients[:, sphere.layout.slice("lighting")] = 9.0
    image = renderer(coefficients).image.numpy()
    assert image.max() == 255


def test_pictures_are_upright(plate):
    # Bright above and on the left, dark elsewhere; row 0 is the top, column 0 the left.
    upper_left = (plate.mean_shape[:, 1] > 0.3) & (plate.mean_shape[:, 0] < -0.3)
    texture = np.where(upper_left[:, None], [200.0, 200, 200], [20.0, 20, 20]).astype(np.float32)
    model = replace(plate, mean_texture=texture, landmarks=np.full(68, np.flatnonzero(upper_left)[0], np.int32))
    rendering = FaceRenderer(model, 64)(np.zeros([1, model.layout.size], np.float32))
    rows, columns = np.nonzero(rendering.image[0, ..., 0].numpy() > 100)
    assert len(rows) > 20 and rows.max() < 32 and columns.max() < 32
    # The outermost corner of the plate: y up from the bottom left.
    np.testing.assert_allclose(rendering.landmarks[0, 0, 0], columns.min(), atol=1)
    np.testing.assert_allclose(64 - rendering.landmarks[0, 0, 1], rows.min(), atol=1)


def test_landmarks_are_the_projected_vertices(renderer, sphere, draw):
    rendering = renderer(draw(sphere, 4))
    expected = renderer.camera.project(tf.gather(rendering.vertices, sphere.landmarks, axis=1))
    np.testing.assert_allclose(rendering.landmarks, expected, rtol=1e-5, atol=1e-4)


def test_a_lambda_has_no_translation(renderer, sphere, draw):
    coefficients = draw(sphere, 2)
    coefficients[:, sphere.layout.slice("translation")] = 0
    whole, without = renderer(coefficients), renderer(coefficients[:, : sphere.layout.lambda_size])
    np.testing.assert_array_equal(whole.image, without.image)
    np.testing.assert_array_equal(whole.landmarks, without.landmarks)


def test_translation_moves_and_the_middle_of_the_model_is_at_the_origin(sphere):
    moved = replace(sphere, mean_shape=sphere.mean_shape + np.float32([1, 2, 3]))
    zeros = np.zeros([1, sphere.layout.size], np.float32)
    np.testing.assert_allclose(FaceRenderer(moved, 16).shape(zeros)[0].numpy().mean(0), 0, atol=1e-5)
    told = replace(moved, manifest={"centre": [1.0, 2.0, 2.5]})
    shape = FaceRenderer(told, 16).shape(zeros)[0]
    np.testing.assert_allclose(shape, sphere.mean_shape + np.float32([0, 0, 0.5]), atol=1e-5)
    zeros[:, sphere.layout.slice("translation")] = [[0.1, -0.2, 0.3]]
    expected = shape + np.float32([0.1, -0.2, 0.3])
    np.testing.assert_allclose(FaceRenderer(told, 16).vertices(zeros)[0], expected, atol=1e-5)


def test_parts(sphere, draw):
    coefficients = draw(sphere, 1)
    coefficients[:, sphere.layout.slice("angles")] = [[0, 2.5, 0]]  # turned away: only the back of the head shows
    face, head = FaceRenderer(sphere, 32), FaceRenderer(sphere, 32, "head")
    assert len(face.triangles) < len(head.triangles) == len(sphere.triangles)
    assert face(coefficients).mask.numpy().sum() < 0.3 * head(coefficients).mask.numpy().sum()
    with pytest.raises(ValueError, match="Received: 'nose'"):
        FaceRenderer(sphere, 32, "nose")  # type: ignore[arg-type]


def test_eager_and_compiled_agree(renderer, sphere, draw):
    def step(coefficients):
        rendering = renderer(coefficients)
        return rendering.image, rendering.mask, rendering.landmarks

    coefficients = draw(sphere, 2)
    compiled = tf.function(step, input_signature=[tf.TensorSpec([None, sphere.layout.size])])
    for eager, graph in zip(step(coefficients), compiled(coefficients), strict=True):
        np.testing.assert_allclose(eager, graph, atol=0.02)


def test_gradients_reach_every_group(renderer, sphere, draw):
    coefficients = tf.constant(draw(sphere, 2))

    def loss(values):
        rendering = renderer(values)
        return tf.reduce_mean(rendering.image**2) / 1000 + tf.reduce_mean(rendering.landmarks**2) / 1000

    with tf.GradientTape() as tape:
        tape.watch(coefficients)
        value = loss(coefficients)
    gradient = tape.gradient(value, coefficients)
    assert np.isfinite(gradient).all()
    for name, part in sphere.layout.split(gradient).items():
        assert np.abs(part).max() > 0, name
    # Texture and light never change which triangle shows, so finite differences see the same gradient.
    for name in ("texture", "lighting"):
        step = np.zeros([2, sphere.layout.size], np.float32)
        step[:, sphere.layout.slice(name)] = 0.005  # small: clipping at 255 has a corner
        numeric = (loss(coefficients + step) - loss(coefficients - step)) / 2
        np.testing.assert_allclose(tf.reduce_sum(gradient * step), numeric, rtol=0.02)


@pytest.mark.parametrize("shift", [(0.1, 0.0), (0.0, 0.1), (-0.05, 0.08)])
def test_flow_of_a_shift_in_the_camera_plane_is_constant(plate, shift):
    renderer = FaceRenderer(plate, 64)
    start = np.zeros([1, plate.layout.size], np.float32)
    end = start.copy()
    end[0, plate.layout.slice("translation")] = [*shift, 0]
    flow = renderer.flow(start, end)
    pixels = renderer.camera.focal / 10 * np.array(shift)
    inside = flow.mask_to[0, ..., 0].numpy() > 0
    # The plate moved right and up, so its pixels come from further left and from lower rows.
    np.testing.assert_allclose(flow.flow[0][inside], np.tile([-pixels[0], pixels[1]], [inside.sum(), 1]), atol=1e-3)
    assert not flow.flow[0][~inside].numpy().any()
    np.testing.assert_array_equal(flow.mask_from, renderer(start).mask)
    np.testing.assert_array_equal(flow.mask_to, renderer(end).mask)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


def test_flow_warps_one_expression_to_the_other(sphere, draw):
    renderer = FaceRenderer(sphere, 96)
    first = draw(sphere, 3, seed=3)
    first[:, sphere.layout.slice("lighting")] = 0  # light is even, so that a point keeps its colour
    second = first.copy()
    second[:, sphere.layout.slice("expression")] += np.random.default_rng(4).normal(0, 1.0, [3, 3])
    flow = renderer.flow(first, second)
    from_image, to_image = renderer(first).image, renderer(second).image
    both = tf.minimum(flow.mask_to, warp(flow.mask_from, flow.flow))
    inner = (-tf.nn.max_pool2d(-both, 5, 1, "SAME")).numpy()[..., 0] > 0.999  # away from the borders
    warped, to_image = warp(from_image, flow.flow).numpy()[inner], to_image.numpy()[inner]
    assert np.abs(flow.flow).max() > 2 and inner.mean() > 0.2
    assert psnr(warped, to_image) > 38
    assert psnr(from_image.numpy()[inner], to_image) < psnr(warped, to_image) - 10
    backwards = warp(from_image, -flow.flow).numpy()[inner]
    assert psnr(backwards, to_image) < psnr(warped, to_image) - 10


def test_the_whole_step_is_the_same_under_xla(tiny_face_model):
    renderer = FaceRenderer(tiny_face_model, 16)
    coefficients = tf.random.stateless_normal([2, tiny_face_model.layout.lambda_size], [3, 4], stddev=0.1)

    def step(values):
        rendering = renderer(values)
        return rendering.image, rendering.mask, rendering.landmarks

    compiled = tf.function(step, jit_compile=True)(coefficients)
    for received, expected in zip(compiled, step(coefficients), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-2)
