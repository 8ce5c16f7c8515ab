"""A step of `gif`: render the coefficients of the real images, generate, discriminate beside the renders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from discoface_tf2.losses import adversarial
from discoface_tf2.losses.imitative import masked_l1_loss
from discoface_tf2.losses.pixels import reduce_to, to_network_range
from discoface_tf2.sampling import AUGMENT_FAKES, AUGMENT_R1, AUGMENT_REALS, STYLE, TEXTURE, TEXTURE_PAIRS
from discoface_tf2.systems.base import Batch, Objective, Penalty, Update, gradients
from discoface_tf2.systems.gif.config import judged
from discoface_tf2.systems.gif.renders import ConditionRenderer, chosen
from discoface_tf2.systems.gif.texture import TextureSpace, interpolated, pairs, texture_distance
from discoface_tf2.systems.stylegan import logit_terms

_TABLE = 0x6749  # keeps the styles of training images apart from all other random numbers


class GifObjective(Objective):
    """Adversarial loss on images beside their renders, L1 distance from the render, R1, texture consistency."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        config = self.config
        self.generator, self.discriminator = self.networks["generator"], self.networks["discriminator"]
        self.render = ConditionRenderer(self.tools.face_model, config.resolution)
        self.renderer = self.render.renderer
        self.layout = self.renderer.layout
        self.imitate_size = min(config.imitate_resolution, config.resolution)
        self.judged = judged(config.condition)
        self.space = TextureSpace(self.renderer, config.texture_size) if config.weights.texture else None

    def update(self, batch: Batch, phase: str) -> Update:
        """The losses of a phase (`GifConfig.phase`)."""
        return self._imitate(batch) if phase == "imitate" else self._adversarial(batch)

    def penalties(self, phase: str) -> Mapping[str, Penalty]:
        """R1 and texture consistency; none while the generator imitates alone."""
        config, found = self.config, {}
        if phase == "adversarial" and config.r1_gamma:
            found["r1"] = Penalty(config.r1_interval, self._r1)
        if phase == "adversarial" and config.weights.texture:
            found["texture"] = Penalty(config.texture_interval, self._texture)
        return found

    def weights(self, phase: str) -> Mapping[str, float]:
        """Those of the generator's terms beside the adversarial one."""
        weights = self.config.weights
        if phase == "imitate":
            return {"imitate": weights.imitate}
        return {"image_l1": weights.image_l1} if weights.image_l1 else {}

    def styles(self, batch: Batch) -> tf.Tensor:
        """A normal vector [B, noise_dim] for each identity, or for each image of an unknown one: always the same.

        The reference keeps them in a table of one per image, which it never trains.
        """
        known = batch["subject"] >= 0
        number = tf.where(known, tf.cast(batch["subject"], tf.int64), -1 - tf.cast(batch["index"], tf.int64))
        key = tf.fill(tf.shape(number), tf.constant(self.config.seed + (_TABLE << 32), tf.int64))
        return tf.map_fn(
            lambda seed: tf.random.stateless_normal([self.config.noise_dim], seed, alg="philox"),
            tf.stack([key, number], -1),
            fn_output_signature=tf.TensorSpec([self.config.noise_dim], tf.float32),
        )

    def generate(
        self, styles: tf.Tensor, coefficients: tf.Tensor, renders: tf.Tensor, max_resolution: int | None = None
    ) -> tf.Tensor:
        """Images [B, R, R, 3] of styles [B, noise_dim], and of coefficients [B, size] or their renders [B, R, R, 6]."""
        given = chosen(renders, self.config.condition)
        if given is None:
            styles = tf.concat([coefficients[:, : self.layout.lambda_size], styles], -1)
        return self.generator(styles, noise=given, max_resolution=max_resolution)

    def _distance(self, fakes: tf.Tensor, renders: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Colour distance from the texture render [B], over the pixels that the mesh covers wholly, at fakes' size."""
        size = fakes.shape[1]
        inside = tf.cast(reduce_to(mask, size) > 0.999, tf.float32)
        return masked_l1_loss(tf.cast(fakes, tf.float32), reduce_to(renders[..., :3], size), inside)

    def _imitate(self, batch: Batch) -> Update:
        """The renderer alone, without a discriminator."""
        renders, mask = self.render(batch["coefficients"])
        with tf.GradientTape() as tape:
            fakes = self.generate(self.styles(batch), batch["coefficients"], renders, self.imitate_size)
            l1 = self.share.mean(self._distance(fakes, renders, mask))
            loss = l1 * self.config.weights.imitate
        return {"imitate": l1}, {"imitate": gradients(tape, loss, self.generator)}

    def _beside(self, images: tf.Tensor, renders: tf.Tensor, purpose: int) -> tf.Tensor:
        """What the discriminator sees [B, R, R, 3 + k]."""
        return tf.concat([self.augment(tf.cast(images, tf.float32), purpose), chosen(renders, self.judged)], -1)

    def _adversarial(self, batch: Batch) -> Update:
        """The discriminator's step and the generator's, from one forward pass."""
        mean, weights = self.share.mean, self.config.weights
        reals = to_network_range(batch["image"])
        renders, mask = self.render(batch["coefficients"])
        with tf.GradientTape(persistent=True) as tape:
            fakes = self.generate(self.styles(batch), batch["coefficients"], renders)
            fake_logits = self.discriminator(self._beside(fakes, renders, AUGMENT_FAKES))
            real_logits = self.discriminator(self._beside(reals, renders, AUGMENT_REALS))
            terms = {
                "generator": mean(adversarial.generator_loss(fake_logits)),
                "discriminator": mean(adversarial.real_loss(real_logits)) + mean(adversarial.fake_loss(fake_logits)),
            }
            weighted = terms["generator"]
            if weights.image_l1:
                terms["image_l1"] = mean(self._distance(fakes, renders, mask))
                weighted += weights.image_l1 * terms["image_l1"]
        updates = {
            "generator": gradients(tape, weighted, self.generator),
            "discriminator": gradients(tape, terms["discriminator"], self.discriminator),
        }
        return terms | logit_terms(self.config, mean, real_logits, fake_logits), updates

    def _r1(self, batch: Batch) -> Update:
        """The penalty on the gradient by the image alone, not by the renders."""
        config, network = self.config, self.discriminator
        renders, _ = self.render(batch["coefficients"])
        with tf.GradientTape() as tape:
            penalty = self.share.mean(
                adversarial.r1_penalty(
                    lambda images: network(self._beside(images, renders, AUGMENT_R1)), to_network_range(batch["image"])
                )
            )
            loss = penalty * (config.r1_gamma / 2 * (config.r1_interval if config.lazy_r1 else 1))
        return {"r1": penalty}, {"discriminator": gradients(tape, loss, network)}

    def _texture(self, batch: Batch) -> Update:
        """Faces between those of the batch, all of one style: their textures, where two of them show the same place."""
        assert self.space is not None
        config = self.config
        share = tf.random.stateless_uniform([], self.share.seed(TEXTURE))
        coefficients = interpolated(batch["coefficients"], share, self.layout)
        rows = coefficients.shape[0]
        renders, _ = self.render(coefficients)
        style = tf.repeat(self.share.normal(STYLE, 1, config.noise_dim), rows, 0)
        compared = pairs(self.share.seed(TEXTURE_PAIRS), rows)
        with tf.GradientTape() as tape:
            fakes = self.generate(style, coefficients, renders)
            distance = self.share.mean(texture_distance(*self.space(fakes, coefficients), compared))
            loss = distance * config.weights.texture * config.texture_interval
        return {"texture": distance}, {"generator": gradients(tape, loss, self.generator)}
