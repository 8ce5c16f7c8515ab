from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.controls import Controls, component_weights, convenience_names, identity, known_names, parse_assignments
from renderer.lights import LightSetup

SNAKE_STYLE = (
    "jaw_open",
    "smile_left",
    "smile_right",
    "jaw_left_right",
    "mouth_stretch_left",
    "mouth_stretch_right",
)
ARKIT_STYLE = ("jawOpen", "mouthSmile_L", "mouthSmile_R", "jawLeft", "jawRight", "eyeWideLeft", "eyeWideRight")


def test_convenience_names_stand_for_both_sides():
    assert convenience_names(SNAKE_STYLE) == {"smile": (1, 2), "mouthstretch": (4, 5)}
    assert convenience_names(ARKIT_STYLE) == {"mouthsmile": (1, 2), "eyewide": (5, 6)}  # jaw left and right are no pair
    assert known_names(SNAKE_STYLE) == ["smile", "mouth_stretch", *SNAKE_STYLE]


@pytest.mark.parametrize(
    ("names", "given", "wanted"),
    [
        (SNAKE_STYLE, {"smile": 0.8, "jaw_open": 0.3}, {1: 0.8, 2: 0.8, 0: 0.3}),
        (ARKIT_STYLE, {"smile": 0.8, "jaw_open": 0.3}, {1: 0.8, 2: 0.8, 0: 0.3}),  # the same words, another model
        (SNAKE_STYLE, {"smile": 0.8, "smile_left": 0.2}, {1: 0.2, 2: 0.8}),
        (SNAKE_STYLE, {"Smile_Right": 1, "stretch": -1}, {2: 1, 4: -1, 5: -1}),
        (ARKIT_STYLE, {"mouthSmile": 1, "wide": 2, "jawLeft": 3}, {1: 1, 2: 1, 5: 2, 6: 2, 3: 3}),
        (SNAKE_STYLE, {}, {}),
    ],
)
def test_component_weights(names, given, wanted):
    assert component_weights(names, given, "expression") == wanted


def test_an_ambiguous_short_name_is_unknown():
    with pytest.raises(ValueError, match="no 'open'"):
        component_weights(("jaw_open", "mouth_open"), {"open": 1}, "expression")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"no 'smlie'. Did you mean smile\? Expected one of: smile, mouth_stretch, jaw"
    ):
        component_weights(SNAKE_STYLE, {"smlie": 1}, "expression")


@pytest.mark.parametrize("text", ["smile", "smile=", "=1", "smile=big", "smile=nan", "smile=inf", "a=1,a=2", "a=1,b"])
def test_parse_assignments_says_what_is_wrong(text):
    with pytest.raises(ValueError, match="expression: "):
        parse_assignments(text)


@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z_0-9]{0,8}\Z"), st.floats(allow_nan=False, allow_infinity=False)))
def test_assignments_round_trip(values):
    assert parse_assignments(",".join(f"{name}={value!r}" for name, value in values.items())) == values


def test_controls_change_what_they_name_and_nothing_else(sphere):
    model = dataclasses.replace(sphere, expression_names=("jaw_open", "smile_left", "smile_right"))
    layout = model.layout
    before = np.random.default_rng(0).normal(size=[2, layout.size]).astype(np.float32)
    controls = Controls(yaw=30, expression={"smile": 0.8}, texture={"b": 2}, lights=LightSetup.parse("left=0.6"))
    after = controls.apply(model, before)
    wanted = layout.split(before.copy())
    wanted["angles"][:, 1] = np.pi / 6
    wanted["expression"][:, 1:] = 0.8
    wanted["texture"][:, 1] = 2
    wanted["lighting"][:] = LightSetup.parse("left=0.6").coefficients()
    np.testing.assert_array_equal(after, np.concatenate(list(wanted.values()), -1))
    np.testing.assert_array_equal(Controls().apply(model, before), before)
    np.testing.assert_array_equal(  # a λ, as the generator takes it
        controls.apply(model, before[:, : layout.lambda_size]), after[:, : layout.lambda_size]
    )
    with pytest.raises(ValueError, match="pitch"):
        Controls(pitch=float("nan"))


def test_identity_is_keyed_by_the_seed(sphere):
    model = dataclasses.replace(sphere, shape_std=np.array([1, 2, 3, 0], np.float32))
    people = np.stack([identity(model, seed) for seed in range(400)])
    groups = model.layout.split(people)
    np.testing.assert_allclose(groups["shape"].std(0), [1, 2, 3, 0], rtol=0.15)
    assert not any(groups[name].any() for name in ("expression", "angles", "lighting", "translation"))
    np.testing.assert_array_equal(identity(model, 7), people[7])
    assert not identity(model).any()


ARKIT = ("mouthSmile_L", "mouthSmile_R", "eyeBlink_L", "eyeBlink_R", "cheekSquint_L", "cheekSquint_R", "eyeSquint_L",
         "eyeSquint_R", "browDown_L", "browDown_R", "jawLeft", "jawOpen", "mouthPucker", "mouthClose")  # fmt: skip


@pytest.mark.parametrize(
    ("names", "written", "found"),
    [
        (ARKIT, "smile_left", ["mouthSmile_L"]),
        (ARKIT, "smileRight", ["mouthSmile_R"]),
        (ARKIT, "blink", ["eyeBlink_L", "eyeBlink_R"]),
        (ARKIT, "eyeBlinkLeft", ["eyeBlink_L"]),
        (ARKIT, "squint", ["eyeSquint_L", "eyeSquint_R"]),
        (ARKIT, "brow_lower", ["browDown_L", "browDown_R"]),
        (ARKIT, "jaw_open", ["jawOpen"]),
        (ARKIT, "jaw_left", ["jawLeft"]),
        (ARKIT, "mouth_close", ["mouthClose"]),
        (SNAKE_STYLE, "smileLeft", ["smile_left"]),
        (SNAKE_STYLE, "jawOpen", ["jaw_open"]),
    ],
)
def test_plain_words_find_arkits_names(names, written, found):
    assert [names[number] for number in component_weights(names, {written: 1.0}, "expression")] == found


@pytest.mark.parametrize("written", ["mouthFunnel", "brow_lower_middle", "jaw_right", "tongueOut"])
def test_a_movement_that_a_model_lacks_is_refused(written):
    with pytest.raises(ValueError, match="there is no"):
        component_weights(ARKIT, {written: 1.0}, "expression")
