"""Synthetic images of people who wear parts: fitted, cut, mirrored, composited, lit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from datasets.make_synthetic import make_synthetic
from datasets.schema import HAIR
from datasets.synthetic.looks import HairLook, all_looks, draw_look
from datasets.synthetic.parts import FittedParts
from datasets.synthetic.population import NormalPopulation, Traits
from datasets.synthetic.style import draw_style
from datasets.synthetic.synthesizer import Synthesizer
from datasets.synthetic.textures import iris_picture
from renderer.makehuman.assets import read_assets
from tests.helpers.made_up_parts import write_parts

SIZE = 32


@pytest.fixture(scope="module")
def model(tiny_face_model):
    """The half-sphere as MakeHuman's first vertices, with landmarks at its left, right and bottom."""
    mean = tiny_face_model.mean_shape
    landmarks = np.full(68, np.linalg.norm(mean - [0, 0.1, 0.8], axis=1).argmin(), np.int32)
    for number, place in ((0, (-0.8, 0, 0)), (16, (0.8, 0, 0)), (8, (0, -0.7, 0.3))):
        landmarks[number] = np.linalg.norm(mean - place, axis=1).argmin()
    numbers = np.arange(len(mean), dtype=np.int32)
    return dataclasses.replace(tiny_face_model, landmarks=landmarks, extras={"base_vertex": numbers})


