from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from datasets.make_synthetic import contact_sheet, main, make_synthetic
from datasets.records import FIELDS, HAIR, SKIN, load_dataset, shard_name, validate
from datasets.synthetic.attributes import _occlusion
from datasets.synthetic.synthesizer import Synthesizer, batch_size
from renderer import FaceRenderer
from tests.helpers.script_run import run_script

SUBJECTS, COUNT = 12, 36


@pytest.fixture(scope="module")
def batch(photographs):
    dataset = load_dataset(photographs, batch_size=COUNT, fields=FIELDS, shuffle=False, repeat=False)
    return next(dataset.as_numpy_iterator())


def test_the_folder_says_what_it_holds(photographs, face):
    manifest = validate(photographs)
    assert (manifest.count, manifest.shards, manifest.image_size) == (COUNT, 3, 64)
    assert manifest.layout == face.layout and manifest.face_model == face.name and manifest.fields == FIELDS


def test_persons_return_with_the_same_identity(batch, face):
    identity = batch["coefficients"][:, face.layout.slice("identity")]
    np.testing.assert_array_equal(batch["subject"], np.arange(COUNT) % SUBJECTS)
    for subject in range(SUBJECTS):
        same = identity[batch["subject"] == subject]
        assert len(same) == 3 and (same == same[0]).all()
    assert len(np.unique(identity[:, 0])) == SUBJECTS
    assert len(np.unique(batch["coefficients"][:, face.layout.slice("pose")][:, 1])) == COUNT
    np.testing.assert_array_equal(batch["coefficients"][:, face.layout.slice("translation")], 0)


def test_masks_have_the_three_classes_in_sensible_amounts(batch):
    shares = np.stack([(batch["mask"] == kind).mean((1, 2, 3)) for kind in range(3)], 1)
    assert batch["mask"].shape == (COUNT, 64, 64, 1) and batch["mask"].max() == HAIR
    assert (shares[:, SKIN] > 0.2).all() and (shares[:, SKIN] < 0.85).all()
    assert (shares[:, 0] > 0.05).all()
    assert shares[:, HAIR].max() > 0.2 and shares[:, HAIR].std() > 0.03


def test_landmarks_lie_on_the_skin_of_faces_that_look_ahead(batch, face):
    yaw = np.abs(np.degrees(batch["coefficients"][:, face.layout.slice("pose")][:, 1]))
    found = 0
    for image in np.nonzero(yaw < 25)[0]:
        x, y = np.floor(batch["landmarks"][image, 17:].T).astype(int)
        kinds = batch["mask"][image, 63 - y, x, 0]
        assert (kinds != 0).mean() > 0.95  # the end of a brow may lie on the outline
        assert (kinds[10:] != 0).all()
        assert (kinds[10:] == SKIN).mean() > 0.9  # nose, eyes, mouth; hair may hang over a brow
        found += 1
    assert found > 8


def test_the_labels_draw_the_face_that_the_photograph_shows(batch, face):
    rendering = FaceRenderer(face, image_size=64, part="face")(tf.constant(batch["coefficients"]))
    np.testing.assert_allclose(batch["landmarks"], rendering.landmarks, atol=1e-3)
    inside = (rendering.mask.numpy() > 0)[..., 0] & (batch["mask"][..., 0] == SKIN)
    correlations, differences = [], []
    for image in range(COUNT):
        drawn = rendering.image.numpy()[image][inside[image]].ravel()
        seen = batch["image"][image][inside[image]].ravel().astype(float)
        correlations.append(np.corrcoef(drawn, seen)[0, 1])
        differences.append(np.abs(drawn - seen).mean())
    assert np.median(correlations) > 0.85 and min(correlations) > 0.45
    assert np.median(differences) < 22
    # and not just any face: another photograph's labels fit worse
    others = [
        np.corrcoef(
            rendering.image.numpy()[image - 1][inside[image]].ravel(),
            batch["image"][image][inside[image]].ravel(),
        )[0, 1]
        for image in range(COUNT)
    ]
    assert np.median(others) < np.median(correlations) - 0.2


def test_hair_has_the_colour_of_the_person(batch, synthesizer):
    wanted, seen = [], []
    for image in range(COUNT):
        hair = batch["mask"][image, ..., 0] == HAIR
        if hair.mean() > 0.08:
            wanted.append(synthesizer.style(image % SUBJECTS).hair_colour.mean())
            seen.append(np.median(batch["image"][image][hair]))
    assert len(wanted) > 10 and np.corrcoef(wanted, seen)[0, 1] > 0.7


