"""Images by factor: rows of one subject in which one factor of the coefficients varies, or all do.

What is sampled depends on (seed, subject, variation) alone, so image k is the same at any batch size, in any order, and
whether or not the others are generated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from discoface_tf2.generation_options import BATCH, VARYING, GenerationOptions
from discoface_tf2.systems.base import FaceGenerator
from renderer.layout import FACTORS, CoefficientLayout
from renderer.options import require
from vae import FactorSampler


class Batch(NamedTuple):
    """Some images of a GenerationOptions, and what they were drawn from."""

    indices: np.ndarray  # [B] int, image numbers
    images: np.ndarray  # [B, R, R, 3] float32, about [-1, 1]
    coefficients: np.ndarray  # [B, λ] float32
    noise: np.ndarray  # [B, noise_dim] float32
    subjects: np.ndarray  # [B] int


def sample_z(seed: int, subject: int, latent_size: int, noise_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The latent [latent_size] and the noise [noise_dim], float32, of subject number `subject` of a seed."""
    # A row's own numbers have the last number 0, those of its columns 1, 2, …: numpy pads seeds with zeros, so lists of
    # different lengths could coincide.
    rng = np.random.default_rng([seed, subject, 0])
    return rng.standard_normal(latent_size).astype(np.float32), rng.standard_normal(noise_dim).astype(np.float32)


def sample_row(
    options: GenerationOptions, sampler: FactorSampler, noise_dim: int, subject: int
) -> tuple[np.ndarray, np.ndarray]:
    """One row: the coefficients [variations, λ] and noise [variations, noise_dim] of a subject."""
    base, noise = sample_z(options.seed, subject, sampler.latent_size, noise_dim)
    z = np.tile(base, (options.variations, 1))
    for column in range(options.variations):
        own = np.random.default_rng([options.seed, subject, 1 + column]).standard_normal(sampler.latent_size)
        for factor in VARYING[options.factor]:
            where = sampler.latent_slices[factor]
            z[column, where] = own[where]
    return sampler.sample(z).numpy(), np.tile(noise, (options.variations, 1))


def in_batches(
    faces: FaceGenerator, coefficients: np.ndarray, noise: np.ndarray, truncation: float, batch_size: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Lazily, rows and their images [B, R, R, 3], about [-1, 1]; the last batch may be smaller."""
    require("batch_size", batch_size, BATCH)
    for start in range(0, len(coefficients), batch_size):
        rows = slice(start, min(start + batch_size, len(coefficients)))
        # A full batch always, so that the last one needs no graph of its own.
        fill = np.minimum(np.arange(start, start + batch_size), rows.stop - 1)
        yield rows, faces(coefficients[fill], noise[fill], truncation).numpy()[: rows.stop - start]


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
    require("batch_size", batch_size, BATCH)  # before it is a step of `range`
    row_of, row = -1, (np.zeros([0, 0]), np.zeros([0, 0]))
    for start in range(0, len(wanted), batch_size):
        index = np.asarray(wanted[start : start + batch_size])
        coefficients, noise = [], []
        for k in index:
            subject, column = divmod(int(k), options.variations)
            if subject != row_of:
                row_of, row = subject, sample_row(options, sampler, face_generator.noise_dim, subject)
            coefficients.append(row[0][column])
            noise.append(row[1][column])
        lambdas, noises = np.stack(coefficients), np.stack(noise)
        _, images = next(in_batches(face_generator, lambdas, noises, options.truncation, batch_size))
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
