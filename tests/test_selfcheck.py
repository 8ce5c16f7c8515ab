"""Golden images, and a snapshot in half precision."""

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import export_model
import generate_images
from discoface_tf2.model import load
from discoface_tf2.model_io import FACE_MODEL, GOLDEN, WEIGHTS, newest_snapshot
from discoface_tf2.selfcheck import require_golden
from discoface_tf2.systems.base import Tools
from discoface_tf2.training.saver import Saver
from discoface_tf2.training.state import TrainingState
from tests.helpers.tiny_training import tiny_config, tiny_gif_config


@pytest.fixture(params=["disco", "gif"])
def run(request, tmp_path, tiny_face_model, tiny_sampler, tiny_assets):
    """A run with one snapshot, as the training saves it."""
    config = {"disco": tiny_config, "gif": tiny_gif_config}[request.param](dtype="mixed_bfloat16")
    state = TrainingState(config, tiny_face_model.layout)
    face = tiny_assets / "face.npz"
    facts = {"face_model": str(face), "face_model_checksum": tiny_face_model.checksum()[:16]}
    Saver(state, tmp_path / "run", Tools(tiny_face_model, tiny_sampler, None), str(tiny_assets / "vae"), facts).save()
    return tmp_path / "run"


def test_a_snapshot_draws_its_golden_images_and_a_changed_one_does_not(run, capsys):
    model = load(run)
    with np.load(model.folder / GOLDEN) as stored:
        people = model.people(stored["coefficients"], stored["noise"])
        again = model.generate(people, truncation=0.7).astype(int)
        assert np.abs(again - stored["images"]).max() <= 1 and stored["images"].std() > 5
    generate_images.main([f"--model={run}", "--selfcheck"])
    assert "draws here what it drew" in capsys.readouterr().out
    model.faces.average_w += 1.0  # as if truncation were another
    with pytest.raises(ValueError, match="draws other images here than where it was made: expected at most 1 of 255"):
        require_golden(model)
    (newest_snapshot(run) / GOLDEN).write_bytes(b"x")
    with pytest.raises(ValueError, match="not golden images"):
        require_golden(load(newest_snapshot(run)))


def test_a_zip_in_half_precision_is_half_as_large_and_needs_nothing_else(run, tmp_path, tiny_assets, capsys):
    out = tmp_path / "small.zip"
    export_model.main([f"--model={run}", "--format=zip", f"--out={out}"])
    assert "of 255 on average" in capsys.readouterr().out
    model = load(run)
    with zipfile.ZipFile(out) as file:
        names = [Path(name).name for name in file.namelist()]
        weights = h5py.File(io.BytesIO(file.read(f"model/{WEIGHTS}")))
    assert (FACE_MODEL in names) == model.system.renders
    kinds: set[np.dtype] = set()
    weights.visititems(lambda _, item: kinds.add(item.dtype) if isinstance(item, h5py.Dataset) else None)
    assert kinds == {np.dtype(np.float16)}
    found = load(out)
    assert found.manifest.facts["kimg"] == model.manifest.facts["kimg"]
    generate_images.main([f"--model={out}", "--yaw=5", f"--out={tmp_path / 'images'}"])
    assert np.asarray(Image.open(tmp_path / "images" / "00000.png")).shape == (16, 16, 3)
    with pytest.raises(SystemExit):
        export_model.main([f"--model={run}", "--format=zip", f"--out={out}", "--truncation=1"])
    with pytest.raises(ValueError, match=r"expected a name that ends in \.zip"):
        export_model.main([f"--model={run}", "--format=zip", f"--out={tmp_path / 'folder'}"])
