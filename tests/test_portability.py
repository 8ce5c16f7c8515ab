"""What Linux or Python 3.11 has and other places lack is taken away here: the project works without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.photographs import workers
from datasets.photographs.journal import Journal
from discoface_tf2.training.guard import only_process
from renderer import files

ROOT = Path(__file__).resolve().parents[1]

# A finder in front of all others, for which the modules named do not exist.
BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def run_without(names: tuple[str, ...], code: str) -> subprocess.CompletedProcess:
    """Runs `code` in a fresh process for which the packages `names` do not exist."""
    code = BLOCK.format(names=names) + code
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_cores_are_counted_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows have no `os.sched_getaffinity`."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert workers.usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert workers.usable_cores() == 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no os.sched_getaffinity here")
def test_only_the_cores_that_this_process_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert workers.usable_cores() == 2


def test_without_locks_folders_are_opened_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no `fcntl`; so do some file systems that answer with an error."""
    monkeypatch.setattr(files, "fcntl", None)
    with only_process(tmp_path), only_process(tmp_path):
        pass
    with Journal(tmp_path, {}), Journal(tmp_path, {}):
        pass


def test_a_lock_is_refused_while_held_and_free_afterwards(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="this system has no fcntl")
    with open(tmp_path / "file", "a+") as first, open(tmp_path / "file", "a+") as second:
        assert files.lock(first)
        assert not files.lock(second)
        first.close()
        assert files.lock(second)


def test_everything_is_imported_and_a_face_is_rendered_on_windows_and_python_3_12() -> None:
    """Without `fcntl` and `resource`, and without what tensorflow-graphics asks for but Python 3.12 lacks."""
    lacking = (
        *("fcntl", "resource"),
        *("tensorflow_addons", "tensorflow_datasets", "OpenEXR", "trimesh", "networkx", "psutil"),
    )
    code = """
import pkgutil, importlib
for top in ("renderer", "vae", "datasets", "discoface_tf2"):
    for module in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
        if not module.name.endswith(".beam"):
            importlib.import_module(module.name)
import train, preprocess_data, train_perception, generate_images, generate_dataset, export_model, calc_metrics
import numpy as np
from renderer import FaceRenderer, load_face_model
from discoface_tf2.training.summaries import memory
memory()
model = load_face_model()
image = FaceRenderer(model, image_size=32)(np.zeros([1, model.layout.lambda_size], np.float32)).image
assert image.numpy().max() > 50
"""
    done = run_without(lacking, code)
    assert done.returncode == 0, done.stderr
