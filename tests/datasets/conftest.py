"""What the tests of synthetic photographs share: the built-in face, and a few photographs of it."""

from __future__ import annotations

import pytest

from datasets.make_synthetic import SyntheticSet, make_synthetic
from datasets.synthetic.synthesizer import Synthesizer
from renderer.face_model import load_face_model

SUBJECTS, COUNT = 12, 36


@pytest.fixture(scope="session")
def face():
    return load_face_model("builtin")


@pytest.fixture(scope="session")
def synthesizer() -> Synthesizer:
    """What makes the images of `photographs`."""
    return SyntheticSet("", COUNT, 64, seed=5, shards=3, subjects=SUBJECTS).prepare()[1]()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "photographs"
    make_synthetic(folder, count=COUNT, image_size=64, seed=5, shards=3, subjects=SUBJECTS)
    return folder
