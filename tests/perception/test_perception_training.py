from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.perception import Identity, Parsing, Perception, Reconstruction
from discoface_tf2.perception.training import evaluate
from discoface_tf2.perception.training.flip import mirror_matrix
from discoface_tf2.perception.training.objectives import (
    IdentityObjective,
    ParsingObjective,
    ReconstructionObjective,
    contrastive,
)
from discoface_tf2.perception.training.optimise import Budget, fit, schedule
from discoface_tf2.perception.training.run import PRESETS, budgets, train
from discoface_tf2.perception.training.samples import Samples, Views
from renderer import FaceRenderer

SEED = tf.constant([1, 2], tf.int32)


@pytest.fixture(scope="module")
def views(with_renders, face):
    return Views(with_renders, mirror_matrix(face))


def test_split_is_by_subject(samples):
    training, held_out = samples.split(0.2, seed=3)
    assert len(training) + len(held_out) == 40 and len(np.unique(held_out.subjects)) == 2
    assert not set(training.subjects) & set(held_out.subjects)
    with pytest.raises(ValueError, match="at least 4 subjects"):
        samples.take(samples.subjects < 3).split(0.2, 0)


def test_renders_keep_who_and_change_the_rest(with_renders):
    layout = with_renders.layout
    photo, render = layout.split(with_renders.coefficients), layout.split(with_renders.render_coefficients)
    np.testing.assert_array_equal(photo["shape"], render["shape"])
    np.testing.assert_array_equal(photo["texture"], render["texture"])
    assert (photo["angles"] != render["angles"]).any(1).mean() > 0.8
    # the made-up photographs are renders themselves, so the face mask is where they have skin or hair
    np.testing.assert_array_equal(with_renders.face_masks > 0, with_renders.masks > 0)
    assert (with_renders.renders.max(axis=(1, 2, 3)) > 50).all()


def test_samples_check_shapes(samples):
    with pytest.raises(ValueError, match="masks should have shape"):
        Samples(samples.layout, samples.images, samples.masks[..., 0], samples.coefficients, samples.subjects)


def test_views_are_what_they_say(views, with_renders):
    rows = tf.range(40)
    photo, codes = views.faces(rows, SEED, (1.0, 0.0, 0.0, 0.0))
    plain = with_renders.images / 127.5 - 1
    flipped = np.abs(photo - plain).max(axis=(1, 2, 3)) > 1e-5
    assert 0.2 < flipped.mean() < 0.8
    np.testing.assert_allclose(photo[flipped], plain[flipped][:, :, ::-1], atol=1e-6)
    width = views.layout.lambda_size
    np.testing.assert_allclose(codes[~flipped], with_renders.coefficients[~flipped, :width], atol=1e-6)
    turned = with_renders.coefficients[flipped, :width] @ views.mirror.numpy()
    np.testing.assert_allclose(codes[flipped], turned, atol=1e-5)

    views.mirror, mirror = None, views.mirror
    on_black, codes = views.faces(rows, SEED, (0.0, 0.0, 1.0, 0.0))
    np.testing.assert_allclose(on_black, np.where(with_renders.face_masks > 0, plain, -1), atol=1e-6)
    swapped, _ = views.faces(rows, SEED, (0.0, 1.0, 0.0, 0.0))
    np.testing.assert_allclose((swapped - plain) * (with_renders.masks > 0), 0, atol=1e-6)
    render, codes = views.faces(rows, SEED, (0.0, 0.0, 0.0, 1.0))
    inside = with_renders.render_masks > 0
    np.testing.assert_allclose((render - (with_renders.renders / 127.5 - 1)) * inside, 0, atol=1e-6)
    np.testing.assert_allclose(codes, with_renders.render_coefficients[:, :width], atol=1e-6)
    views.mirror = mirror


def test_rows_of_people(views, with_renders):
    rows, subject = views.rows_of_people(SEED, 6, 3)
    subject = subject.numpy().reshape(6, 3)
    assert (subject == subject[:, :1]).all()
    np.testing.assert_array_equal(with_renders.subjects[rows].reshape(6, 3), subject)


