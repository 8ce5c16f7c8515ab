"""Random draws keyed by (seed, purpose, images shown): resumed, or over more replicas, a run sees the same numbers."""

from __future__ import annotations

import tensorflow as tf

# What a number is drawn for. Two purposes never share numbers.
LATENT, PAIR_LATENT, LAYER_NOISE, PATH_LENGTH = range(4)


def seed_for(seed: int, purpose: int, images_shown: tf.Tensor) -> tf.Tensor:
    """A stateless seed [2] int64 for this purpose at this point of the run."""
    key = tf.constant(seed, tf.int64) * 16 + purpose
    return tf.stack([key, tf.cast(images_shown, tf.int64)])


def replica_normal(
    seed: int, purpose: int, images_shown: tf.Tensor, rows: int, width: int, replicas: int = 1
) -> tf.Tensor:
    """This replica's rows [rows, width] of the global batch's normal numbers [rows · replicas, width].

    Every replica draws the whole batch and keeps its part: the numbers are few, and so they are the same for any number
    of replicas.
    """
    everything = tf.random.stateless_normal([rows * replicas, width], seed_for(seed, purpose, images_shown))
    if replicas == 1:
        return everything
    context = tf.distribute.get_replica_context()
    first = context.replica_id_in_sync_group * rows
    return tf.ensure_shape(everything[first : first + rows], [rows, width])
