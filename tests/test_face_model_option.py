"""Every script of the main job takes `--face_model`, in both spellings, and refuses what belongs to another model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import calc_metrics
import generate_images
import train
import train_perception
from discoface_tf2.face_model_option import require_face_model
from renderer import CoefficientLayout
from vae.data import check_face_model
from vae.train import _parse

SPELLINGS = ("--face_model", "--face-model")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_both_spellings(spelling):
    option = [spelling, "ict.npz"]
    assert train.make_parser().parse_args(option).face_model == "ict.npz"
    assert train_perception.parse_args(["--data", "d", "--out", "o", *option]).face_model == "ict.npz"
    assert generate_images.make_parser().parse_args(["--model", "m", "--out", "o", *option]).face_model == "ict.npz"
    three = ["--model", "m", "--perception_dir", "p", "--data", "d"]
    assert calc_metrics.make_parser().parse_args([*three, *option]).face_model == "ict.npz"
    assert _parse(["--factor", "all", "--data", "d", "--out", "o", *option]).face_model == "ict.npz"


def test_a_model_of_other_sizes_is_refused(tiny_assets, tiny_face_model):
    path = str(tiny_assets / "face.npz")
    require_face_model(None, CoefficientLayout(1, 1, 1), Path("run"))
    require_face_model(path, tiny_face_model.layout, Path("run"))
    with pytest.raises(ValueError, match="run: trained for another face model"):
        require_face_model(path, CoefficientLayout(80, 80, 64), Path("run"))


def test_the_vaes_refuse_photographs_of_another_model(tiny_assets, tiny_face_model, tmp_path):
    path = tiny_assets / "face.npz"

    def dataset(**changes):
        content = {"layout": tiny_face_model.layout.to_dict(), "face_model": "tiny",
                   "options": {"face_model_checksum": tiny_face_model.checksum()}}  # fmt: skip
        (tmp_path / "dataset.json").write_text(json.dumps(content | changes))
        return tmp_path

    check_face_model(dataset(), path)
    check_face_model(dataset(options={}), path)
    check_face_model(dataset(face_model="builtin"), "builtin")
    with pytest.raises(ValueError, match=r"made with the face model 'tiny'\. Received: builtin"):
        check_face_model(dataset(), "builtin")
    with pytest.raises(ValueError, match=r"those of .*face\.npz are"):
        check_face_model(dataset(layout={**tiny_face_model.layout.to_dict(), "shape": 9}), path)
    with pytest.raises(ValueError, match="another version of the face model"):
        check_face_model(dataset(options={"face_model_checksum": "0"}), path)
    with pytest.raises(FileNotFoundError, match=r"no file nowhere\.npz"):
        check_face_model(dataset(), "nowhere.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="not a face model's file"):
        check_face_model(dataset(), tmp_path / "other.npz")
