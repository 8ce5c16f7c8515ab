from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from renderer import FaceModel, FaceRenderer, load_face_model
from renderer.controls import Controls
from renderer.geometry import Geometry
from renderer.pose import axis_angle_matrix
from renderer.preview import preview_coefficients
from renderer.skeleton import Skeleton, first_order


@pytest.fixture(scope="module")
def jointed(sphere) -> FaceModel:
    """The ball with a root and a joint at its middle, which the lower half follows; `c` turns it about x."""
    lower = np.clip(0.5 - sphere.mean_shape[:, 1:2], 0, 1)
    weights = np.concatenate([1 - lower, lower], 1).astype(np.float32)
    skeleton = Skeleton(
        parents=np.array([-1, 0], np.int32),
        regressor=np.full((2, len(weights)), 1 / len(weights), np.float32),
        weights=weights,
        pose_basis=np.random.default_rng(0).normal(0, 0.01, (len(weights), 3, 9)).astype(np.float32),
        units=np.array([[[0], [0], [0]], [[0.5], [0], [0]]], np.float32),
    )
    basis = sphere.expression_basis.copy()
    basis[..., 2:] = first_order(skeleton, sphere.mean_shape)
    return replace(sphere, skeleton=skeleton, expression_basis=basis)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parents": np.array([-1, 1], np.int32)}, "parents should be -1, then numbers of earlier joints"),
        ({"parents": np.array([0, 0], np.int32)}, "parents should be -1"),
        ({"weights": np.ones((1271, 2), np.float32)}, "weights of each vertex should sum to 1"),
        ({"regressor": np.zeros((2, 5), np.float32)}, r"regressor should have shape \(2, 1271\)"),
        ({"pose_basis": np.full((1271, 3, 9), np.nan, np.float32)}, "pose_basis holds NaN"),
        ({"units": np.zeros((2, 2, 1), np.float32)}, r"units should have shape \(2, 3, 1\)"),
        ({"weights": np.zeros((), np.float32)}, "should have shape"),
    ],
)
def test_impossible_skeletons_are_refused(jointed, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(jointed.skeleton, **changes)


def test_a_skeleton_has_to_fit_its_model(jointed, plate):
    with pytest.raises(ValueError, match="skeleton should have 169 vertices"):
        replace(plate, skeleton=jointed.skeleton)


def test_saved_and_damaged(jointed, sphere, tmp_path):
    path = tmp_path / "model.npz"
    jointed.save(path)
    loaded = load_face_model(path)
    assert loaded.checksum() == jointed.checksum() != sphere.checksum()
    assert loaded.skeleton is not None and loaded.skeleton.rotations == 1
    with np.load(path) as stored:
        arrays = dict(stored)
    for changed, message in (
        ({"skeleton.weights": None}, "it has no skeleton.weights"),
        ({"skeleton.weights": np.zeros(3, np.float32)}, "should have shape"),
        ({"skeleton.parents": np.zeros(2)}, "skeleton.parents should be of numpy's kind 'i'"),
        ({"skeleton.units": arrays["skeleton.units"] * 2}, "checksum"),
    ):
        np.savez(path, **{key: value for key, value in (arrays | changed).items() if value is not None})
        with pytest.raises(ValueError, match=message):
            load_face_model(path)


def test_a_linear_model_is_not_skinned(sphere, jointed, draw):
    coefficients = draw(sphere, 2)
    weights = coefficients[:, [0, 1, 2, 3, 6, 7, 8]]
    basis = np.concatenate([sphere.shape_basis, sphere.expression_basis], -1)
    geometry = Geometry(sphere)
    mean = sphere.mean_shape - sphere.mean_shape.mean(0)
    expected = mean + tf.reshape(weights @ basis.reshape(-1, 7).T, [2, -1, 3])
    np.testing.assert_array_equal(geometry(weights), expected)
    assert len(list(geometry.submodules)) == 1  # the sum, and nothing else
    # With the joints at rest a model with a skeleton is the linear one.
    weights[:, -1] = 0
    linear = replace(jointed, skeleton=None)
    np.testing.assert_allclose(Geometry(jointed)(weights), Geometry(linear)(weights), atol=2e-6)


def test_a_joint_turns_what_follows_it(jointed):
    weights = np.zeros((1, 7), np.float32)
    weights[0, -1] = 0.6  # times 0.5: 0.3 radians about x
    points = jointed.mean_shape - jointed.mean_shape.mean(0)
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    points = points + jointed.skeleton.pose_basis @ (turn - np.eye(3)).ravel()
    follows = jointed.skeleton.weights[:, 1:]
    expected = (1 - follows) * points + follows * (points @ turn.T)
    np.testing.assert_allclose(Geometry(jointed)(weights)[0], expected, atol=1e-6)
    some = np.array([7, 1000, 3])
    np.testing.assert_allclose(Geometry(jointed, some)(weights)[0], expected[some], atol=1e-6)


def test_axis_angles():
    turns = np.random.default_rng(0).normal(0, 1.5, (50, 3))
    turns[0], turns[1] = 0, [0, 1e-9, 0]
    received = axis_angle_matrix(tf.constant(turns)).numpy()
    np.testing.assert_allclose(received @ np.swapaxes(received, 1, 2), np.tile(np.eye(3), (50, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(received @ turns[..., None], turns[..., None], atol=1e-12)
    np.testing.assert_allclose(np.trace(received, axis1=1, axis2=2), 1 + 2 * np.cos(np.linalg.norm(turns, axis=1)))
    quarter = axis_angle_matrix(tf.constant([[np.pi / 2, 0, 0]])).numpy()[0]
    np.testing.assert_allclose(quarter @ [0, 0, 1], [0, -1, 0], atol=1e-6)  # as a positive pitch: the nose goes down
    given = tf.zeros([1, 3])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        value = axis_angle_matrix(given)
    jacobian = tape.jacobian(value, given, experimental_use_pfor=False)[0, ..., 0, :].numpy()  # [3, 3, 3]
    np.testing.assert_allclose(jacobian[2, 1], [1, 0, 0])  # d R / d turns is the cross product's matrix
    np.testing.assert_allclose(jacobian + np.swapaxes(jacobian, 0, 1), 0)


def test_renderer_landmarks_flow_and_controls_see_the_joint(jointed):
    renderer, rest = FaceRenderer(jointed, 64), np.zeros((1, jointed.layout.size), np.float32)
    turned = Controls(expression={"c": 0.6}).apply(jointed, rest)
    rendering = renderer(turned)
    expected = renderer.camera.project(tf.gather(rendering.vertices, jointed.landmarks, axis=1))
    np.testing.assert_allclose(rendering.landmarks, expected, rtol=1e-5, atol=1e-4)
    assert np.abs(rendering.landmarks - renderer(rest).landmarks).max() > 0.5
    assert np.abs(renderer.flow(rest, turned).flow).max() > 0.5
    given = tf.constant(turned)
    with tf.GradientTape() as tape:
        tape.watch(given)
        value = tf.reduce_mean(renderer(given).image ** 2)
    gradient = tape.gradient(value, given)
    assert np.isfinite(gradient).all() and np.abs(gradient[0, jointed.layout.slice("expression")][-1]) > 0


def test_the_preview_turns_joints_as_far_as_they_go(jointed):
    spread = np.array([1.0, 0.4, 0.1], np.float32)
    labels, coefficients = preview_coefficients(replace(jointed, expression_std=spread))
    expression = jointed.layout.split(coefficients)["expression"]
    for name, expected in (("a", [2.5, 0, 0]), ("b", [0, 1, 0]), ("c", [0, 0, 0.25])):
        np.testing.assert_allclose(expression[labels.index(name)], expected)


def test_eager_graph_and_xla_agree(jointed):
    geometry = Geometry(jointed)
    weights = tf.random.stateless_normal([3, 7], [1, 2], stddev=0.3)
    eager = geometry(weights)
    for compiled in (tf.function(geometry.__call__, input_signature=[tf.TensorSpec([None, 7])]),
                     tf.function(geometry.__call__, jit_compile=True)):  # fmt: skip
        np.testing.assert_allclose(compiled(weights), eager, atol=1e-5)
