"""Expressions as portraits have them, by ARKit's names."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from datasets.synthetic.expressions import ACTIONS, COMBINATIONS, ExpressionDistribution, _units

LAW = ExpressionDistribution()
_BOTH = ("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp",
         "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile",
         "mouthStretch", "mouthUpperUp", "noseSneer")  # fmt: skip
ARKIT = (*(stem + side for stem in _BOTH for side in ("Left", "Right")), "browInnerUp", "cheekPuff", "jawForward",
         "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthLeft", "mouthRight", "mouthPucker",
         "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "tongueOut")  # fmt: skip


def kit(model, names):
    """The model with activations of the kit's names."""
    return dataclasses.replace(
        model,
        expression_basis=np.zeros((len(model.mean_shape), 3, len(names)), np.float32),
        expression_std=np.ones(len(names), np.float32),
        expression_names=tuple(names),
        manifest={"activations": "one-way"},
    )


@pytest.fixture(scope="module")
def arkit(tiny_face_model):
    return sampled(kit(tiny_face_model, ARKIT), 4000)


def sampled(model, count, law=LAW, angles=None):
    rng = np.random.default_rng(0)
    values = np.stack([law.sample(model, rng, angles) for _ in range(count)])
    return dict(zip(model.expression_names, values.T, strict=True))


def test_every_action_is_one_of_a_kit_and_every_unit_has_an_action(face):
    assert set(face.expression_names) == set(ARKIT)
    theirs = {name: unit.actions for name, unit in zip(ARKIT, _units(ARKIT), strict=True)}
    assert {action for actions in theirs.values() for action in actions} >= ACTIONS
    without = {name for name, actions in theirs.items() if not ACTIONS.intersection(actions)}
    assert len(ARKIT) == 52 and without == {"tongueOut"} | {name for name in ARKIT if name.startswith("eyeLook")}
    assert sum(chance for chance, _ in COMBINATIONS.values()) == pytest.approx(1)


def test_most_smile_or_rest_some_speak(arkit):
    smiles = (arkit["mouthSmileLeft"] + arkit["mouthSmileRight"]) / 2 > 0.28
    assert 0.36 < smiles.mean() < 0.46
    assert (arkit["cheekSquintLeft"][smiles] > 0.1).mean() > 0.7 > (arkit["cheekSquintLeft"][~smiles] > 0.1).mean()
    rest = [name for name in ARKIT if not name.startswith(("eyeLook", "eyeBlink"))]
    quiet = np.max([arkit[name] for name in rest], 0) < 0.42
    assert 0.22 < quiet.mean() < 0.40
    assert (arkit["jawOpen"] > 0.5).mean() < 0.02 and 0.1 < (arkit["jawOpen"] > 0.1).mean() < 0.3


def test_every_unit_occurs_and_the_tongue_does_not(arkit):
    assert not arkit["tongueOut"].any()
    for name in ARKIT[:-1]:
        assert arkit[name].std() > 0.03 and (arkit[name] > 0.1).mean() > 0.005 and arkit[name].max() > 0.15, name
    assert arkit["jawLeft"].max() > 0.4 and arkit["jawRight"].max() > 0.4


def test_activations_stay_between_none_and_full(arkit):
    assert all(values.min() >= 0 and values.max() <= 1 for values in arkit.values())
    assert (arkit["mouthClose"] <= arkit["jawOpen"]).all()
    assert (np.minimum(arkit["jawLeft"], arkit["jawRight"]) < 0.1).all()  # one way, but for the noise


@pytest.mark.parametrize("left,right", [("_L", "_R"), ("Left", "Right")])
def test_both_sides_are_mostly_alike(tiny_face_model, left, right):
    names = [stem + side for stem in ("mouthSmile", "eyeBlink") for side in (left, right)]
    values = sampled(kit(tiny_face_model, names), 3000)
    difference = np.abs(values["mouthSmile" + left] - values["mouthSmile" + right])
    assert np.corrcoef(values["mouthSmile" + left], values["mouthSmile" + right])[0, 1] > 0.85
    assert 0.02 < np.median(difference) < 0.08 and 0.005 < (difference > 0.25).mean() < 0.06
    winks = (np.abs(values["eyeBlink" + left] - values["eyeBlink" + right]) > 0.5).mean()
    assert 0.005 < winks < 0.04


def test_eyes_mostly_find_the_camera(face):
    ahead = sampled(face, 800)
    across = np.abs(ahead["eyeLookOutLeft"] - ahead["eyeLookInLeft"])
    assert np.median(across) < 0.1 < across.max()
    turned = np.radians([10.0, 15.0, 0.0])  # bowed, and turned to the picture's right
    eyes = sampled(face, 800, angles=turned)
    assert np.median(eyes["eyeLookInLeft"]) == pytest.approx(15 / 22.5, abs=0.05)
    assert np.median(eyes["eyeLookUpLeft"]) == pytest.approx(10 / 15, abs=0.05)
    np.testing.assert_array_equal(eyes["eyeLookInLeft"], eyes["eyeLookOutRight"])
    np.testing.assert_array_equal(eyes["eyeLookUpLeft"], eyes["eyeLookUpRight"])
    assert not (eyes["eyeLookInLeft"] * eyes["eyeLookOutLeft"]).any()
    assert not (eyes["eyeLookUpLeft"] * eyes["eyeLookDownLeft"]).any()


def test_other_kits_names_stand_for_the_actions_of_the_house(tiny_face_model):
    model = kit(tiny_face_model, ("jawOpen", "mouthSmile_L", "browInnerUp_L", "jawLeft", "jawRight"))
    smiles = sampled(model, 50, ExpressionDistribution(combinations={"smile": (1.0, {"smile": (0.9, 1.0)})}))
    assert smiles["mouthSmile_L"].mean() > 0.6 and smiles["jawOpen"].mean() < 0.2
    raised = sampled(model, 50, ExpressionDistribution(combinations={"raised": (1.0, {"brow_inner_up": (0.9, 1.0)})}))
    assert raised["browInnerUp_L"].mean() > 0.6 and raised["mouthSmile_L"].mean() < 0.2
    aside = sampled(model, 50, ExpressionDistribution(combinations={"aside": (1.0, {"jaw_shift": (0.5, 0.6)})}))
    assert aside["jawLeft"].min() > 0.4 and aside["jawRight"].max() < 0.2


def test_models_without_names_get_normal_expressions(tiny_face_model):
    rng = np.random.default_rng(6)
    values = np.array([LAW.sample(tiny_face_model, rng) for _ in range(3000)])
    np.testing.assert_allclose(values.std(0), tiny_face_model.expression_std, rtol=0.07)
    one_way = dataclasses.replace(tiny_face_model, manifest={"one_way": ["expression_1"]})
    same = np.array([LAW.sample(one_way, np.random.default_rng(seed)) for seed in range(50)])
    values = np.array([LAW.sample(tiny_face_model, np.random.default_rng(seed)) for seed in range(50)])
    values[:, 1] = np.abs(values[:, 1])
    np.testing.assert_array_equal(same, values)
