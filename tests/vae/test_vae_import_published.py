"""The published VAEs beside plain numpy on the checkpoint's own arrays, and checkpoints made here in the same form."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.script_run import run_script
from vae.data import BASEL_LAYOUT
from vae.import_published import find_checkpoints, import_published, main, prior_vae, read_checkpoint
from vae.model import FACTORS, FactorConfig, FactorVAE
from vae.sampler import FactorSampler, load_factor_vae, save_factor

PUBLISHED = Path(__file__).parents[3] / "shared/reference/vae"
SIZES = {"id": 160, "exp": 64, "gamma": 27, "rot": 3}


def made_up_arrays(short, size=None, latent=4, width=6, depth=3, seed=0):
    """As TensorFlow 1 names the variables of a factor, with what a training leaves beside them."""
    rng, size = np.random.default_rng(seed), size or SIZES[short]
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32) * 0.3  # noqa: E731
    arrays = {}
    for part, inputs, heads in [
        ("encoder", size, {"dense": latent, "dense_1": latent}),
        ("decoder", latent, {"x_hat": size}),
    ]:
        for name, outputs in {**{f"fc{k}": width for k in range(depth)}, **heads}.items():
            arrays[f"{part}/{name}/kernel"] = draw(width if name != "fc0" else inputs, outputs)
            arrays[f"{part}/{name}/bias"] = draw(outputs)
    arrays["decoder/loggamma_x"] = np.float32(-1.25)
    named = {f"{short}/stage1/{name}": array for name, array in arrays.items()}
    slots = {f"{short}/{name}/{slot}": array for name, array in named.items() for slot in ("Adam", "Adam_1")}
    return {**named, **slots, f"{short}/beta1_power": np.float32(0.9), f"{short}/global_step": np.int32(7)}


def write_checkpoint(prefix, arrays):
    """In the format of TensorFlow 1's Saver."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    names = sorted(arrays)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(arrays[name]) for name in names],
    )
    return prefix


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of all four, as the original repository has it."""
    folder = tmp_path_factory.mktemp("weights")
    for short in SIZES:
        write_checkpoint(folder / short / "stage1_epoch_395.ckpt", made_up_arrays(short))
    return folder


def numpy_vae(arrays, x, z):
    """(x̂ of z, μ of x, log σ of x), by the formulas of the original's model."""

    def dense(values, name):
        return values @ arrays[f"{name}/kernel"] + arrays[f"{name}/bias"]

    hidden, decoded = x, z
    for k in range(3):
        hidden = np.maximum(dense(hidden, f"encoder/fc{k}"), 0)
        decoded = np.maximum(dense(decoded, f"decoder/fc{k}"), 0)
    return dense(decoded, "decoder/x_hat"), dense(hidden, "encoder/dense"), dense(hidden, "encoder/dense_1")


def check_equal(vae, arrays):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, vae.config.size)).astype(np.float32)
    z = rng.normal(size=(50, vae.config.latent)).astype(np.float32)
    for received, expected in zip((vae.decode(z), *vae.encode(x)), numpy_vae(arrays, x, z), strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-5 * np.abs(expected).max())
    assert float(vae.log_gamma.numpy()) == arrays["decoder/loggamma_x"]


def test_all_four_come_over(weights, tmp_path, capsys):
    main(["--source", str(weights), "--out", str(tmp_path / "out")])
    assert "missing" not in capsys.readouterr().out
    sampler = FactorSampler.load(tmp_path / "out")
    assert (sampler.layout, sampler.lambda_size, sampler.latent_size) == (BASEL_LAYOUT, 254, 16)
    for short in SIZES:
        arrays = made_up_arrays(short)
        own = {name.partition("/stage1/")[2]: a for name, a in arrays.items() if name.startswith(f"{short}/stage1/")}
        check_equal(load_factor_vae(tmp_path / "out" / short), own)


@pytest.mark.parametrize("short", ["exp", "gamma", "rot"])
def test_the_published_ones_come_over(short, tmp_path):
    if not PUBLISHED.is_dir():
        pytest.skip("no ../shared/reference/vae beside the checkout")
    lines = import_published(PUBLISHED / short, tmp_path / "out")
    vae = load_factor_vae(tmp_path / "out" / short)
    reader = tf.train.load_checkpoint(str(PUBLISHED / short / "stage1_epoch_395.ckpt"))
    names = [name for name in reader.get_variable_to_shape_map() if f"{short}/stage1/" in name and "Adam" not in name]
    check_equal(vae, {name.partition("/stage1/")[2]: reader.get_tensor(name) for name in names})
    assert len(names) == 2 * (3 + 2 + 3 + 1) + 1
    assert sum("missing, and needed" in line for line in lines) == 3
    # The heads are not exchanged: what was decoded from z is encoded near it, with a small deviation.
    z = np.random.default_rng(0).normal(size=(500, vae.config.latent)).astype(np.float32)
    mu, log_sigma = vae.encode(vae.decode(z))
    used = np.exp(np.asarray(log_sigma)).mean(0) < 0.5  # latents that the training did not switch off
    assert used.any()
    assert np.corrcoef(np.asarray(mu)[:, used].ravel(), z[:, used].ravel())[0, 1] > 0.9
    if short == "rot":  # FFHQ: heads turn more than they nod, and nod more than they tilt
        pitch, yaw, roll = np.degrees(np.asarray(vae.decode(z))).std(0)
        assert 10 < yaw < 30 and roll < pitch < yaw


