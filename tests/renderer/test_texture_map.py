import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import map_coordinates

from renderer.face_model import load_face_model
from renderer.face_renderer import FaceRenderer
from renderer.texture_map import TextureMap, TextureSampler, bilinear


def a_map(size=16, components=2, seed=0):
    rng = np.random.default_rng(seed)
    return TextureMap(
        rng.uniform(50, 200, (size, size, 3)).astype(np.float32),
        rng.normal(0, 10, (size, size, 3, components)).astype(np.float16),
    )


def test_bilinear_agrees_with_scipy_between_and_beyond_the_centres():
    rng = np.random.default_rng(1)
    images, uv = (
        rng.normal(size=(2, 8, 8, 3)).astype(np.float32),
        rng.uniform(-0.1, 1.1, (2, 5, 7, 2)).astype(np.float32),
    )
    found = bilinear(tf.constant(images), tf.constant(uv)).numpy()
    for b in range(2):
        rows, columns = (1 - uv[b, ..., 1]) * 8 - 0.5, uv[b, ..., 0] * 8 - 0.5
        for c in range(3):
            expected = map_coordinates(images[b, ..., c], [rows, columns], order=1, mode="nearest")
            np.testing.assert_allclose(found[b, ..., c], expected, atol=1e-5)


def test_halved_keeps_the_mean_and_the_linear_law():
    whole = a_map(16)
    half = whole.halved(4)
    assert half.mean.shape == (4, 4, 3) and half.basis.shape == (4, 4, 3, 2)
    np.testing.assert_allclose(half.mean.mean(), whole.mean.mean(), rtol=1e-6)
    np.testing.assert_allclose(half.basis[0, 0], whole.basis[:4, :4].astype(np.float32).mean((0, 1)), atol=1e-5)
    assert whole.halved(64) is whole


@pytest.mark.parametrize(
    "mean,basis", [((12, 12, 3), (12, 12, 3, 2)), ((8, 8, 3), (8, 4, 3, 2)), ((8, 8), (8, 8, 3, 2))]
)
def test_a_map_of_another_shape_is_refused(mean, basis):
    with pytest.raises(ValueError, match="texture_map_"):
        TextureMap(np.zeros(mean, np.float32), np.zeros(basis, np.float32))


def textured(model, texture_map):
    return dataclasses.replace(model, texture_map=texture_map)


