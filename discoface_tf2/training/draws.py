"""Random draws keyed by (seed, purpose, images shown): resumed, or over more replicas, a run sees the same numbers."""

from __future__ import annotations

import tensorflow as tf

# What a number is drawn for. Two purposes never share numbers.
LATENT, PAIR_LATENT, LAYER_NOISE, PATH_LENGTH, AUGMENT_FAKES, AUGMENT_REALS, AUGMENT_R1, PATH_LATENT = range(8)


def seed_for(seed: int, purpose: int, images_shown: tf.Tensor) -> tf.Tensor:
    """A stateless seed [2] int64 for this purpose at this point of the run (`TrainingConfig.draw_seed`)."""
    key = tf.constant(seed, tf.int64) * 16 + purpose
    return tf.stack([key, tf.cast(images_shown, tf.int64)])


def replica_normal(
    seed: int, purpose: int, images_shown: tf.Tensor, rows: int, width: int, replicas: int = 1
) -> tf.Tensor:
    """This replica's rows [rows, width] of the global batch's normal numbers [rows · replicas, width].

    Every replica draws the whole batch and keeps its part: the numbers are few, and so they are the same for any number
    of replicas. Row i is of replica i mod n (see `distribution`).
    """
    key = seed_for(seed, purpose, images_shown)
    everything = tf.random.stateless_normal([rows * replicas, width], key, alg="philox")
    if replicas == 1:
        return everything
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.gather(tf.reshape(everything, [rows, replicas, width]), replica, axis=1)
