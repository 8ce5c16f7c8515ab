"""From the original's network file to pictures, and to stage 2, on a made-up network of 16 × 16."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import export_model
import generate_images
import train as train_script
from discoface_tf2 import import_original, model_io
from discoface_tf2.import_original import import_network
from discoface_tf2.model import load
from discoface_tf2.networks.stylegan1 import reference
from discoface_tf2.networks.stylegan1.network_file import read_networks
from discoface_tf2.perception import Perception
from discoface_tf2.training.loop import Assets, train
from renderer.layout import CoefficientLayout
from tests.helpers import network_files
from tests.helpers.script_run import run_script
from tests.helpers.tiny_training import tiny_config
from vae import FACTORS, FactorConfig, FactorVAE
from vae.model import ABBREVIATIONS
from vae.sampler import save_factor

LAYOUT = CoefficientLayout(shape=80, texture=80, expression=64)
NOISE = 4
ORIGINAL = Path(__file__).parents[2] / "shared/reference/stylegan1"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return network_files.write(tmp_path_factory.mktemp("network") / "network.pkl", input_size=254 + NOISE)


@pytest.fixture(scope="module")
def vaes(tmp_path_factory):
    """Untrained VAEs of the original's layout, whose samples differ enough to be seen."""
    folder, rng = tmp_path_factory.mktemp("vaes"), np.random.default_rng(0)
    for factor in FACTORS:
        vae = FactorVAE(FactorConfig(factor, LAYOUT.factor_size(factor), 3, width=8, depth=1))
        for variable in vae.variables:
            variable.assign(rng.normal(size=variable.shape) * 0.5)
        save_factor(folder / ABBREVIATIONS[factor], vae, LAYOUT.to_dict())
    return folder


@pytest.fixture(scope="module")
def imported(source, vaes, tmp_path_factory):
    out = tmp_path_factory.mktemp("imported") / "original"
    import_network(source, out, vae_dir=vaes)
    return out


def test_the_command_says_what_it_did_and_the_snapshot_is_the_networks(source, tmp_path, capsys):
    out = tmp_path / "original"
    import_original.main(["--source", str(source), "--out", str(out)])
    output = capsys.readouterr().out
    assert "16 × 16, 254 coefficients and 4 noise" in output and "FromRGB_lod1/bias to FromRGB_lod2/weight" in output
    manifest = json.loads((out / model_io.MANIFEST).read_text())
    assert (manifest["architecture"], manifest["noise_dim"]) == ("stylegan1", NOISE)
    assert max(manifest["facts"]["differences"].values()) < 1e-4
    model = load(out)
    inputs = np.random.default_rng(0).normal(size=(2, 254 + NOISE))
    parts = {name: part.variables for name, part in read_networks(source).average.components.items()}
    ws = np.repeat(reference.mapping(parts["mapping"], inputs, layers=2, lr_multiplier=0.01)[:, None], 6, 1)
    images = reference.synthesis(parts["synthesis"], ws, resolution=16, turned_from=128).transpose(0, 2, 3, 1)
    drawn = model.generator(tf.constant(inputs, tf.float32), noise="fixed")
    np.testing.assert_allclose(drawn, images, atol=1e-4 * np.abs(images).max())
    with pytest.raises(FileNotFoundError, match="came without factor VAEs; give them by --vae_dir"):
        _ = model.sampler
    import_network(source, out)  # an earlier import is replaced


def test_pictures_factors_truncation_and_export(imported, vaes, tmp_path, capsys):
    common = ["--model", str(imported), "--subject", "2", "--variation", "3"]
    drawn = {}
    for factor, more in [("3", []), ("pose", ["--truncation", "0.1"]), ("lighting", ["--vae_dir", str(vaes)])]:
        out = tmp_path / f"{factor}{len(more)}{more[0][2:5] if more else ''}"
        generate_images.main([*common, "--factor", factor, "--out", str(out), *more])
        drawn[factor] = [np.asarray(Image.open(out / f"{k:05d}.png")).astype(int) for k in range(6)]
        rows = [json.loads(line) for line in (out / "coefficients.jsonl").read_text().splitlines()]
        assert [len(rows[0][name]) for name in ("identity", "expression", "lighting", "noise")] == [160, 64, 27, NOISE]
    assert drawn["3"][0].shape == (16, 16, 3)
    for images in drawn.values():
        assert all(np.abs(images[k] - images[0]).max() > 8 for k in range(1, 6))  # along the row, and down
    assert np.abs(drawn["pose"][0] - drawn["3"][0]).max() > 8  # ψ
    export_model.main(["--model", str(imported), "--out", str(tmp_path / "saved")])
    assert (tmp_path / "saved" / "saved_model.pb").is_file()