def test_pictures_are_neither_dark_nor_blown_out(batch):
    skin = [image[mask[..., 0] == SKIN] for image, mask in zip(batch["image"], batch["mask"], strict=True)]
    assert 70 < np.mean([pixels.mean() for pixels in skin]) < 180
    assert np.mean([(pixels > 250).mean() for pixels in skin]) < 0.05


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(photographs, tmp_path, monkeypatch, capsys):
    arguments = {"count": COUNT, "image_size": 64, "seed": 5, "shards": 3, "subjects": SUBJECTS}
    whole, drawn = Synthesizer.records, []

    def interrupted(self, indices):
        drawn.append(list(indices))
        if len(drawn) == 2:
            raise KeyboardInterrupt
        return whole(self, indices)

    monkeypatch.setattr(Synthesizer, "records", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic(tmp_path, **arguments)
    assert (tmp_path / shard_name(0, 3)).is_file() and not (tmp_path / shard_name(1, 3)).is_file()
    make_synthetic(tmp_path, **arguments)
    assert [part[0] for part in drawn] == [0, 12, 12, 24]
    for path in photographs.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name
    capsys.readouterr()
    make_synthetic(tmp_path, **arguments)
    assert "nothing to do" in capsys.readouterr().out and len(drawn) == 4
    with pytest.raises(ValueError, match="seed: there 5, asked 6"):
        make_synthetic(tmp_path, **{**arguments, "seed": 6})


def test_a_photograph_does_not_depend_on_its_batch(synthesizer, batch):
    for place, record in zip((31, 7), synthesizer.records([31, 7]), strict=True):
        difference = np.abs(record.pixels().astype(int) - batch["image"][place])
        assert difference.mean() < 0.5  # the same up to the rounding of the batch's matrix products
        np.testing.assert_array_equal(record.coefficients, batch["coefficients"][place])


def test_any_face_model_and_size_can_be_photographed(tiny_face_model, tmp_path):
    path = tmp_path / "tiny.npz"
    tiny_face_model.save(path)
    manifest = make_synthetic(tmp_path / "out", count=3, image_size=32, shards=1, face_model=str(path))
    assert manifest.layout == tiny_face_model.layout and manifest.options["subjects"] == 1
    batch = next(iter(load_dataset(tmp_path / "out", batch_size=3, fields=("image", "mask"))))
    assert batch["image"].shape == (3, 32, 32, 3) and (batch["mask"].numpy() == SKIN).mean() > 0.05


def test_the_sheet_shows_photographs_beside_masks(photographs, tmp_path):
    contact_sheet(photographs, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (5 * 128, 2 * 8 * 128, 3)
    assert sheet[:128].std() > 20 and sheet[4 * 128 :, 4 * 128 : 8 * 128].max() == 0  # 36 images leave 4 places free


def test_wrong_options_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"shards: expected count, 4, at most\. Received: 9"):
        make_synthetic(tmp_path / "a", count=4, shards=9)
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere\.npz"):
        main(["--out", str(tmp_path / "b"), "--count", "8", "--face_model", "nowhere.npz"])
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    with pytest.raises(SystemExit) as usage:
        main(["--count", "8"])
    assert usage.value.code == 2
    code, err = run_script("datasets.make_synthetic", ["--out", tmp_path / "c", "--face_model", "nowhere.npz"])
    assert code == 1 and err == (
        "python -m datasets.make_synthetic: error: face model: expected 'builtin' or a .npz file. There is no file "
        "nowhere.npz\n"
    )
    assert not (tmp_path / "c").exists()


def test_large_images_are_rendered_a_few_at_a_time():
    assert [batch_size(size) for size in (16, 128, 256, 512, 2048)] == [32, 32, 16, 4, 1]


def test_light_reaches_an_open_mouth(face, synthesizer):
    share = _occlusion(face, synthesizer.scalp.mean)
    assert share[face.in_region("teeth")].min() > 0.8 > 0.3 > share[face.in_region("skin")].min()
    shut = dataclasses.replace(face, expression_names=tuple(f"other_{k}" for k in range(len(face.expression_names))))
    inside = face.in_region("mouth")
    assert share[inside].max() > 0.3 > 0.25 > _occlusion(shut, synthesizer.scalp.mean)[inside].max()
