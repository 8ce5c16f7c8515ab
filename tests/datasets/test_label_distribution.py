from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from datasets.synthetic.labels import COMBINATIONS, LabelDistribution, directional, harmonics
from renderer import lighting

LAW = LabelDistribution()


def unit(rng, count):
    vectors = rng.normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_harmonics_are_the_renderers():
    normals = unit(np.random.default_rng(0), 50)
    np.testing.assert_allclose(harmonics(normals), lighting.harmonics(tf.constant(normals)), atol=1e-12)


def test_a_directional_light_is_the_best_quadratic_fit_of_the_clamped_cosine():
    rng = np.random.default_rng(1)
    normals, light = unit(rng, 200_000), unit(rng, 1)[0]
    exact = np.maximum(0, normals @ light)
    fitted, *_ = np.linalg.lstsq(harmonics(normals), exact, rcond=None)
    np.testing.assert_allclose(directional(light), fitted, atol=2e-3)


def test_lights_leave_a_grey_face_well_exposed():
    rng = np.random.default_rng(2)
    gammas = tf.constant([LAW.lighting(rng) for _ in range(400)])
    front = np.stack([*np.meshgrid([-0.4, 0.0, 0.4], [-0.4, 0.0, 0.4])], -1).reshape(-1, 2)
    normals = np.column_stack([front, np.sqrt(1 - (front**2).sum(1))]).astype(np.float32)
    lit = lighting.shade(tf.ones([400, 9, 3]), tf.tile(normals[None], [400, 1, 1]), gammas).numpy()
    means = lit.mean((1, 2))
    assert abs(np.log(means).mean() - np.log(LAW.exposure_mean)) < 0.03
    assert means.min() > 0.65 and means.max() < 1.35
    assert lit.min() > 0
    colour = np.log(lit.mean(1)[:, 0] / lit.mean(1)[:, 2])
    assert np.abs(colour).max() < 0.5 and colour.std() > 0.05


def test_poses_keep_the_documented_limits_and_spread():
    rng = np.random.default_rng(3)
    angles = np.degrees([LAW.angles(rng) for _ in range(4000)])
    assert (np.abs(angles) <= [LAW.pitch_limit, LAW.yaw_limit, LAW.roll_limit]).all()
    np.testing.assert_allclose(angles.std(0), [8, 19.3, 4], rtol=0.06)  # 20° cut at 50° leaves 19.3°
    np.testing.assert_allclose(angles.mean(0), 0, atol=1.2)


def test_identities_are_normal_clipped_and_a_little_correlated(tiny_face_model):
    model = dataclasses.replace(tiny_face_model, shape_std=np.array([2, 1, 0.5], np.float32))
    rng = np.random.default_rng(4)
    drawn = np.array([LAW.identity(model, rng) for _ in range(6000)])
    std = np.concatenate([model.shape_std, model.texture_std])
    np.testing.assert_allclose(drawn.std(0) / std, 0.985, atol=0.03)  # clipping at 2.5 takes 1.5 %
    assert (np.abs(drawn) <= 2.5 * std + 1e-6).all()
    correlation = np.abs(np.corrcoef(drawn.T) - np.eye(len(std)))
    assert 0.03 < correlation.max() <= LAW.identity_common + 0.05


def test_every_action_of_a_combination_is_one_of_the_built_in_face(face):
    for activations in (activations for _, activations in COMBINATIONS.values()):
        for action in activations:
            assert any(name.startswith(action) for name in face.expression_names), action
    assert sum(chance for chance, _ in COMBINATIONS.values()) == pytest.approx(1)


def test_expressions_have_smiles_open_jaws_and_asymmetry(face):
    rng = np.random.default_rng(5)
    drawn = np.array([LAW.expression(face, rng) for _ in range(1500)])
    at = {name: drawn[:, place] for place, name in enumerate(face.expression_names)}
    assert at["jaw_open"].min() >= 0 and at["blink_left"].min() >= 0
    share = (at["smile_left"] + at["smile_right"] > 0.5).mean()
    assert 0.2 < share < 0.4  # smiles and laughs are 29 %
    assert np.corrcoef(at["smile_left"], at["smile_right"])[0, 1] > 0.7
    assert (np.abs(at["smile_left"] - at["smile_right"]) > 0.3).mean() > 0.01
    assert drawn.max() < 1.8


def test_models_without_names_get_normal_expressions(tiny_face_model):
    rng = np.random.default_rng(6)
    drawn = np.array([LAW.expression(tiny_face_model, rng) for _ in range(3000)])
    np.testing.assert_allclose(drawn.std(0), tiny_face_model.expression_std, rtol=0.07)


def test_a_photograph_keeps_its_identity_and_is_not_moved(tiny_face_model):
    rng = np.random.default_rng(7)
    identity = LAW.identity(tiny_face_model, rng)
    one, two = (LAW.photograph(tiny_face_model, identity, rng) for _ in range(2))
    layout = tiny_face_model.layout
    assert one.shape == (layout.size,) and one.dtype == np.float32
    np.testing.assert_array_equal(one[layout.slice("identity")], identity)
    np.testing.assert_array_equal(two[layout.slice("identity")], identity)
    assert not np.array_equal(one[layout.slice("pose")], two[layout.slice("pose")])
    np.testing.assert_array_equal(one[layout.slice("translation")], 0)
