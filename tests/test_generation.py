"""Rows, truncation, independence of the batch, and the scripts, on a generator of 16 × 16 with random weights."""

from __future__ import annotations

import errno
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import export_model
import generate_images
from discoface_tf2.generation import GenerationOptions, generate, sample_row, to_uint8
from discoface_tf2.model import load
from discoface_tf2.model_io import Manifest, newest_snapshot, save_model, snapshot_path
from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_generator
from discoface_tf2.systems.disco.system import coarse_layers
from renderer.layout import FACTORS, CoefficientLayout
from tests.helpers.full_disk import KINDS, files, full_disk
from tests.helpers.script_run import run_script
from vae import FactorVAE
from vae.model import ABBREVIATIONS, FactorConfig
from vae.sampler import save_factor

LAYOUT = CoefficientLayout(shape=4, texture=3, expression=5)
NOISE = 6
LATENTS = {"identity": 4, "expression": 3, "lighting": 5, "pose": 3}


def save_random_vaes(folder: Path) -> Path:
    for factor in FACTORS:
        vae = FactorVAE(FactorConfig(factor, LAYOUT.factor_size(factor), LATENTS[factor], width=32, depth=1))
        rng = np.random.default_rng(len(factor))
        for variable in vae.variables:
            variable.assign(rng.normal(size=variable.shape) * 0.7)
        save_factor(folder / ABBREVIATIONS[factor], vae, LAYOUT.to_dict())
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run folder with two snapshots of untrained generators."""
    folder = tmp_path_factory.mktemp("run")
    vaes = save_random_vaes(folder / "vaes")
    config = NetworkConfig(LAYOUT.lambda_size + NOISE, 16, 128, 8, 2, 16, 16, mapping_lr_multiplier=1.0)
    for kimg in (1.5, 12):
        generator = build_generator(config, seed=int(kimg))
        for layer in generator.synthesis.convs:
            layer.noise.strength.assign(0.1)
        manifest = Manifest("disco", "stylegan2", config, LAYOUT, NOISE, {"kimg": kimg})
        save_model(snapshot_path(folder, kimg), generator, manifest, vae_dir=vaes)
    return folder


@pytest.fixture(scope="module")
def model(run):
    return load(run)


@pytest.fixture(scope="module")
def sampler(model):
    return model.sampler


@pytest.fixture(scope="module")
def faces(model, sampler):
    return model.faces


def test_newest_snapshot_is_taken_and_one_can_be_named(run, model):
    assert model.folder == newest_snapshot(run) == snapshot_path(run, 12)
    assert snapshot_path(run, 12).name == "kimg000012"
    assert load(snapshot_path(run, 1.5)).facts == {"kimg": 1.5}


def test_a_snapshot_is_self_contained(run, model, tmp_path):
    moved = shutil.copytree(model.folder, tmp_path / "elsewhere")
    again = load(moved)
    inputs = np.random.default_rng(0).normal(size=(2, LAYOUT.lambda_size + NOISE)).astype(np.float32)
    np.testing.assert_array_equal(again.generator(inputs), model.generator(inputs))
    assert again.sampler.lambda_size == LAYOUT.lambda_size


def test_missing_and_damaged_snapshots_say_so_in_one_line(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a run folder"):
        load(tmp_path)
    broken = shutil.copytree(model.folder, tmp_path / "broken")
    weights = broken / "generator.weights.h5"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"generator.weights.h5: cannot read") as error:
        load(broken)
    assert "\n" not in str(error.value)
    manifest = broken / "model.json"
    manifest.write_text(manifest.read_text().replace('"resolution": 16', '"resolution": 16, "frobnicate": 1'))
    with pytest.raises(ValueError, match=r"model.json.*frobnicate"):
        load(broken)
    (broken / "model.json").write_text("{")
    with pytest.raises(ValueError, match="not a snapshot"):
        load(broken)


@pytest.mark.parametrize("factor", ["all", *FACTORS])
def test_rows_vary_only_what_they_should(factor, sampler):
    options = GenerationOptions(factor, subjects=3, variations=4, seed=7)
    rows = [sample_row(options, sampler, NOISE, subject) for subject in range(3)]
    varying = {"expression", "lighting", "pose"} if factor == "all" else {factor}
    for coefficients, noise in rows:
        assert (noise == noise[0]).all()
        for name in FACTORS:
            values = coefficients[:, LAYOUT.slice(name)]
            if name in varying:
                assert len(np.unique(values, axis=0)) == 4
            else:
                assert (values == values[0]).all()
    for name in FACTORS:  # and subjects differ in everything
        assert len(np.unique([row[0][0, LAYOUT.slice(name)] for row in rows], axis=0)) == 3


def test_images_do_not_depend_on_the_batch(faces, sampler):
    options = GenerationOptions("all", subjects=3, variations=3, seed=1)
    (batch,) = generate(options, faces, sampler, batch_size=9)
    whole = dict(zip(batch.indices.tolist(), batch.images, strict=True))
    assert sorted(whole) == list(range(9))
    for batch in generate(options, faces, sampler, batch_size=2, indices=[1, 4, 8]):
        assert (batch.subjects == batch.indices // 3).all()
        for k, image in zip(batch.indices, batch.images, strict=True):
            np.testing.assert_allclose(image, whole[int(k)], atol=1e-5)
    assert np.std(list(whole.values()), axis=0).max() > 0.05  # and they are not all one image


def test_truncation_is_the_formula(model, sampler, faces):
    coefficients, noise = sample_row(GenerationOptions(variations=3), sampler, NOISE, 0)
    mapping = model.generator.mapping
    whole = mapping(np.concatenate([coefficients, noise], 1)).numpy()
    alone = np.zeros([3, LAYOUT.lambda_size + NOISE], np.float32)
    alone[:, LAYOUT.slice("identity")] = coefficients[:, LAYOUT.slice("identity")]
    psi = 0.3
    moved = whole + (faces.average_w - mapping(alone).numpy()) * (1 - psi)
    styles = faces.styles(tf.constant(coefficients), tf.constant(noise), psi).numpy()
    coarse = coarse_layers(model.generator.num_ws)
    assert (model.generator.num_ws, coarse, coarse_layers(14)) == (6, 4, 8)
    np.testing.assert_allclose(styles[:, :coarse], np.repeat(moved[:, None], coarse, 1), atol=1e-5)
    np.testing.assert_allclose(styles[:, coarse:], np.repeat(whole[:, None], 6 - coarse, 1), atol=1e-6)
    assert np.abs(styles[:, 0] - whole).max() > 0.01
    off = faces.styles(tf.constant(coefficients), tf.constant(noise), 1.0).numpy()
    np.testing.assert_allclose(off, np.repeat(whole[:, None], 6, 1), atol=1e-6)


def test_average_is_the_mean_over_identities_and_noises(model, sampler, faces):
    rng = np.random.default_rng(3)
    inputs = np.zeros([20_000, LAYOUT.lambda_size + NOISE], np.float32)
    inputs[:, LAYOUT.slice("identity")] = sampler.decode("identity", rng.normal(size=(20_000, LATENTS["identity"])))
    inputs[:, LAYOUT.lambda_size :] = rng.normal(size=(20_000, NOISE))
    ws = model.generator.mapping(inputs).numpy()
    assert np.abs(ws.mean(0) - faces.average_w).max() < 6 * ws.std(0).max() / np.sqrt(10_000)


def test_uint8_covers_the_range():
    np.testing.assert_array_equal(to_uint8(np.asarray([-1.5, -1.0, 0.0, 1.0, 2.0])), [0, 0, 128, 255, 255])


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "coefficients.jsonl").read_text().splitlines()]


def test_script_draws_resumes_and_refuses(run, tmp_path, faces, capsys):
    out = tmp_path / "pictures"
    arguments = ["--model", str(run), "--subject", "2", "--variation", "3", "--seed", "5", "--out", str(out)]
    generate_images.main([*arguments, "--factor", "3", "--batch_size", "4"])
    found = records(out)
    assert [r["file"] for r in found] == [f"{k:05d}.png" for k in range(6)]
    for first, second in itertools.pairwise(found):
        same = first["subject"] == second["subject"]
        for name in ("identity", "expression", "lighting", "noise"):
            assert (first[name] == second[name]) == same
        assert first["angles_radians"] != second["angles_radians"]
    np.testing.assert_allclose(found[4]["angles_degrees"], np.degrees(found[4]["angles_radians"]), rtol=1e-5)
    # The record alone gives the image back.
    r = found[4]
    names = ("identity", "expression", "angles_radians", "lighting")
    image = faces([np.concatenate([r[name] for name in names])], [r["noise"]], 0.7).numpy()[0]
    pixels = np.asarray(Image.open(out / r["file"]))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - to_uint8(image)).max() <= 1
    assert Image.open(out / "sheet.png").width == 3 * 128

    # Resuming draws what is missing, with other batches, and nothing else.
    (out / "00002.png").unlink()
    times = {path: path.stat().st_mtime_ns for path in out.glob("0*.png")}
    generate_images.main([*arguments, "--factor", "pose", "--batch_size", "1"])
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert (out / "00002.png").is_file() and not list(out.glob("*.tmp"))

    # Emptied or cut, the records are written again: they follow from the options.
    for text in ("", (out / "coefficients.jsonl").read_text()[:-9], "[]\n" * 6):
        (out / "coefficients.jsonl").write_text(text)
        (out / "sheet.png").unlink()
        generate_images.main([*arguments, "--factor", "pose"])
        assert records(out) == found and (out / "sheet.png").is_file()
        assert "not 6 records, as it was written; written again" in capsys.readouterr().err

    with pytest.raises(ValueError, match="factor: 'pose' there, 'all' asked for"):
        generate_images.main([*arguments, "--factor", "0"])
    with pytest.raises(ValueError, match="weights:"):
        generate_images.main([*arguments[2:], "--factor", "3", "--model", str(snapshot_path(run, 1.5))])


@pytest.mark.parametrize("wrong", [["--factor", "4"], ["--factor", "hair"], ["--subject", "0"], ["--seed", "-1"]])
def test_usage_errors_exit_2(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        generate_images.main(["--model", "nowhere", "--out", str(tmp_path), *wrong])
    assert error.value.code == 2


@pytest.mark.parametrize("script", [generate_images, export_model])
def test_scripts_without_a_model_end_in_one_line(script, tmp_path):
    path = Path(script.__file__)
    code, err = run_script(path, ["--model", "nowhere", "--out", tmp_path / "out"])
    assert code == 1 and err.startswith(f"{path.name}: error: nowhere: expected a run folder")
    assert err.count("\n") == 1


ALONE = """
import sys
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2])
given = {name: tf.constant(given[name]) for name in given.files}
c = loaded.signatures["coefficients"](coefficients=given["coefficients"], noise=given["noise"])
z = loaded.signatures["latent"](z=given["z"])
loaded.truncation.assign(1.0)
w = loaded.signatures["latent"](z=given["z"])
assert not {"discoface_tf2", "renderer", "vae"} & set(sys.modules)
np.savez(sys.argv[3], image=c["image"], image_float=c["image_float"], latent=z["image"], untruncated=w["image_float"],
         coefficients=z["coefficients"])
