"""Options: every field of every config has a range; each script answers any value before anything is made."""

import argparse
import contextlib
import dataclasses
import io
import math
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calc_metrics
import export_model
import generate_dataset
import generate_images
import preprocess_data
import train
import train_perception
import vae.train
from datasets import make_synthetic
from datasets.generated.options import GeneratedSet
from datasets.photographs.journal import Settings
from discoface_tf2 import vae_faces
from discoface_tf2.config import Monitoring
from discoface_tf2.generation_options import GenerationOptions
from discoface_tf2.metrics.protocols import Control
from discoface_tf2.networks.stylegan1.config import StyleGAN1Config
from discoface_tf2.networks.stylegan2.config import NetworkConfig
from discoface_tf2.perception.training.optimise import Budget
from discoface_tf2.systems.disco.config import DiscoConfig, LossWeights
from discoface_tf2.systems.gif.config import GifConfig, GifWeights
from discoface_tf2.systems.gif.networks import GifNetworkConfig
from renderer import import_model, preview, render
from renderer.options import Each, Kind, Range, Switch, number, positive, whole
from vae.trainer import TrainingOptions

NEEDED = {  # what each config cannot do without
    DiscoConfig: {}, LossWeights: {}, GifConfig: {}, GifWeights: {}, Monitoring: {}, GenerationOptions: {},
    Settings: {}, GeneratedSet: {}, Control: dict(samples=100), NetworkConfig: dict(input_size=10),
    GifNetworkConfig: dict(input_size=10), Budget: dict(steps=1),
    StyleGAN1Config: dict(input_size=10, widths=(8, 8)),
    TrainingOptions: dict(epochs=1, batch_size=1, lr=1e-4, halve_every=1),
}  # fmt: skip
FIELDS = [(config, field) for config in NEEDED for field in dataclasses.fields(config)]


@pytest.mark.parametrize("config, field", FIELDS, ids=[f"{c.__name__}.{f.name}" for c, f in FIELDS])
def test_every_field_has_a_range_that_is_checked(config, field):
    if dataclasses.is_dataclass(field.default_factory):  # a config of its own
        return
    kind = field.metadata["kind"]
    assert isinstance(kind, Kind) and field.metadata["help"]
    wrong = [math.nan, -math.inf, -1e9, object()]
    if not isinstance(kind, Each):
        wrong.append(())
    if isinstance(kind, Range):
        wrong += [True, "3", kind.least - 1, *([kind.most + 1, 10**400] if kind.most < math.inf else [])]
        wrong += [kind.least] if kind.open_below else []
        wrong += [kind.most] if kind.open_above else []
        wrong += [kind.least + 0.5] if kind.whole else []
    if isinstance(kind, Switch):
        wrong += [0, "no"]
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{field.name}: expected ") as refused:
            config(**{**NEEDED[config], field.name: value})
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 250


@pytest.mark.parametrize("kind, words, inside, outside", [
    (whole(1, 4096), "a whole number, 1 to 4,096", ("1", "4096"), ("0", "4097", "1.0", "nan", "x", "")),
    (whole(8, 1024, power_of_two=True), "a power of two, 8 to 1,024", ("8", "512"), ("48", "4", "2048")),
    (positive(1.0), "a number above 0, at most 1", ("1", "1e-300"), ("0", "inf", "1e400", "-0.0", "nan")),
    (number(0, 1, open_above=True), "a number from 0, below 1", ("0", "0.99"), ("1", "-1e-9")),
])  # fmt: skip
def test_ranges_read_text_and_say_what_they_expect(kind, words, inside, outside):
    assert str(kind) == words
    for text in inside:
        assert kind.fits(kind(text))
    for text in outside:
        with pytest.raises(argparse.ArgumentTypeError, match=f"expected {words}. Received: "):
            kind(text)


def test_a_number_of_many_digits_is_not_repeated():
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        whole(0, 1)("9" * 5000)
    assert len(str(refused.value)) < 200


# ---- each script ----------------------------------------------------------------------------------------------------

SCRIPTS = {
    "train": (train.main, []),
    "generate_images": (generate_images.main, ["--model=run", "--out=out"]),
    "generate_dataset": (generate_dataset.main, ["--model=run", "--out=out"]),
    "calc_metrics": (calc_metrics.main, ["--model=run", "--perception_dir=p", "--data=d"]),
    "export_model": (export_model.main, ["--model=run", "--out=out"]),
    "preprocess_data": (preprocess_data.main, ["--image_path=p", "--save_path=out"]),
    "train_perception": (train_perception.main, ["--data=d", "--out=out"]),
    "make_synthetic": (make_synthetic.main, ["--out=out"]),
    "vae.train": (vae.train.main, ["--factor=id", "--data=d", "--out=out"]),
    # These have no --dry-run: their flags alone are read.
    "vae_faces": (vae_faces.main, ["--vae_dir=v", "--out=out"]),
    "render": (render.main, ["--out=face.png"]),
    "preview": (preview.main, ["--out=sheet.png"]),
    "import_model": (import_model.main, ["ict", "--source=s", "--out=m.npz"]),
}
DRY = [name for name in SCRIPTS if name not in ("vae_faces", "render", "preview", "import_model")]
VALUES = ("0", "-1", "-3", "1", "2", "3", "4", "6", "7", "8", "48", "64", "0.5", "1.0", "1e-9", "1e9", "1e400", "nan",
          "inf", "-inf", "9" * 40, "9" * 5000, "x", "", " ", "True", "None", "b", "png", "none", "\n", "é")  # fmt: skip


class CapturedError(Exception):
    pass


def parser_of(main) -> argparse.ArgumentParser:
    def capture(self, *_):
        raise CapturedError(self)

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_known_args", capture),
        pytest.raises(CapturedError) as captured,
    ):
        main([])
    return captured.value.args[0]