@pytest.fixture(scope="module")
def assets(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("assets")
    write_parts(folder, model.mean_shape.astype(float))
    return read_assets(folder)


@pytest.fixture(scope="module")
def parts(assets, model):
    return FittedParts(assets, model, model.mean_shape, SIZE)


def hair_of(parts, shape, look):
    points, values, _ = parts.sheets_of(shape, look, "eyebrow001", "eyelashes01")
    return points[: 3 * parts.sheets.counts[0]], values[: 3 * parts.sheets.counts[0]]


def test_all_hair_takes_the_same_room_and_what_is_not_used_has_no_area(parts, model):
    points, values, pictures = parts.sheets_of(model.mean_shape, HairLook("short02"), "eyebrow002", "eyelashes01")
    assert points.shape == (parts.sheets.vertices, 3) and values.shape == (parts.sheets.vertices, 11)
    assert len(set(pictures)) == 3 and pictures.max() < len(parts.sheets.pictures)
    none, _, _ = parts.sheets_of(model.mean_shape, None, "eyebrow002", "eyelashes01")
    assert (none[: 3 * parts.sheets.counts[0]] == 0).all() and (none[3 * parts.sheets.counts[0] :] != 0).any()


def test_hair_follows_the_head_and_its_mirror_image_is_one(parts, model):
    shape = model.mean_shape
    points, _ = hair_of(parts, shape, HairLook("long01"))
    moved, _ = hair_of(parts, shape + np.float32([0.1, 0.2, 0.3]), HairLook("long01"))
    np.testing.assert_allclose(moved - points, np.tile([0.1, 0.2, 0.3], (len(points), 1)), atol=1e-5)
    mirrored, values = hair_of(parts, shape, HairLook("long01", mirrored=True))
    np.testing.assert_allclose(np.sort(mirrored[:, 0]), np.sort(-points[:, 0]), atol=0.03)
    assert np.abs(np.linalg.norm(values[:, :3], axis=1) - 1).max() < 1e-5


def test_volume_scales_the_distance_from_the_skin(parts, model):
    shape = model.mean_shape
    distances = []
    for volume in (0.5, 1.0, 1.5):
        points, _ = hair_of(parts, shape, HairLook("long01", volume=volume))
        distances.append(np.linalg.norm(points[:, None] - shape, axis=-1).min(1).mean())
    assert distances[0] < distances[1] < distances[2]


def test_cuts_are_where_they_are_said_to_be(parts, model):
    points, values = hair_of(parts, model.mean_shape, HairLook("long01", cut=0.0))
    assert ((values[:, 8] < 0) == (points[:, 1] < 0)).all() and (values[:, 8] < 0).any()
    points, values = hair_of(parts, model.mean_shape, HairLook("long01", fringe=0.3))
    middle = (np.abs(points[:, 0]) < 0.4) & (points[:, 1] < 0.2) & (points[:, 2] > 0.1)
    assert middle.any() and (values[middle, 8] < 0).all()


def test_eyes_have_the_normals_of_spheres(parts, model):
    points, normals = parts.eyes_of(model.mean_shape)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert points.shape == normals.shape == (12, 3)


def test_brown_irises_are_not_red_and_irises_take_a_colour(assets):
    iris = iris_picture("brown", assets.irises["brown"], 64)
    middle = iris.picture[16, 16]
    assert 1.1 < middle[0] / middle[1] < 2.0 and middle[1] > middle[2]
    coloured = iris.coloured(np.array([60.0, 90.0, 140.0]))
    np.testing.assert_allclose(coloured[16, 16], [60, 90, 140], rtol=0.05)
    np.testing.assert_allclose(coloured[1, 1], iris.picture[1, 1])  # the white of the eye stays


def test_there_are_more_than_sixty_looks_and_all_differ():
    looks = all_looks()
    assert len({look.name for look in looks}) == len(looks) > 60


def test_men_and_women_mostly_wear_other_hair():
    rng = np.random.default_rng(0)
    names = frozenset(look.part for look in all_looks())
    men, women = ([draw_look(male, names, rng).part for _ in range(300)] for male in (1.0, 0.0))
    short = [np.mean([part.startswith("short") for part in parts]) for parts in (men, women)]
    assert short[0] > 0.75 and short[1] < 0.3 and len(set(women)) == 10


def test_traits_decide_on_beards():
    rng = np.random.default_rng(1)

    def beards(male, age=40.0):
        traits = Traits(male, age, 0.0, 0.0, 1.0, 0.5, 0.5)
        return np.mean([draw_style(160.0, 0.0, rng, traits).beard > 0 for _ in range(200)])

    assert beards(0.0) == 0 and 0.15 < beards(1.0) < 0.5


@pytest.fixture(scope="module")
def images(model, assets):
    synthesizer = Synthesizer(model, SIZE, seed=2, subjects=12, assets=assets)
    return synthesizer, list(synthesizer.records(range(12)))


def test_people_who_wear_hair_have_it_in_the_mask(images):
    synthesizer, records = images
    shares = {True: [], False: []}
    for subject, record in enumerate(records):
        look = synthesizer.person(subject).worn.look
        shares[look is not None and look.part == "long01"].append((record.classes() == HAIR).mean())
    assert np.mean(shares[True]) > 0.08


def test_worn_hair_has_the_persons_colour(images):
    synthesizer, records = images
    wanted, seen = [], []
    for subject, record in enumerate(records):
        hair = record.classes() == HAIR
        if hair.mean() > 0.05:
            wanted.append(synthesizer.person(subject).worn.colours[0].mean())
            seen.append(np.median(record.pixels()[hair]))
    assert len(wanted) > 4 and np.corrcoef(wanted, seen)[0, 1] > 0.6


def test_parts_without_their_head_are_refused(tiny_face_model, assets, tmp_path):
    with pytest.raises(ValueError, match=r"'tiny': MakeHuman's parts fit a model imported from MakeHuman alone"):
        FittedParts(assets, tiny_face_model, tiny_face_model.mean_shape, SIZE)
    write_parts(tmp_path / "parts", tiny_face_model.mean_shape.astype(float))
    tiny_face_model.save(tmp_path / "tiny.npz")
    with pytest.raises(ValueError, match="Leave --assets out"):
        make_synthetic(
            tmp_path / "out", count=4, shards=1, assets=tmp_path / "parts", face_model=str(tmp_path / "tiny.npz")
        )
    assert not (tmp_path / "out").exists()


def test_a_population_depends_on_its_generator_alone(model, images):
    population = NormalPopulation(model, images[0].distribution)
    first, again = (population.individual(np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.identity, again.identity)
    assert first.traits is None and first.atlas is None


def test_workers_make_the_same_bytes_and_the_manifest_says_what_was_worn(model, tmp_path):
    folder, face = tmp_path / "parts", tmp_path / "face.npz"
    write_parts(folder, model.mean_shape.astype(float))
    model.save(face)
    made = {
        workers: make_synthetic(
            tmp_path / str(workers), count=4, image_size=SIZE, shards=2, face_model=face, assets=folder, workers=workers
        )
        for workers in (1, 2)
    }
    assert made[1].options["assets"]["licence"].startswith("CC0") and made[1].options == made[2].options
    assert "hair/long01" in made[1].options["assets"]["parts"]
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes(), path.name