def test_training_goes_on_from_it(vaes, tiny_face_model, tmp_path):
    """A run trains the imported generator, in stage 2 with all losses and penalties; its snapshots are of that kind."""
    imported = tmp_path / "imported"
    import_network(network_files.write(tmp_path / "8.pkl", input_size=254 + NOISE, resolution=8), imported)

    def widened(basis, columns):
        return np.take(basis, np.arange(columns) % basis.shape[-1], axis=-1) * 0.3

    face = dataclasses.replace(
        tiny_face_model,
        shape_basis=widened(tiny_face_model.shape_basis, 80),
        shape_std=np.ones(80, np.float32),
        texture_basis=widened(tiny_face_model.texture_basis, 80),
        texture_std=np.ones(80, np.float32),
        expression_basis=widened(tiny_face_model.expression_basis, 64),
        expression_std=np.ones(64, np.float32),
        shape_names=tuple(f"shape_{k}" for k in range(80)),
        texture_names=tuple(f"texture_{k}" for k in range(80)),
        expression_names=tuple(f"expression_{k}" for k in range(64)),
    )
    assert face.layout == LAYOUT
    face.save(tmp_path / "face.npz")
    Perception.new(LAYOUT, image_size=32).save(tmp_path / "perception")
    assets = Assets("photographs", str(vaes), str(tmp_path / "perception"), str(tmp_path / "face.npz"), str(imported))
    room = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)

    def records(start, batch):
        return (
            tf.data.Dataset.from_tensor_slices({"image": room}).repeat().skip(start).batch(batch, drop_remainder=True)
        )

    with pytest.raises(ValueError, match=r"a network of 8 × 8 .* 4 noise .* 16 × 16, 254 and 4"):
        train(tiny_config(2, noise_dim=NOISE), assets, records, tmp_path / "run")
    options = dict(resolution=8, noise_dim=NOISE, layer_noise=True, standardize_input=True)
    contrast = tiny_config(2, kimg=0.008, pl_weight=2.0, pl_interval=2, **options)
    second = train(contrast, assets, records, tmp_path / "second")
    assert json.loads((second / model_io.MANIFEST).read_text())["architecture"] == "stylegan1"
    config = tiny_config(1, kimg=0.004, imitate_kimg=0.004, **options)
    snapshot = train(config, assets, records, tmp_path / "run")
    assert json.loads((snapshot / model_io.MANIFEST).read_text())["architecture"] == "stylegan1"
    assert (snapshot / model_io.DISCRIMINATOR_WEIGHTS).is_file()
    generators = [load(folder).generator for folder in (imported, snapshot)]
    for folder, generator in zip((imported, snapshot), generators, strict=True):
        generator.load_weights(folder / model_io.CURRENT_WEIGHTS)
    for before, after in zip(*(generator.weights for generator in generators), strict=True):
        change = np.abs(after.numpy() - before.numpy()).max()
        trains = "noise_map" not in before.path and "rgb_4" not in before.path
        assert (change > 0) == trains, before.path
        assert change < 0.1  # it goes on, and does not start anew
    assert train(config, assets, records, tmp_path / "run") == snapshot  # the run can be taken up again
    assert train_script.start_snapshot(str(imported), None) == imported  # what --run_id means


def test_the_original_file_and_its_expected_values(tmp_path):
    if not ORIGINAL.is_dir():
        pytest.skip("no ../shared/reference/stylegan1 beside the checkout")
    lines = import_network(ORIGINAL / "network.pkl", tmp_path / "original", expected=ORIGINAL / "expected.npz")
    facts = json.loads((tmp_path / "original" / model_io.MANIFEST).read_text())["facts"]
    assert len(facts["differences"]) == 6 and max(facts["differences"].values()) < 1e-5
    assert any(line.startswith("expected.npz: differs by") for line in lines)


def test_what_is_refused(source, vaes, tiny_assets, tmp_path):
    for folder, name in [("mine", "thesis.txt"), ("run", model_io.MANIFEST)]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text('{"facts": {"stage": 2}}')
        with pytest.raises(ValueError, match="expected an empty folder, or an earlier import"):
            import_network(source, tmp_path / folder)
        assert (tmp_path / folder / name).is_file()
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="expected VAEs of the original's layout"):
        import_network(source, out, vae_dir=tiny_assets / "vae")
    other = network_files.write(tmp_path / "other.pkl", input_size=100)
    with pytest.raises(ValueError, match=r"other\.pkl: expected a network of 254 coefficients .* takes 100"):
        import_network(other, out)
    expected = tmp_path / "expected.npz"
    shapes = {"latents": (2, 258), "dlatents": (2, 6, 8), "images": (2, 3, 16, 16), "scores": (2, 1)}
    for change, message in [
        ({}, "more than 0.001 wrong"),
        ({"scores": (3, 1)}, r"expected scores of shape \(2, 1\)"),
    ]:
        np.savez(expected, **{name: np.ones(shape) for name, shape in {**shapes, **change}.items()})
        with pytest.raises(ValueError, match=message) as error:
            import_network(source, out, expected=expected)
        assert "\n" not in str(error.value)
    expected.write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"expected an \.npz with latents"):
        import_network(source, out, expected=expected)
    assert not out.exists()


@pytest.mark.parametrize("content, message", [(b"\x80\x02cposix\nsystem\n.", "posix.system"), (None, "no such file")])
def test_the_command_fails_in_one_line(content, message, tmp_path):
    path = tmp_path / "network.pkl"
    if content:
        path.write_bytes(content)
    code, err = run_script("discoface_tf2.import_original", ["--source", path, "--out", tmp_path / "out"])
    assert code == 1 and message in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert run_script("discoface_tf2.import_original", ["--out", "x"])[0] == 2
