"""Stage 1: the generated image must show what the renderer drew of the same λ (DiscoFaceGAN, section 3.2).

Every function returns one value per image [B]. Images are [B, H, W, 3] in [-1, 1], masks [B, H, W, 1] of 0 and 1.
"""

from __future__ import annotations

import tensorflow as tf

LANDMARK_SPACE = 224.0  # landmarks are compared in pixels of the reconstruction crop
IDENTITY_FLOOR = 0.3  # a render is not a photograph: closer than this, the embedding has nothing more to say
_EPSILON = 1e-8  # under square roots, whose gradient at zero is infinite


def cosine_distance(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """1 − cos of the angle between embeddings [B, D] → [B], in [0, 2]."""
    return 1.0 - tf.reduce_sum(tf.math.l2_normalize(first, -1) * tf.math.l2_normalize(second, -1), -1)


def identity_loss(fake: tf.Tensor, render: tf.Tensor, floor: float = IDENTITY_FLOOR) -> tf.Tensor:
    """Cosine distance between embeddings [B, D] of the masked fake and of the render, clipped from below at `floor`."""
    return tf.maximum(cosine_distance(fake, render), floor)


def landmark_loss(fake: tf.Tensor, render: tf.Tensor) -> tf.Tensor:
    """Mean squared distance of landmarks [B, 68, 2], in pixels of the 224 crop, as a fraction of its side."""
    return tf.reduce_mean(tf.square((fake - render) / LANDMARK_SPACE), axis=[1, 2])


def lighting_loss(fake: tf.Tensor, render: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference of spherical-harmonic coefficients [B, 27]."""
    return tf.reduce_mean(tf.abs(fake - render), axis=-1)


def expression_loss(fake: tf.Tensor, render: tf.Tensor, std: tf.Tensor) -> tf.Tensor:
    """Mean squared difference of expression coefficients [B, E] in units of their spread `std` [E]; not the paper's.

    Both are what the reconstruction network sees, in the fake and in the render: a small network shrinks its guesses,
    and asking the fake for the full coefficients would ask for a caricature.
    """
    return tf.reduce_mean(tf.square((fake - render) / std), axis=-1)


def mean_colour(images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean colour under the mask [B, 3]; zero where the mask is empty."""
    return tf.reduce_sum(images * mask, axis=[1, 2]) / (tf.reduce_sum(mask, axis=[1, 2]) + _EPSILON)


def skin_colour_loss(fake: tf.Tensor, render: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Euclidean distance between the mean colours under the render's mask, in the networks' range [-1, 1]."""
    difference = mean_colour(fake, mask) - mean_colour(render, mask)
    return tf.sqrt(tf.reduce_sum(tf.square(difference), axis=-1) + _EPSILON)


def masked_l1_loss(fake: tf.Tensor, render: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Colour distance per pixel (Euclidean over channels), averaged over the mask: the warm-up's only imitation."""
    distance = tf.sqrt(tf.reduce_sum(tf.square(fake - render), axis=-1, keepdims=True) + _EPSILON)
    return tf.reduce_sum(distance * mask, axis=[1, 2, 3]) / (tf.reduce_sum(mask, axis=[1, 2, 3]) + _EPSILON)
