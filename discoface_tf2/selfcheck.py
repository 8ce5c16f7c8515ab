"""Golden images: what a snapshot drew where it was made, kept in it, so that another machine can say that it agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from discoface_tf2.generation import sample_z, to_uint8
from discoface_tf2.model import Model
from discoface_tf2.model_io import GOLDEN
from discoface_tf2.systems.base import FaceGenerator
from vae import FactorSampler

_COUNT, _SEED, _TRUNCATION = 4, 2020, 0.7
# Of 255, on average. Processors round differently, and now and then a pixel at the rim of a render changes sides; other
# weights, layers or renders differ by tens.
TOLERANCE = 1.0


def write_golden(path: Path, faces: FaceGenerator, sampler: FactorSampler) -> None:
    """Writes four people of a fixed seed with their images."""
    latents = [sample_z(_SEED, k, sampler.latent_size, faces.noise_dim) for k in range(_COUNT)]
    z, noise = (np.stack(parts) for parts in zip(*latents, strict=True))
    coefficients = sampler.sample(z).numpy()
    np.savez_compressed(path, coefficients=coefficients, noise=noise, images=_draw(faces, coefficients, noise))


def selfcheck(model: Model) -> tuple[float, int]:
    """The mean and the largest difference, of 255, between golden images and those that are drawn here.

    Raises FileNotFoundError when the snapshot has none, and ValueError when they are damaged.
    """
    path = model.folder / GOLDEN
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; the snapshot is of an earlier version, or was imported")
    try:
        with np.load(path, allow_pickle=False) as stored:
            coefficients, noise, expected = (stored[name] for name in ("coefficients", "noise", "images"))
    except Exception as error:  # zipfile, zlib and numpy, each with its own
        raise ValueError(f"{path}: not golden images ({error})") from None
    difference = np.abs(_draw(model.faces, coefficients, noise).astype(int) - expected)
    return float(difference.mean()), int(difference.max())


def require_golden(model: Model) -> tuple[float, int]:
    """As `selfcheck`; raises ValueError with one line when the images are not those of the golden ones."""
    mean, largest = selfcheck(model)
    if not mean <= TOLERANCE:
        raise ValueError(
            f"{model.folder}: draws other images here than where it was made: expected at most {TOLERANCE:g} of 255 on "
            f"average. Received: {mean:.3g} (largest {largest}). Compare the versions of tensorflow "
            f"({tf.__version__} here) and keras with those of setup.py"
        )
    return mean, largest


def _draw(faces: FaceGenerator, coefficients: np.ndarray, noise: np.ndarray) -> np.ndarray:
    coefficients, noise = (tf.convert_to_tensor(array, tf.float32) for array in (coefficients, noise))
    return to_uint8(faces.images(coefficients, noise, _TRUNCATION).numpy())
