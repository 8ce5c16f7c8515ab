"""benchmarks.real_faces: known answers on made-up photographs; what it takes for true is so on real ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import real_faces
from benchmarks.real_faces import Aligner, flipped, main, measure, measure_networks, read_photos, row
from datasets.alignment import five_landmarks
from discoface_tf2.perception import Perception
from renderer import FaceRenderer, load_face_model

PHOTOS = Path(__file__).resolve().parents[1] / ".." / "shared" / "photos"
YAWS = np.array([25.0, -18.0, 3.0, 40.0])  # degrees
SIZE = 64


@pytest.fixture(scope="module")
def face():
    return load_face_model("builtin")


@pytest.fixture(scope="module")
def coefficients(face):
    values = np.zeros((len(YAWS), face.layout.size), np.float32)
    values[:, face.layout.slice("angles")][:, 1] = np.radians(YAWS)
    return values


@pytest.fixture(scope="module")
def folder(tmp_path_factory, face, coefficients):
    """Photographs of noise, with landmarks where the mean face has them at the yaws, at another place and size."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "detections").mkdir()
    points = FaceRenderer(face, 256).landmarks(tf.constant(coefficients)).numpy() * (1, -1) + (0, 256)
    for number, landmarks in enumerate(five_landmarks(points)):
        pixels = np.random.default_rng(number).integers(0, 256, (300, 320, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"face{number}.png")
        np.savetxt(folder / "detections" / f"face{number}.txt", landmarks * 0.9 + (40, 15))
    Image.new("RGB", (30, 30)).save(folder / "no-landmarks.png")
    return folder


@pytest.fixture(scope="module")
def aligned(face, folder):
    pairs = [Aligner(face)(photo, SIZE) for photo in read_photos(folder, folder / "detections")]
    return tuple(np.stack(arrays) for arrays in zip(*pairs, strict=True))


def measured(face, aligned, coefficients):
    images, given = aligned

    def left_half(batch):
        right = tf.cast(tf.range(SIZE) >= SIZE // 2, tf.int32)
        return tf.one_hot(tf.tile((1 + right)[None, None], [len(batch), SIZE, 1]), 3)

    return measure_networks(face, lambda batch: tf.constant(coefficients), left_half, images, given)


def test_the_right_answer_has_no_error(face, aligned, coefficients):
    found = measured(face, aligned, coefficients)
    assert found.errors.shape == (4, 5) and found.errors.max() < 0.2
    np.testing.assert_allclose(found.yaw, YAWS, atol=1e-3)
    assert row("x", found, YAWS).startswith("| x | 0.1 | 0.1 | 0.1 | 0.1 | 0.1 | 3 of 3 | 0.0° |")


def test_the_mirrored_answer_has_the_wrong_signs(face, aligned, coefficients):
    found = measured(face, aligned, -coefficients)
    assert "| 0 of 3 | 43.0° |" in row("x", found, YAWS)  # twice the mean of the yaws
    assert found.errors[2].mean() < 6 < 30 < found.errors[3].mean()


def test_a_constant_has_no_sign_and_the_error_of_the_pose(face, aligned):
    found = measure(face, np.zeros((4, face.layout.size), np.float32), aligned[1], SIZE)
    assert "| – | 21.5° | – |" in row("x", found, YAWS)
    assert found.errors[2].mean() < found.errors[1].mean() < found.errors[0].mean() < found.errors[3].mean()


def test_errors_are_shares_of_the_eye_distance(face, aligned, coefficients):
    given = aligned[1].copy()
    eyes = np.linalg.norm(given[:, 1] - given[:, 0], axis=1)
    given[:, 2, 1] += 0.1 * eyes
    given[:, 3, 0] -= 0.2 * eyes
    errors = measure(face, coefficients, given, SIZE).errors
    np.testing.assert_allclose(errors, np.tile([0, 0, 10, 20, 0], (4, 1)), atol=0.3)


def test_landmarks_on_skin_are_counted(face, aligned, coefficients):
    found = measured(face, aligned, coefficients)
    np.testing.assert_array_equal(found.on_skin, aligned[1][..., 0] < SIZE // 2)
    assert f"| {found.on_skin.mean():.0%} |" in row("x", found, YAWS)


def test_a_flipped_face_looks_the_other_way(face, folder, aligned):
    photos, aligner = read_photos(folder, folder / "detections"), Aligner(face)
    for photo, yaw, image, given in zip(photos, YAWS, *aligned, strict=True):
        assert np.degrees(aligner.place(flipped(photo)).angles[1]) == pytest.approx(-yaw, abs=0.1)
        other, points = aligner(flipped(photo), SIZE)
        np.testing.assert_allclose(points, given[[1, 0, 2, 4, 3]] * (-1, 1) + (SIZE, 0), atol=0.05)
        assert np.abs(other[:, ::-1].astype(int) - image).mean() < 8  # of noise


def test_place_and_size_of_the_photograph_do_not_matter(face, folder, aligned):
    photo = read_photos(folder, folder / "detections")[0]
    larger = real_faces.Photo("larger", photo.image.resize((640, 600)), photo.landmarks * 2)
    np.testing.assert_allclose(Aligner(face)(larger, SIZE)[1], aligned[1][0], atol=1e-3)


@pytest.fixture(scope="module")
def perception(tmp_path_factory, face):
    folder = tmp_path_factory.mktemp("networks") / "perception"
    Perception.new(face.layout, 32).save(folder)
    return folder


def test_the_command_prints_a_table_and_draws_sheets(folder, perception, tmp_path, capsys):
    command = ["--photos", str(folder), "--perception", str(perception), "--out", str(tmp_path)]
    main(command)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "4 photographs and their horizontal flips: 6 of 8 are turned 5° or more"
    table = [line.split("|")[1:-1] for line in printed if line.startswith("|")]
    assert [len(cells) for cells in table] == [9] * 4
    # The networks are untrained, and begin near the mean face.
    assert abs(float(table[2][1]) - float(table[3][1])) < 10
    (sheet,) = tmp_path.glob("*.png")
    with Image.open(sheet) as image:
        assert image.size == (4 * 324, 176)
        assert (60, 255, 60) in set(image.crop((160, 0, 320, 160)).getdata())
    # Without the identity network, of which no figure speaks, they are the same.
    for name in ("perception.json", "identity.weights.h5"):
        (perception / name).unlink()
    main([*command, "--image_size", "32"])
    assert capsys.readouterr().out.splitlines()[4:6] == printed[4:6]


def test_without_networks_each_face_model_gets_as_many_images_and_steps(folder, perception, tmp_path, monkeypatch):
    commands, compared = [], []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.setattr(real_faces, "compare", lambda photos, cases, *rest: compared.append(cases))
    makehuman = iter([False, True])
    monkeypatch.setattr(real_faces, "is_makehuman", lambda model: next(makehuman))
    load_face_model("builtin").save(tmp_path / "other.npz")
    models = ["builtin", str(tmp_path / "other.npz")]
    command = ["--photos", str(folder), "--out", str(tmp_path), "--steps", "7", "--count", "50", "--assets", "parts"]
    main([*command, "--face_model", *models])
    titles, folders, sources = zip(*compared[0], strict=True)
    assert titles == ("builtin", "other") and sources == tuple(models)
    assert folders == (tmp_path / "builtin/perception", tmp_path / "other/perception")
    made, learned = commands[::2], commands[1::2]
    for command, model in zip(made, models, strict=True):
        assert command[command.index("--count") + 1] == "50" and command[-1] == model
    assert "--assets" not in made[0] and made[1][made[1].index("--assets") + 1] == "parts"
    for command in learned:
        assert command[command.index("--steps") + 1] == "7" and float(command[command.index("--minutes") + 1]) > 300


def test_what_is_wrong_is_one_line(folder, perception, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"no photograph has landmarks in .*empty; expected NAME.txt"):
        main(["--photos", str(folder), "--lm_path", str(empty), "--perception", "x", "--out", str(tmp_path)])
    with pytest.raises(FileNotFoundError, match=r"perception: there is no .*reconstruction\.weights\.h5"):
        main(["--photos", str(folder), "--perception", str(empty), "--out", str(tmp_path)])
    for wrong in (["--perception", "a", "b", "c", "--face_model", "x", "y"], ["--steps", "0"]):
        with pytest.raises(SystemExit, match="2"):
            main(["--photos", str(folder), "--out", str(tmp_path), *wrong])
    assert "expected one, or one for each --perception. Received: 2" in capsys.readouterr().err


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no ../shared/photos beside the checkout")
def test_real_photographs(face):
    """The yaw taken for true has the sign of the nose's offset from the face's midline; the frames hold the faces."""
    photos, aligner = read_photos(PHOTOS, PHOTOS / "detections"), Aligner(face)
    assert len(photos) == 17
    yaw = np.degrees([aligner.place(photo).angles[1] for photo in photos])
    given = np.stack([aligner(photo, SIZE)[1] for photo in photos])
    eyes, mouth = given[:, :2].mean(1), given[:, 3:].mean(1)
    across = given[:, 1] - given[:, 0]
    offset = ((given[:, 2] - (eyes + mouth) / 2) * across).sum(1) / (across**2).sum(1)
    turned = np.abs(yaw) >= real_faces.LEAST_YAW
    assert turned.sum() >= 10
    assert (np.sign(offset) == np.sign(yaw))[turned].all()
    constant = measure(face, np.zeros((17, face.layout.size), np.float32), given, SIZE)
    assert 5 < constant.errors.mean() < 30
    assert (given > 10).all() and (given < SIZE - 10).all()
