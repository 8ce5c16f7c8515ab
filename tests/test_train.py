"""`train.py` and `calc_metrics.py` as a user calls them, on photographs and networks of a few pixels."""

import json

import h5py
import numpy as np
import pytest
from tiny_training import TINY

import calc_metrics
import train
from datasets.records import Manifest, Record, RecordWriter
from discoface_tf2 import model_io
from renderer import FaceRenderer


@pytest.fixture(scope="session")
def dataset(tmp_path_factory, tiny_face_model):
    """16 photographs: renders of random coefficients, of 4 people."""
    folder, layout, rng = tmp_path_factory.mktemp("photographs"), tiny_face_model.layout, np.random.default_rng(0)
    coefficients = (0.3 * rng.normal(size=(16, layout.size))).astype(np.float32)
    coefficients[:, layout.slice("translation")] = 0
    pictures = FaceRenderer(tiny_face_model, 16)(coefficients).image.numpy().astype(np.uint8)
    fields = ("image", "coefficients", "subject", "name")
    writer = RecordWriter(folder, Manifest(16, 2, fields, layout, tiny_face_model.name))
    for shard in range(2):
        rows = range(8 * shard, 8 * shard + 8)
        writer.write_shard(
            shard,
            [Record.from_arrays(pictures[k], coefficients=coefficients[k], subject=k // 4, name=str(k)) for k in rows],
        )
    writer.finish()
    return folder


def flags(**options):
    return [f"--{name}={value}" for name, value in options.items()]


def arrays(path):
    """The arrays of a file of weights, in the order of their names."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return [found[name] for name in sorted(found)]


@pytest.fixture
def common(dataset, tiny_assets):
    where = dict(data=dataset, vae_dir=tiny_assets / "vae", perception_dir=tiny_assets / "perception",
                 face_model=tiny_assets / "face.npz", preset="demo64", warmup_kimg=0, imitate_kimg=0)  # fmt: skip
    return flags(**TINY, **where)


def test_both_stages_and_the_figures(tmp_path, common, dataset, tiny_assets, capsys):
    first, second = tmp_path / "stage1", tmp_path / "stage2"
    train.main([*common, *flags(stage=1, kimg=0.012, out=first)])
    train.main([*common, *flags(stage=2, kimg=0.008, out=second, run_id=first, w_lm=90)])
    output = capsys.readouterr().out
    assert f"snapshot:    {second / 'snapshots' / 'kimg000000.008'}" in output
    options = json.loads((second / "options.json").read_text())
    assert options["training"]["weights"]["landmarks"] == 90
    assert options["assets"]["start_from"] == "kimg000000.012"
    # The moving average of stage 1 goes on. Its ramp-up would make it a copy of the generator in each of the two steps.
    average, current = (
        np.concatenate([value.ravel() for value in arrays(second / "snapshots" / "kimg000000.008" / name)])
        for name in (model_io.WEIGHTS, model_io.CURRENT_WEIGHTS)
    )
    assert np.abs(average - current).mean() > 1e-3

    train.main([*common, *flags(stage=2, kimg=0.008, out=second, run_id=first, w_lm=90)])
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"weights.landmarks: 90.0 there, 100.0 asked for"):
        train.main([*common, *flags(stage=2, kimg=0.008, out=second, run_id=first)])
    with pytest.raises(FileNotFoundError, match="no snapshot at 7 kimg"):
        train.main([*common, *flags(stage=2, kimg=0.008, out=tmp_path / "x", run_id=first, snapshot=7)])

    measure = flags(model=second, perception_dir=tiny_assets / "perception", data=dataset, samples=10)
    calc_metrics.main(measure)
    written = json.loads((second / "metric-control10.jsonl").read_text())
    assert written["kimg"] == 0.008
    assert set(written["generated"]) == set(written["photographs"])
    assert written["photographs"]["samples"] == written["generated"]["samples"] == 10
    assert f"{written['generated']['pose_error_degrees']:.3f}" in capsys.readouterr().out


def test_dry_run_prints_the_configuration_and_makes_nothing(tmp_path, capsys):
    train.main(["--dry-run", "--preset=synthetic64", "--stage=2", "--w_exp_warp=3", f"--out={tmp_path / 'run'}"])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["stage"], printed["weights"]["expression_warp"]) == (2, 3.0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--kimg=x"], "argument --kimg: invalid float value: 'x'"),
        (["--stage=2"], "give its folder by --run_id"),
        (["--batch_size=0"], "batch_size: expected a positive number. Received: 0"),
        (["--preset=tiny"], "argument --preset: invalid choice: 'tiny'"),
        (["--colour=red"], "unrecognized arguments: --colour=red"),
    ],
)
def test_usage_errors_exit_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["data", "vae_dir", "perception_dir", "face_model", "run_id"])
def test_a_missing_asset_is_named_and_leaves_no_run(tmp_path, common, missing):
    arguments = [a for a in common if not a.startswith(f"--{missing}=")]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train.main([*arguments, f"--{missing}={tmp_path / 'nowhere'}", "--kimg=0.008", f"--out={tmp_path / 'run'}"])
    assert not (tmp_path / "run").exists()
