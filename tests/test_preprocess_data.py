from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import preprocess_data
from datasets.alignment import FrameBox, generator_box, read_landmarks
from datasets.photographs import preparing
from datasets.photographs.detection import Face
from datasets.photographs.files import Photograph, TargetError
from datasets.photographs.journal import Settings, Status
from datasets.photographs.placement import FaceLandmarks
from datasets.photographs.preparing import Preparer
from datasets.records import Record, iterate_shard, load_dataset, validate
from discoface_tf2.perception import Perception
from preprocess_data import main
from renderer import load_face_model
from renderer.camera import Camera
from renderer.coefficients_io import load_coefficients

PHOTOS = Path(__file__).resolve().parents[1] / ".." / "shared" / "photos"


def _points(x: float = 0, y: float = 0) -> np.ndarray:
    """[5, 2] y down: the standard face in a 256-pixel frame, moved by (x, y)."""
    return Camera.generator(256).project(FaceLandmarks(load_face_model("builtin")).five()) * (1, -1) + (x, 256 + y)


def _noise(seed: int, size: tuple[int, int] = (300, 280)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def _folders(root: Path, count: int) -> tuple[Path, Path, Path]:
    images, landmarks = root / "images", root / "landmarks"
    images.mkdir(parents=True)
    landmarks.mkdir()
    for number in range(count):
        _noise(number).save(images / f"face{number}.{('jpg', 'png')[number % 2]}")
        np.savetxt(landmarks / f"face{number}.txt", _points(20, 10 + number))
    return images, landmarks, root / "out"


def _arguments(images: Path, landmarks: Path | None, out: Path, *more: str) -> list[str]:
    known = [] if landmarks is None else ["--lm_path", str(landmarks)]
    plain = ["--perception_dir", "none", "--report_size", "0"]
    if "--runner" not in more:  # which has workers of its own
        plain += ["--workers", "0"]
    return ["--image_path", str(images), *known, "--save_path", str(out), *plain, *more]


def _records(out: Path) -> dict[str, Record]:
    found = (Record.parse(row) for shard in sorted(out.glob("*.tfrecord")) for _, row in iterate_shard(shard))
    return {record.name: record for record in found}


def _report(out: Path) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in csv.DictReader((out / "report.csv").read_text("utf-8-sig").splitlines())}


def test_photographs_become_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images, landmarks, out = _folders(tmp_path, 5)
    main(_arguments(images, landmarks, out, "--image_size", "64", "--shards", "2"))
    assert "aligned 5, kept 0 aligned before, skipped 0 of 5" in capsys.readouterr().out
    manifest = validate(out)
    assert (manifest.image_size, manifest.count, manifest.shards, manifest.layout) == (64, 5, 2, None)
    records = _records(out)
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
    row = _report(out)["face1"]
    assert (row["status"], row["landmarks_from"], row["coefficients"]) == ("used", "given", "none")
    np.testing.assert_allclose([float(row[key]) for key in ("left", "top", "side")], [20, 11, 256], atol=0.1)


