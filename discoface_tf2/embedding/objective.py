"""What an encoder learns from: generated images, whose styles are known, and labelled real ones, to be drawn again."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from discoface_tf2.embedding.embed import EmbedOptions, distance, spreads
from discoface_tf2.embedding.encoder import Encoder
from discoface_tf2.model import Model
from discoface_tf2.perception import Perception

_STYLE, _DRAWN = 0.3, 1.0  # weights of the distances of styles and of images


class EncoderObjective:
    """Half of a batch is generated, half is of `images`; for `discoface_tf2.perception.training.optimise.fit`.

    Args:
        encoder: what is trained.
        model: whose images and styles it learns.
        perception: its networks compare images.
        images: uint8 [N, R, R, 3], and `coefficients` [N, λ or more], what they show.
        batch_size: even.
    """

    def __init__(
        self,
        encoder: Encoder,
        model: Model,
        perception: Perception,
        images: np.ndarray,
        coefficients: np.ndarray,
        batch_size: int,
    ) -> None:
        self.network, self.model, self.perception, self.batch_size = encoder, model, perception, batch_size
        self.variables = list(encoder.trainable_variables)
        self.images = tf.constant(images)
        self.coefficients = tf.constant(coefficients[:, : model.layout.lambda_size], tf.float32)
        self.w_std, _ = spreads(model)
        self.options = EmbedOptions()

    def __call__(self, seed: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss of one batch, and its terms."""
        half, faces, sampler = self.batch_size // 2, self.model.faces, self.model.sampler
        seeds = tf.random.split(seed, 4)
        known = sampler.sample(tf.random.stateless_normal([half, sampler.latent_size], seeds[0]))
        noise = tf.random.stateless_normal([half, self.model.noise_dim], seeds[1])
        truncation = tf.random.stateless_uniform([half, 1, 1], seeds[2], 0.5, 1.0)
        ws = faces.styles(known, noise, truncation if self.model.system.renders else 1.0)
        rows = tf.random.stateless_uniform([half], seeds[3], 0, len(self.images), tf.int32)
        real = tf.cast(tf.gather(self.images, rows), tf.float32) / 127.5 - 1.0
        goal = tf.concat([tf.clip_by_value(faces.synthesis(ws, known), -1.0, 1.0), real], 0)
        found = self.network(goal)
        shown = tf.concat([known, tf.gather(self.coefficients, rows)], 0)
        terms = {
            "style": tf.reduce_mean(tf.square(found[:half] - (ws - faces.average_w) / self.w_std)),
            "drawn": tf.reduce_mean(
                distance(faces.synthesis(faces.average_w + found * self.w_std, shown), goal, self.perception,
                         self.options)
            ),
        }  # fmt: skip
        return _STYLE * terms["style"] + _DRAWN * terms["drawn"], terms
