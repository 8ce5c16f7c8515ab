"""Random numbers keyed by (seed, purpose, images shown): resumed, or over more replicas, a run sees the same."""

from __future__ import annotations

import tensorflow as tf

# What a number is sampled for. Two purposes never share numbers.
LATENT, PAIR_LATENT, LAYER_NOISE, PATH_LENGTH, AUGMENT_FAKES, AUGMENT_REALS, AUGMENT_R1, PATH_LATENT = range(8)
STYLE, TEXTURE, TEXTURE_PAIRS, RAYS = 8, 9, 10, 11


def seed_for(seed: int, purpose: int, images_shown: tf.Tensor) -> tf.Tensor:
    """A stateless seed [2] int64 for this purpose at this point of the run (`TrainingConfig.draw_seed`)."""
    key = tf.constant(seed, tf.int64) * 16 + purpose
    return tf.stack([key, tf.cast(images_shown, tf.int64)])


def replica_normal(
    seed: int, purpose: int, images_shown: tf.Tensor, rows: int, width: int, replicas: int = 1
) -> tf.Tensor:
    """This replica's rows [rows, width] of the global batch's normal numbers [rows · replicas, width].

    Every replica samples the whole batch and keeps its part: the numbers are few, and so they are the same for any
    number of replicas. Row i is of replica i mod n (see `training.distribution`).
    """
    key = seed_for(seed, purpose, images_shown)
    everything = tf.random.stateless_normal([rows * replicas, width], key, alg="philox")
    if replicas == 1:
        return everything
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.gather(tf.reshape(everything, [rows, replicas, width]), replica, axis=1)


class ReplicaShare:
    """One replica's share of a step: its rows of the global batch's random numbers, and of means over that batch.

    Args:
        seed: of the run's stage (`TrainingConfig.draw_seed`).
        images: the counter of images shown, a scalar variable.
        batch: images per step of this replica.
        replicas: how many there are.
    """

    def __init__(self, seed: int, images: tf.Variable, batch: int, replicas: int = 1) -> None:
        self._seed, self._images, self.batch, self.replicas = seed, images, batch, replicas

    def normal(self, purpose: int, rows: int, width: int) -> tf.Tensor:
        """Normal numbers [rows, width] for a purpose at this step."""
        return replica_normal(self._seed, purpose, self._images, rows, width, self.replicas)

    def seed(self, purpose: int) -> tf.Tensor:
        """A stateless seed [2] for a purpose at this step, the same on every replica."""
        return seed_for(self._seed, purpose, self._images)

    def image_seeds(self, purpose: int, rows: int) -> tf.Tensor:
        """Stateless seeds [rows, 2] for a purpose, one for each of this replica's images at this step."""
        key, images = tf.unstack(self.seed(purpose))
        numbers = images + tf.cast(self.global_rows(tf.range(rows)), tf.int64)
        return tf.stack([tf.fill([rows], key), numbers], -1)

    def global_rows(self, rows: tf.Tensor) -> tf.Tensor:
        """The numbers in the global batch of this replica's `rows`: row i of it is of replica i mod n."""
        if self.replicas == 1:
            return rows
        return rows * self.replicas + tf.distribute.get_replica_context().replica_id_in_sync_group

    def mean(self, per_image: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the global batch; replicas' shares are summed."""
        return tf.reduce_sum(per_image) / tf.cast(per_image.shape[0] * self.replicas, tf.float32)