"""


def test_exported_model_draws_the_same_pixels_with_tensorflow_alone(run, faces, sampler, tmp_path, capsys):
    export_model.main(["--model", str(run), "--out", str(tmp_path / "saved")])
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, sampler.latent_size + NOISE)).astype(np.float32)
    coefficients, noise = sampler.sample(z[:, : sampler.latent_size]).numpy(), z[:, sampler.latent_size :]
    np.savez(tmp_path / "given.npz", coefficients=coefficients, noise=noise, z=z)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, tmp_path / "saved", tmp_path / "given.npz", tmp_path / "drawn.npz"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    drawn = np.load(tmp_path / "drawn.npz")
    images = faces(coefficients, noise, 0.7).numpy()
    np.testing.assert_allclose(drawn["image_float"], images, atol=1e-5)
    assert drawn["image"].dtype == np.uint8
    assert np.abs(drawn["image"].astype(int) - to_uint8(images)).max() <= 1
    assert np.abs(drawn["latent"].astype(int) - to_uint8(images)).max() <= 1
    np.testing.assert_allclose(drawn["coefficients"], coefficients, atol=1e-5)
    np.testing.assert_allclose(drawn["untruncated"], faces(coefficients, noise, 1.0), atol=1e-5)
    assert np.abs(drawn["untruncated"] - images).max() > 0.01

    sizes = json.loads((tmp_path / "saved" / "signatures.json").read_text())
    assert sizes["layout"] == LAYOUT.to_dict()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep")
    with pytest.raises(ValueError, match="expected an empty folder"):
        export_model.main(["--model", str(run), "--out", str(tmp_path / "mine")])
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "keep"


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_to_a_full_disk_leaves_nothing_half_made(kind, run, tmp_path):
    with full_disk(kind, tmp_path / "small", 40_000) as folder:
        (folder / "kept.txt").write_text("mine")
        with pytest.raises(OSError, match="saved_model") as error:
            export_model.main(["--model", str(run), "--out", str(folder / "saved_model")])
        assert error.value.errno in (errno.ENOSPC, errno.EFBIG)
        assert files(folder) == {"kept.txt"} and not (folder / "saved_model.tmp").exists()
