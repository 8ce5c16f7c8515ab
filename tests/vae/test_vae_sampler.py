from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from vae.model import ABBREVIATIONS, FACTORS, FactorConfig, FactorVAE
from vae.sampler import FactorSampler, load_factor_vae, save_factor

SIZES = {"identity": 8, "expression": 4, "lighting": 27, "pose": 3}
LATENTS = {"identity": 5, "expression": 4, "lighting": 3, "pose": 2}


def _vaes() -> dict[str, FactorVAE]:
    """Each factor's decoder gives about 100·(its number): its place in λ can be read off."""
    vaes = {}
    for number, factor in enumerate(FACTORS):
        size = SIZES[factor]
        config = FactorConfig(factor, size, LATENTS[factor], 16, mean=(100.0 * number,) * size, std=(1.0,) * size)
        vaes[factor] = FactorVAE(config)
    return vaes


def _save(folder: Path, layout: dict[str, int]) -> dict[str, FactorVAE]:
    vaes = _vaes()
    for factor, vae in vaes.items():
        save_factor(folder / ABBREVIATIONS[factor], vae, layout)
    return vaes


def test_order_and_shapes(layout: dict[str, int]) -> None:
    sampler = FactorSampler(_vaes(), layout)
    assert sampler.latent_size == 14
    assert sampler.lambda_size == 42
    assert sampler.latent_slices == {
        "identity": slice(0, 5),
        "expression": slice(5, 9),
        "lighting": slice(9, 12),
        "pose": slice(12, 14),
    }
    values = np.asarray(sampler.sample(tf.random.stateless_normal([6, 14], [0, 0])))
    assert values.shape == (6, 42)
    # λ is [identity, expression, angles, lighting]; the factors' means are 0, 100, 300 and 200.
    np.testing.assert_array_equal(np.round(values[0] / 100) * 100, [0] * 8 + [100] * 4 + [300] * 3 + [200] * 27)


def test_specified_sizes_give_179_latents() -> None:
    layout = {"shape": 80, "texture": 80, "expression": 64, "angles": 3, "lighting": 27, "translation": 3}
    sizes = {"identity": 160, "expression": 64, "lighting": 27, "pose": 3}
    vaes = {factor: FactorVAE(FactorConfig.for_data(factor, np.eye(size))) for factor, size in sizes.items()}
    sampler = FactorSampler(vaes, layout)
    assert sampler.latent_size == 179
    assert sampler.sample(tf.zeros([2, 179])).shape == (2, 254)


def test_a_factors_latents_move_its_coefficients_alone(layout: dict[str, int]) -> None:
    sampler = FactorSampler(_vaes(), layout)
    z = np.zeros((1, 14), np.float32)
    before = np.asarray(sampler.sample(z))[0]
    for factor in FACTORS:
        moved = z.copy()
        moved[:, sampler.latent_slices[factor]] = 3.0
        changed = np.flatnonzero(np.asarray(sampler.sample(moved))[0] != before)
        where = sampler.lambda_slices[factor]
        assert len(changed) > 0
        assert set(changed) <= set(range(where.start, where.stop))


def test_gradients_stop_unless_asked_for(layout: dict[str, int]) -> None:
    sampler = FactorSampler(_vaes(), layout)
    z = tf.random.stateless_normal([2, 14], [0, 0])
    for stop, expected in ((True, False), (False, True)):
        with tf.GradientTape() as tape:
            tape.watch(z)
            total = tf.reduce_sum(sampler.sample(z, stop_gradient=stop))
        assert (tape.gradient(total, z) is not None) is expected


def test_saved_and_loaded_gives_the_same_samples(tmp_path: Path, layout: dict[str, int]) -> None:
    vaes = _save(tmp_path, layout)
    z = tf.random.stateless_normal([7, 14], [3, 4])
    expected = FactorSampler(vaes, layout).sample(z)
    sampler = FactorSampler.load(tmp_path)
    assert sampler.layout == layout
    np.testing.assert_array_equal(sampler.sample(z), expected)
    np.testing.assert_allclose(tf.function(sampler.sample)(z), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(sampler.decode("pose", z[:, 12:]), expected[:, 12:15])
    assert not any(vae.trainable_variables for vae in sampler._vaes.values())


def test_inside_a_saved_model(tmp_path: Path, layout: dict[str, int]) -> None:
    class Export(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sampler = FactorSampler(_vaes(), layout)

        @tf.function(input_signature=[tf.TensorSpec([None, 14])])
        def __call__(self, z: tf.Tensor) -> tf.Tensor:
            return self.sampler.sample(z)

    export = Export()
    tf.saved_model.save(export, str(tmp_path / "saved"))
    z = tf.random.stateless_normal([3, 14], [0, 0])
    np.testing.assert_allclose(tf.saved_model.load(str(tmp_path / "saved"))(z), export(z), rtol=1e-5, atol=1e-5)


def test_broken_folders_say_what_is_wrong(tmp_path: Path, layout: dict[str, int]) -> None:
    _save(tmp_path, layout)
    weights = tmp_path / "exp" / "factor.weights.h5"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"exp/factor.weights.h5: cannot read the weights of the expression VAE"):
        FactorSampler.load(tmp_path)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"exp/factor.weights.h5: no such file"):
        FactorSampler.load(tmp_path)
    manifest = tmp_path / "rot" / "factor.json"
    text = manifest.read_text()
    manifest.write_text(text[:40])
    with pytest.raises(ValueError, match=r"rot/factor.json: not a factor VAE"):
        FactorSampler.load(tmp_path)
    manifest.write_text((tmp_path / "id" / "factor.json").read_text())
    with pytest.raises(ValueError, match=r"expected the pose VAE\. Received: identity"):
        FactorSampler.load(tmp_path)
    manifest.unlink()
    with pytest.raises(FileNotFoundError, match=r"rot/factor.json: no such file"):
        FactorSampler.load(tmp_path)
    with pytest.raises(ValueError, match=r"z should be \[B, 14\]"):
        FactorSampler(_vaes(), layout).sample(tf.zeros([2, 13]))


def test_lighting_and_pose_of_another_face_model_fit(tmp_path: Path, layout: dict[str, int]) -> None:
    vaes = _save(tmp_path, layout)
    z = np.random.default_rng(0).standard_normal((3, 14), np.float32)
    expected = np.asarray(FactorSampler.load(tmp_path).sample(z))
    for factor in ("lighting", "pose"):
        save_factor(tmp_path / ABBREVIATIONS[factor], vaes[factor], {**layout, "shape": 80, "expression": 9})
    sampler = FactorSampler.load(tmp_path)
    assert sampler.layout == layout
    np.testing.assert_array_equal(sampler.sample(z), expected)
    save_factor(tmp_path / "gamma", vaes["lighting"], {**layout, "lighting": 9})
    with pytest.raises(ValueError, match="gamma: trained on another layout"):
        FactorSampler.load(tmp_path)


def test_factors_of_two_layouts_do_not_mix(tmp_path: Path, layout: dict[str, int]) -> None:
    vaes = _save(tmp_path, layout)
    save_factor(tmp_path / "exp", vaes["expression"], {**layout, "shape": 9})
    with pytest.raises(ValueError, match="trained on another layout"):
        FactorSampler.load(tmp_path)
    with pytest.raises(ValueError, match="does not fit the VAEs"):
        FactorSampler(vaes, {**layout, "expression": 9})
    assert load_factor_vae(tmp_path / "id").config == vaes["identity"].config
