from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.perception import Identity, Parsing, Perception, Reconstruction
from discoface_tf2.perception.clipping import clip_inward
from renderer.layout import CoefficientLayout

LAYOUT = CoefficientLayout(5, 4, 6)


@pytest.fixture(scope="module")
def perception():
    """Untrained, but with every weight moved off its start, so that zeros hide nothing."""
    perception = Perception.new(LAYOUT, image_size=32)
    rng = np.random.default_rng(0)
    for network in (perception.reconstruction, perception.identity, perception.parsing):
        for variable in network.trainable_variables:
            variable.assign_add(rng.normal(0, 0.03, variable.shape))
    perception.reconstruction.set_labels(rng.normal(size=LAYOUT.lambda_size), rng.uniform(1, 2, LAYOUT.lambda_size))
    return perception


@pytest.mark.parametrize("size", [32, 48, 64])
def test_shapes_at_any_size(perception, pictures, size):
    images = tf.image.resize(pictures, (size, size))
    assert perception.reconstruction(images).shape == (4, LAYOUT.size)
    assert perception.identity(images).shape == (4, 128)
    assert perception.parsing(images).shape == (4, size, size, 3)


def test_translation_is_zero(perception, pictures):
    coefficients = perception.reconstruction(pictures).numpy()
    assert (LAYOUT.split(coefficients)["translation"] == 0).all()
    assert LAYOUT.split(coefficients)["shape"].std() > 0


def test_reconstruction_speaks_the_labels_units(perception, pictures):
    network = perception.reconstruction
    standardised = network.standardised(pictures).numpy()
    expected = network.label_mean.numpy() + network.label_std.numpy() * standardised
    np.testing.assert_allclose(network(pictures).numpy()[:, : LAYOUT.lambda_size], expected, rtol=1e-5, atol=1e-5)


def test_identity_is_of_unit_length(perception, pictures):
    np.testing.assert_allclose(np.linalg.norm(perception.identity(pictures).numpy(), axis=-1), 1, atol=1e-5)


def test_probabilities_sum_to_one(perception, pictures):
    probabilities = perception.parsing(tf.image.resize(pictures, (40, 56))).numpy()
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)


def test_large_and_small_picture_agree(perception, pictures):
    large = tf.image.resize(pictures, (128, 128))
    small = tf.image.resize(large, (32, 32), antialias=True)
    np.testing.assert_allclose(perception.identity(large), perception.identity(small), atol=1e-4)


@pytest.mark.parametrize("name", ["reconstruction", "identity", "parsing"])
@pytest.mark.parametrize("size", [32, 64])
def test_gradients_reach_every_picture(perception, pictures, name, size):
    images = tf.image.resize(pictures, (size, size))
    network = getattr(perception, name)

    @tf.function
    def gradient(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            output = network(images)
            loss = tf.reduce_sum(output[..., :2] * tf.constant([1.0, -2.0]))
        return tape.gradient(loss, images)

    result = gradient(images).numpy()
    assert np.isfinite(result).all()
    assert (np.abs(result).max(axis=(1, 2, 3)) > 0).all()


def test_gradient_is_the_slope(perception, pictures):
    direction = tf.random.stateless_normal(pictures.shape, [3, 4])

    def value(step: float) -> tf.Tensor:
        return tf.reduce_sum(perception.reconstruction(pictures + step * direction)[:, :3])

    with tf.GradientTape() as tape:
        tape.watch(pictures)
        output = value(0.0)
    slope = tf.reduce_sum(tape.gradient(output, pictures) * direction)
    np.testing.assert_allclose(slope, (value(1e-2) - value(-1e-2)) / 2e-2, rtol=0.02, atol=1e-3)


def test_save_and_load(perception, pictures, tmp_path):
    perception.report["note"] = 1.5
    perception.save(tmp_path / "p")
    again = Perception.load(tmp_path / "p")
    for name in ("reconstruction", "identity", "parsing"):
        np.testing.assert_array_equal(getattr(again, name)(pictures), getattr(perception, name)(pictures))
        assert getattr(again, name).trainable_variables == []
    assert again.layout == LAYOUT and again.report == {"note": 1.5}
    assert not list(tmp_path.glob("**/*tmp*"))


def test_load_errors(perception, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train_perception\.py"):
        Perception.load(tmp_path)
    perception.save(tmp_path)
    manifest = json.loads((tmp_path / "perception.json").read_text())
    (tmp_path / "identity.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"identity\.weights\.h5: damaged"):
        Perception.load(tmp_path)
    (tmp_path / "identity.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"identity\.weights\.h5"):
        Perception.load(tmp_path)
    for broken in ({**manifest, "format": "else"}, {**manifest, "networks": {}}, [1]):
        (tmp_path / "perception.json").write_text(json.dumps(broken))
        with pytest.raises(ValueError, match=r"perception\.json"):
            Perception.load(tmp_path)
    (tmp_path / "perception.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        Perception.load(tmp_path)


def test_weights_of_other_sizes_are_refused(perception, tmp_path):
    perception.save(tmp_path)
    manifest = json.loads((tmp_path / "perception.json").read_text())
    manifest["networks"]["parsing"]["channels"] = [8, 8, 8, 8]
    (tmp_path / "perception.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"parsing\.weights\.h5"):
        Perception.load(tmp_path)


@pytest.mark.parametrize("network", [Reconstruction(LAYOUT, 32), Identity(32), Parsing(32)])
@pytest.mark.parametrize(
    "images", [np.zeros((2, 32, 32, 3), np.uint8), np.zeros((32, 32, 3)), np.zeros((2, 32, 32, 1))]
)
def test_wrong_images(network, images):
    with pytest.raises(ValueError, match=r"floats in \[-1, 1\]"):
        network(tf.constant(images))


def test_clipping_passes_the_gradients_that_pull_back_alone():
    """Beside central differences inside; outside, what descent on each side of the range would do."""
    x = tf.constant([-1.5, -1.5, -1.0, -0.3, 0.4, 1.0, 1.5, 1.5])
    weights = tf.constant([2.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, -7.0])  # the gradient behind the clip
    with tf.GradientTape() as tape:
        tape.watch(x)
        clipped = clip_inward(x)
        loss = tf.reduce_sum(clipped * weights)
    np.testing.assert_array_equal(clipped, np.clip(x, -1, 1))
    gradient = tape.gradient(loss, x).numpy()
    # -1.5: descent on +2 leads further out, on -2 back; 1.5: on +7 back, on -7 further out.
    np.testing.assert_array_equal(gradient, [0, -2, 3, 4, -5, 6, 7, 0])
    for place in (3, 4):
        step = np.eye(8, dtype=np.float32)[place] * 0.01
        numeric = tf.reduce_sum((clip_inward(x + step) - clip_inward(x - step)) * weights) / 0.02
        np.testing.assert_allclose(gradient[place], numeric, rtol=1e-4)


def test_clipped_values_come_back_under_descent():
    x = tf.Variable([3.0, -3.0])
    for _ in range(100):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(clip_inward(x) - [0.5, -0.25]))
        x.assign_sub(0.1 * tape.gradient(loss, x))
    np.testing.assert_allclose(x, [0.5, -0.25], atol=1e-3)
