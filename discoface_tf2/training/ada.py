"""Adaptive discriminator augmentation: how often the discriminator's images are augmented follows its overfitting.

Karras et al., "Training generative adversarial networks with limited data" (NeurIPS 2020). With few photographs the
discriminator learns them by heart. So it sees augmented images only, photographs and generated ones alike, each
transformation with probability p; p rises while r_t = E[sign(D(photographs))] is above its target and falls while it
is below. The generator's other losses see its images as they are.
"""

from __future__ import annotations

import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.sampling import replica_normal
from discoface_tf2.training.augment import DRAWS, augment, draw_transformation


class AdaptiveAugment:
    """The augmentations' strength p in [0, 1], and what it is steered by. Make it in the strategy's scope.

    `variables` belong in the checkpoint.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.strength = tf.Variable(config.ada_start, dtype=tf.float32, trainable=False, name="ada_p")
        # Of the steps since the strength was last changed; r_t is the last mean of all of them.
        self.signs = tf.Variable(0.0, trainable=False, name="ada_signs")
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="ada_steps")
        self.overfitting = tf.Variable(0.0, trainable=False, name="ada_rt")

    @property
    def variables(self) -> list[tf.Variable]:
        """All that a resumed run needs."""
        return [self.strength, self.signs, self.steps, self.overfitting]

    def __call__(self, images: tf.Tensor, purpose: int, images_shown: tf.Tensor, replicas: int = 1) -> tf.Tensor:
        """This replica's images [B, R, R, 3], augmented; drawn for (the stage's seed, purpose, images shown)."""
        rows, size = images.shape[:2]
        normals = replica_normal(self.config.draw_seed, purpose, images_shown, rows, DRAWS, replicas)
        strength = tf.convert_to_tensor(self.strength)
        return augment(images, draw_transformation(normals, strength, size, self.config.ada_pipe))

    def update(self, mean_sign: tf.Tensor) -> dict[str, tf.Tensor]:
        """After each step, in cross-replica context: the mean sign of D(photographs) over the global batch.

        Every `ada_interval` steps p moves by one unit in `ada_kimg`, up or down. Returns p and r_t as terms to show.
        """
        config = self.config
        signs, steps = self.signs + mean_sign, self.steps + 1
        due = steps >= config.ada_interval
        overfitting = signs / tf.cast(steps, tf.float32)
        move = tf.sign(overfitting - config.ada_target) * (
            tf.cast(steps, tf.float32) * config.batch_size / (config.ada_kimg * 1000.0)
        )
        # The paper clips at 0 alone; beyond 1 nothing changes but the way back.
        moved = tf.clip_by_value(self.strength + move, 0.0, 1.0)
        self.strength.assign(tf.where(due, moved, self.strength))
        self.overfitting.assign(tf.where(due, overfitting, self.overfitting))
        self.signs.assign(tf.where(due, 0.0, signs))
        self.steps.assign(tf.where(due, tf.zeros_like(steps), steps))
        return {"ada_p": tf.identity(self.strength), "ada_rt": tf.identity(self.overfitting)}
