from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from datasets.synthetic.background import backdrop
from datasets.synthetic.labels import LabelDistribution
from datasets.synthetic.lamps import MAXIMUM, Lamps
from renderer import lighting

LAW = LabelDistribution()


def unit(rng, count):
    vectors = rng.normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def lit(lamps, normals):
    """What the label says that white shows at `normals`."""
    gamma = tf.constant(lamps.coefficients()[None])
    return lighting.shade(tf.ones([1, len(normals), 3]), tf.constant(normals[None], tf.float32), gamma).numpy()[0]


def test_a_sky_is_said_exactly_by_its_harmonics():
    sky = Lamps(np.array([0.5, 0.6, 0.7]), 0.3, np.tile([0.0, 0.0, 1.0], (MAXIMUM, 1)), np.zeros((MAXIMUM, 3)))
    normals = unit(np.random.default_rng(0), 50)
    np.testing.assert_allclose(lit(sky, normals), sky.irradiance(normals), atol=1e-5)


def test_lamps_are_said_well_where_a_camera_looks_and_better_than_by_any_other_light():
    rng = np.random.default_rng(1)
    normals = unit(rng, 4000)
    normals[:, 2] = np.abs(normals[:, 2])
    errors, others = [], []
    drawn = [LAW.lamps(rng) for _ in range(30)]
    for number, lamps in enumerate(drawn):
        errors.append(np.abs(lit(lamps, normals) - lamps.irradiance(normals)).mean())
        others.append(np.abs(lit(drawn[number - 1], normals) - lamps.irradiance(normals)).mean())
    assert np.mean(errors) < 0.035 and max(errors) < 0.1 and np.mean(others) > 3 * np.mean(errors)


def test_the_key_light_comes_from_the_bright_side_of_a_place():
    for seed in range(20):
        place = backdrop(32, np.random.default_rng(seed))
        lamps = LAW.lamps(np.random.default_rng(seed), place)
        assert lamps.directions[0, 0] * place.key_direction[0] >= 0


def test_most_are_lit_from_both_sides_and_a_few_from_one():
    rng = np.random.default_rng(8)
    cheeks = np.array([(-0.65, -0.1, 0.75), (0.65, -0.1, 0.75)])
    lit = np.array([LAW.lamps(rng).irradiance(cheeks).mean(1) for _ in range(1500)])
    ratio = lit.max(1) / lit.min(1)
    assert 1.1 < np.median(ratio) < 1.5 and 0.02 < (ratio > 2.5).mean() < 0.08
    assert 0.4 < (lit[:, 0] > lit[:, 1]).mean() < 0.6


def test_lights_leave_a_grey_face_well_exposed():
    rng = np.random.default_rng(2)
    gammas = tf.constant([LAW.lighting(rng) for _ in range(400)])
    front = np.stack([*np.meshgrid([-0.4, 0.0, 0.4], [-0.4, 0.0, 0.4])], -1).reshape(-1, 2)
    normals = np.column_stack([front, np.sqrt(1 - (front**2).sum(1))]).astype(np.float32)
    lit = lighting.shade(tf.ones([400, 9, 3]), tf.tile(normals[None], [400, 1, 1]), gammas).numpy()
    means = lit.mean((1, 2))
    assert abs(np.log(means).mean() - np.log(LAW.exposure_mean)) < 0.05
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


def test_an_image_keeps_its_identity_and_is_not_moved(tiny_face_model):
    rng = np.random.default_rng(7)
    identity = LAW.identity(tiny_face_model, rng)
    one, two = (LAW.image(tiny_face_model, identity, rng)[0] for _ in range(2))
    layout = tiny_face_model.layout
    assert one.shape == (layout.size,) and one.dtype == np.float32
    np.testing.assert_array_equal(one[layout.slice("identity")], identity)
    np.testing.assert_array_equal(two[layout.slice("identity")], identity)
    assert not np.array_equal(one[layout.slice("pose")], two[layout.slice("pose")])
    np.testing.assert_array_equal(one[layout.slice("translation")], 0)