def test_lighting_and_pose_mix_with_own_identity_and_expression(weights, tmp_path, layout):
    own, out = tmp_path / "own", tmp_path / "mixed"
    for factor, short, size in zip(FACTORS, SIZES, (8, 4, 27, 3), strict=True):
        save_factor(own / short, FactorVAE(FactorConfig(factor, size, 2, width=5, depth=1)), layout)
    lines = import_published(weights, out, own=own)
    assert sum("copied from" in line for line in lines) == 2
    import_published(weights, out, own=own)  # the same again
    sampler = FactorSampler.load(out)
    assert sampler.layout == layout
    assert {f: s.stop - s.start for f, s in sampler.latent_slices.items()} == {
        "identity": 2, "expression": 2, "lighting": 4, "pose": 4,
    }  # fmt: skip
    z = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    gamma = {n.partition("/stage1/")[2]: a for n, a in made_up_arrays("gamma").items() if n.startswith("gamma/stage1/")}
    expected = numpy_vae(gamma, np.zeros((9, 27)), z)[0]
    np.testing.assert_allclose(sampler.decode("lighting", z), expected, atol=1e-5)

    with pytest.raises(ValueError, match=r"exp has 64 numbers, and .* 4; leave it out by --factor"):
        import_published(weights, tmp_path / "other", own=own, factors=("exp",))
    with pytest.raises(ValueError, match="holds a VAE that is not an import, which would be lost"):
        import_published(weights, own)
    assert not (tmp_path / "other").exists()


def test_without_an_identity_it_says_how_to_make_one(weights, tmp_path, capsys):
    source = shutil.copytree(weights, tmp_path / "weights", ignore=lambda _, names: {"id"} & set(names))
    main(["--source", str(source), "--out", str(tmp_path / "out")])
    output = capsys.readouterr().out
    assert "id:    missing" in output and "--factor id --data DIR" in output and "--prior_identity" in output
    with pytest.raises(FileNotFoundError, match="id"):
        FactorSampler.load(tmp_path / "out")
    main(["--source", str(source), "--out", str(tmp_path / "out"), "--prior_identity"])
    assert "identities are drawn from the face model's own distribution" in capsys.readouterr().out
    sampler = FactorSampler.load(tmp_path / "out")
    assert sampler.latent_slices["identity"] == slice(0, 160)


def test_the_prior_is_normal_and_independent():
    vae = prior_vae(7)
    z = np.random.default_rng(5).normal(size=(20_000, 7)).astype(np.float32)
    values = np.asarray(vae.decode(z))
    np.testing.assert_allclose(values.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(values.T), np.eye(7), atol=0.05)
    mu, _ = vae.encode(values)
    np.testing.assert_allclose(mu, z, atol=0.1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rot/stage1/decoder/fc1/bias": None}, r"rot/stage1/decoder/fc1/bias is missing"),
        ({"rot/stage1/hat": np.zeros(2)}, "unknown variables hat"),
        ({"rot/stage1/decoder/fc1/bias": np.full(6, np.nan)}, "finite numbers"),
        ({"rot/stage1/encoder/dense/kernel": np.zeros((6, 5))}, r"encoder/dense of shape \(6, 4\). Received: \(6, 5\)"),
        ({"exp/stage1/decoder/x_hat/bias": np.zeros(3)}, "one factor VAE"),
        ({"rot/stage1/decoder/x_hat/kernel": np.zeros((6, 4))}, "x_hat|fc0"),
    ],
)
def test_variables_that_do_not_fit_are_named(change, message, tmp_path):
    arrays = {name: array for name, array in {**made_up_arrays("rot"), **change}.items() if array is not None}
    write_checkpoint(tmp_path / "rot.ckpt", arrays)
    with pytest.raises(ValueError, match=message) as error:
        import_published(tmp_path / "rot.ckpt", tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_missing_and_damaged_checkpoints_end_in_one_line(weights, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="expected a TensorFlow 1 checkpoint"):
        find_checkpoints(tmp_path)
    half = shutil.copytree(weights / "rot", tmp_path / "half")
    (half / "stage1_epoch_395.ckpt.data-00000-of-00001").unlink()
    broken = shutil.copytree(weights / "rot", tmp_path / "broken")
    (broken / "stage1_epoch_395.ckpt.index").write_bytes(b"not an index")
    for folder in (half, broken):
        with pytest.raises(ValueError, match="cannot read this checkpoint") as error:
            import_published(folder, tmp_path / "out")
        assert "\n" not in str(error.value)
    both = shutil.copytree(weights / "rot", tmp_path / "both")
    write_checkpoint(both / "stage1_epoch_390.ckpt", made_up_arrays("rot"))
    with pytest.raises(ValueError, match="several checkpoints of rot"):
        import_published(both, tmp_path / "out")
    assert read_checkpoint(both / "stage1_epoch_390.ckpt").short == "rot"
    with pytest.raises(FileNotFoundError, match="no checkpoint of exp"):
        import_published(both / "stage1_epoch_395.ckpt", tmp_path / "out", factors=("exp",))
    assert not (tmp_path / "out").exists()
    code, err = run_script("vae.import_published", ["--source", "nowhere", "--out", tmp_path / "out"])
    assert code == 1 and "nowhere: expected a TensorFlow 1 checkpoint" in err
    assert run_script("vae.import_published", ["--source", "x", "--out", "y", "--factor", "hair"])[0] == 2


def test_the_manifest_remembers_the_source(weights, tmp_path):
    import_published(weights, tmp_path / "out", factors=("rot",))
    manifest = json.loads((tmp_path / "out" / "rot" / "factor.json").read_text())
    assert manifest["source"] == "stage1_epoch_395.ckpt" and manifest["difference"] < 1e-5
