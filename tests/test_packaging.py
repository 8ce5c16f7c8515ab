"""The wheel holds the three packages whole, and nothing whose name belongs to others."""

import shutil
import subprocess
from pathlib import Path

import pytest
from setuptools import find_packages

from discoface_tf2.model import BUNDLED
from discoface_tf2.systems import NAMES
from renderer.files import face_model_path

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_holds_every_module_of_the_three_packages():
    packages = set(find_packages(str(ROOT), include=["discoface_tf2*", "renderer*", "vae*"]))
    folders = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in ("discoface_tf2", "renderer", "vae")
        for file in (ROOT / top).rglob("*.py")
    }
    assert packages == folders
    setup = (ROOT / "setup.py").read_text()
    assert 'include=["discoface_tf2*", "renderer*", "vae*"]' in setup
    assert 'package_data={"renderer": ["data/builtin.npz"], "discoface_tf2": ["data/model.zip"]}' in setup
    assert face_model_path("builtin").is_file() and BUNDLED.is_file()


def test_the_arrows_of_imports_run_downward():
    """renderer imports nothing of ours, vae little of it; discoface_tf2 no datasets and no script."""
    tools = tuple(f"from renderer.{tool} import" for tool in ("options", "command", "files", "unpickling"))
    allowed = {"vae": ("from renderer.mat_file import read_mat", *tools), "discoface_tf2/networks": tools}
    forbidden = {
        "renderer": ("vae", "datasets", "discoface_tf2"),
        "vae": ("renderer", "datasets", "discoface_tf2"),
        "datasets": ("vae", "discoface_tf2"),
        "discoface_tf2": ("datasets", "train", "generate_images"),
        "discoface_tf2/networks": (
            "renderer",
            "discoface_tf2.fields",
            "discoface_tf2.losses",
            "discoface_tf2.systems",
            "discoface_tf2.training",
        ),
        "discoface_tf2/fields": tuple(
            f"discoface_tf2.{room}" for room in ("losses", "perception", "systems", "training", "metrics", "model")
        ),
        "discoface_tf2/losses": ("discoface_tf2.systems", "discoface_tf2.training"),
        "discoface_tf2/perception": ("discoface_tf2.systems", "discoface_tf2.losses"),
        "discoface_tf2/systems": tuple(
            f"discoface_tf2.{room}" for room in ("training", "metrics", "generation", "model_io", "export", "pictures")
        ),
    }
    wrong = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for top, names in forbidden.items()
        for file in (ROOT / top).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        for name in names
        if line.strip().startswith((f"import {name} ", f"import {name}.", f"from {name} ", f"from {name}."))
        or line.strip() == f"import {name}"
        if not line.strip().startswith(allowed.get(top, ("nothing",)))
    ]
    assert wrong == []


def test_only_its_own_folder_knows_a_system_by_name():
    """Training, generation, metrics and export go through `systems.base`."""
    wrong = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in (ROOT / "discoface_tf2").rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        for name in NAMES
        if f"discoface_tf2.systems.{name}" in line and file.parent != ROOT / "discoface_tf2" / "systems" / name
    ]
    assert wrong == []


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_demo_takes_no_unfinished_step_as_done(tmp_path):
    """Files that a step writes before it ends, as if it had been killed then: all steps are still planned."""
    for name in ("photographs/dataset.json", "vae/id/factor.json", "perception/report.json", "stage1/options.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    plan = ["make", "--dry-run", "--no-print-directory", "demo", f"RUN={tmp_path}"]
    planned = subprocess.run(plan, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for step in (
        "datasets.make_synthetic",
        "vae.train",
        "train_perception.py",
        "train.py --stage 1",
        "train.py --stage 2",
    ):
        assert step in planned
    (tmp_path / "photographs.done").touch()
    planned = subprocess.run(plan, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "datasets.make_synthetic" not in planned and "vae.train" in planned
