"""`train.py` and `calc_metrics.py` as a user calls them, on photographs and networks of a few pixels."""

import json
import shutil

import h5py
import numpy as np
import pytest

import calc_metrics
import export_model
import generate_images
import train
from datasets.records import Manifest, Record, RecordWriter, iterate_shard
from discoface_tf2 import model_io
from discoface_tf2.networks.stylegan1.config import StyleGAN1Config
from tests.helpers.tiny_training import TINY


def flags(**options):
    return [f"--{name}={value}" for name, value in options.items()]


def arrays(path):
    """The arrays of a file of weights, in the order of their names."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return [found[name] for name in sorted(found)]


@pytest.fixture
def common(tiny_dataset, tiny_assets):
    where = dict(data=tiny_dataset, vae_dir=tiny_assets / "vae", perception_dir=tiny_assets / "perception",
                 face_model=tiny_assets / "face.npz", preset="demo64", warmup_kimg=0, imitate_kimg=0)  # fmt: skip
    return flags(**TINY, **where)


def test_both_stages_and_the_figures(tmp_path, common, tiny_dataset, tiny_assets, capsys):
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

    measure = flags(model=second, perception_dir=tiny_assets / "perception", data=tiny_dataset, samples=10)
    calc_metrics.main(measure)
    written = json.loads((second / "metric-control10.jsonl").read_text())
    assert written["kimg"] == 0.008
    assert set(written["generated"]) == set(written["real"])
    assert written["real"]["samples"] == written["generated"]["samples"] == 10
    assert f"{written['generated']['pose_error_degrees']:.3f}" in capsys.readouterr().out


def test_gif_through_the_scripts(tmp_path, tiny_dataset, tiny_assets, capsys):
    """Trained in parts and in one go to the same bits, without perception networks; generated, measured, exported."""
    sizes = dict(resolution=16, channel_base=128, channel_max=8, mapping_layers=2, mapping_width=16, noise_dim=4)
    options = flags(system="gif", preset="gif64", batch_size=4, imitate_kimg=0, r1_interval=2, texture_interval=2,
                    texture_size=16, data=tiny_dataset, vae_dir=tiny_assets / "vae", tick_kimg=0.004,
                    face_model=tiny_assets / "face.npz", **sizes)  # fmt: skip
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for kimg in (0.008, 0.02):
        train.main([*options, *flags(kimg=kimg, out=parts)])
    train.main([*options, *flags(kimg=0.02, out=whole)])
    snapshots = [folder / "snapshots" / "kimg000000.020" for folder in (parts, whole)]
    for ours, theirs in zip(*(arrays(snapshot / model_io.WEIGHTS) for snapshot in snapshots), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    manifest = json.loads((whole / "snapshots" / "kimg000000.020" / model_io.MANIFEST).read_text())
    assert (manifest["system"], manifest["network"]["condition"], manifest["noise_dim"]) == ("gif", "both", 4)

    generate_images.main(["--model", str(whole), "--factor=pose", "--subject=2", "--variation=2",
                          "--out", str(tmp_path / "images")])  # fmt: skip
    assert (tmp_path / "images" / "sheet.png").is_file() and (tmp_path / "images" / "00003.png").is_file()
    calc_metrics.main(flags(model=whole, perception_dir=tiny_assets / "perception", data=tiny_dataset, samples=10))
    figures = json.loads((whole / "metric-control10.jsonl").read_text())
    assert figures["generated"]["shape_error_mm"] > 0 and figures["real"]["pose_error_mm"] > 0
    capsys.readouterr()
    export_model.main(["--model", str(whole), "--out", str(tmp_path / "saved")])
    assert "its images differ by at most 0" in capsys.readouterr().out

    shutil.move(tiny_assets / "face.npz", tiny_assets / "elsewhere.npz")
    try:
        with pytest.raises(FileNotFoundError, match=r"expected the .npz of the face model .* \(--face_model\)"):
            generate_images.main(["--model", str(whole), "--out", str(tmp_path / "more")])
        assert not (tmp_path / "more").exists()
        generate_images.main(["--model", str(whole), "--subject=1", "--variation=2", "--out", str(tmp_path / "more"),
                              "--face_model", str(tiny_assets / "elsewhere.npz")])  # fmt: skip
    finally:
        shutil.move(tiny_assets / "elsewhere.npz", tiny_assets / "face.npz")
    with pytest.raises(ValueError, match=r"a network of the system gif. Received: --system disco"):
        train.main(flags(preset="demo64", run_id=whole, data=tiny_dataset, vae_dir=tiny_assets / "vae",
                         perception_dir=tiny_assets / "perception", face_model=tiny_assets / "face.npz",
                         out=tmp_path / "disco", **TINY))  # fmt: skip


def test_dry_run_prints_the_configuration_and_makes_nothing(tmp_path, capsys):
    train.main(["--dry-run", "--preset=synthetic64", "--stage=2", "--w_exp_warp=3", f"--out={tmp_path / 'run'}"])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["stage"], printed["weights"]["expression_warp"]) == (2, 3.0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--kimg=x"], "argument --kimg: expected a number, 0.001 to 1,000,000. Received: x"),
        (["--stage=2"], "give its folder by --run_id"),
        (["--batch_size=0"], "--batch_size: expected a whole number, 1 to 65,536. Received: 0"),
        (["--preset=tiny"], "argument --preset: invalid choice: 'tiny'"),
        (["--colour=red"], "unrecognized arguments: --colour=red"),
    ],
)
def test_usage_errors_exit_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_other_content_under_the_same_names_is_refused(
    tmp_path, common, tiny_dataset, tiny_assets, other_face_model, capsys
):
    names = dict(data=tmp_path / "photographs", vae_dir=tmp_path / "vae", perception_dir=tmp_path / "perception",
                 face_model=tmp_path / "face.npz")  # fmt: skip
    for name, source in (
        ("photographs", tiny_dataset),
        ("vae", tiny_assets / "vae"),
        ("perception", tiny_assets / "perception"),
    ):
        shutil.copytree(source, tmp_path / name)
    shutil.copy(tiny_assets / "face.npz", tmp_path / "face.npz")
    run = [*common, *flags(**names), "--kimg=0.008", f"--out={tmp_path / 'run'}"]
    train.main(run)
    assert "does not say which face model" in capsys.readouterr().err  # these VAEs are as before that was noted
    checksums = json.loads((tmp_path / "run" / "options.json").read_text())["checksums"]
    assert len(set(checksums.values())) == 5 and checksums["start_from"] is None

    other = other_face_model
    other.save(tmp_path / "face.npz")
    with pytest.raises(
        ValueError, match=f"face_model: .*checksum {checksums['face_model']} there, .*{other.checksum()[:16]}"
    ):
        train.main(run)
    shutil.copy(tiny_assets / "face.npz", tmp_path / "face.npz")
    shard = next((tmp_path / "photographs").glob("shard-00000*"))
    records = [Record.parse(payload) for _, payload in iterate_shard(shard)]
    (tmp_path / "photographs" / "dataset.json").unlink()
    for path in (tmp_path / "photographs").glob("shard-*"):
        path.unlink()
    writer = RecordWriter(tmp_path / "photographs", Manifest(16, 1, ("image", "coefficients", "subject", "name"),
                                                             other.layout, "tiny"))  # fmt: skip
    writer.write_shard(0, records)
    writer.finish()
    with pytest.raises(
        ValueError, match=f"data: 'photographs', checksum {checksums['data']} there, 'photographs', checksum"
    ):
        train.main(run)


def test_options_of_the_network_are_refused_where_it_is_imported(tmp_path, common, tiny_face_model, capsys):
    layout, snapshot = tiny_face_model.layout, tmp_path / "imported"
    config = StyleGAN1Config(input_size=layout.lambda_size + 4, widths=(8, 8, 8))
    manifest = {"format": model_io.FORMAT, "architecture": "stylegan1", "network": config.to_dict(),
                "layout": layout.to_dict(), "noise_dim": 4, "facts": {}}  # fmt: skip
    snapshot.mkdir()
    (snapshot / model_io.MANIFEST).write_text(json.dumps(manifest))
    ours = [word for word in common if not word.startswith(("--channel_", "--mapping_"))]
    for option in ("--standardize_input", "--channel_base=128"):
        with pytest.raises(SystemExit) as stopped:
            train.main([*ours, "--stage=2", f"--run_id={snapshot}", f"--out={tmp_path / 'run'}", option])
        assert stopped.value.code == 2
        assert f"{option.split('=')[0]} has no effect on {snapshot}, an imported network" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_start_that_fails_leaves_no_run_and_the_corrected_command_is_taken(tmp_path, common, monkeypatch):
    from discoface_tf2.training import loop

    def too_large(*_):
        raise ValueError("there is no memory for that")

    run = [*common, "--kimg=0.008", f"--out={tmp_path / 'run'}"]
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="no memory"):
        patched.setattr(loop._Run, "train", too_large)
        train.main([*run, "--learning_rate=0.005"])
    assert not (tmp_path / "run").exists()
    train.main(run)


@pytest.mark.parametrize("missing", ["data", "vae_dir", "perception_dir", "face_model", "run_id"])
def test_a_missing_asset_is_named_and_leaves_no_run(tmp_path, common, missing):
    arguments = [a for a in common if not a.startswith(f"--{missing}=")]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train.main([*arguments, f"--{missing}={tmp_path / 'nowhere'}", "--kimg=0.008", f"--out={tmp_path / 'run'}"])
    assert not (tmp_path / "run").exists()