PARSERS = {name: parser_of(main) for name, (main, _) in SCRIPTS.items()}


def flags_with_values(name: str) -> list[str]:
    actions = [action for action in PARSERS[name]._actions if action.option_strings and action.nargs is None]
    return [action.option_strings[0] for action in actions if action.type is not None]


def answer(call, arguments: list[str]) -> tuple[int, str]:
    """Exit code and stderr of a script that is called with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            call(arguments)
        except SystemExit as stopped:
            return int(stopped.code or 0), err.getvalue()
    return 0, err.getvalue()


@pytest.mark.parametrize("name", SCRIPTS)
def test_any_value_is_accepted_or_refused_with_one_line_before_anything_is_made(name, tmp_path, monkeypatch):
    main, needed = SCRIPTS[name]
    call = main if name in DRY else PARSERS[name].parse_args
    given_flags = st.lists(st.tuples(st.sampled_from(flags_with_values(name)), st.sampled_from(VALUES)), max_size=4)
    others = ["--dry-run"] if name in DRY else []
    if name == "train":
        others_of_train = st.sampled_from([[], ["--stage=2"], ["--stage=2", "--preset=ffhq256"], ["--no-mirror"]])
    monkeypatch.chdir(tmp_path)

    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(given_flags, others_of_train if name == "train" else st.just([]))
    def throw(pairs, more):
        code, err = answer(call, [*others, *needed, *more, *(f"{flag}={value}" for flag, value in pairs)])
        assert code in (0, 2), err
        if code:
            lines = err.strip().splitlines()
            assert sum(": error: " in line for line in lines) == 1 and ": error: " in lines[-1], err
            assert len(lines[-1]) < 400
        assert "Traceback" not in err

    throw()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", DRY)
def test_a_dry_run_of_the_defaults_is_accepted(name):
    main, needed = SCRIPTS[name]
    assert answer(main, ["--dry-run", *needed]) == (0, "")


@pytest.mark.parametrize("flags, words", [
    (["--r1_interval=0"], "--r1_interval: expected a whole number, 1 to 1,000,000. Received: 0"),
    (["--pl_weight=2", "--pl_interval=0"], "--pl_interval: expected a whole number, 1 to 1,000,000. Received: 0"),
    (["--l1_resolution=0"], "--l1_resolution: expected a power of two, 4 to 1,024. Received: 0"),
    (["--kimg=inf"], "--kimg: expected a number, 0.001 to 1,000,000. Received: inf"),
    ([f"--seed={'9' * 40}"], "--seed: expected a whole number, 0 to 2,000,000,000. Received: 999"),
    (["--batch_size=6"], "batch_size: expected a multiple of 4"),
    (["--imitate_resolution=7"], "--imitate_resolution: expected a power of two, 4 to 1,024. Received: 7"),
    (["--noise_dim=-3"], "--noise_dim: expected a whole number, 1 to 4,096. Received: -3"),
    (["--ema_kimg=-1"], "--ema_kimg: expected a number, 0 to 1,000,000. Received: -1"),
    (["--r1_gamma=-1"], "--r1_gamma: expected a number, 0 to 1,000,000. Received: -1"),
    (["--resolution=48"], "--resolution: expected a power of two, 8 to 1,024. Received: 48"),
    (["--channel_base=32"], "channel_base: expected at least the resolution, 64. Received: 32"),
    (["--stage=2", "--pairs=1"], "pairs: expected batch_size + 2 pairs to be a multiple of 4"),
    (["--snapshot=3"], "--snapshot is one of --run_id's"),
    (["--ada_start=0.3"], "ada_start: it has no effect without an ada_target above 0"),
    (["--pl_interval=4"], "pl_interval: it has no effect without a pl_weight above 0"),
    (["--imitate_kimg=0", "--imitate_resolution=16"], "imitate_resolution: it has no effect without an imitate_kimg"),
    (["--metric_ticks=3"], "--metric_ticks has no effect without --metrics"),
    (["--metrics", "fid50k"], "expected control<N>, N generated images, 10 or more, such as control500"),
])  # fmt: skip
def test_what_training_used_to_accept_is_refused_by_its_dry_run(flags, words):
    code, err = answer(train.main, ["--dry-run", *flags])
    assert code == 2 and words in err.splitlines()[-1]


@pytest.mark.parametrize("name, flags, words", [
    ("preprocess_data", ["--quality=80"], "has no effect without --format jpeg"),
    ("preprocess_data", ["--runner=DirectRunner", "--workers=2"], "--workers has no effect with --runner"),
    ("vae.train", ["--steps=3", "--epochs=2"], "give one of them"),
    ("make_synthetic", ["--count=3"], "--shards: expected --count, 3, at most"),
    ("train_perception", ["--networks=nose"], "--networks: expected some of reconstruction,identity,parsing"),
    ("calc_metrics", ["--samples=8"], "--samples should be at least twice --variation, 10. Received: 8"),
])  # fmt: skip
def test_options_without_effect_are_refused(name, flags, words):
    main, needed = SCRIPTS[name]
    code, err = answer(main, ["--dry-run", *needed, *flags])
    assert code == 2 and words in err.splitlines()[-1]


def test_help_explains_every_option():
    for name, parser in PARSERS.items():
        for action in parser._actions:
            assert action.help, f"{name}: {action.option_strings}"
    shown = PARSERS["train"].format_help()
    for field in (*dataclasses.fields(DiscoConfig), *dataclasses.fields(LossWeights)):
        if field.name not in ("stage", "preset", "weights"):
            assert " ".join(field.metadata["help"].split()[:3]) in " ".join(shown.split())