def test_contrastive_loss_by_hand():
    # two orthogonal subjects, two equal views each: every view sees its twin at 1/t and two others at 0
    embedding = tf.constant([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    loss = contrastive(embedding, tf.constant([0, 0, 1, 1]), temperature=0.5)
    np.testing.assert_allclose(loss, np.log(np.exp(2) + 2) - 2, rtol=1e-6)
    assert contrastive(embedding, tf.constant([0, 1, 0, 1]), temperature=0.5) > loss


def test_schedule():
    values = [schedule(p, 1.0) for p in np.linspace(0, 1, 101)]
    assert max(values) == pytest.approx(1) and values[5] == pytest.approx(1) and values[100] == pytest.approx(0.01)
    assert all(a >= b for a, b in pairwise(values[5:]))


def small_objective(kind, views, face):
    if kind == "reconstruction":
        network = Reconstruction(face.layout, 32, channels=(8, 16, 24), hidden=32)
        return ReconstructionObjective(network, views, FaceRenderer(face, 32).landmarks, 16)
    if kind == "identity":
        return IdentityObjective(Identity(32, channels=(8, 16, 24), embedding=16), views, 16)
    return ParsingObjective(Parsing(32, channels=(8, 12, 16)), views, 16)


@pytest.mark.parametrize(("kind", "ratio"), [("reconstruction", 0.8), ("identity", 0.85), ("parsing", 0.5)])
def test_training_lowers_the_loss(kind, ratio, views, face):
    objective = small_objective(kind, views, face)
    seeds = [tf.constant([99, k]) for k in range(8)]
    before = np.mean([objective(seed)[0] for seed in seeds])
    figures = fit(objective, Budget(steps=80, batch_size=16, learning_rate=5e-3), seed=0, name=kind)
    after = np.mean([objective(seed)[0] for seed in seeds])
    assert after < ratio * before
    assert figures["steps"] == 80 and figures["images"] == 1280 and np.isfinite(figures["loss"])


def test_seed_decides(views, face):
    outputs = []
    for seed in (3, 3, 4):
        objective = small_objective("parsing", views, face)
        for variable in objective.variables:  # the starts of Keras are its own; training is what is seeded
            variable.assign(np.random.default_rng(0).normal(0, 0.05, variable.shape))
        fit(objective, Budget(steps=3, batch_size=16), seed=seed)
        outputs.append(objective.network(tf.zeros([1, 32, 32, 3])).numpy())
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-4


def test_a_network_that_knows_gets_perfect_marks(face, with_renders):
    landmarks = FaceRenderer(face, 32).landmarks
    network = Reconstruction(face.layout, 32, channels=(4, 8), hidden=8)
    report = evaluate._coefficient_errors(network, with_renders.coefficients, with_renders.coefficients, landmarks)
    assert report["pose_degrees_mean"] == 0 and report["landmarks_percent_of_eye_distance"] == 0
    assert report["expression_explained_variance"] == 1 and report["lighting_explained_variance_overall"] == 1


def test_pairs(samples):
    same, different = evaluate._pairs(samples.subjects, 50, np.random.default_rng(0), distinct=True)
    assert (samples.subjects[same[:, 0]] == samples.subjects[same[:, 1]]).all() and (same[:, 0] != same[:, 1]).all()
    assert (samples.subjects[different[:, 0]] != samples.subjects[different[:, 1]]).all()
    alone, _ = evaluate._pairs(np.arange(5), 10, np.random.default_rng(0), distinct=True)
    assert alone.shape == (0, 2)


def test_recipe_trains_reports_and_resumes(samples, face, tmp_path, capsys):
    plan = {name: Budget(steps=2, batch_size=8) for name in PRESETS["quick"]}
    arguments = dict(plan=plan, options={"seed": 0}, seed=0, held_out=0.3, command="test")
    train(samples, face, tmp_path, networks=["parsing"], **arguments)
    assert not (tmp_path / "perception.json").exists()
    parsing = Parsing(32)
    parsing.load_weights(tmp_path / "parsing.weights.h5")
    report = train(samples, face, tmp_path, **arguments)
    assert "parsing: already trained" in capsys.readouterr().out
    assert (tmp_path / "held-out.png").is_file() and list((tmp_path / "tensorboard").iterdir())
    perception = Perception.load(tmp_path)
    assert perception.report == report == json.loads((tmp_path / "report.json").read_text())
    assert perception.face_model == "toy"
    held_out = report["networks"]["reconstruction"]["held_out"]["images"]
    assert held_out["samples"] == 12 and held_out["pose_degrees"].keys() == {"pitch", "yaw", "roll"}
    assert report["networks"]["identity"]["held_out"]["masked_to_render"]["verification_accuracy"] <= 1
    assert report["networks"]["parsing"]["held_out"]["iou"].keys() == {"background", "skin", "hair"}
    probe = tf.random.stateless_normal([1, 32, 32, 3], SEED)
    np.testing.assert_array_equal(perception.parsing(probe), parsing(probe))  # the first one was kept

    stamp = (tmp_path / "perception.json").stat().st_mtime_ns
    train(samples, face, tmp_path, **arguments)
    assert (tmp_path / "perception.json").stat().st_mtime_ns == stamp  # nothing is done twice
    with pytest.raises(ValueError, match="other options"):
        train(samples, face, tmp_path, **{**arguments, "options": {"seed": 1}})
    with pytest.raises(ValueError, match="expected some of"):
        train(samples, face, tmp_path / "other", networks=["pose"], **arguments)


def test_budgets():
    assert budgets("quick", steps=7)["identity"].steps == 7
    # A preset is the same training on every machine.
    assert all(budget.minutes == math.inf for plan in PRESETS.values() for budget in plan.values())
    by_clock = budgets("quick", minutes=3.0)["parsing"]
    assert by_clock.minutes == 3 and by_clock.steps > 10**6
    with pytest.raises(ValueError, match="preset"):
        budgets("none")
    with pytest.raises(ValueError, match="steps: expected a whole number"):
        budgets("quick", steps=0)
