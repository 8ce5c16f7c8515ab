"""Change outside the mesh: what moves in hair, clothes and background when one factor varies, and should not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from discoface_tf2.generation import GenerationOptions, generate
from discoface_tf2.systems.base import FaceGenerator
from renderer import FaceRenderer
from vae import FactorSampler

VARIED = ("expression", "lighting", "pose")
VARIATIONS = 5  # images per row


def outside(images: np.ndarray, masks: np.ndarray) -> float:
    """Mean absolute difference outside the mesh, between an image of a row and the next one.

    Images of one row [V, R, R, 3] in 0-255 and their renders' masks [V, R, R, 1]; pixels that either mask covers are
    left out.
    """
    free = np.maximum(masks[1:], masks[:-1])[..., 0] == 0  # [V - 1, R, R]
    difference = np.abs(images[1:] - images[:-1]).mean(-1)
    return float(difference[free].mean())


def change_outside(
    faces: FaceGenerator, sampler: FactorSampler, renderer: FaceRenderer, subjects: int, seed: int = 0,
    truncation: float = 1.0,
) -> dict[str, float]:  # fmt: skip
    """By the factor that varies alone: the mean of `outside` over rows of 5 images of `subjects` people, 0-255.

    `renderer` is of the images' size.
    """
    masks_of: Callable[..., tf.Tensor] = tf.function(lambda coefficients: renderer(coefficients).mask)
    figures = {}
    for factor in VARIED:
        options = GenerationOptions(factor, subjects, VARIATIONS, seed, truncation)
        rows = [
            outside((batch.images.clip(-1, 1) + 1) * 127.5, masks_of(tf.constant(batch.coefficients)).numpy())
            for batch in generate(options, faces, sampler, batch_size=VARIATIONS)
        ]
        figures[factor] = float(np.mean(rows))
    return figures