def test_an_even_map_renders_as_an_even_texture_at_the_vertices(tiny_face_model):
    model = tiny_face_model
    colour, tint = np.array([120.0, 90.0, 60.0]), np.array([[5.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    vertices = len(model.mean_shape)
    model = dataclasses.replace(
        model,
        mean_texture=np.tile(colour, (vertices, 1)).astype(np.float32),
        texture_basis=np.tile(tint, (vertices, 1, 1)).astype(np.float32),
    )
    even = TextureMap(np.tile(colour, (8, 8, 1)).astype(np.float32), np.tile(tint, (8, 8, 1, 1)).astype(np.float32))
    coefficients = np.random.default_rng(0).normal(0, 0.3, (2, model.layout.size)).astype(np.float32)
    plain, mapped = FaceRenderer(model, 32)(coefficients), FaceRenderer(textured(model, even), 32)(coefficients)
    np.testing.assert_allclose(mapped.image, plain.image, atol=0.02)
    np.testing.assert_array_equal(mapped.mask, plain.mask)


def test_pixels_show_the_texel_that_their_uv_names(tiny_face_model):
    model = tiny_face_model
    left = np.zeros((16, 16, 3), np.float32)
    left[:, 8:] = 200  # uv is x of the half-sphere: the right half of the picture is bright
    model = textured(model, TextureMap(left, np.zeros((16, 16, 3, 2), np.float32)))
    picture = FaceRenderer(model, 64)(np.zeros((1, model.layout.size), np.float32))
    image, mask = picture.image.numpy()[0, ..., 0], picture.mask.numpy()[0, ..., 0]
    assert image[:, :28].max() < 1 and image[:, 36:][mask[:, 36:] > 0].min() > 60


def test_the_sampler_takes_about_as_many_texels_as_an_image_shows():
    whole = a_map(64)
    assert [TextureSampler(whole, size).size for size in (8, 20, 40, 256)] == [16, 32, 64, 64]


def test_gradients_reach_the_coefficients():
    sampler = TextureSampler(a_map(16), 16)
    uv = tf.random.uniform([1, 4, 4, 2], seed=0)
    weights = tf.constant([[0.3, -0.2]])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        total = tf.reduce_sum(sampler(weights, uv))
    step = tf.constant([[1.0, 0.0]])
    slope = tf.reduce_sum(sampler(weights + step, uv)) - tf.reduce_sum(sampler(weights - step, uv))
    np.testing.assert_allclose(tape.gradient(total, weights)[0, 0], slope / 2, rtol=1e-3)


def test_the_file_keeps_map_extras_and_seams(tmp_path, tiny_face_model):
    model = tiny_face_model
    model = dataclasses.replace(
        model,
        texture_map=a_map(8),
        welded=np.arange(len(model.mean_shape), dtype=np.int32),
        extras={"numbers": np.arange(5), "table": np.eye(2, dtype=np.float32)},
    )
    model.save(tmp_path / "model.npz")
    loaded = load_face_model(tmp_path / "model.npz")
    assert loaded.checksum() == model.checksum() != tiny_face_model.checksum()
    np.testing.assert_array_equal(loaded.texture_map.basis, model.texture_map.basis)
    np.testing.assert_array_equal(loaded.extras["numbers"], np.arange(5))
    assert loaded.texture_map.basis.dtype == np.float16


def test_a_file_with_half_a_map_is_refused(tmp_path, tiny_face_model):
    model = textured(tiny_face_model, a_map(8))
    model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as stored:
        arrays = {key: stored[key] for key in stored.files if key != "texture_map_basis"}
    np.savez(tmp_path / "broken.npz", **arrays)
    with pytest.raises(ValueError, match=r"broken.npz: it has no texture_map_basis"):
        load_face_model(tmp_path / "broken.npz")


def test_a_map_of_other_components_is_refused(tiny_face_model):
    with pytest.raises(ValueError, match=r"texture_map should have 2 components\. Received: 3"):
        textured(tiny_face_model, a_map(8, 3))


def test_a_seam_is_shaded_as_if_its_vertices_were_one(tiny_face_model):
    model = tiny_face_model
    # Cut along one ring: its vertices are doubled for the triangles of one side.
    ring = np.arange(48, 64)
    double = {int(vertex): len(model.mean_shape) + place for place, vertex in enumerate(ring)}
    triangles = model.triangles.copy()
    beyond = triangles.max(1) >= 64
    triangles[beyond] = np.vectorize(lambda vertex: double.get(vertex, vertex))(triangles[beyond])
    order = np.concatenate([np.arange(len(model.mean_shape)), ring])
    vertexwise = ("mean_shape", "shape_basis", "expression_basis", "mean_texture", "texture_basis", "region", "uv")
    cut = dataclasses.replace(
        model,
        triangles=triangles,
        welded=order.astype(np.int32),
        **{key: getattr(model, key)[order] for key in vertexwise},
    )
    coefficients = np.random.default_rng(0).normal(0, 0.3, (2, model.layout.size)).astype(np.float32)
    np.testing.assert_allclose(
        FaceRenderer(cut, 32)(coefficients).image, FaceRenderer(model, 32)(coefficients).image, atol=0.5
    )
    torn = dataclasses.replace(cut, welded=None)
    assert np.abs(FaceRenderer(torn, 32)(coefficients).image - FaceRenderer(model, 32)(coefficients).image).max() > 0.5
