"""What each of the three networks is trained to do: a loss of a batch that it draws itself.

An objective has `network`, the list `variables` of what is trained, and is called with a stateless seed [2] inside
`tf.function`; it returns the total loss and its terms by name, all scalars.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.perception.identity import Identity
from discoface_tf2.perception.parsing import Parsing
from discoface_tf2.perception.reconstruction import Reconstruction
from discoface_tf2.perception.training import augment
from discoface_tf2.perception.training.samples import Views
from discoface_tf2.perception.training.scores import OUTER_CORNERS

Landmarks = Callable[[tf.Tensor], tf.Tensor]  # coefficients [B, size] → [B, 68, 2] pixels

# How much the squared error of each group of standardised coefficients counts. Pose decides where everything is;
# single shape and texture components are hard to tell apart at 64 pixels and are held by the landmarks anyway.
GROUP_WEIGHTS = {"shape": 0.5, "texture": 0.7, "expression": 1.0, "angles": 3.0, "lighting": 1.5}
LANDMARK_WEIGHT = 100.0  # of the mean squared distance in units of the eye distance: 4 % is then 0.16
TEMPERATURE = 0.1  # of the contrastive loss
# shares of (photograph, other background, face on black, render); see Views.faces
RECONSTRUCTION_SHARES = (0.55, 0.15, 0.1, 0.2)
IDENTITY_SHARES = (0.25, 0.1, 0.35, 0.3)


class Objective(Protocol):
    """What `training.fit` asks of an objective."""

    network: keras.Model
    variables: list[keras.Variable]
    batch_size: int

    def __call__(self, seed: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss of one batch, and its terms."""
        ...


class ReconstructionObjective:
    """Squared error of standardised coefficients, group by group, and of the landmarks that follow from them."""

    def __init__(self, network: Reconstruction, views: Views, landmarks: Landmarks, batch_size: int) -> None:
        self.network, self.views, self.landmarks, self.batch_size = network, views, landmarks, batch_size
        codes = np.concatenate([views.codes, views.render_codes])
        network.set_labels(codes.mean(0), codes.std(0))
        self.variables = list(network.trainable_variables)
        neutral = landmarks(tf.zeros([1, network.layout.size]))[0]
        first, second = OUTER_CORNERS
        self.eye_distance = tf.norm(neutral[first] - neutral[second])

    def __call__(self, seed: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss of one batch, and its terms: one per group, and `landmarks`."""
        seeds = augment.split_seed(seed, 4)
        rows = self.views.rows(seeds[0], self.batch_size)
        images, codes = self.views.faces(rows, seeds[1], RECONSTRUCTION_SHARES)
        images = augment.erase(augment.degrade(images, seeds[2]), seeds[3], largest=0.3)
        predicted = self.network.standardised(images)
        mean, std = (tf.convert_to_tensor(v) for v in (self.network.label_mean, self.network.label_std))
        target = tf.math.divide_no_nan(codes - mean, std)
        terms = {}
        for group in GROUP_WEIGHTS:
            where = self.network.layout.slice(group)
            terms[group] = tf.reduce_mean(tf.square(predicted[:, where] - target[:, where]))
        there = self.landmarks(self.network.to_coefficients(target))
        offset = (self.landmarks(self.network.to_coefficients(predicted)) - there) / self.eye_distance
        terms["landmarks"] = tf.reduce_mean(tf.reduce_sum(tf.square(offset), -1))
        weights = {**GROUP_WEIGHTS, "landmarks": LANDMARK_WEIGHT}
        return tf.add_n([weights[name] * term for name, term in terms.items()]), terms


class IdentityObjective:
    """Supervised contrastive loss (Khosla et al., 2020) over several views of each subject.

    The views of a subject differ in pose, expression, light, background, and in being a photograph, a masked one or a
    render, so what they share is the person. The embedding must also give, linearly, the standardised identity
    coefficients: far more to learn from per picture than who is who.
    """

    def __init__(self, network: Identity, views: Views, batch_size: int, views_each: int = 4) -> None:
        if batch_size % views_each or batch_size < 2 * views_each:
            raise ValueError(f"identity: batch size should be {views_each} views each. Received: {batch_size}")
        self.network, self.views, self.batch_size, self.views_each = network, views, batch_size, views_each
        where = views.layout.slice("identity")
        codes = views.codes.numpy()[:, where]
        self.where, self.mean = where, tf.constant(codes.mean(0))
        self.std = tf.constant(codes.std(0))
        self.probe = keras.layers.Dense(views.layout.factor_size("identity"))
        self.probe.build((None, network.embedding))
        self.variables = [*network.trainable_variables, *self.probe.trainable_variables]

    def __call__(self, seed: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss of one batch, and its terms `contrastive` and `coefficients`."""
        seeds = augment.split_seed(seed, 6)
        rows, subject = self.views.rows_of_people(seeds[0], self.batch_size // self.views_each, self.views_each)
        images, codes = self.views.faces(rows, seeds[1], IDENTITY_SHARES)
        images = augment.jitter_colours(augment.shift(images, seeds[2], 1), seeds[3], 0.1)
        images = augment.erase(augment.degrade(images, seeds[4]), seeds[5])
        embedding = self.network(images)
        target = tf.math.divide_no_nan(codes[:, self.where] - self.mean, self.std)
        # unit vectors of 128 numbers are small; scaled to about 1 each before they are read out
        guess = self.probe(embedding * tf.sqrt(float(self.network.embedding)))
        terms = {
            "contrastive": contrastive(embedding, subject),
            "coefficients": tf.reduce_mean(tf.square(guess - target)),
        }
        return terms["contrastive"] + terms["coefficients"], terms


def contrastive(embedding: tf.Tensor, subject: tf.Tensor, temperature: float = TEMPERATURE) -> tf.Tensor:
    """Supervised contrastive loss of unit vectors [B, D] of subjects [B]: mean −log p(same subject | another view)."""
    batch = embedding.shape[0]
    itself = tf.eye(batch)
    logits = tf.matmul(embedding, embedding, transpose_b=True) / temperature - 1e9 * itself
    same = tf.cast(subject[:, None] == subject[None], tf.float32) - itself
    log_p = tf.nn.log_softmax(logits, axis=-1) * (1.0 - itself)
    return -tf.reduce_mean(tf.math.divide_no_nan(tf.reduce_sum(same * log_p, -1), tf.reduce_sum(same, -1)))


class ParsingObjective:
    """Cross-entropy of the classes background, skin and hair."""

    def __init__(self, network: Parsing, views: Views, batch_size: int) -> None:
        self.network, self.views, self.batch_size = network, views, batch_size
        self.variables = list(network.trainable_variables)

    def __call__(self, seed: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss of one batch, and its term `cross_entropy`."""
        seeds = augment.split_seed(seed, 5)
        images, classes = self.views.parts(self.views.rows(seeds[0], self.batch_size), seeds[1])
        images = augment.degrade(augment.jitter_colours(images, seeds[2]), seeds[3])
        images = augment.erase(images, seeds[4], share=0.1, largest=0.25)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=self.network.logits(images))
        )
        return loss, {"cross_entropy": loss}
