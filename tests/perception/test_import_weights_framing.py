import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.perception.pretrained import framing
from renderer.camera import Camera

IDENTITY = tuple(tf.constant([value], tf.complex64) for value in (1, 0))


def dots(points: np.ndarray, size: int, radius: float) -> np.ndarray:
    """One soft dot a channel at each of `points` [C, 2], x and y in pixels, y down: [1, size, size, C]."""
    middles = np.arange(size) + 0.5
    x, y = np.meshgrid(middles, middles)
    squared = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    return np.exp(-squared / (2 * radius**2)).astype(np.float32)[None]


def places(image: np.ndarray) -> np.ndarray:
    """Centres of mass of the channels of [1, H, W, C]: [C, 2], x and y in pixels, y down."""
    image = np.asarray(image, np.float64)[0]
    total = image.sum((0, 1))
    y, x = (np.arange(image.shape[axis]) + 0.5 for axis in (0, 1))
    return np.stack([(image.sum(0) * x[:, None]).sum(0) / total, (image.sum(1) * y[:, None]).sum(0) / total], -1)


def in_picture(camera: Camera, points: np.ndarray) -> np.ndarray:
    projected = np.asarray(camera.project(tf.constant(points, tf.float32)))
    return np.stack([projected[:, 0], camera.image_size - projected[:, 1]], -1)


@pytest.mark.parametrize("size", [64, 256, 512])
def test_a_point_of_space_is_where_the_reconstruction_camera_sees_it(size):
    """At any depth: both cameras stand in one place."""
    points = np.array([[0, 0, 0], [0.3, 0.28, 0.1], [-0.6, 0.1, -0.8], [0.2, -0.65, 1.0]], np.float32)
    picture = dots(in_picture(Camera.generator(size), points), size, size / 50)
    crop = framing.to_reconstruction_frame(tf.constant(picture))
    assert crop.shape == (1, 224, 224, 4)
    np.testing.assert_allclose(places(crop), in_picture(Camera.reconstruction(), points), atol=0.05)


def test_the_border_is_mirrored():
    picture = tf.random.stateless_uniform([1, 256, 256, 3], [1, 2])
    crop = framing.to_reconstruction_frame(picture).numpy()
    smooth = framing.to_reconstruction_frame(tf.ones([1, 256, 256, 3])).numpy()
    np.testing.assert_allclose(smooth, 1, atol=1e-5)
    edge = (224 - 224 / (1.22 * 224 / 256)) / 2  # crop pixels between the crop's edge and the picture's: 7.08
    matrix = framing._reconstruction_matrix(256)
    assert matrix[0].argmax() == int((edge - 0.5) * 1.22)  # the first row looks back in by its distance from the edge
    assert crop.std() < picture.numpy().std()


def test_resampling_agrees_with_tensorflow():
    """Inside; at the border TensorFlow renormalises where this mirrors."""
    line = tf.random.stateless_uniform([1, 64, 64, 1], [5, 6])
    for out in (32, 48, 64, 160):
        matrix = framing.resampling_matrix(64, out, 0, 64)
        received = tf.einsum("ij,bjkc,lk->bilc", matrix, line, matrix)
        expected = tf.image.resize(line, (out, out), antialias=True)
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
        np.testing.assert_allclose(received[:, 3:-3, 3:-3], expected[:, 3:-3, 3:-3], atol=1e-5)


def test_the_similarity_is_least_squares():
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(0.2, 0.8, (3, 5, 2)).astype(np.float32)
    a, b = (value.numpy() for value in framing.parser_similarity(landmarks))
    points = np.array(framing.PARSER_POINTS) / framing.PARSER_SIZE
    rows = np.concatenate([
        np.stack([points[:, 0], -points[:, 1], np.ones(5), np.zeros(5)], -1),
        np.stack([points[:, 1], points[:, 0], np.zeros(5), np.ones(5)], -1),
    ])  # fmt: skip
    for k in range(3):
        expected = np.linalg.lstsq(rows, landmarks[k].T.reshape(-1), rcond=None)[0]
        np.testing.assert_allclose([a[k].real, a[k].imag, b[k].real, b[k].imag], expected, atol=1e-4)


@pytest.mark.parametrize("size", [64, 256, 1024])
def test_the_parser_sees_the_mean_face_on_its_standard_places(size):
    picture = dots(framing.STANDARD_FACE[0] * size, size, size / 100)
    similarity = framing.parser_similarity(framing.STANDARD_FACE)
    seen = framing.to_parser_frame(tf.constant(picture), similarity)
    a, b = (value.numpy()[0] for value in similarity)
    aligned = (framing.STANDARD_FACE[0] @ [1, 1j] - b) / a
    aligned = 512 * np.stack([aligned.real, aligned.imag], -1)
    # A coordinate c, in half sides from the middle, is on pixel 256 (tanh c + 1).
    np.testing.assert_allclose(places(seen) - 0.5, 256 * (np.tanh(aligned / 256 - 1) + 1), atol=0.7)
    # No similarity brings this face onto the parser's: its mouth is wider. Eyes and nose are near.
    np.testing.assert_allclose(aligned[:3], framing.PARSER_POINTS[:3], atol=8)
    np.testing.assert_allclose(aligned[3:], framing.PARSER_POINTS[3:], atol=16)


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (512, 512)])
def test_there_and_back(size):
    smooth = tf.image.resize(tf.random.stateless_uniform([2, 5, 5, 3], [1, 2]), size, method="bicubic")
    similarity = framing.parser_similarity(framing.STANDARD_FACE)
    there = framing.to_parser_frame(smooth, similarity)
    assert there.shape == (2, 512, 512, 3) and there[0, 0, 0, 0] == 0  # outside of the picture
    back = framing.from_parser_frame(there, similarity, *size)
    inside = slice(2, -2)
    np.testing.assert_allclose(back[:, inside, inside], smooth[:, inside, inside], atol=0.05)


def test_gradients_are_the_transpose():
    """All of this is linear in the picture, so ⟨f(x), y⟩ = ⟨x, gradient of ⟨f(·), y⟩⟩ to rounding."""
    similarity = framing.parser_similarity(framing.STANDARD_FACE)
    for change, size in (
        (framing.to_reconstruction_frame, 64),
        (lambda x: framing.to_parser_frame(x, similarity), 64),
        (lambda x: framing.from_parser_frame(x, similarity, 40, 56), 512),
    ):
        x = tf.random.stateless_normal([2, size, size, 3], [1, size])
        with tf.GradientTape() as tape:
            tape.watch(x)
            changed = change(x)
            product = tf.reduce_sum(changed * tf.random.stateless_normal(changed.shape, [2, 3]))
        gradient = tape.gradient(product, x)
        assert float(tf.norm(gradient)) > 1
        scale = float(tf.norm(gradient) * tf.norm(x))
        np.testing.assert_allclose(tf.reduce_sum(gradient * x) / scale, product / scale, atol=1e-6)


def test_sampling_is_bilinear_and_stays_inside():
    image = tf.constant(np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1))
    x, y = tf.constant([[[0.0, 1.5, 3.0, 9.0, -2.0]]]), tf.constant([[[0.0, 0.5, 2.0, 9.0, 1.0]]])
    np.testing.assert_allclose(framing.sample(image, x, y)[0, 0, :, 0], [0, 3.5, 11, 11, 4])
