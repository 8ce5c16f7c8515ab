"""The detector on synthetic photographs, whose landmarks are known."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.alignment import five_landmarks
from datasets.photographs.detection import Detector, weight_files
from datasets.records import Record, iterate_shard


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def people(photographs) -> list[tuple[Image.Image, np.ndarray]]:
    """Photographs of 64 pixels and their landmarks [5, 2], y down."""
    (_, *shards) = sorted(photographs.glob("*.tfrecord"))
    records = [Record.parse(row) for _, row in iterate_shard(shards[0])][:6]
    return [
        (Image.fromarray(record.pixels()), five_landmarks(record.landmarks) * (1, -1) + (0, 64)) for record in records
    ]


def test_faces_are_found_where_they_are(detector: Detector, people: list) -> None:
    errors = []
    for image, points in people:
        faces = detector.detect(image)
        if faces:
            found = faces[0].landmarks
            errors.append(np.linalg.norm(found - points, axis=1).mean() / np.linalg.norm(points[0] - points[1]))
    assert len(errors) >= 5
    assert np.mean(errors) < 0.2


def test_a_small_face_beside_a_large_one(detector: Detector, people: list) -> None:
    """The largest comes first; a small one alone in a large photograph is found as well, as exactly."""
    (image, points), (other, _) = people[0], people[1]
    canvas = Image.new("RGB", (700, 500), (90, 110, 100))
    canvas.paste(image.resize((70, 70)), (600, 400))
    (alone,) = detector.detect(canvas)
    expected = points * (70 / 64) + (600, 400)
    eyes = np.linalg.norm(expected[0] - expected[1])
    assert np.linalg.norm(alone.landmarks - expected, axis=1).mean() < 0.25 * eyes
    canvas.paste(other.resize((300, 300)), (50, 50))
    both = detector.detect(canvas, every=True)
    assert len(both) >= 2
    assert both[0].area > 4 * both[-1].area
    assert both[0].landmarks[:, 0].max() < 350


@pytest.mark.parametrize("size", [(1, 1), (5, 900), (19, 19), (40, 40)])
def test_nothing_is_found_in_nothing(detector: Detector, size: tuple[int, int]) -> None:
    assert detector.detect(Image.new("RGB", size, (120, 100, 90))) == []


def test_changed_weights_are_refused_before_they_are_loaded(tmp_path: Path) -> None:
    for file in weight_files():
        shutil.copy(file, tmp_path)
    assert [file.name for file in weight_files(tmp_path)] == ["pnet.lz4", "rnet.lz4", "onet.lz4"]
    changed = tmp_path / "rnet.lz4"
    content = bytearray(changed.read_bytes())
    content[100] ^= 1
    changed.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"rnet\.lz4: expected the weights of mtcnn 1\.0\.0 .*was not loaded"):
        weight_files(tmp_path)
    changed.unlink()
    with pytest.raises(RuntimeError, match=r"rnet\.lz4: expected .* Received: no such file"):
        weight_files(tmp_path)


def test_weights_in_the_current_directory_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package itself would take them first, and unpickle whatever they hold."""
    for name in ("pnet.lz4", "rnet.lz4", "onet.lz4"):
        (tmp_path / name).write_bytes(b"not weights")
    monkeypatch.chdir(tmp_path)
    Detector()


def test_without_the_package_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"pip install mtcnn==1\.0\.0 \(the extra `photographs`\).*--lm_path"):
        Detector()
