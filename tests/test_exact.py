"""Images of exactly what is asked for: parsing, grids, films, what is beyond the training."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import generate_images
from discoface_tf2.exact import Grid, beyond_training
from discoface_tf2.exact_options import Axis, ExactOptions, identities
from discoface_tf2.model import load
from discoface_tf2.model_io import Manifest, save_model, snapshot_path
from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_generator
from renderer.lights import DEFAULT_SETUP, LightSetup

NOISE = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_face_model, tiny_assets):
    folder, layout = tmp_path_factory.mktemp("run"), tiny_face_model.layout
    sizes = NetworkConfig(layout.lambda_size + NOISE, 16, 128, 8, 2, 16, 16, mapping_lr_multiplier=1.0)
    manifest = Manifest("disco", "stylegan2", sizes, layout, NOISE, {"face_model": str(tiny_assets / "face.npz")})
    save_model(snapshot_path(folder, 1), build_generator(sizes, seed=1), manifest, vae_dir=tiny_assets / "vae")
    return folder


@pytest.mark.parametrize("text, name, values", [
    ("yaw=-30:30:5", "yaw", (-30, -15, 0, 15, 30)), ("smile=0,0.5,1", "smile", (0, 0.5, 1)), ("roll=7", "roll", (7,)),
    ("light=left|top=0.5,ambient=0.3", "light", ("left", "top=0.5,ambient=0.3")),
    ("identity=0:1:3", "identity", (0, 0.5, 1)), ("orbit=4", "orbit", (0, 90, 180, 270)),
    ("identity=3", "identity", (0, 1, 2)), ("identity=3,7", "identity", (3, 7)),
])  # fmt: skip
def test_axes(text, name, values):
    assert Axis.parse(text) == Axis(name, values)


@pytest.mark.parametrize("text", ["", "yaw", "yaw=", "=3", "yaw=1:2", "yaw=1:2:1", "yaw=1:2:2.5", "yaw=a", "yaw=inf",
                                  "yaw=0:1:99999", "identity=-1", "identity=0", "identity=a",
                                  "identity=20000", "identity=-1:2:3", "orbit=1", "orbit=a"])  # fmt: skip
def test_wrong_axes_are_one_line(text):
    with pytest.raises(ValueError, match="expected") as refused:
        Axis.parse(text)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=30))
def test_any_text_is_an_axis_or_one_line(text):
    for parse in (Axis.parse, identities):
        try:
            assert parse(text)
        except ValueError as error:
            assert "\n" not in str(error)


def test_a_grid_changes_along_its_axes_and_nowhere_else(run):
    model = load(run)
    grid = Grid(ExactOptions(roll=3, expression={"expression_0": 0.4}, rows=Axis.parse("identity=2"),
                             columns=Axis.parse("yaw=-20:20:3"), seed=5), model)  # fmt: skip
    people = grid.people
    assert len(people) == 6 and grid.labels[1] == [
        "identity 1, yaw -20°",
        "identity 1, yaw +0°",
        "identity 1, yaw +20°",
    ]
    np.testing.assert_allclose(people.pose, [[0, yaw, 3] for _ in range(2) for yaw in (-20, 0, 20)], atol=1e-4)
    np.testing.assert_allclose(people.expression, [[0.4, 0, 0, 0]] * 6, atol=1e-6)
    np.testing.assert_allclose(people.light, [DEFAULT_SETUP.coefficients()] * 6, atol=1e-6)
    known = model.sample(2, seed=5)
    np.testing.assert_array_equal(people.identity, known.identity[[0, 0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(people.noise, known.noise[[0, 0, 0, 1, 1, 1]])
    lights = Grid(ExactOptions(columns=Axis.parse("light=left|top=0.3"), rows=Axis.parse("expression_1=0,1")), model)
    np.testing.assert_allclose(lights.people.light[[0, 2]], [LightSetup.parse("left").coefficients()] * 2, atol=1e-6)
    np.testing.assert_allclose(lights.people.expression[:, 1], [0, 0, 1, 1])


def test_what_lies_beyond_the_training_is_said_with_its_range(run):
    model = load(run)
    z = np.random.default_rng(0).standard_normal([4096, model.sampler.latent_size], np.float32)
    highest = np.degrees(model.sampler.sample(z).numpy()[:, model.layout.slice("angles")][:, 1]).max()
    far = ExactOptions(yaw=float(highest * 2 + 20), expression={"expression_2": 1e4})
    lines = beyond_training(Grid(far, model).people, model)
    assert [line.split()[0] for line in lines] == ["yaw", "expression_2"] and "was trained on" in lines[0]


def test_the_way_between_people_and_around_a_face(run):
    model = load(run)
    grid = Grid(ExactOptions(columns=Axis.parse("identity=0:1:3"), seed=5), model)
    whole = Grid(ExactOptions(columns=Axis.parse("identity=2"), seed=5), model)
    np.testing.assert_array_equal(grid.people.coefficients[[0, 2]], whole.people.coefficients)
    np.testing.assert_allclose(grid.people.noise[1], (grid.people.noise[0] + grid.people.noise[2]) / 2**0.5, rtol=1e-5)
    assert grid.labels == [["identity 0", "identity 0.5", "identity 1"]]
    around = Grid(ExactOptions(columns=Axis.parse("orbit=4")), model).people
    np.testing.assert_allclose(around.pose, [[12, 0, 0], [0, 25, 0], [-12, 0, 0], [0, -25, 0]], atol=1e-4)
    with pytest.raises(ValueError, match="--yaw: it is an axis"):
        ExactOptions(columns=Axis.parse("orbit=4"), yaw=3)
    with pytest.raises(ValueError, match="--pitch: it is an axis"):
        ExactOptions(columns=Axis.parse("orbit=4"), rows=Axis.parse("pitch=1,2"))


def test_script(run, tmp_path, capsys):
    common = ["--model", str(run), "--truncation=1"]
    out = tmp_path / "grid"
    grid = [*common, "--grid=yaw=-10:10:3", "--rows=identity=2", f"--video={tmp_path / 'turn.gif'}", f"--out={out}"]
    generate_images.main(grid)
    images = [np.asarray(Image.open(out / f"{k:05d}.png")) for k in range(6)]
    assert images[0].shape == (16, 16, 3) and not (out / "00006.png").exists()
    assert Image.open(out / "sheet.png").size[0] == 3 * 128
    film = Image.open(tmp_path / "turn.gif")
    assert film.size == (32, 16) and film.n_frames == 3
    records = [json.loads(line) for line in (out / "coefficients.jsonl").read_text().splitlines()]
    assert [round(record["angles_degrees"][1]) for record in records] == [-10, 0, 10] * 2

    (out / "00004.png").unlink()
    generate_images.main(grid)  # what is missing
    np.testing.assert_array_equal(np.asarray(Image.open(out / "00004.png")), images[4])
    with pytest.raises(ValueError, match=r"holds images of other options .columns"):
        generate_images.main([*common, "--grid=yaw=-10:10:2", "--rows=identity=2", f"--out={out}"])

    again = tmp_path / "again"  # of the coefficients and noise that were written
    generate_images.main([*common, f"--coefficients={out / 'coefficients.jsonl'}", f"--out={again}"])
    for k, image in enumerate(images):
        assert np.abs(np.asarray(Image.open(again / f"{k:05d}.png")).astype(int) - image).max() <= 1
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", run)
    generate_images.main(["--model", archive, "--truncation=1", "--yaw=-10", f"--out={tmp_path / 'zip'}"])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "zip" / "00000.png")), images[0])
    capsys.readouterr()
    with pytest.raises(ValueError, match="there is no 'smlie'"):
        generate_images.main([*common, "--expression=smlie=1", f"--out={tmp_path / 'none'}"])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("flags, words", [
    (["--yaw=5", "--factor=pose"], "--factor is for images at random"), (["--video=a.gif"], "expected --grid"),
    (["--fps=5"], "--fps has no effect without --video"), (["--grid=yaw=1:2:2", "--rows=yaw=0,1"], "yaw twice"),
    (["--grid=yaw=1:2:2", "--yaw=3"], "--yaw: it is an axis"), (["--yaw=200"], "expected a number, -180 to 180"),
    (["--coefficients=a.json", "--identity=3"], "leave --identity out"),
    (["--expression=smile"], "expected NAME=NUMBER"),
    (["--grid=yaw=1:2"], "FROM:TO:COUNT"), (["--identity=1,2", "--rows=yaw=0,1"], "several people are rows already"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(flags, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        generate_images.main(["--model=run", "--out=out", *flags])
    assert stopped.value.code == 2 and words in capsys.readouterr().err.splitlines()[-1]
