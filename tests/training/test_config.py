"""The configuration: presets, overrides, phases, and what is refused."""

import json

import pytest

from discoface_tf2.config import PRESETS, TrainingConfig, make_config


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("stage", [1, 2])
def test_every_preset_survives_a_round_trip_through_json(preset, stage):
    config = make_config(preset, stage)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_overrides_replace_preset_values_and_none_does_not():
    config = make_config("demo64", 1, kimg=7.0, batch_size=None, w_identity=5.0)
    assert (config.kimg, config.batch_size, config.weights.identity) == (7.0, 16, 5.0)
    assert config.weights.lighting == 10.0  # the reference's


def test_the_reference_lowers_the_landmark_weight_in_stage_2_at_256():
    assert make_config("ffhq256", 2).weights.landmarks == 100.0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(preset="nothing", stage=1), "preset: expected one of"),
        (dict(preset="demo64", stage=3), "stage: expected 1 or 2"),
        (dict(preset="demo64", stage=1, colour=3), "unknown training options: colour"),
        (dict(preset="demo64", stage=1, w_nose=3.0), "unknown training options: nose"),
        (dict(preset="demo64", stage=1, kimg=-1.0), "kimg: expected a positive number"),
        (dict(preset="demo64", stage=2, pairs=9), "pairs: expected"),
        (dict(preset="demo64", stage=1, dtype="float16"), "dtype: expected float32 or mixed_bfloat16"),
    ],
)
def test_wrong_options_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as refused:
        make_config(**arguments)
    assert "\n" not in str(refused.value)


def test_phases_follow_each_other():
    config = make_config("demo64", 1, imitate_kimg=2.0, warmup_kimg=3.0)
    assert [config.phase(k) for k in (0, 1.999, 2, 4.999, 5)] == [
        "imitate", "imitate", "warmup", "warmup", "imitative"]  # fmt: skip
    assert make_config("demo64", 2).phase(0) == "contrastive"
