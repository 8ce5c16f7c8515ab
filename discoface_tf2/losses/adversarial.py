"""Non-saturating logistic losses with lazy R1 and path-length regularisation (StyleGAN2, Karras et al., CVPR 2020).

Every function returns one value per image, so that a caller that splits a batch over replicas can average over the
global batch.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def _exact(x: tf.Tensor) -> tf.Tensor:
    """Half precision to float32; what has at least that stays as it is."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Maximise the logits of generated images: softplus(-D(G(z))) [B], for logits [B, 1]."""
    return tf.nn.softplus(-_exact(fake_logits[:, 0]))


def real_loss(real_logits: tf.Tensor) -> tf.Tensor:
    """The discriminator's: maximise the logits of real images: softplus(-D(x)) [B], for logits [B, 1]."""
    return tf.nn.softplus(-_exact(real_logits[:, 0]))


def fake_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """The discriminator's: minimise the logits of generated images: softplus(D(G(z))) [B], for logits [B, 1]."""
    return tf.nn.softplus(_exact(fake_logits[:, 0]))


def r1_penalty(discriminator: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """Squared gradient norm of the logits at real images [B, H, W, 3] → [B]; the caller multiplies by gamma / 2.

    Mescheder et al., "Which training methods for GANs do actually converge?", equation 9.
    """
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = tf.reduce_sum(_exact(discriminator(images)))
    gradient = tape.gradient(logits, images)
    return tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])


def path_lengths(synthesis: Callable[[tf.Tensor], tf.Tensor], ws: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """|Jᵀ y| for the synthesis' Jacobian J at ws [B, L, W] and image noise y [B, H, W, 3] ~ N(0, 1) → [B].

    StyleGAN2, section 3.2: y is scaled by 1 / sqrt(H·W); lengths are averaged over the L layers before the root.
    """
    size = tf.cast(tf.shape(noise)[1] * tf.shape(noise)[2], noise.dtype)
    with tf.GradientTape() as tape:
        tape.watch(ws)
        weighted = tf.reduce_sum(_exact(synthesis(ws)) * noise) / tf.sqrt(size)
    gradient = tape.gradient(weighted, ws)
    return tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(gradient), axis=2), axis=1) + 1e-12)
