"""The built-in face model: where it comes from, its file, and that it is a face that moves as its names say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from renderer import FaceModel, load_face_model
from renderer.compact import compact
from renderer.files import face_model_path
from renderer.makehuman.population import Population
from renderer.texture_map import TextureMap

LANDMARK_FILE = Path(__file__).resolve().parents[2] / ".." / "shared/reference/bfm/similarity_Lm3D_all.mat"


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model("builtin")


def expression(model: FaceModel, **activations: float) -> np.ndarray:
    """[V, 3] the mean face with the named activations."""
    weights = np.zeros(len(model.expression_names))
    for name, value in activations.items():
        weights[model.expression_names.index(name)] = value
    return model.mean_shape + model.expression_basis @ weights


def test_the_file_says_whose_it_is_and_is_small(model: FaceModel) -> None:
    path = face_model_path("builtin")
    assert path.stat().st_size < 6e6
    with np.load(path) as stored:
        manifest = json.loads(str(stored["manifest"]))
        assert stored["shape_basis"].dtype == np.float16
    assert manifest["name"] == "makehuman" and model.name == "builtin"
    assert len(model.manifest["skins"]) == len(model.extras["skins"]) == 20
    for author in ("MakeHuman", "Mika Suominen", "Data Collection AB", "Joel Palmius", "Jonas Hauquier", "CC0"):
        assert author in model.licence
    assert load_face_model() is model  # read once


def test_what_is_loaded_is_float32(model: FaceModel) -> None:
    arrays = {key: value for key, value in vars(model).items() if isinstance(value, np.ndarray)}
    assert {key for key, value in arrays.items() if value.dtype.kind == "f" and value.dtype != np.float32} == set()
    assert arrays["shape_basis"].flags.c_contiguous and model.texture_map.mean.dtype == np.float32


def test_landmarks_have_human_proportions(model: FaceModel) -> None:
    points = model.mean_shape[model.landmarks]
    np.testing.assert_allclose(points[36:48].mean(0), (0, 0.30, 0.17), atol=0.05)
    np.testing.assert_allclose(points[[48, 54]].mean(0)[:2], (0, -0.38), atol=0.06)
    assert np.linalg.norm(points[8] - (0, -0.82, 0.20)) < 0.1
    for a, b in ((0, 16), (4, 12), (17, 26), (21, 22), (31, 35), (36, 45), (39, 42), (41, 46), (48, 54), (60, 64)):
        np.testing.assert_allclose(points[a] * [-1, 1, 1], points[b], atol=2e-3)


def test_landmarks_near_the_standard_ones(model: FaceModel) -> None:
    if not LANDMARK_FILE.is_file():
        pytest.skip(f"there is no {LANDMARK_FILE}")
    distance = np.linalg.norm(model.mean_shape[model.landmarks] - loadmat(LANDMARK_FILE)["lm"], axis=1)
    assert distance.max() < 0.3 and distance.mean() < 0.1  # the furthest on the jaw's line


def test_jaw_open_parts_the_lips_and_keeps_the_upper_face(model: FaceModel) -> None:
    rest, wide = model.mean_shape[model.landmarks], expression(model, jawOpen=1.0)[model.landmarks]
    assert abs(rest[62, 1] - rest[66, 1]) < 0.02
    assert wide[62, 1] - wide[66, 1] > 0.12 and rest[8, 1] - wide[8, 1] > 0.12
    np.testing.assert_allclose(wide[17:48], rest[17:48], atol=0.03)


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_blink_shuts_one_eye(model: FaceModel, side: str) -> None:
    shut = expression(model, **{f"eyeBlink{side}": 1.0})[model.landmarks]
    gaps = {"Right": shut[[37, 38], 1] - shut[[41, 40], 1], "Left": shut[[43, 44], 1] - shut[[47, 46], 1]}
    other = {"Left": "Right", "Right": "Left"}[side]
    assert gaps[side].max() < 0.005 and gaps[other].min() > 0.06  # the upper lid lies over the lower


@pytest.mark.parametrize(
    ("name", "moves", "stays"),
    [
        ("browOuterUpRight", [17, 18, 19], [8, 24, 25, 48]),
        ("mouthSmileLeft", [54], [8, 19, 24, 27]),
        ("mouthPucker", [48, 54], [8, 19, 24, 27]),
    ],
)
def test_movements_are_local(model: FaceModel, name: str, moves: list[int], stays: list[int]) -> None:
    shift = np.linalg.norm(model.expression_basis[model.landmarks, :, model.expression_names.index(name)], axis=1)
    assert shift[moves].min() > 0.02 and shift[stays].max() < 0.01


def test_people_keep_sane_colours_and_shapes(model: FaceModel) -> None:
    rng = np.random.default_rng(3)
    skin = model.in_region("skin")
    for _ in range(20):
        colour = model.mean_texture + model.texture_basis @ rng.normal(size=model.layout.texture)
        red, green, blue = colour[skin].mean(0)
        assert 255 > red > green > blue > 0
        points = (model.mean_shape + model.shape_basis @ rng.normal(size=model.layout.shape))[model.landmarks]
        assert points[19, 1] > points[37, 1] > points[41, 1] > points[33, 1] > points[51, 1]
        assert points[51, 1] > points[57, 1] > points[8, 1] and points[39, 0] < 0 < points[42, 0]


def test_people_of_the_sliders_wear_its_skins(model: FaceModel) -> None:
    """Their albedo is near what the model makes of their coefficients, as it is not for painted skin."""
    population = Population(model, 64)
    skin = np.isin(model.region, [model.region_names.index("skin")])
    rows, columns = ((1 - model.uv[skin, 1]) * 64).astype(int), (model.uv[skin, 0] * 64).astype(int)
    level = model.texture_map.halved(64)
    errors, means = [], []
    for number in range(12):
        person = population.person(7, number)
        fitted = level.mean + level.basis @ person.texture
        errors.append((person.albedo - fitted)[rows, columns])
        means.append((person.albedo - level.mean)[rows, columns])
    assert np.square(errors).mean() < 0.03 * np.square(means).mean()


def test_rounding_moves_vertices_and_colours_by_next_to_nothing(model: FaceModel, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def unrounded(values: np.ndarray) -> np.ndarray:
        return (values * rng.uniform(0.97, 1.03, values.shape)).astype(np.float32)

    small = TextureMap(model.texture_map.mean[:128, :128], model.texture_map.basis[:128, :128])
    exact = replace(
        model, shape_basis=unrounded(model.shape_basis), texture_basis=unrounded(model.texture_basis),
        texture_map=TextureMap(unrounded(small.mean), unrounded(small.basis)), extras={},
    )  # fmt: skip
    rounded = compact(exact)
    people = rng.normal(size=(80, 20)), rng.normal(size=(40, 20))
    moved = np.linalg.norm(np.tensordot(exact.shape_basis - rounded.shape_basis, people[0], 1), axis=1)
    assert 100 * np.sqrt(np.square(moved).mean()) < 0.005 and 100 * moved.max() < 0.025  # millimetres
    for bases in ((exact.texture_basis, rounded.texture_basis), (exact.texture_map.basis, rounded.texture_map.basis)):
        levels = np.tensordot(bases[0] - bases[1].astype(np.float32), people[1], 1)
        assert 2 * np.sqrt(np.square(levels).mean()) < 1.0  # RGB levels
    exact.save(tmp_path / "exact.npz")
    rounded.save(tmp_path / "rounded.npz")
    assert (tmp_path / "rounded.npz").stat().st_size < 0.4 * (tmp_path / "exact.npz").stat().st_size
    loaded = load_face_model(tmp_path / "rounded.npz")
    assert loaded.checksum() == rounded.checksum() == compact(rounded).checksum() != exact.checksum()
    assert loaded.texture_map.basis.dtype == np.float16
