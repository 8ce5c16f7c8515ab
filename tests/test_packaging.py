"""The wheel holds the three packages whole, and nothing whose name belongs to others."""

from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[1]


def test_the_wheel_holds_every_module_of_the_three_packages():
    packages = set(find_packages(str(ROOT), include=["discoface_tf2*", "renderer*", "vae*"]))
    folders = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in ("discoface_tf2", "renderer", "vae")
        for file in (ROOT / top).rglob("*.py")
    }
    assert packages == folders
    assert 'include=["discoface_tf2*", "renderer*", "vae*"]' in (ROOT / "setup.py").read_text()


def test_the_arrows_of_imports_run_downward():
    """renderer imports nothing of ours, vae its reader of .mat files alone; discoface_tf2 no datasets and no script."""
    allowed = {"vae": "from renderer.mat_file import read_mat"}
    forbidden = {
        "renderer": ("vae", "datasets", "discoface_tf2"),
        "vae": ("renderer", "datasets", "discoface_tf2"),
        "datasets": ("vae", "discoface_tf2"),
        "discoface_tf2": ("datasets", "train", "generate_images"),
        "discoface_tf2/networks": ("renderer", "discoface_tf2.losses", "discoface_tf2.training"),
        "discoface_tf2/losses": ("discoface_tf2.training",),
    }
    wrong = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for top, names in forbidden.items()
        for file in (ROOT / top).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        for name in names
        if line.strip().startswith((f"import {name} ", f"import {name}.", f"from {name} ", f"from {name}."))
        or line.strip() == f"import {name}"
        if line.strip() != allowed.get(top)
    ]
    assert wrong == []
