from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from vae.initial import start_from_pca
from vae.model import DEPTH, LATENT_SIZES, WIDTHS, FactorConfig, FactorVAE, gaussian_nll, kl_divergence


def _vae(**changes: object) -> FactorVAE:
    values: dict = {"factor": "expression", "size": 6, "latent": 4, "width": 16, "depth": 2}
    return FactorVAE(FactorConfig(**{**values, **changes}))


def _relu_stack(model: keras.Sequential, x: np.ndarray) -> np.ndarray:
    for layer in model.layers:
        kernel, bias = layer.get_weights()
        x = np.maximum(x @ kernel + bias, 0)
    return x


def test_specified_sizes() -> None:
    data = np.random.default_rng(0).standard_normal((10, 160))
    config = FactorConfig.for_data("identity", data)
    assert (config.latent, config.width, config.depth) == (128, 512, 3)
    assert sum(LATENT_SIZES.values()) == 179
    assert WIDTHS == {"identity": 512, "expression": 256, "lighting": 128, "pose": 32}
    vae = FactorVAE(config)
    shapes = [tuple(variable.shape) for variable in vae.encoder.trainable_variables]
    assert shapes == [(160, 512), (512,)] + [(512, 512), (512,)] * (DEPTH - 1)
    assert tuple(vae.x_hat.kernel.shape) == (512, 160)
    assert vae.log_gamma.shape == ()


def test_loss_is_the_specified_formula_in_numpy() -> None:
    rng = np.random.default_rng(1)
    vae = _vae()
    vae.log_gamma.assign(-0.7)
    x, noise = rng.standard_normal((5, 6)).astype(np.float32), rng.standard_normal((5, 4)).astype(np.float32)
    hidden = _relu_stack(vae.encoder, x)
    mu, log_sigma = (hidden @ head.get_weights()[0] + head.get_weights()[1] for head in (vae.mu, vae.log_sigma))
    z = mu + np.exp(log_sigma) * noise
    kernel, bias = vae.x_hat.get_weights()
    x_hat = _relu_stack(vae.decoder, z) @ kernel + bias
    gamma = np.exp(-0.7)
    kl = (0.5 * (mu**2 + np.exp(2 * log_sigma) - 1) - log_sigma).sum(1).mean()
    reconstruction = ((x - x_hat) ** 2 / (2 * gamma**2) + np.log(gamma) + 0.91893).sum(1).mean()
    losses = vae.losses_of(tf.constant(x), tf.constant(noise))
    np.testing.assert_allclose(losses.kl, kl, rtol=1e-4)
    np.testing.assert_allclose(losses.reconstruction, reconstruction, rtol=1e-4)
    np.testing.assert_allclose(losses.total, kl + reconstruction, rtol=1e-4)


def test_kl_against_numerical_integration() -> None:
    mu, sigma = 0.8, 0.3
    p = stats.norm(mu, sigma)
    expected, _ = integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - stats.norm.logpdf(x)), mu - 4, mu + 4)
    value = kl_divergence(tf.constant([[mu, 0.0]]), tf.math.log([[sigma, 1.0]]))
    np.testing.assert_allclose(value, [expected], rtol=1e-5)


def test_nll_is_the_normal_log_density() -> None:
    x, x_hat = np.array([[0.2, -1.0]], np.float32), np.array([[0.5, 1.0]], np.float32)
    expected = -stats.norm(x_hat, np.exp(0.4)).logpdf(x).sum()
    np.testing.assert_allclose(gaussian_nll(x, x_hat, tf.constant(0.4)), [expected], rtol=1e-5)


def test_gradients_reach_every_weight() -> None:
    rng = np.random.default_rng(2)
    vae = _vae()
    with tf.GradientTape() as tape:
        loss = vae.losses_of(tf.constant(rng.standard_normal((8, 6)), tf.float32), tf.ones([8, 4])).total
    for variable, gradient in zip(vae.trainable_variables, tape.gradient(loss, vae.trainable_variables), strict=True):
        assert gradient is not None, variable.path
        assert float(tf.reduce_max(tf.abs(gradient))) > 0, variable.path


