"""Images by factor: rows of one subject in which one factor of the coefficients varies, or all do.

What is drawn depends on (seed, subject, variation) alone, so image k is the same at any batch size, in any order, and
whether or not the others are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from discoface_tf2.generation_options import BATCH, VARYING, GenerationOptions
from discoface_tf2.model_io import LoadedModel
from discoface_tf2.networks.generator import Generator
from discoface_tf2.networks.synthesis import FIXED_NOISE
from renderer.layout import FACTORS, CoefficientLayout
from renderer.options import require
from vae import FactorSampler

_AVERAGE_SAMPLES = 10_000
_AVERAGE_SEED = 20_200_424  # of the samples that w̄_id is the mean of; any number, but always the same


class Batch(NamedTuple):
    """Some images of a GenerationOptions, and what they were drawn from."""

    indices: np.ndarray  # [B] int, image numbers
    images: np.ndarray  # [B, R, R, 3] float32, about [-1, 1]
    coefficients: np.ndarray  # [B, λ] float32
    noise: np.ndarray  # [B, noise_dim] float32
    subjects: np.ndarray  # [B] int


def draw_rows(
    options: GenerationOptions, sampler: FactorSampler, noise_dim: int, subject: int
) -> tuple[np.ndarray, np.ndarray]:
    """One row: the coefficients [variations, λ] and noise [variations, noise_dim] of a subject."""
    # The row's own draw has the last number 0, those of its columns 1, 2, …: numpy pads seeds with zeros, so lists of
    # different lengths could coincide.
    base = np.random.default_rng([options.seed, subject, 0])
    z = np.tile(base.standard_normal(sampler.latent_size), (options.variations, 1))
    noise = np.tile(base.standard_normal(noise_dim), (options.variations, 1))
    for column in range(options.variations):
        own = np.random.default_rng([options.seed, subject, 1 + column]).standard_normal(sampler.latent_size)
        for factor in VARYING[options.factor]:
            where = sampler.latent_slices[factor]
            z[column, where] = own[where]
    return sampler.sample(z.astype(np.float32)).numpy(), noise.astype(np.float32)


def coarse_layers(num_ws: int) -> int:
    """How many styles from the start truncation moves: 8 of the 14 at 256, and as large a share of others."""
    return math.ceil(num_ws * 8 / 14)


class FaceGenerator:
    """Images of coefficients and noise, with attribute-preserving truncation.

    w' = w + (w̄_id - w(λ_id, 0, 0, 0)) (1 - ψ) on the coarse styles: the identity moves toward the average of all
    identities, and pose, expression and lighting stay what they were (DiscoFaceGAN's reference code). The noise maps
    are the fixed ones.
    """

    def __init__(self, generator: Generator, layout: CoefficientLayout, noise_dim: int, average_w: np.ndarray) -> None:
        self.layout, self.noise_dim = layout, noise_dim
        self.average_w = average_w.astype(np.float32)  # [w_dim]
        self._generator = generator
        self._compiled = tf.function(self.images)

    @classmethod
    def of(cls, model: LoadedModel, sampler: FactorSampler) -> FaceGenerator:
        """The snapshot's, with w̄_id computed from 10,000 identities of the sampler and as many noises."""
        average = average_identity_w(model.generator, sampler, model.layout, model.noise_dim)
        return cls(model.generator, model.layout, model.noise_dim, average)

    def styles(self, coefficients: tf.Tensor, noise: tf.Tensor, truncation: tf.Tensor | float) -> tf.Tensor:
        """λ [B, λ], noise [B, noise_dim] and ψ → truncated styles [B, num_ws, w_dim]."""
        ws = self._generator.styles(tf.concat([coefficients, noise], axis=1))
        identity = coefficients[:, self.layout.slice("identity")]
        rest = self.layout.lambda_size + self.noise_dim - self.layout.factor_size("identity")
        own = self._generator.mapping(tf.pad(identity, [[0, 0], [0, rest]]))  # [B, w_dim]
        shift = (self.average_w - own) * (1.0 - truncation)
        coarse = tf.cast(tf.range(ws.shape[1]) < coarse_layers(ws.shape[1]), tf.float32)  # [num_ws]
        return ws + shift[:, None, :] * coarse[None, :, None]

    def images(self, coefficients: tf.Tensor, noise: tf.Tensor, truncation: tf.Tensor | float) -> tf.Tensor:
        """λ [B, λ], noise [B, noise_dim] and ψ → images [B, R, R, 3], float32, about [-1, 1]."""
        return self._generator.synthesis(self.styles(coefficients, noise, truncation), noise=FIXED_NOISE)

    def __call__(self, coefficients: np.ndarray, noise: np.ndarray, truncation: float = 1.0) -> tf.Tensor:
        """As `images`, compiled once for each batch size."""
        tensors = (tf.convert_to_tensor(array, tf.float32) for array in (coefficients, noise, truncation))
        return self._compiled(*tensors)


def average_identity_w(
    generator: Generator, sampler: FactorSampler, layout: CoefficientLayout, noise_dim: int
) -> np.ndarray:
    """w̄_id [w_dim]: mean of the mapping of (identity, zeros, noise) over identities and noises."""
    where = layout.slice("identity")
    if where.start != 0:
        raise ValueError(f"layout: expected the identity first. Received: {where}")
    rng = np.random.default_rng(_AVERAGE_SEED)
    total = np.zeros(generator.mapping.w_dim, np.float64)
    batch = 1000
    for _ in range(_AVERAGE_SAMPLES // batch):
        slot = sampler.latent_slices["identity"]
        z = rng.standard_normal([batch, slot.stop - slot.start]).astype(np.float32)
        inputs = np.zeros([batch, layout.lambda_size + noise_dim], np.float32)
        inputs[:, where] = sampler.decode("identity", z).numpy()
        inputs[:, layout.lambda_size :] = rng.standard_normal([batch, noise_dim])
        total += generator.mapping(tf.constant(inputs)).numpy().sum(0, dtype=np.float64)
    return (total / _AVERAGE_SAMPLES).astype(np.float32)


def generate(
    options: GenerationOptions,
    face_generator: FaceGenerator,
    sampler: FactorSampler,
    *,
    batch_size: int = 16,
    indices: Sequence[int] | None = None,
) -> Iterator[Batch]:
    """Lazily, the images with numbers `indices` (None: all), in batches of `batch_size`; the last may be smaller."""
    wanted = range(options.count) if indices is None else indices
    require("batch_size", batch_size, BATCH)
    row_of, row = -1, (np.zeros([0, 0]), np.zeros([0, 0]))
    for start in range(0, len(wanted), batch_size):
        index = np.asarray(wanted[start : start + batch_size])
        coefficients, noise = [], []
        for k in index:
            subject, column = divmod(int(k), options.variations)
            if subject != row_of:
                row_of, row = subject, draw_rows(options, sampler, face_generator.noise_dim, subject)
            coefficients.append(row[0][column])
            noise.append(row[1][column])
        # A full batch always, so that the last one needs no graph of its own.
        fill = np.minimum(np.arange(batch_size), len(index) - 1)
        lambdas, noises = np.stack(coefficients), np.stack(noise)
        images = face_generator(lambdas[fill], noises[fill], options.truncation).numpy()[: len(index)]
        yield Batch(index, images, lambdas, noises, index // options.variations)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] → uint8, clipped."""
    return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype(np.uint8)


def describe(coefficients: np.ndarray, layout: CoefficientLayout) -> dict[str, list[float]]:
    """λ [λ] by name: the factors, and the angles in degrees as well."""
    named = {factor: coefficients[layout.slice(factor)] for factor in FACTORS if factor != "pose"}
    angles = coefficients[layout.slice("angles")]
    named |= {"angles_radians": angles, "angles_degrees": np.degrees(angles)}
    return {name: exact(values) for name, values in named.items()}


def exact(values: np.ndarray) -> list[float]:
    """The shortest decimal numbers that read back as these float32 numbers."""
    return [float(str(value)) for value in values.astype(np.float32)]
