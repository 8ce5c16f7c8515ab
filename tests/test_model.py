"""The Python interface: load, sample, change, generate."""

import json
import shutil

import numpy as np
import pytest

import discoface_tf2 as df
from discoface_tf2.generation import GenerationOptions, sample_row
from discoface_tf2.model_io import AVERAGE_W, MANIFEST, Manifest, save_model, snapshot_path
from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_generator
from discoface_tf2.systems import find_system
from discoface_tf2.systems.gif.config import GifConfig
from renderer.face_model import load_face_model
from renderer.lights import LightSetup

NOISE = 4


@pytest.fixture(scope="module", params=["disco", "gif"])
def run(request, tmp_path_factory, tiny_face_model, tiny_sampler, tiny_assets):
    """A run folder with a snapshot of an untrained generator, and its face model beside it."""
    folder, layout = tmp_path_factory.mktemp(request.param), tiny_face_model.layout
    system = find_system(request.param)
    if request.param == "disco":
        sizes = NetworkConfig(layout.lambda_size + NOISE, 16, 128, 8, 2, 16, 16, mapping_lr_multiplier=1.0)
        generator, architecture = build_generator(sizes, seed=1), "stylegan2"
    else:
        options = dict(resolution=16, channel_base=128, channel_max=8, mapping_layers=2, mapping_width=16)
        config = GifConfig.make("gif64", noise_dim=NOISE, **options)
        sizes, architecture = system.network_sizes(config, layout), "gif"
        generator = system.architectures["gif"].build_generator(sizes, seed=1)
        for layer in generator.synthesis.convs:  # as if it had learnt to look
            for conv in layer.net.convs:
                conv.kernel.assign(conv.kernel * 20)
    facts = {"face_model": str(tiny_assets / "face.npz")}
    manifest = Manifest(request.param, architecture, sizes, layout, NOISE, facts)
    average = system.average_w(generator, tiny_sampler, layout, NOISE)
    save_model(snapshot_path(folder, 1), generator, manifest, vae_dir=tiny_assets / "vae", average_w=average)
    return folder


@pytest.fixture(scope="module")
def model(run):
    return df.load(run)


def test_people_are_the_first_of_the_rows_that_the_script_makes(model):
    people = model.sample(3, seed=5, start=2)
    for k, subject in enumerate((2, 3, 4)):
        rows, noise = sample_row(GenerationOptions("identity", variations=2, seed=5), model.sampler, NOISE, subject)
        same = np.ones(rows.shape[1], bool)
        same[model.layout.slice("identity")] = False
        np.testing.assert_array_equal(people.coefficients[k, same], rows[0, same])
        np.testing.assert_array_equal(people.noise[k], noise[0])
    np.testing.assert_array_equal(model.sample(9, seed=5).coefficients[2:5], people.coefficients)
    assert people.pose.shape == (3, 3) and people.light.shape == (3, 27)
    assert "People(3: identity 5, expression 4, light 27, pose 3" in repr(people)


def test_with_changes_what_is_named_and_nothing_else(model):
    people = model.sample(2)
    other = people.with_(yaw=20, pitch=-5, expression={"expression_1": 0.8}, light="left=0.5")
    np.testing.assert_allclose(other.pose[:, :2], [[-5, 20]] * 2, rtol=1e-5)
    np.testing.assert_allclose(other.expression[:, 1], 0.8)
    np.testing.assert_allclose(other.light, [LightSetup.parse("left=0.5").coefficients()] * 2)
    kept = np.ones(people.coefficients.shape[1], bool)
    for name in ("angles", "lighting"):
        kept[model.layout.slice(name)] = False
    kept[model.layout.slice("expression").start + 1] = False
    np.testing.assert_array_equal(other.coefficients[:, kept], people.coefficients[:, kept])
    np.testing.assert_array_equal(other.pose[:, 2], people.pose[:, 2])
    np.testing.assert_array_equal(other.noise, people.noise)
    swapped = people.with_(identity=people[[1, 0]], noise=people[[1, 0]])
    np.testing.assert_array_equal(swapped.identity, people.identity[::-1])
    np.testing.assert_array_equal(swapped.noise, people.noise[::-1])
    np.testing.assert_array_equal(swapped.expression, people.expression)


