from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from renderer import load_face_model
from renderer.controls import Controls, identity
from renderer.lights import LightSetup
from renderer.outputs import OUTPUTS
from renderer.render import main
from tests.helpers.script_run import run_script


@pytest.fixture
def model(tmp_path, tiny_face_model):
    tiny_face_model.save(tmp_path / "tiny.npz")
    return ["--model", str(tmp_path / "tiny.npz"), "--size", "32"]


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_command_of_the_manual(tmp_path):
    out = tmp_path / "face.png"
    words = "--seed 3 --yaw 30 --pitch -10 --roll 0 --expression smile=0.8,jaw_open=0.3 --light left=0.6 --size 64"
    main([*words.split(), "--out", str(out), "--dump", str(tmp_path / "face.npz")])
    image = pixels(out)
    assert image.shape == (64, 64, 3)
    face_model = load_face_model()
    controls = Controls(-10, 30, 0, {"smile": 0.8, "jaw_open": 0.3}, lights=LightSetup.parse("left=0.6"))
    with np.load(tmp_path / "face.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["coefficients"][0], controls.apply(face_model, identity(face_model, 3)))
        landmarks = arrays["landmarks"][0]
        assert arrays["image_size"] == 64
    # Yaw to the picture's right: the nose is nearer the right cheek's outline than the left one's. Pitch -10 looks up.
    assert landmarks[16, 0] - landmarks[30, 0] < 0.5 * (landmarks[30, 0] - landmarks[0, 0])
    main(["--seed", "3", "--size", "64", "--dump", str(tmp_path / "straight.npz")])
    with np.load(tmp_path / "straight.npz", allow_pickle=False) as arrays:
        straight = arrays["landmarks"][0]
    assert landmarks[30, 1] - landmarks[27, 1] > straight[30, 1] - straight[27, 1]  # the nose's tip rises to its root


def test_left_light_brightens_the_left_of_a_face(tmp_path):
    for name in ("left", "right"):
        main(["--light", f"{name}=0.6", "--size", "64", "--part", "face", "--background", "black",
              "--out", str(tmp_path / f"{name}.png")])  # fmt: skip
    left, right = (pixels(tmp_path / f"{name}.png").astype(float) for name in ("left", "right"))
    assert left[:, :32].sum() > 1.2 * left[:, 32:].sum()
    assert np.abs(left[:, ::-1] - right).mean() < 3  # the mean face is symmetric, its eyes nearly


def test_every_output_of_many_rows(tmp_path, model, tiny_face_model):
    rows = np.random.default_rng(0).normal(0, 0.1, [3, tiny_face_model.layout.size])
    np.savez(tmp_path / "rows.npz", coeff=rows)
    out = tmp_path / "pictures"
    main([*model, "--coefficients", str(tmp_path / "rows.npz"), "--outputs", ",".join(OUTPUTS), "--out", str(out),
          "--dump", str(tmp_path / "dump.npz"), "--background", "transparent"])  # fmt: skip
    endings = ["", *(f"_{name}" for name in OUTPUTS[1:])]
    wanted = {f"{k:05d}{ending}.png" for k in range(3) for ending in endings} | {"sheet.png"}
    assert {path.name for path in out.iterdir()} == wanted
    assert pixels(out / "sheet.png").shape == (3 * (32 + 16), 6 * 32, 3)
    assert pixels(out / "00001.png").shape == (32, 32, 4)
    assert pixels(out / "00002_depth.png").dtype == np.uint16
    with np.load(tmp_path / "dump.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["coefficients"], rows.astype(np.float32))
        assert arrays["posed_vertices"].shape == (3, *tiny_face_model.mean_shape.shape)
    assert len({(out / f"{k:05d}.png").read_bytes() for k in range(3)}) == 3


@pytest.mark.parametrize(
    ("chosen", "wanted"), [("2", [2]), ("1:3", [1, 2]), (":2", [0, 1]), ("3:", [3, 4]), (":", range(5))]
)
def test_rows(tmp_path, model, tiny_face_model, chosen, wanted):
    rows = np.arange(5, dtype=np.float32)[:, None] * np.ones(tiny_face_model.layout.size, np.float32) / 10
    np.savez(tmp_path / "rows.npz", coeff=rows)
    source = ["--coefficients", str(tmp_path / "rows.npz")]
    main([*model, *source, "--rows", chosen, "--dump", str(tmp_path / "dump.npz")])
    with np.load(tmp_path / "dump.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["coefficients"], rows[list(wanted)])
    with pytest.raises(SystemExit, match="2"):
        main([*model, *source, "--rows", "7:9", "--dump", str(tmp_path / "dump.npz")])


def test_flags_change_the_rows_of_a_file(tmp_path, model, tiny_face_model):
    (tmp_path / "row.json").write_text(json.dumps({"lighting": [0.1] * 27, "angles": [0.1, 0.2, 0.3]}))
    main([*model, "--coefficients", str(tmp_path / "row.json"), "--yaw", "45", "--expression", "expression_1=0.5",
          "--dump", str(tmp_path / "dump.npz")])  # fmt: skip
    with np.load(tmp_path / "dump.npz", allow_pickle=False) as arrays:
        groups = tiny_face_model.layout.split(arrays["coefficients"][0])
    np.testing.assert_allclose(groups["angles"], [0.1, np.pi / 4, 0.3], rtol=1e-6)
    np.testing.assert_allclose(groups["lighting"], 0.1)  # no default light over the file's own
    np.testing.assert_array_equal(groups["expression"], [0, 0.5, 0, 0])


def test_single_output_and_sheet_of_one_face(tmp_path, model):
    main([*model, "--outputs", "depth", "--out", str(tmp_path / "d.png")])
    assert pixels(tmp_path / "d.png").dtype == np.uint16
    main([*model, "--outputs", "image,mask", "--out", str(tmp_path / "e.png")])
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"d.png", "e.png", "e_mask.png", "e_sheet.png"}


def test_turntable(tmp_path, model):
    main([*model, "--turntable", str(tmp_path / "turn.gif"), "--frames", "6"])
    with Image.open(tmp_path / "turn.gif") as film:
        assert (film.n_frames, film.size) == (6, (32, 32))


def test_list(model, capsys):
    main([*model, "--list"])
    assert "expression: expression_0, expression_1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ("", "nothing to write"),
        ("--out a.jpg", ".png or a folder"),
        ("--out a.png --size 2000", "16 to 1,024"),
        ("--out a.png --supersample 9", "1 to 4"),
        ("--out a.png --seed -1", "0 to 2,000,000,000"),
        ("--out a.png --seed 1 --coefficients b.npz", "give one"),
        ("--out a.png --outputs image,dept", "'image,dept'"),
        ("--out a.png --background blurry", "colour"),
        ("--out a.png --light lef=1", "ambient, front, left"),
        ("--out a.png --expression smile", "NAME=NUMBER"),
        ("--out a.png --expression grin=1", "Expected one of: expression_0, expression_1"),
        ("--out a.png --shape nose=1", "Expected one of: shape_0"),
        ("--out a.png --yaw nan", "-360 to 360"),
        ("--out a.png --zoom 0", "0.05 to 20"),
        ("--dump a.npy", ".npz"),
        ("--dump a.npz --rows 3", "give both"),
        ("--dump a.npz --coefficients b.npz --rows -1", "such as 0:16"),
        ("--dump a.npz --coefficients b.npz --rows x:", "such as 0:16"),
        ("--turntable a.avi", ".gif or .mp4"),
        ("--turntable a.gif --background transparent", "colour"),
        ("--turntable a.gif --frames 1", "2 to 3,600"),
    ],
)
def test_wrong_flags_are_usage_errors(model, flags, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main([*model, *flags.split()])
    assert stopped.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("renderer.render: error: ")
    assert word in message
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.npz"]


def test_many_rows_want_a_folder_and_no_turntable(tmp_path, model, tiny_face_model, capsys):
    np.savez(tmp_path / "rows.npz", coeff=np.zeros([2, tiny_face_model.layout.size]))
    for flags in (["--out", str(tmp_path / "a.png")], ["--turntable", str(tmp_path / "a.gif")]):
        with pytest.raises(SystemExit) as stopped:
            main([*model, "--coefficients", str(tmp_path / "rows.npz"), *flags])
        assert stopped.value.code == 2
        assert "2" in capsys.readouterr().err.splitlines()[-1]


def test_a_broken_file_ends_with_one_line_and_exit_code_1(tmp_path, model):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    flags = [*model, "--coefficients", str(tmp_path / "broken.npz"), "--out", str(tmp_path / "a.png")]
    code, message = run_script("renderer.render", flags)
    assert code == 1 and message.startswith("renderer.render: error: ")
    assert "broken.npz" in message and message.count("\n") == 1
    assert not (tmp_path / "a.png").exists()
