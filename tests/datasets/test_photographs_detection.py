"""The detector on synthetic photographs, whose landmarks are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from datasets.alignment import five_landmarks
from datasets.photographs.detection import Detector
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
