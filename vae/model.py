"""The variational autoencoder of one factor of the coefficients."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vae.quantiles import GRID, piecewise_linear, quantile_table

FACTORS = ("identity", "expression", "lighting", "pose")
"""The four factors, in the order in which their latents lie in the generator's z."""

LAMBDA_ORDER = ("identity", "expression", "pose", "lighting")
"""The four factors in the order in which they lie in λ (pose is the three angles)."""

ABBREVIATIONS = {"identity": "id", "expression": "exp", "lighting": "gamma", "pose": "rot"}

LATENT_SIZES = {"identity": 128, "expression": 32, "lighting": 16, "pose": 3}
WIDTHS = {"identity": 512, "expression": 256, "lighting": 128, "pose": 32}
DEPTH = 3

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)  # the 0.91893 of the reference
_MAX_LOG_SIGMA = 10.0  # σ up to 22,000: only keeps the exponential of a broken step finite


@dataclass(frozen=True)
class FactorConfig:
    """Sizes of one factor's VAE and the statistics that its coefficients are normalised with.

    factor: one of FACTORS. size: number of coefficients. latent, width, depth: of encoder and decoder alike.
    mean, std: [size]; the network sees (x − mean) / std. Empty means zeros and ones, which is the reference, where
    coefficients are not normalised.
    sampled, real: [size][33] quantiles of normalised samples and of the data, see `vae.quantiles`: what the decoder
    gives is mapped from the first to the second. Empty means no such map, which is the reference.
    """

    factor: str
    size: int
    latent: int
    width: int
    depth: int = DEPTH
    mean: tuple[float, ...] = field(default=(), repr=False)
    std: tuple[float, ...] = field(default=(), repr=False)
    sampled: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    real: tuple[tuple[float, ...], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.factor not in FACTORS:
            raise ValueError(f"factor VAE: factor should be one of {FACTORS}. Received: {self.factor!r}")
        for name in ("size", "latent", "width", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"factor VAE: {name} should be a positive whole number. Received: {value!r}")
        for name in ("mean", "std"):
            value = getattr(self, name)
            if len(value) not in (0, self.size) or not np.isfinite(value).all():
                raise ValueError(
                    f"factor VAE: {name} should be {self.size} finite numbers, or empty. Received: {len(value)} numbers"
                )
        if any(value <= 0 for value in self.std):
            raise ValueError(f"factor VAE: std should be positive. Received: {min(self.std)}")
        for table in (np.array(self.sampled), np.array(self.real)):
            expected = (self.size, GRID.size)
            if bool(self.sampled) != bool(self.real) or (
                table.size and (table.shape != expected or not (np.diff(table) > 0).all())
            ):
                raise ValueError(
                    f"factor VAE: sampled and real should both be {expected[0]} rows of {expected[1]} rising numbers, "
                    f"or both empty. Received: shape {table.shape}"
                )

    @classmethod
    def for_data(cls, factor: str, coefficients: np.ndarray, **overrides: int) -> FactorConfig:
        """The specified sizes for `factor`, normalised to the `coefficients` [N, size] at hand.

        Deliberate difference from the reference, which does not normalise: pose (about 0.3 rad), expression (0 to 1)
        and identity (about 1) meet the one output scale γ on equal terms.
        """
        if factor not in FACTORS:
            raise ValueError(f"factor VAE: factor should be one of {FACTORS}. Received: {factor!r}")
        sizes: dict[str, Any] = {"latent": LATENT_SIZES[factor], "width": WIDTHS[factor], "depth": DEPTH, **overrides}
        std = coefficients.std(axis=0, dtype=np.float64)
        std = np.where(std > 1e-8, std, 1.0)  # a coefficient that never varies stays at its mean
        mean = coefficients.mean(axis=0, dtype=np.float64)
        return cls(factor, coefficients.shape[1], mean=tuple(mean.tolist()), std=tuple(std.tolist()), **sizes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FactorConfig:
        """The config that `to_dict` wrote. Raises ValueError on unknown or missing keys."""
        known = set(cls.__dataclass_fields__)
        if set(values) != known:
            raise ValueError(f"factor VAE: expected the keys {sorted(known)}. Received: {sorted(values)}")
        numbers = {name: tuple(values[name]) for name in ("mean", "std")}
        tables = {name: tuple(map(tuple, values[name])) for name in ("sampled", "real")}
        return cls(**{**values, **numbers, **tables})


class Losses(NamedTuple):
    """Scalars, averaged over the batch, summed over the features."""

    total: tf.Tensor
    kl: tf.Tensor
    reconstruction: tf.Tensor


def kl_divergence(mu: tf.Tensor, log_sigma: tf.Tensor) -> tf.Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) in nats: [B, latent] twice → [B] (Kingma & Welling 2014, appendix B)."""
    return tf.reduce_sum(0.5 * (tf.square(mu) + tf.exp(2.0 * log_sigma) - 1.0) - log_sigma, axis=-1)


def gaussian_nll(x: tf.Tensor, x_hat: tf.Tensor, log_gamma: tf.Tensor) -> tf.Tensor:
    """−log N(x; x̂, γ²) in nats: [B, size] twice and a scalar → [B]; Σ[(x−x̂)²/(2γ²) + log γ + 0.91893].

    The learned γ is that of Dai & Wipf 2019, "Diagnosing and enhancing VAE models", equation 9.
    """
    return tf.reduce_sum(0.5 * tf.square((x - x_hat) * tf.exp(-log_gamma)) + log_gamma + _HALF_LOG_2PI, axis=-1)


@keras.saving.register_keras_serializable(package="discoface_tf2")
class FactorVAE(keras.Model):
    """Encoder and decoder, `depth` hidden ReLU layers of `width` each, and one learned output scale γ.

    Args:
        config: sizes and normalisation, see FactorConfig.

    Call arguments:
        x: [B, size] coefficients in their own units. Returns their reconstruction through μ, [B, size].

    References:
        Deng et al. 2020, "Disentangled and Controllable Face Image Generation via 3D Imitative-Contrastive Learning";
        Dai & Wipf 2019, "Diagnosing and Enhancing VAE Models".
    """

    def __init__(self, config: FactorConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self._mean = np.asarray(config.mean or np.zeros(config.size), np.float32)
        self._std = np.asarray(config.std or np.ones(config.size), np.float32)

        def hidden(inputs: int, name: str) -> keras.Sequential:
            layers = [keras.layers.Dense(config.width, "relu") for _ in range(config.depth)]
            return keras.Sequential([keras.Input((inputs,)), *layers], name=name)

        self.encoder = hidden(config.size, "encoder")
        self.mu = keras.layers.Dense(config.latent, name="mu")
        self.log_sigma = keras.layers.Dense(config.latent, name="log_sigma")
        self.decoder = hidden(config.latent, "decoder")
        self.x_hat = keras.layers.Dense(config.size, name="x_hat")
        for head in (self.mu, self.log_sigma, self.x_hat):
            head.build((None, config.width))
        self.log_gamma = self.add_weight(name="log_gamma", shape=(), initializer="zeros")
        self.built = True

    def normalize(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Coefficients [B, size] in their own units → what the network sees."""
        return (coefficients - self._mean) / self._std

    def denormalize(self, normalized: tf.Tensor) -> tf.Tensor:
        """What the decoder gives [B, size] → coefficients in their own units, calibrated if `calibrate` was called."""
        if not self.config.sampled:
            return normalized * self._std + self._mean
        return piecewise_linear(normalized, np.array(self.config.sampled), np.array(self.config.real))

    def calibrate(self, coefficients: np.ndarray, count: int = 20_000, seed: int = 0) -> None:
        """Gives samples the marginal distributions of `coefficients` [N, size], one coefficient at a time.

        Deliberate difference from the reference, to be called after training. The prior leaves rare, far values (a
        wide open jaw) to corners of the latent space that it seldom draws, so plain samples are too even; a rising
        map of quantiles to quantiles corrects how much, and leaves to the decoder what goes with what.
        """
        z = np.random.default_rng(seed).standard_normal((count, self.config.latent), np.float32)
        sampled, real = (
            tuple(map(tuple, quantile_table(values).tolist())) for values in (np.asarray(self._decode(z)), coefficients)
        )
        self.config = replace(self.config, sampled=sampled, real=real)

    def encode(self, coefficients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[B, size] coefficients → μ and log σ of the posterior, [B, latent] each."""
        return self._encode(self.normalize(coefficients))

    def decode(self, z: tf.Tensor, noise: tf.Tensor | float = 0.0) -> tf.Tensor:
        """[B, latent] normal numbers → [B, size] coefficients in their own units.

        noise: N(0, 1) [B, size], for samples of the whole model; the generator does without the decoder's noise.
        """
        return self.denormalize(self._decode(z) + tf.exp(tf.convert_to_tensor(self.log_gamma)) * noise)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self.decode(self.encode(x)[0])

    def losses_of(self, normalized: tf.Tensor, noise: tf.Tensor) -> Losses:
        """The objective on normalised coefficients [B, size], with N(0, 1) `noise` [B, latent].

        KL + Σ[(x−x̂)²/(2γ²) + log γ + 0.91893], x̂ decoded from μ + σ·noise.
        """
        mu, log_sigma = self._encode(normalized)
        x_hat = self._decode(mu + tf.exp(log_sigma) * noise)
        kl = tf.reduce_mean(kl_divergence(mu, log_sigma))
        reconstruction = tf.reduce_mean(gaussian_nll(normalized, x_hat, tf.convert_to_tensor(self.log_gamma)))
        return Losses(kl + reconstruction, kl, reconstruction)

    def get_config(self) -> dict[str, Any]:
        """For Keras: the same as `config`."""
        return {**super().get_config(), "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FactorVAE:  # type: ignore[override]
        """For Keras."""
        return cls(FactorConfig.from_dict(config.pop("config")), **config)

    def _encode(self, normalized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        hidden = self.encoder(normalized)  # [B, width]
        return self.mu(hidden), tf.minimum(self.log_sigma(hidden), _MAX_LOG_SIGMA)

    def _decode(self, z: tf.Tensor) -> tf.Tensor:
        return self.x_hat(self.decoder(z))