def test_decode_is_in_the_coefficients_own_units() -> None:
    vae = _vae(mean=tuple(range(6)), std=(2.0,) * 6)
    z = tf.random.stateless_normal([3, 4], [0, 0])
    plain = _vae()
    plain.set_weights(vae.get_weights())
    np.testing.assert_allclose(vae.decode(z), plain.decode(z) * 2 + np.arange(6), rtol=1e-5, atol=1e-5)
    x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    np.testing.assert_allclose(vae.encode(x * 2 + np.arange(6, dtype=np.float32))[0], plain.encode(x)[0], atol=1e-5)


def test_constant_coefficients_stay_constant() -> None:
    data = np.random.default_rng(0).standard_normal((50, 3))
    data[:, 1] = 7.0
    config = FactorConfig.for_data("pose", data)
    vae = FactorVAE(config)
    start_from_pca(vae, np.asarray(vae.normalize(data.astype(np.float32))))
    sampled = np.asarray(vae.decode(tf.random.stateless_normal([100, 3], [0, 0])))
    np.testing.assert_allclose(sampled[:, 1], 7.0, atol=1e-4)


@pytest.mark.parametrize("size", [4, 9])
def test_start_from_pca_has_the_datas_covariance_and_likelihood(size: int) -> None:
    """With latents to spare the linear VAE is exact: its bound is the entropy of the normal density itself."""
    rng = np.random.default_rng(3)
    data = rng.standard_normal((20_000, size)) @ rng.standard_normal((size, size))
    config = FactorConfig.for_data("expression", data, latent=12, width=32)
    vae = FactorVAE(config)
    normalized = np.asarray(vae.normalize(data.astype(np.float32)))
    start_from_pca(vae, normalized, gamma=0.02)
    sampled = np.asarray(vae.decode(tf.random.stateless_normal([20_000, 12], [0, 0])))
    np.testing.assert_allclose(np.corrcoef(sampled.T), np.corrcoef(data.T), atol=0.04)
    np.testing.assert_allclose(sampled.std(0), data.std(0), rtol=0.03)
    losses = vae.losses_of(tf.constant(normalized), tf.random.stateless_normal([20_000, 12], [1, 0]))
    entropy = stats.multivariate_normal(cov=np.cov(normalized.T)).entropy()
    np.testing.assert_allclose(losses.total, entropy, atol=0.1)


def test_start_from_pca_with_fewer_latents_keeps_the_largest_directions() -> None:
    rng = np.random.default_rng(4)
    data = rng.standard_normal((5000, 2)) @ rng.standard_normal((2, 8)) + 0.01 * rng.standard_normal((5000, 8))
    vae = FactorVAE(FactorConfig.for_data("expression", data, latent=3, width=8))
    start_from_pca(vae, np.asarray(vae.normalize(data.astype(np.float32))))
    error = np.asarray(vae(data.astype(np.float32))) - data
    assert (error.std(0) / data.std(0)).max() < 0.05
    with pytest.raises(ValueError, match=r"width of 2·3 or more. Received: 5"):
        start_from_pca(FactorVAE(FactorConfig("expression", 8, 3, 5)), data)


def test_config_round_trip_and_errors() -> None:
    config = FactorConfig("pose", 3, 3, 32, mean=(0.0, 1.0, 2.0), std=(1.0, 1.0, 2.0))
    assert FactorConfig.from_dict(config.to_dict()) == config
    again = FactorVAE.from_config(FactorVAE(config).get_config())
    assert again.config == config
    with pytest.raises(ValueError, match="expected the keys"):
        FactorConfig.from_dict({**config.to_dict(), "extra": 1})
    wrong: list[dict] = [
        {"factor": "hair"},
        {"size": 0},
        {"latent": 2.0},
        {"std": (1.0,)},
        {"std": (1.0, 1.0, 0.0)},
        {"sampled": ((0.0, 1.0),) * 3, "real": ((0.0, 1.0),) * 3},
        {"real": (tuple(range(33)),) * 3},
    ]
    for changes in wrong:
        with pytest.raises(ValueError, match="factor VAE"):
            FactorConfig(**{**config.to_dict(), **changes})
