from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import preprocess_data
from datasets.alignment import standard_landmarks
from datasets.records import Record, iterate_shard, load_dataset, read_manifest, validate
from preprocess_data import main
from renderer import load_face_model
from renderer.camera import Camera

PHOTOS = Path(__file__).resolve().parents[1] / ".." / "shared" / "photos"


def _points(x: float = 0, y: float = 0) -> np.ndarray:
    """[5, 2] y down: the standard face in a 256-pixel frame, moved by (x, y)."""
    return Camera.generator(256).project(standard_landmarks(load_face_model("builtin"))) * (1, -1) + (x, 256 + y)


def _folders(root: Path, count: int) -> tuple[Path, Path, Path]:
    images, landmarks = root / "images", root / "landmarks"
    images.mkdir()
    landmarks.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((300, 280), Image.Resampling.BICUBIC).save(images / f"face{number}.{('jpg', 'png')[number % 2]}")
        np.savetxt(landmarks / f"face{number}.txt", _points(20, 10 + number))
    return images, landmarks, root / "out"


def _arguments(images: Path, landmarks: Path, out: Path, *more: str) -> list[str]:
    return ["--image_path", str(images), "--lm_path", str(landmarks), "--save_path", str(out), *more]


@pytest.fixture(autouse=True, scope="module")
def _one_face_model():
    """Loads the built-in model once for all the calls of `main` here."""
    model = load_face_model("builtin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preprocess_data, "load_face_model", lambda source: model)
        patch.setitem(globals(), "load_face_model", lambda source: model)
        yield


def test_photographs_become_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images, landmarks, out = _folders(tmp_path, 5)
    main(_arguments(images, landmarks, out, "--image_size", "64", "--shards", "2"))
    assert "aligned 5, kept 0 aligned before, skipped 0 of 5" in capsys.readouterr().out
    manifest = validate(out)
    assert (manifest.image_size, manifest.count, manifest.shards, manifest.layout) == (64, 5, 2, None)
    records = {
        record.name: record
        for shard in sorted(out.glob("*.tfrecord"))
        for record in (Record.parse(serialized) for _, serialized in iterate_shard(shard))
    }
    assert sorted(records) == [f"face{number}" for number in range(5)]
    record = records["face1"]
    assert record.coefficients is None
    assert record.landmarks is None
    assert record.mask is None
    assert record.subject == -1
    # Its landmarks were those of the 256-pixel frame, moved by (20, 11): the same part of the photograph comes back.
    expected = Image.open(images / "face1.png").resize((64, 64), Image.Resampling.LANCZOS, box=(20, 11, 276, 267))
    assert np.abs(record.pixels().astype(int) - np.asarray(expected)).max() <= 2
    assert (np.asarray(Image.open(out / "aligned" / "face1.png")) == record.pixels()).all()
    assert Image.open(out / "aligned.png").size == (5 * 64, 64)
    batch = next(iter(load_dataset(out, batch_size=4, seed=0)))
    assert batch["image"].shape == (4, 64, 64, 3)


def test_bad_files_cost_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images, landmarks, out = _folders(tmp_path, 8)
    (images / "face0.jpg").write_bytes(b"")
    whole = (images / "face1.png").read_bytes()
    (images / "face1.png").write_bytes(whole[: len(whole) // 2])
    (landmarks / "face2.txt").write_text("1 2\n3 4\n")
    (landmarks / "face3.txt").unlink()
    np.savetxt(landmarks / "face4.txt", np.ones((5, 2)))
    np.savetxt(landmarks / "face5.txt", _points(5000))
    np.savetxt(landmarks / "face6.txt", _points()[[1, 0, 2, 4, 3]])
    Image.new("RGB", (300, 300)).save(images / "face7.bmp")  # beside face7.png
    main(_arguments(images, landmarks, out, "--image_size", "64"))
    printed = capsys.readouterr()
    lines = [line for line in printed.out.splitlines() if line.startswith("skipped")]
    for name, reason in {
        "images/face0.jpg": "not a readable image",
        "images/face1.png": "not a readable image",
        "landmarks/face2.txt": "expected 5 lines of 2 numbers. Received: 2 lines",
        "landmarks/face3.txt": "no such file",
        "images/face4.jpg": "on one line or in one point",
        "images/face5.png": "0% inside the photograph of 300×280",
        "images/face6.jpg": "mirrored or in another order",
        "images/face7.png": "another photograph of the name face7",
    }.items():
        assert [line for line in lines if name in line and reason in line], (name, lines)
    assert "aligned 1, kept 0 aligned before, skipped 8 of 9" in printed.out
    assert read_manifest(out).count == 1
    assert not list(out.rglob("*.tmp"))


def test_the_same_command_again_does_nothing_and_takes_what_is_new(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    images, landmarks, out = _folders(tmp_path, 4)
    hidden = (images / "face3.png").rename(tmp_path / "face3.png")
    arguments = _arguments(images, landmarks, out, "--image_size", "64", "--shards", "2")
    main(arguments)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")}
    main(arguments)
    assert "aligned 0, kept 3 aligned before" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.tfrecord")} == before
    hidden.rename(images / "face3.png")
    main(arguments)
    assert "aligned 1, kept 3 aligned before" in capsys.readouterr().out
    assert validate(out).count == 4
    (out / "shard-00001-of-00002.tfrecord").unlink()
    main(arguments)
    assert validate(out).count == 4
    np.savetxt(landmarks / "face0.txt", _points(40, 30))  # new landmarks: this one is made again
    main(arguments)
    assert "aligned 1, kept 3 aligned before" in capsys.readouterr().out.split("dataset:")[-2]
    with pytest.raises(ValueError, match=r"holds another dataset \(image_size 64, made by preprocess_data.py\)"):
        main(_arguments(images, landmarks, out, "--image_size", "32"))


def test_nothing_to_align(tmp_path: Path) -> None:
    images, landmarks, out = _folders(tmp_path, 1)
    (landmarks / "face0.txt").unlink()
    with pytest.raises(ValueError, match="none of the 1 photographs could be aligned"):
        main(_arguments(images, landmarks, out))
    with pytest.raises(ValueError, match="no image there"):
        main(_arguments(landmarks, landmarks, out))
    with pytest.raises(FileNotFoundError, match=r"--image_path .*nowhere: there is no such folder"):
        main(_arguments(tmp_path / "nowhere", landmarks, out))
    with pytest.raises(FileNotFoundError, match=r"--lm_path .*nowhere: there is no such folder"):
        main(_arguments(images, tmp_path / "nowhere", out))
    with pytest.raises(SystemExit) as usage:
        main(_arguments(images, landmarks, out, "--image_size", "0"))
    assert usage.value.code == 2


def test_errors_leave_with_one_line_and_code_1(tmp_path: Path) -> None:
    script = Path(preprocess_data.__file__)
    command = [sys.executable, str(script), *_arguments(tmp_path / "nowhere", tmp_path, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parent, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("preprocess_data.py: error: --image_path")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no ../shared/photos beside the checkout")
def test_real_photographs(tmp_path: Path) -> None:
    """Seventeen photographs: level eyes of the standard face's size, in its place."""
    main(_arguments(PHOTOS, PHOTOS / "detections", tmp_path / "out", "--image_size", "64"))
    assert validate(tmp_path / "out").count == 17
    from datasets.alignment import frame_box, read_landmarks

    standard = standard_landmarks(load_face_model("builtin"))
    expected = _points()
    distances = []
    for path in sorted((PHOTOS / "detections").glob("*.txt")):
        points = read_landmarks(path)
        distances.append(frame_box(points, standard, 256).to_frame(points, 256) - expected)
    eyes_and_mouth = np.array(distances)[:, [0, 1, 3, 4]]
    assert np.abs(eyes_and_mouth.mean(axis=(0, 1))).max() < 12  # of 256 pixels, over all poses
    assert np.linalg.norm(eyes_and_mouth, axis=-1).mean() < 20
