"""A start for the factor VAE: the best linear one, written into its ReLU layers."""

from __future__ import annotations

import keras
import numpy as np

from vae.model import FactorVAE

START_GAMMA = 0.1
"""Output scale at the start, in standard deviations of the coefficients; sampled means keep √(1−0.1²) = 99.5 %."""


def start_from_pca(vae: FactorVAE, normalized: np.ndarray, gamma: float = START_GAMMA) -> None:
    """Sets the weights so that the VAE begins as probabilistic PCA of `normalized` [N, size], and learns from there.

    Why: coefficients that are independent and normal, as identity is in most face models, have no direction that is
    more worth keeping than another, so from a random start with γ = 1 the KL term wins at once, every latent
    collapses and all sampled faces are the mean face. The linear optimum is known in closed form (Tipping & Bishop
    1999, equation 7; Lucas et al. 2019 show that it is the linear VAE's): with covariance UΛUᵀ, decoder
    W = U(Λ − γ²)^½, posterior mean Λ^−½(1 − γ²/λ)^½·Uᵀx and variance γ²/λ; directions with λ < γ² stay unused.

    A linear map h passes a ReLU layer as the pair relu(h), relu(−h), which takes 2·rank of its units; the other units
    keep their random weights and reach neither those nor the heads until training says so.

    Raises ValueError where the width has no room for the pairs.
    """
    config = vae.config
    rank = min(config.size, config.latent)
    if config.width < 2 * rank:
        raise ValueError(f"factor VAE: a start from PCA takes a width of 2·{rank} or more. Received: {config.width}")
    eigenvalues, vectors = np.linalg.eigh(np.cov(normalized, rowvar=False, dtype=np.float64).reshape(config.size, -1))
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]  # largest first
    rest = eigenvalues[rank:]
    noise = max(gamma**2, float(rest.mean()) if rest.size else 0.0)  # γ²: at least what no latent can explain
    kept = np.maximum(eigenvalues[:rank], noise)  # λ; where it equals γ² the latent is unused: gain 0, σ 1
    gain = np.sqrt(1.0 - noise / kept)

    mean = normalized.mean(axis=0, dtype=np.float64)
    project = vectors[:, :rank]  # [size, rank]
    to_mu = np.eye(rank, config.latent) * (gain / np.sqrt(kept))[:, None]  # [rank, latent]
    from_z = np.eye(config.latent, rank) * (gain * np.sqrt(kept))  # [latent, rank]
    log_sigma = np.zeros(config.latent)
    log_sigma[:rank] = 0.5 * np.log(noise / kept)

    _pass_linearly(vae.encoder, project, -mean @ project)
    _pass_linearly(vae.decoder, from_z, np.zeros(rank))
    _read_linearly(vae.mu, to_mu, np.zeros(config.latent))
    _read_linearly(vae.log_sigma, np.zeros((rank, config.latent)), log_sigma)
    _read_linearly(vae.x_hat, project.T, mean)
    vae.log_gamma.assign(0.5 * np.log(noise))


def _pass_linearly(hidden: keras.Sequential, matrix: np.ndarray, shift: np.ndarray) -> None:
    """Makes the first 2·rank units of every layer relu(±(x·matrix + shift)), matrix [inputs, rank], shift [rank]."""
    pairs = np.concatenate([matrix, -matrix], axis=1)  # [inputs, 2·rank]
    count = pairs.shape[1]
    for number, layer in enumerate(hidden.layers):
        kernel, bias = (np.array(value) for value in layer.get_weights())
        kernel[:, :count], bias[:] = 0.0, 0.0
        if number == 0:
            kernel[:, :count], bias[:count] = pairs, np.concatenate([shift, -shift])
        else:
            kernel[:count, :count] = np.eye(count)
        layer.set_weights([kernel, bias])


def _read_linearly(head: keras.layers.Dense, matrix: np.ndarray, bias: np.ndarray) -> None:
    """Makes a head read the pairs of the last hidden layer: h·matrix + bias, matrix [rank, outputs]."""
    kernel = np.zeros(head.kernel.shape, np.float32)
    kernel[: 2 * len(matrix)] = np.concatenate([matrix, -matrix])
    head.set_weights([kernel, bias.astype(np.float32)])
