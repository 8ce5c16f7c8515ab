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
from discoface_tf2.face_model_option import face_model_note, require_face_model
from discoface_tf2.perception import Perception
from renderer import CoefficientLayout, load_face_model
from renderer.compact import compact
from vae import FactorSampler
from vae.data import check_face_model
from vae.model import ABBREVIATIONS
from vae.sampler import save_factor
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


def test_what_an_exact_model_made_is_good_for_its_compact_form(tiny_face_model, tmp_path):
    small = compact(tiny_face_model)
    assert small.checksum() != tiny_face_model.checksum()
    small.save(tmp_path / "small.npz")
    for maker in (tiny_face_model, small):
        require_face_model(str(tmp_path / "small.npz"), small.layout, Path("run"), face_model_note(maker))


def test_a_model_of_equal_sizes_is_refused_by_its_checksum(
    tiny_assets, tiny_face_model, other_face_model, tmp_path, capsys
):
    """Sizes agree, and yet the coefficients mean other faces."""
    other = other_face_model
    other.save(tmp_path / "other.npz")
    assert other.layout == tiny_face_model.layout
    facts = {"stage": 1, **face_model_note(tiny_face_model)}
    require_face_model(str(tiny_assets / "face.npz"), tiny_face_model.layout, Path("run"), facts)
    assert capsys.readouterr().err == ""
    ours, theirs = other.checksum()[:16], tiny_face_model.checksum()[:16]
    with pytest.raises(ValueError, match=f"run: made for another face model: .*{ours}. Received: tiny, .*{theirs}"):
        require_face_model(str(tmp_path / "other.npz"), other.layout, Path("run"), facts)
    require_face_model(str(tmp_path / "other.npz"), other.layout, Path("run"), {"face_model": "tiny"})
    assert capsys.readouterr().err == "run: does not say which face model it is for; taken to be for tiny\n"


def test_vaes_and_perception_networks_note_their_face_model(tiny_face_model, other_face_model, tiny_vaes, tmp_path):
    other, layout = other_face_model, tiny_face_model.layout
    for vae in tiny_vaes.values():
        folder = tmp_path / "vae" / ABBREVIATIONS[vae.config.factor]
        save_factor(folder, vae, layout.to_dict(), **face_model_note(tiny_face_model))
    assert FactorSampler.load(tmp_path / "vae").face_model == face_model_note(tiny_face_model)
    # Lighting and pose mean the same for every face model, an expression does not.
    save_factor(tmp_path / "vae" / "gamma", tiny_vaes["lighting"], layout.to_dict(), **face_model_note(other))
    FactorSampler.load(tmp_path / "vae")
    save_factor(tmp_path / "vae" / "exp", tiny_vaes["expression"], layout.to_dict(), **face_model_note(other))
    with pytest.raises(ValueError, match=f"exp: trained for another face model than .*{other.checksum()[:16]}"):
        FactorSampler.load(tmp_path / "vae")

    Perception.new(layout, 32, **face_model_note(tiny_face_model)).save(tmp_path / "perception")
    perception = Perception.load(tmp_path / "perception")
    perception.require_face_model(tiny_face_model, "p")
    with pytest.raises(ValueError, match=r"p: made for another face model: .*Train the networks on images"):
        perception.require_face_model(other, "p")


def test_the_vaes_refuse_photographs_of_another_model(tiny_assets, tiny_face_model, tmp_path):
    path = tiny_assets / "face.npz"

    def dataset(**changes):
        content = {"layout": tiny_face_model.layout.to_dict(), "face_model": "tiny",
                   "options": {"face_model_checksum": tiny_face_model.checksum()}}  # fmt: skip
        (tmp_path / "dataset.json").write_text(json.dumps(content | changes))
        return tmp_path

    check_face_model(dataset(), path)
    check_face_model(dataset(options={}), path)
    builtin = load_face_model("builtin")
    sizes, mine = builtin.layout.to_dict(), {"face_model_checksum": builtin.checksum()}
    check_face_model(dataset(face_model="builtin", layout=sizes, options=mine), "builtin")
    with pytest.raises(ValueError, match=r"its coefficients are .*; those of builtin are"):
        check_face_model(dataset(), "builtin")
    with pytest.raises(ValueError, match=r"made with another face model, builtin, checksum 0; that of builtin is"):
        check_face_model(dataset(face_model="builtin", layout=sizes, options={"face_model_checksum": "0"}), "builtin")
    with pytest.raises(ValueError, match=r"those of .*face\.npz are"):
        check_face_model(dataset(layout={**tiny_face_model.layout.to_dict(), "shape": 9}), path)
    with pytest.raises(ValueError, match=r"made with another face model, tiny, checksum 0; that of .* is [0-9a-f]{16}"):
        check_face_model(dataset(options={"face_model_checksum": "0"}), path)
    with pytest.raises(FileNotFoundError, match=r"no file nowhere\.npz"):
        check_face_model(dataset(), "nowhere.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="not a face model's file"):
        check_face_model(dataset(), tmp_path / "other.npz")
