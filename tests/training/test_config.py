"""The configuration: presets, overrides, phases, and what is refused."""

import dataclasses
import json

import pytest

from discoface_tf2.systems import NAMES, config_class
from discoface_tf2.systems.disco.config import PRESETS, DiscoConfig, LossWeights


@pytest.mark.parametrize("system, preset, stage", [
    (name, preset, stage) for name in NAMES for preset, stages in config_class(name).PRESETS.items() for stage in stages
])  # fmt: skip
def test_every_preset_survives_a_round_trip_through_json(system, preset, stage):
    kind = config_class(system)
    config = kind.make(preset, stage)
    assert kind.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.phase(0) in kind.PHASES and config.phase(config.kimg) in kind.PHASES


def test_overrides_replace_preset_values_and_none_does_not():
    config = DiscoConfig.make("demo64", 1, kimg=7.0, batch_size=None, w_identity=5.0)
    assert (config.kimg, config.batch_size, config.weights.identity) == (7.0, 16, 5.0)
    assert config.weights.lighting == 10.0  # the reference's


METHOD = ("ffhq256", "ffhq256-full", "ffhq512", "ffhq1024", "original256")


@pytest.mark.parametrize("preset", METHOD)
def test_the_methods_presets_keep_its_loss_weights(preset):
    assert DiscoConfig.make(preset, 1).weights == LossWeights()
    assert DiscoConfig.make(preset, 2).weights == LossWeights(landmarks=100.0)  # the reference lowers it in stage 2


@pytest.mark.parametrize("preset, batch, gamma, rate, ema, width", [
    ("ffhq256", 64, 1.0, 0.0025, 20, 64), ("ffhq512", 64, 0.5, 0.0025, 20, 64), ("ffhq1024", 32, 2.0, 0.002, 10, 32),
])  # fmt: skip
def test_published_settings_of_ffhq(preset, batch, gamma, rate, ema, width):
    """StyleGAN2-ADA's published configurations for FFHQ; the channels are those of the last resolution."""
    for stage in (1, 2):
        config = DiscoConfig.make(preset, stage)
        seen = (config.batch_size, config.r1_gamma, config.learning_rate, config.ema_kimg)
        assert seen == (batch, gamma, rate, ema)
        assert config.channel_base // config.resolution == width and config.channel_max == 512
        assert (config.mapping_layers, config.mapping_width, config.mapping_lr_multiplier) == (8, 512, 0.01)
        assert (config.pl_weight, config.pl_interval, config.r1_interval, config.layer_noise) == (2.0, 4, 16, True)


def test_the_originals_own_settings():
    for stage in (1, 2):
        config = DiscoConfig.make("original256", stage)
        seen = (config.resolution, config.batch_size, config.learning_rate, config.beta_2, config.r1_gamma)
        assert seen == (256, 16, 0.002, 0.99, 10.0)
        assert (config.pl_weight, config.ema_kimg, config.layer_noise, config.mirror) == (0.0, 10, True, True)


@pytest.mark.parametrize("preset", PRESETS)
def test_landmarks_count_a_fifth_in_stage_2_and_all_else_the_same(preset):
    first, second = (DiscoConfig.make(preset, stage).weights for stage in (1, 2))
    assert dataclasses.replace(first, landmarks=first.landmarks / 5) == second


@pytest.mark.parametrize("preset", PRESETS)
def test_no_pair_is_in_one_group_of_the_minibatch_deviation(preset):
    """The discriminator would know a pair by its likeness: rows i and i + N / 4 · k are a group of 4."""
    config = DiscoConfig.make(preset, 2)
    rows = config.batch_size + 2 * config.pairs
    assert rows % 4 == 0
    for row in range(2 * config.pairs):
        assert (row - (config.batch_size + row)) % (rows // 4) != 0


def test_half_and_full_width_at_256_differ_in_width_alone():
    half, full = (DiscoConfig.make(preset, 1).to_dict() for preset in ("ffhq256", "ffhq256-full"))
    assert {k for k in half if half[k] != full[k]} == {"preset", "channel_base"}
    assert full["channel_base"] == 2 * half["channel_base"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(preset="nothing", stage=1), "preset: expected one of"),
        (dict(preset="demo64", stage=3), "stage: expected 1 or 2"),
        (dict(preset="demo64", stage=1, colour=3), "unknown training options: colour"),
        (dict(preset="demo64", stage=1, w_nose=3.0), "unknown training options: nose"),
        (dict(preset="demo64", stage=1, kimg=-1.0), "kimg: expected a number, 0.001 to 1,000,000. Received: -1.0"),
        (dict(preset="demo64", stage=2, pairs=9), "pairs: expected"),
        (dict(preset="demo64", stage=1, dtype="float16"), "dtype: expected one of float32, mixed_bfloat16"),
    ],
)
def test_wrong_options_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as refused:
        DiscoConfig.make(**arguments)
    assert "\n" not in str(refused.value)


def test_phases_follow_each_other():
    config = DiscoConfig.make("demo64", 1, imitate_kimg=2.0, warmup_kimg=3.0)
    assert [config.phase(k) for k in (0, 1.999, 2, 4.999, 5)] == [
        "imitate", "imitate", "warmup", "warmup", "imitative"]  # fmt: skip
    assert DiscoConfig.make("demo64", 2).phase(0) == "contrastive"