def test_bad_files_cost_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images, landmarks, out = _folders(tmp_path, 10)
    (images / "face0.jpg").write_bytes(b"")
    whole = (images / "face1.png").read_bytes()
    (images / "face1.png").write_bytes(whole[: len(whole) // 2])
    (landmarks / "face2.txt").write_text("1 2\n3 4\n")
    (landmarks / "face3.txt").unlink()
    np.savetxt(landmarks / "face4.txt", np.ones((5, 2)))
    np.savetxt(landmarks / "face5.txt", _points(5000))
    np.savetxt(landmarks / "face6.txt", _points()[[1, 0, 2, 4, 3]])
    (images / "face8.jpg").rename(images / "face8.png")  # mislabelled, and read by its content
    Image.new("RGB", (1, 1)).save(images / "dot.png")
    Image.new("L", (7000, 7000)).save(images / "large.png")
    (images / "deeper").mkdir()
    _noise(50).save(images / "deeper" / "face9.png")  # the name is there twice, in two folders
    (landmarks / "deeper").mkdir()
    np.savetxt(landmarks / "deeper" / "face9.txt", _points(20, 10))
    _noise(51).save(images / "лицо 顔.webp")
    np.savetxt(landmarks / "лицо 顔.txt", _points(20, 10))
    (images / "notes.txt").write_text("not a photograph")
    (images / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    latin = os.fsdecode(b"latin1 \xe9")  # a name that is not UTF-8
    _noise(52).save(images / f"{latin}.png")
    np.savetxt(landmarks / f"{latin}.txt", _points(20, 10))
    main(_arguments(images, landmarks, out, "--image_size", "64", "--max_megapixels", "40"))
    printed = capsys.readouterr().out
    reasons = {
        "face0": "not a readable image (the file is empty)",
        "face1": "not a readable image",
        "face2": "landmarks/face2.txt: expected 5 lines of 2 numbers. Received: 2 lines",
        "face3": "no face was found",
        "face4": "on one line or in one point",
        "face5": "0% inside the photograph of 300×280",
        "face6": "flipped or in another order",
        "dot": "no face was found",
        "link": "there is no such file",
        "large": "7000×7000 pixels; expected 40 million at most (--max_megapixels)",
    }
    report = _report(out)
    lines = [line for line in printed.splitlines() if line.startswith("skipped")]
    for name, reason in reasons.items():
        assert reason in report[name]["reason"], name
        assert [line for line in lines if line.startswith(f"skipped {name}: ") and reason in line], (name, lines)
    used = {"face7", "face8", "face9", "deeper/face9", "лицо 顔", "latin1 \\xe9"}
    assert {name for name, row in report.items() if row["status"] == "used"} == used
    assert "left out 1 files of other kinds (1 .txt)" in printed
    assert "aligned 6, kept 0 aligned before, skipped 10 of 16" in printed
    assert set(_records(out)) == used
    assert (out / "aligned" / "deeper" / "face9.png").is_file()
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
    with pytest.raises(ValueError, match=r"other options \(image_format: there png, asked jpeg\)"):
        main([*arguments, "--format", "jpeg"])


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """Two workers; the whole is killed when some photographs are done. The rest is done here, in one process."""
    images, landmarks, out = _folders(tmp_path, 60)
    script = Path(preprocess_data.__file__)
    options = ("--image_size", "64", "--shards", "3")
    command = [sys.executable, str(script), *_arguments(images, landmarks, out, *options), "--workers", "2"]
    run = subprocess.Popen(command, cwd=script.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal, limit = out / "journal.jsonl", time.monotonic() + 300
    while run.poll() is None and (not journal.is_file() or journal.read_bytes().count(b"\n") < 4):
        assert time.monotonic() < limit
        time.sleep(0.002)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert 3 <= journal.read_bytes().count(b"\n") - 1 < 60
    assert not (out / "dataset.json").exists()
    limit = time.monotonic() + 30
    while True:  # until its workers have seen that it is gone: they hold no lock, but may write one more image each
        try:
            main(_arguments(images, landmarks, out, *options))
            break
        except ValueError as error:
            assert "another run is writing" in str(error)
            assert time.monotonic() < limit
            time.sleep(0.1)
    main(_arguments(images, landmarks, tmp_path / "at once", *options))
    for shard in sorted((tmp_path / "at once").glob("*.tfrecord")):
        assert (out / shard.name).read_bytes() == shard.read_bytes()
    assert (out / "dataset.json").read_text() == (tmp_path / "at once" / "dataset.json").read_text()
    assert validate(out).count == 60


def test_a_full_target_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    images, landmarks, out = _folders(tmp_path, 5)
    write, room = preparing.write_bytes, 3

    def full(path: Path, content: bytes) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise TargetError(28, f"cannot write {path}: No space left on device")
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "write_bytes", full)
        with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
            main(_arguments(images, landmarks, out))
    main(_arguments(images, landmarks, out))
    assert "aligned 2, kept 3 aligned before" in capsys.readouterr().out
    assert validate(out).count == 5


def test_coefficients_by_networks_and_by_landmarks_where_these_disagree(tmp_path: Path) -> None:
    """An untrained network says: the mean face, looking ahead. Landmarks agree on one photograph and not on another."""
    model = load_face_model("builtin")
    images, landmarks, out = _folders(tmp_path, 2)
    turn = np.radians(25)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # counter-clockwise, y down
    middle = _points().mean(0)
    np.savetxt(landmarks / "face1.txt", (_points() - middle) @ matrix.T + middle)
    Perception.new(model.layout, 32).save(tmp_path / "perception")
    arguments = _arguments(images, landmarks, out, "--image_size", "64", "--report_size", "32")
    arguments[arguments.index("--perception_dir") + 1] = str(tmp_path / "perception")
    main([*arguments, "--format", "jpeg"])
    manifest, report, records = validate(out), _report(out), _records(out)
    assert (manifest.layout, manifest.face_model) == (model.layout, model.name)
    assert report["face0"]["coefficients"] == "network"
    assert float(report["face0"]["disagreement"]) < 0.02
    assert report["face1"]["coefficients"] == "pose from landmarks"
    assert float(report["face1"]["disagreement"]) > 0.15
    roll = model.layout.slice("angles").start + 2
    for name, record in records.items():
        assert record.coefficients is not None
        stored = load_coefficients(out / "coeff" / f"{name}.mat", model.layout)[0]
        np.testing.assert_array_equal(record.coefficients, stored)
        assert not record.coefficients[model.layout.slice("translation")].any()
        assert np.degrees(record.coefficients[roll]) == pytest.approx(25 if name == "face1" else 0, abs=1.0)
        assert record.image[:2] == b"\xff\xd8"
        assert Image.open(out / "report" / "pictures" / f"{name}.jpg").size == (96, 32)
    np.testing.assert_array_equal(np.load(out / "coefficients.npz")["coeff"][0], records["face0"].coefficients)
    with pytest.raises(ValueError, match="Choose another folder, or delete this one"):
        main([*_arguments(images, landmarks, out, "--image_size", "64"), "--format", "jpeg"])


class _FakeNetwork:
    """Sees every face a little to the right and nearer, in the reconstruction camera's framing."""

    framing, image_size = "reconstruction", 224

    def __init__(self, layout) -> None:
        self.layout = layout

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        assert crop.shape == (224, 224, 3)
        coefficients = np.zeros(self.layout.size, np.float32)
        coefficients[self.layout.slice("translation")] = (0.02, 0, 0.05)
        return coefficients


class _TwoFaces:
    def detect(self, image: Image.Image, every: bool = False) -> list[Face]:
        faces = [Face(_points(40, 30), (0, 0, 9, 9), 0.9), Face(_points(0, 0), (0, 0, 3, 3), 0.8)]
        return faces if every else faces[:1]


def test_translation_of_a_published_network_moves_the_crop(tmp_path: Path) -> None:
    model = load_face_model("builtin")
    _noise(0).save(tmp_path / "face.png")
    prepare = Preparer(model, tmp_path, Settings(64, thumbnail=0), _FakeNetwork(model.layout), _TwoFaces)
    (face,) = prepare(Photograph("face", tmp_path / "face.png")).faces
    assert face.coefficients == "network"
    side = 256 * 1.22 * 224 / 256  # of the crop that the reconstruction camera sees around the frame of 256 pixels
    seen = FrameBox(40 + 128 - side / 2, 30 + 128 - side / 2, side)
    expected = generator_box(seen, np.array([0.02, 0, 0.05]))
    np.testing.assert_allclose(face.box, (expected.left, expected.top, expected.side), rtol=0.02, atol=2.5)
    stored = load_coefficients(tmp_path / "coeff" / "face.mat", model.layout)[0]
    assert not stored[model.layout.slice("translation")].any()


def test_the_largest_face_or_all_of_them(tmp_path: Path) -> None:
    model = load_face_model("builtin")
    _noise(0).save(tmp_path / "crowd.png")
    photograph = Photograph("crowd", tmp_path / "crowd.png")
    names = {}
    for every in (False, True):
        prepare = Preparer(model, tmp_path, Settings(32, all_faces=every, thumbnail=0), None, _TwoFaces)
        status = prepare(photograph)
        names[every] = [face.name for face in status.faces]
        assert Status.from_json(status.to_json()) == status
        assert np.allclose(status.faces[0].box, (40, 30, 256), atol=0.1)
    assert names == {False: ["crowd"], True: ["crowd", "crowd@2"]}
    assert (tmp_path / "aligned" / "crowd@2.png").is_file()


def test_nothing_to_align(tmp_path: Path) -> None:
    images, landmarks, out = _folders(tmp_path, 1)
    (landmarks / "face0.txt").write_text("")
    with pytest.raises(ValueError, match=r"none of the 1 photographs could be aligned; .*report.html says why"):
        main(_arguments(images, landmarks, out))
    assert "Received: 0 lines of no words" in _report(out)["face0"]["reason"]
    with pytest.raises(ValueError, match="no image there"):
        main(_arguments(landmarks, landmarks, out))
    with pytest.raises(FileNotFoundError, match=r"--image_path .*nowhere: there is no such folder"):
        main(_arguments(tmp_path / "nowhere", landmarks, out))
    with pytest.raises(FileNotFoundError, match=r"--lm_path .*nowhere: there is no such folder"):
        main(_arguments(images, tmp_path / "nowhere", out))
    for wrong in (["--image_size", "0"], ["--workers", "-1"], ["--quality", "0"], ["--machine_type", "large"]):
        with pytest.raises(SystemExit) as usage:
            main(_arguments(images, landmarks, out, *wrong))
        assert usage.value.code == 2


def test_errors_leave_with_one_line_and_code_1(tmp_path: Path) -> None:
    script = Path(preprocess_data.__file__)
    command = [sys.executable, str(script), *_arguments(tmp_path / "nowhere", tmp_path, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parent, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("preprocess_data.py: error: --image_path")
    assert "Traceback" not in done.stderr


def test_a_beam_pipeline_writes_the_same_records(tmp_path: Path) -> None:
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed (pip install apache-beam)")
    images, landmarks, out = _folders(tmp_path, 6)
    (images / "face2.jpg").write_bytes(b"")
    options = ("--image_size", "64", "--shards", "2")
    main(_arguments(images, landmarks, out, *options, "--runner", "DirectRunner"))
    main(_arguments(images, landmarks, tmp_path / "here", *options))
    for shard in sorted((tmp_path / "here").glob("*.tfrecord")):
        assert (out / shard.name).read_bytes() == shard.read_bytes()
    assert validate(out).count == 5
    assert "the file is empty" in _report(out)["face2"]["reason"]
    assert not (out / "status").exists()


def test_without_beam_the_runner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    for name in ("datasets.beam", "datasets.photographs.beam"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    images, landmarks, out = _folders(tmp_path, 1)
    with pytest.raises(ValueError, match="--runner needs Apache Beam: pip install apache-beam"):
        main(_arguments(images, landmarks, out, "--runner", "DirectRunner"))


def test_without_the_detector_nothing_is_begun_unless_all_landmarks_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, landmarks, out = _folders(tmp_path, 2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"finding faces needs the package mtcnn"):
        main(_arguments(images, None, out))
    assert not out.exists()
    main(_arguments(images, landmarks, out, "--image_size", "32"))
    assert validate(out).count == 2


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no ../shared/photos beside the checkout")
def test_real_photographs(tmp_path: Path) -> None:
    """Seventeen photographs: level eyes of the standard face's size, in its place; detected much as given."""
    main(_arguments(PHOTOS, PHOTOS / "detections", tmp_path / "given", "--image_size", "64"))
    main(_arguments(PHOTOS, None, tmp_path / "found", "--image_size", "64"))
    given, found = _report(tmp_path / "given"), _report(tmp_path / "found")
    assert len(_records(tmp_path / "found")) == len(_records(tmp_path / "given")) == 17
    expected = _points()
    distances, errors = [], []
    for path in sorted((PHOTOS / "detections").glob("*.txt")):
        points = read_landmarks(path)
        frame = FrameBox(*(float(given[path.stem][key]) for key in ("left", "top", "side")))
        distances.append(frame.to_frame(points, 256) - expected)
        row = found[path.stem]
        seen = np.array([[float(row[f"{axis}{k}"]) for axis in "xy"] for k in range(1, 6)])
        errors.append(np.linalg.norm(seen - points, axis=1).mean() / np.linalg.norm(points[0] - points[1]))
        assert (row["landmarks_from"], given[path.stem]["landmarks_from"]) == ("detected", "given")
    eyes_and_mouth = np.array(distances)[:, [0, 1, 3, 4]]
    assert np.abs(eyes_and_mouth.mean(axis=(0, 1))).max() < 12  # of 256 pixels, over all poses
    assert np.linalg.norm(eyes_and_mouth, axis=-1).mean() < 20
    assert np.mean(errors) < 0.08
    assert np.max(errors) < 0.16