def test_images_are_of_the_people_and_of_their_number_alone(model):
    people = model.sample(5)
    images = model.generate(people, truncation=0.5)
    assert images.shape == (5, 16, 16, 3) and images.dtype == np.uint8
    again = model.generate(people[[3, 1]], truncation=0.5, batch_size=2)
    assert np.abs(images[[3, 1]].astype(int) - again).max() <= 1
    assert np.abs(images.astype(int) - model.generate(people.with_(yaw=30), truncation=0.5)).max() > 5
    assert model.generate(people[:0]).shape == (0, 16, 16, 3)
    assert model.render(people).shape == (5, 16, 16, 3) and model.render(people, 32).max() > 60


def test_a_zip_and_a_file_of_people_bring_the_same_images(run, model, tmp_path):
    people = model.sample(2)
    expected = model.generate(people)
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", run)
    people.save(tmp_path / "people.npz")
    again = df.load(archive)
    np.testing.assert_array_equal(again.generate(df.People.load(tmp_path / "people.npz")), expected)
    np.testing.assert_array_equal(again.sample(2).coefficients, people.coefficients)


def test_a_snapshot_of_an_earlier_version_computes_its_average(run, model, tmp_path):
    moved = shutil.copytree(model.folder, tmp_path / "snapshot")
    (moved / AVERAGE_W).unlink()
    np.testing.assert_allclose(df.load(moved).faces.average_w, model.faces.average_w, atol=1e-6)


def test_a_snapshot_of_an_earlier_built_in_head_still_generates(model, tmp_path):
    """Its checksum is not that of today's head; only what renders, or needs names, misses it."""
    folder = shutil.copytree(model.folder, tmp_path / "snapshot")
    content = json.loads((folder / MANIFEST).read_text())
    content["facts"] = {"face_model": "builtin", "face_model_checksum": "77e0"}
    (folder / MANIFEST).write_text(json.dumps(content))
    old = df.load(folder)
    people = old.sample(2, seed=5)
    np.testing.assert_array_equal(people.coefficients, model.sample(2, seed=5).coefficients)
    with pytest.raises(ValueError, match=r"trained for another face model: its coefficients are .*, those of builtin"):
        _ = old.face_model
    with pytest.raises(ValueError, match="by name need the face model"):
        people.with_(light="left")
    if not model.system.renders:
        np.testing.assert_array_equal(old.generate(people), model.generate(people))


def test_what_cannot_be_done_is_one_line(run, model, tmp_path, tiny_assets, other_face_model):
    people = model.sample(1)
    with pytest.raises(ValueError, match=r"expression: there is no 'smlie'"):
        people.with_(expression={"smlie": 1})
    with pytest.raises(ValueError, match=r"with_: expected one of identity, expression, lighting, pose, noise. Rec"):
        people.with_(hair=people)
    with pytest.raises(ValueError, match=r"generate: expected people of the layout"):
        model.generate(df.People(people.coefficients, people.noise[:, :2], people.layout))
    with pytest.raises(ValueError, match=r"people: expected coefficients \[N, "):
        df.People(people.coefficients[:, :3], people.noise, people.layout)
    (tmp_path / "people.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"people.npz: not a file that People.save wrote"):
        df.People.load(tmp_path / "people.npz")
    unknown = df.load(run, face_model=str(tmp_path / "face.npz"))
    if model.system.renders:
        with pytest.raises(FileNotFoundError, match=r"expected the .npz of the face model that it was trained for"):
            unknown.generate(people)
    else:
        assert unknown.generate(people).shape == (1, 16, 16, 3)
    nameless = unknown.sample(1)
    assert nameless.with_(yaw=10).pose[0, 1] == pytest.approx(10)
    with pytest.raises(ValueError, match="by name need the face model"):
        nameless.with_(light="left")
    with pytest.raises(ValueError, match="trained for another face model"):
        _ = df.load(run, face_model="builtin").face_model
    with pytest.raises(AttributeError, match="no attribute 'generate'"):
        _ = df.generate
    assert load_face_model(tiny_assets / "face.npz").layout == model.layout
