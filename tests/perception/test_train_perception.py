from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import train_perception
from datasets.records import Manifest, Record, RecordWriter

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(samples, face, tmp_path_factory):
    """The made-up photographs as a dataset folder, made with a face model that lies beside it."""
    root = tmp_path_factory.mktemp("made_up")
    face.save(root / "toy.npz")
    fields = ("image", "mask", "coefficients", "subject", "name")
    options = {"face_model_checksum": face.checksum()}
    manifest = Manifest(32, 2, fields, face.layout, face_model=str(root / "toy.npz"), options=options)
    writer = RecordWriter(root / "data", manifest)
    for shard in writer.missing():
        rows = range(shard, len(samples), 2)
        labels = [
            (samples.images[k], samples.masks[k, ..., 0], samples.coefficients[k], samples.subjects[k]) for k in rows
        ]
        writer.write_shard(
            shard, [Record.from_arrays(i, mask=m, coefficients=c, subject=s, name="x") for i, m, c, s in labels]
        )
    writer.finish()
    return root / "data"


def test_main(folder, samples, tmp_path, capsys):
    again = train_perception.read_samples(str(folder))
    assert len(again) == len(samples) and again.layout == samples.layout
    arguments = [
        "--data",
        str(folder),
        "--out",
        str(tmp_path),
        "--networks",
        "parsing",
        "--steps",
        "2",
        "--held-out",
        "0.3",
    ]
    train_perception.main(arguments)
    assert (tmp_path / "parsing.weights.h5").is_file() and (tmp_path / "report.json").is_file()
    train_perception.main(arguments)
    assert "parsing: already trained" in capsys.readouterr().out
    with pytest.raises(ValueError, match="steps: there 2, asked 3"):
        train_perception.main([*arguments[:6], "--steps", "3", *arguments[8:]])


def test_another_face_is_refused_unless_it_is_meant(folder, face, tmp_path):
    with pytest.raises(ValueError, match="are not those of the face model"):
        train_perception.main(["--data", str(folder), "--out", str(tmp_path), "--face-model", "builtin"])
    stored = (folder / "dataset.json").read_text()
    try:
        (folder / "dataset.json").write_text(stored.replace(face.checksum(), "0" * 64))
        with pytest.raises(ValueError, match="another version of the face model"):
            train_perception.main(["--data", str(folder), "--out", str(tmp_path)])
    finally:
        (folder / "dataset.json").write_text(stored)


def test_photographs_without_labels(samples, tmp_path):
    writer = RecordWriter(tmp_path / "data", Manifest(32, 1))
    writer.write_shard(0, [Record.from_arrays(samples.images[0], name="x")])
    writer.finish()
    with pytest.raises(ValueError, match="Missing: coefficients, mask, subject"):
        train_perception.main(["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")])


def test_one_line_and_exit_code(tmp_path):
    command = [sys.executable, "train_perception.py", "--data", str(tmp_path / "none"), "--out", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("train_perception.py: error:")
    assert "Traceback" not in result.stderr
