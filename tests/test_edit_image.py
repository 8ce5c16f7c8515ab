"""Photographs embedded and edited."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import edit_image
import train_encoder
from datasets.alignment import FrameBox
from datasets.photographs.pasting import paste
from datasets.photographs.placement import FaceLandmarks
from discoface_tf2.embedding import Embedder, Embedding, EmbedOptions, Encoder, edit
from discoface_tf2.model import load
from discoface_tf2.systems.base import Tools
from discoface_tf2.training.saver import Saver
from discoface_tf2.training.state import TrainingState
from renderer.camera import Camera
from tests.helpers.tiny_training import tiny_config, tiny_gif_config

both = pytest.mark.parametrize("run", ["disco", "gif"], indirect=True)


@pytest.fixture(params=["gif"])
def run(request, tmp_path, tiny_face_model, tiny_sampler, tiny_assets):
    """A run with one snapshot, as the training saves it."""
    state = TrainingState({"disco": tiny_config, "gif": tiny_gif_config}[request.param](), tiny_face_model.layout)
    for variable in state.average.variables:
        if "condition" in variable.path:  # they start near zero
            variable.assign(20 * variable.value)
    facts = {"face_model": str(tiny_assets / "face.npz"), "face_model_checksum": tiny_face_model.checksum()[:16]}
    Saver(state, tmp_path / "run", Tools(tiny_face_model, tiny_sampler, None), str(tiny_assets / "vae"), facts).save()
    return tmp_path / "run"


@both
def test_an_image_of_the_generator_is_found_again_whatever_it_is_embedded_with(run, tiny_perception):
    model = load(run)
    people = model.sample(3)
    images = model.generate(people, truncation=1.0)
    embedder = Embedder(model, tiny_perception, EmbedOptions(steps=30))
    after = embedder(images, people.coefficients)
    before = Embedder(model, tiny_perception, EmbedOptions(steps=0))(images, people.coefficients)
    assert (after.psnr > before.psnr + 1).all()
    others = np.stack([images[1], 255 - images[0], 255 - images[2]])
    again = embedder(others, people.coefficients[[1, 0, 2]])
    np.testing.assert_allclose(again.ws[0], after.ws[1], atol=5e-3 * np.abs(after.ws[1] - before.ws[1]).max())
    # No change of coefficients is no change of the image; a change is what the mapping, or the render, makes of it.
    drawn = edit(model.faces, after, after.coefficients)
    error = ((drawn.astype(float) - images) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(after.psnr, 10 * np.log10(255**2 / error), rtol=1e-4)
    turned = model.people(after.coefficients, after.noise).with_(yaw=20).coefficients
    noise = tf.constant(after.noise)
    shift = model.faces.styles(turned, noise, 1.0) - model.faces.styles(after.coefficients, noise, 1.0)
    expected = model.faces.synthesis(after.ws + shift, tf.constant(turned)).numpy()
    edited = edit(model.faces, after, turned)
    assert np.abs(edited - np.clip(np.rint((expected + 1) * 127.5), 0, 255)).max() <= 1
    assert np.abs(edited.astype(int) - drawn).max() > 3


def test_an_embedding_is_kept_with_what_it_belongs_to(tmp_path):
    rng = np.random.default_rng(0)
    one = Embedding(*(rng.standard_normal(shape).astype(np.float32) for shape in ([2, 5], [2, 3], [2, 4, 6], [2], [2])))
    one.save(tmp_path / "e.npz", {"face": "a"})
    again = Embedding.load(tmp_path / "e.npz", {"face": "a"})
    assert again is not None
    for name, value in vars(Embedding.joined([again[:1], again[1]])).items():
        np.testing.assert_array_equal(value, vars(one)[name])
    assert Embedding.load(tmp_path / "e.npz", {"face": "b"}) is None
    assert Embedding.load(tmp_path / "none.npz", {}) is None
    (tmp_path / "e.npz").write_bytes((tmp_path / "e.npz").read_bytes()[:200])
    assert Embedding.load(tmp_path / "e.npz", {"face": "a"}) is None


def test_pasting_changes_the_person_alone():
    rng = np.random.default_rng(0)
    photograph = Image.fromarray(rng.integers(0, 256, (200, 240, 3), np.uint8))
    edited, person = np.full([64, 64, 3], 90, np.uint8), np.zeros([64, 64], bool)
    person[20:44, 24:40] = True
    was, now = (np.asarray(image) for image in (photograph, paste(photograph, FrameBox(30, -20, 128), edited, person)))
    np.testing.assert_array_equal(now[30:60, 30 + 56 : 30 + 72], 90)  # the middle of the person
    changed = np.argwhere((was != now).any(-1))
    assert changed[:, 0].min() >= 0 and changed[:, 0].max() < 108 and changed[:, 1].min() >= 30 + 32
    np.testing.assert_array_equal(now[:, :60], was[:, :60])
    np.testing.assert_array_equal(now[:, 130:], was[:, 130:])


@both
def test_script(run, tmp_path, tiny_assets, tiny_face_model, capsys):
    """Through the scripts: an encoder, two photographs with landmarks, an edit, a film; again, from what is kept."""
    points = Camera.generator(256).project(FaceLandmarks(tiny_face_model).five()) * (1, -1) + (0, 256)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC).save(photos / f"face{number}.png")
        np.savetxt(photos / f"face{number}.txt", points)
    common = [f"--model={run}", f"--perception_dir={tiny_assets / 'perception'}"]
    out, edits = tmp_path / "out", ["--yaw=10", "--light=left", "--steps=2", f"--lm_path={photos}", "--paste"]
    edit_image.main([*common, "--image", str(photos), f"--out={out}", *edits])
    told = capsys.readouterr().out
    assert "2 faces: similarity" in told
    names = {path.name for path in (out / "face0").iterdir()}
    assert names == {"aligned.png", "reconstruction.png", "edit-00.png", "strip.png", "pasted.png", "embedding.npz"}
    assert Image.open(out / "face1" / "pasted.png").size == (256, 256)
    stamp = (out / "face0" / "embedding.npz").stat().st_mtime_ns
    film = tmp_path / "turn.gif"
    edit_image.main([*common, "--image", str(photos / "face0.png"), f"--out={out}", "--steps=2", f"--lm_path={photos}",
                     "--grid=yaw=-10:10:3", f"--video={film}", f"--reference={photos / 'face1.png'}",
                     "--borrow", "lighting"])  # fmt: skip
    assert (out / "face0" / "embedding.npz").stat().st_mtime_ns == stamp
    with Image.open(film) as frames:
        assert getattr(frames, "n_frames", 1) == 3
    wrong_files = {
        "there is no such file": [tmp_path / "none.png"],
        "expected one of": [photos / "face0.txt"],
        "two photographs are called face0": [photos, photos / "face0.png"],
    }
    for words, paths in wrong_files.items():
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            edit_image.main([*common, "--image", *map(str, paths), f"--out={out}", "--yaw=3"])
    for wrong in (
        ["--borrow", "pose"],
        ["--video=x.gif"],
        ["--fps=3"],
        ["--grid=identity=3"],
        ["--grid=yaw=1:2:2", "--yaw=3"],
    ):
        with pytest.raises(SystemExit) as left:
            edit_image.main([*common, "--image", "x.png", f"--out={out}", *wrong])
        assert left.value.code == 2


def test_an_encoder_learns_from_images_that_it_has_not_seen(
    run, tmp_path, tiny_assets, tiny_face_model, tiny_perception, tiny_dataset
):
    folder = tmp_path / "encoder"
    common = [f"--model={run}", f"--perception_dir={tiny_assets / 'perception'}", f"--data={tiny_dataset}"]
    train_encoder.main([*common, f"--out={folder}", "--steps=30"])
    model = load(run)
    encoder = Encoder.load_from(folder, model.generator.num_ws, len(model.faces.average_w))
    people = model.sample(4, seed=9)
    images = model.generate(people, truncation=1.0)
    options = EmbedOptions(steps=0)
    found = Embedder(model, tiny_perception, options, encoder)(images, people.coefficients)
    average = np.abs(model.generate(people, truncation=0.0).astype(float) - images).mean()
    drawn = np.abs(edit(model.faces, found, found.coefficients).astype(float) - images).mean()
    assert drawn < average
    with pytest.raises(ValueError, match="trained for another generator"):
        Encoder.load_from(folder, 3, 5)
