"""A step of `disco`: sample λ and noise, generate, discriminate, imitate, contrast.

The generated images are made once: the generator's and the discriminator's gradients come from the same forward pass,
on one tape. Rows of a step: the first B are the batch; in stage 2, P more repeat rows 0…P-1 with another expression,
and P more repeat rows P…2P-1 under another light, so that each pair shares everything else.

Stage 2 adds the adversarial terms of both stages, as the method does: the mean over the batch plus the mean over the
pairs' 4P images. The method samples the pairs' first images anew; here they are rows of the batch. The discriminator's
loss has the mean of the two: Adam does not see the factor of 2, and R1, which is a step of its own, keeps its share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from discoface_tf2.losses import adversarial
from discoface_tf2.losses.pixels import pixel_loss, to_network_range
from discoface_tf2.networks.stylegan2.synthesis import BatchNoise
from discoface_tf2.sampling import (
    AUGMENT_FAKES,
    AUGMENT_R1,
    AUGMENT_REALS,
    LATENT,
    LAYER_NOISE,
    PAIR_LATENT,
    PATH_LATENT,
    PATH_LENGTH,
)
from discoface_tf2.systems.base import Batch, Objective, Penalty, Terms, Update, gradients
from discoface_tf2.systems.disco.imitation import Imitation
from discoface_tf2.systems.stylegan import logit_terms
from renderer import FaceRenderer

MEAN_PATH_LENGTH = "mean_path_length"


class DiscoObjective(Objective):
    """Adversarial, imitative and contrastive losses, R1 and path length; see the module."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        config, share = self.config, self.share
        self.generator, self.discriminator = self.networks["generator"], self.networks["discriminator"]
        self.sampler, self.layout = self.tools.sampler, self.tools.face_model.layout
        self.batch = share.batch
        self.pairs = config.pairs // share.replicas if config.stage == 2 else 0
        self.imitate_size = min(config.imitate_resolution, config.resolution)
        self.renderer = FaceRenderer(self.tools.face_model, image_size=config.resolution, part="face")
        assert self.tools.perception is not None
        self.imitation = Imitation(config, self.renderer, self.tools.perception, self.batch, self.pairs)

    def update(self, batch: Batch, phase: str) -> Update:
        """The losses of a phase (`DiscoConfig.phase`)."""
        return self._imitate() if phase == "imitate" else self._adversarial(batch["image"], phase)

    def penalties(self, phase: str) -> Mapping[str, Penalty]:
        """R1 and path length, as the configuration has them; none while the generator imitates alone."""
        config, found = self.config, {}
        if phase != "imitate" and config.r1_gamma:
            found["r1"] = Penalty(config.r1_interval, lambda batch: self._r1(batch["image"]))
        if phase != "imitate" and config.pl_weight:
            unknown = float(self.variables[MEAN_PATH_LENGTH].numpy()) < 0
            found["path_length"] = Penalty(config.pl_interval, lambda _: self._path_length(),
                                           self._measure_mean if unknown else None, self._follow_mean)  # fmt: skip
        return found

    def weights(self, phase: str) -> Mapping[str, float]:
        """Those of the imitative and contrastive terms."""
        return self.imitation.wanted(phase)

    # ---- samples ----------------------------------------------------------------------------------------------------

    def sample(self) -> tuple[tf.Tensor, tf.Tensor]:
        """λ [B + 2P, L] and noise [B + 2P, N] of this step, in the row order of the module's docstring."""
        latent_size = self.sampler.latent_size
        normal = self.share.normal(LATENT, self.batch, latent_size + self.config.noise_dim)
        lambdas, noise = self.sampler.sample(normal[:, :latent_size]), normal[:, latent_size:]
        if not self.pairs:
            return lambdas, noise
        pairs = self.pairs
        other = self.sampler.sample(self.share.normal(PAIR_LATENT, 2 * pairs, latent_size))
        expression, lighting = self.layout.slice("expression"), self.layout.slice("lighting")
        second_expression = _replace(lambdas[:pairs], other[:pairs], expression)
        second_lighting = _replace(lambdas[pairs : 2 * pairs], other[pairs:], lighting)
        return (
            tf.concat([lambdas, second_expression, second_lighting], 0),
            tf.concat([noise, noise[: 2 * pairs]], 0),
        )

    def _layer_noise(self, images: int) -> BatchNoise | None:
        """Noise maps for so many images: one each, and the first's for the second of a pair."""
        if not self.config.layer_noise:
            return None
        rows = self.share.global_rows(tf.range(images) % self.batch)
        return BatchNoise(self.share.seed(LAYER_NOISE), rows, self.batch * self.share.replicas)

    # ---- phases -----------------------------------------------------------------------------------------------------

    def _imitate(self) -> Update:
        """The renderer alone, at `imitate_resolution`: the synthesis stops there, and there is no discriminator."""
        lambdas, noise = self.sample()
        rendering = self.renderer(lambdas)
        size = self.imitate_size
        with tf.GradientTape() as tape:
            layer_noise = self._layer_noise(lambdas.shape[0])
            fakes = self.generator(tf.concat([lambdas, noise], -1), noise=layer_noise, max_resolution=size)
            l1 = self.share.mean(pixel_loss(fakes, rendering, size))
            loss = l1 * self.config.weights.warmup_l1
        return {"warmup_l1": l1}, {"imitate": gradients(tape, loss, self.generator)}

    def _adversarial(self, reals: tf.Tensor, phase: str) -> Update:
        """The discriminator's step and the generator's, from one forward pass."""
        weights, mean = self.imitation.wanted(phase), self.share.mean
        reals = to_network_range(reals)
        lambdas, noise = self.sample()
        with tf.GradientTape(persistent=True) as tape:
            fakes = self.generator(tf.concat([lambdas, noise], -1), noise=self._layer_noise(lambdas.shape[0]))
            fake_logits = self.discriminator(self.augment(fakes, AUGMENT_FAKES))
            real_logits = self.discriminator(self.augment(reals, AUGMENT_REALS))
            judged = [fake_logits[: self.batch]]
            if self.pairs:
                judged.append(tf.concat([fake_logits[: 2 * self.pairs], fake_logits[self.batch :]], 0))
            terms = {
                "generator": tf.add_n([mean(adversarial.generator_loss(logits)) for logits in judged]),
                "discriminator": mean(adversarial.real_loss(real_logits))
                + tf.add_n([mean(adversarial.fake_loss(logits)) for logits in judged]) / len(judged),
            }
            weighted = terms["generator"]
            for name, value in self.imitation(fakes, lambdas, phase).items():
                terms[name] = mean(value)
                weighted += weights[name] * terms[name]
        updates = {
            "generator": gradients(tape, weighted, self.generator),
            "discriminator": gradients(tape, terms["discriminator"], self.discriminator),
        }
        return terms | logit_terms(self.config, mean, real_logits, fake_logits), updates

    # ---- lazy penalties ---------------------------------------------------------------------------------------------

    def _r1(self, reals: tf.Tensor) -> Update:
        network = self.discriminator
        with tf.GradientTape() as tape:
            reals = to_network_range(reals)
            penalty = self.share.mean(
                adversarial.r1_penalty(lambda images: network(self.augment(images, AUGMENT_R1)), reals)
            )
            loss = penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)
        return {"r1": penalty}, {"discriminator": gradients(tape, loss, network)}

    def _path_length(self) -> Update:
        config, share, generator = self.config, self.share, self.generator
        rows = max(self.batch // 2, 1)  # the reference's pl_batch_shrink
        latent_size, size = self.sampler.latent_size, config.resolution
        normal = share.normal(PATH_LATENT, rows, latent_size + config.noise_dim)
        inputs = tf.concat([self.sampler.sample(normal[:, :latent_size]), normal[:, latent_size:]], -1)
        image_noise = tf.reshape(share.normal(PATH_LENGTH, rows, size * size * 3), [rows, size, size, 3])
        layer_noise = self._layer_noise(rows)
        with tf.GradientTape() as tape:
            lengths = adversarial.path_lengths(
                lambda w: generator.synthesis(w, noise=layer_noise), generator.styles(inputs), image_noise
            )
            penalty = share.mean(tf.square(lengths - self.variables[MEAN_PATH_LENGTH]))
            loss = penalty * config.pl_weight * config.pl_interval
        terms = {"path_length": penalty, MEAN_PATH_LENGTH: share.mean(lengths)}
        return terms, {"generator": gradients(tape, loss, generator)}

    def _measure_mean(self, terms: Terms) -> None:
        """Takes the mean of the lengths as they are now: a run from a snapshot that does not know its own."""
        self.variables[MEAN_PATH_LENGTH].assign(terms[MEAN_PATH_LENGTH])

    def _follow_mean(self, terms: Terms) -> None:
        """One step of the mean that the next penalty compares with."""
        mean = self.variables[MEAN_PATH_LENGTH]
        mean.assign(mean + 0.01 * (terms[MEAN_PATH_LENGTH] - mean))


def _replace(first: tf.Tensor, second: tf.Tensor, where: slice) -> tf.Tensor:
    """`first` [P, L] with the columns `where` taken from `second`."""
    return tf.concat([first[:, : where.start], second[:, where], first[:, where.stop :]], -1)
