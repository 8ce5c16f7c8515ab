"""The wheel, installed alone into a clean environment, generates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from discoface_tf2.generation import GenerationOptions
from discoface_tf2.model import load
from discoface_tf2.model_io import Manifest, save_model, snapshot_path
from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_generator
from discoface_tf2.pictures import write_pictures

ROOT = Path(__file__).resolve().parents[1]

GENERATE = """
import json, sys
from pathlib import Path
from discoface_tf2.generation import GenerationOptions
from discoface_tf2.model import load
from discoface_tf2.pictures import write_pictures
from renderer import load_face_model
assert len(load_face_model("builtin").triangles) > 5000
write_pictures(Path(sys.argv[2]), GenerationOptions("all", 1, 2, 0, 0.7), load(Path(sys.argv[1])))
ours = {name: module.__file__ for name, module in sys.modules.items()
        if name.split(".")[0] in ("discoface_tf2", "renderer", "vae", "datasets") and module.__file__}
print(json.dumps(ours))
"""


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel_python(tmp_path_factory) -> Path:
    """Python of an environment that holds the wheel, and sees the packages that it needs, but not the checkout."""
    pytest.importorskip("build", reason="the package `build` is not installed (extra `test`)")
    folder = tmp_path_factory.mktemp("wheel")
    # A copy of what is packed, so that nothing is written into the checkout.
    source = folder / "source"
    for pattern in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "*/**/*.py", "*/data/*"):
        for path in ROOT.glob(pattern):
            relative = path.relative_to(ROOT)
            if relative.parts[0] not in ("runs", "build") and not relative.parts[0].startswith("."):
                (source / relative).parent.mkdir(parents=True, exist_ok=True)
                (source / relative).write_bytes(path.read_bytes())
    options = ("--wheel", "--no-isolation", "--skip-dependency-check")  # nothing is fetched
    _run(sys.executable, "-m", "build", *options, "--outdir", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=os.name != "nt")
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps")
    _run(*pip, wheel, cwd=folder)
    # The other packages come by path alone: Python reads no .pth file there, so an editable installation is not seen.
    purelib = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (Path(purelib) / "needs.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    return python


def test_the_wheel_generates_without_the_checkout(wheel_python: Path, tiny_assets: Path, tiny_face_model, tmp_path):
    layout = tiny_face_model.layout
    config = NetworkConfig(layout.lambda_size + 4, 16, 128, 8, 2, 16, 16, mapping_lr_multiplier=1.0)
    snapshot = snapshot_path(tmp_path / "run", 1)
    manifest = Manifest("disco", "stylegan2", config, layout, 4, {})
    save_model(snapshot, build_generator(config, seed=1), manifest, vae_dir=tiny_assets / "vae")
    write_pictures(tmp_path / "here", GenerationOptions("all", 1, 2, 0, 0.7), load(snapshot))

    told = _run(wheel_python, "-c", GENERATE, snapshot, tmp_path / "there", cwd=tmp_path)
    files = json.loads(told.splitlines()[-1])
    environment = wheel_python.parents[1]
    assert {"discoface_tf2.pictures", "renderer", "vae"} <= set(files)
    assert [name for name, file in files.items() if not Path(file).is_relative_to(environment)] == []
    for name in ("00000.png", "00001.png", "coefficients.jsonl"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
