"""One training step: draw λ and noise, generate, judge, imitate, contrast, update.

The fake images are made once: the generator's and the discriminator's gradients come from the same forward pass, on one
tape. Rows of a step: the first B are the batch; in stage 2, P more repeat rows 0…P-1 with another expression, and P
more repeat rows P…2P-1 under another light, so that each pair shares everything else.

Stage 2 adds the adversarial terms of both stages, as the method does: the mean over the batch plus the mean over the
pairs' 4P images. The method draws the pairs' first images anew; here they are rows of the batch. The discriminator's
loss has the mean of the two: Adam does not see the factor of 2, and R1, which is a step of its own, keeps its share.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.losses import adversarial
from discoface_tf2.networks.synthesis import BatchNoise
from discoface_tf2.perception import Perception
from discoface_tf2.training.distribution import jit_compiled
from discoface_tf2.training.draws import (
    AUGMENT_FAKES,
    AUGMENT_R1,
    AUGMENT_REALS,
    LATENT,
    LAYER_NOISE,
    PAIR_LATENT,
    PATH_LATENT,
    PATH_LENGTH,
    replica_normal,
    seed_for,
)
from discoface_tf2.training.imitation import Imitation
from discoface_tf2.training.meter import Meter
from discoface_tf2.training.pixels import pixel_loss, to_network_range
from discoface_tf2.training.state import TrainingState
from renderer import FaceRenderer
from vae import FactorSampler

Terms = dict[str, tf.Tensor]
Outcome = tuple[Terms, dict[str, list[tf.Tensor]]]  # and gradients, by the name of what is trained (TrainingState)


class TrainingStep:
    """The step of a run, one `tf.function` a phase.

    Call arguments: photographs uint8 [batch / replicas, R, R, 3] (a per-replica value under a strategy of several), and
    the phase. Returns scalar loss terms, unweighted, averaged over the global batch.
    """

    def __init__(
        self,
        config: TrainingConfig,
        state: TrainingState,
        strategy: tf.distribute.Strategy,
        sampler: FactorSampler,
        renderer: FaceRenderer,
        perception: Perception,
    ):
        self.config, self.state, self.strategy = config, state, strategy
        self.sampler, self.renderer = sampler, renderer
        self.layout = renderer.layout
        self.replicas = strategy.num_replicas_in_sync
        config.require_replicas(self.replicas)
        self.batch = config.batch_size // self.replicas
        self.pairs = config.pairs // self.replicas if config.stage == 2 else 0
        self.imitate_size = min(config.imitate_resolution, config.resolution)
        self.imitation = Imitation(config, renderer, perception, self.batch, self.pairs)
        self.jit_compile = jit_compiled(config.jit_compile)
        with strategy.scope():
            self.meter = Meter()
        self._functions: dict[str, Callable[..., Terms]] = {}

    def __call__(self, photographs: tf.Tensor, phase: str) -> Terms:
        """Runs the step that the phase asks for and updates networks, average and counter."""
        if phase not in self._functions:
            self._functions[phase] = tf.function(lambda images: self._step(images, phase), autograph=False)
        return self._functions[phase](photographs)

    def penalties(self, photographs: tf.Tensor, step: int) -> Terms:
        """The lazy penalties that are due at this step: R1 every r1_interval, path length every pl_interval."""
        terms: Terms = {}
        for name, body, interval, weight in (
            ("r1", self._r1, self.config.r1_interval, self.config.r1_gamma),
            ("path_length", self._path_length, self.config.pl_interval, self.config.pl_weight),
        ):
            if weight and step % interval == 0:
                if name not in self._functions:
                    self._functions[name] = tf.function(body, autograph=False)
                    if name == "path_length" and float(self.state.mean_path_length.numpy()) < 0:
                        tf.function(self._first_mean_path_length, autograph=False)(photographs)
                terms |= self._functions[name](photographs)
        return terms

    # ---- one step over all replicas -------------------------------------------------------------------------------

    def _distributed(self, body: Callable[[tf.Tensor], Outcome], label: str = "") -> Callable[[tf.Tensor], Terms]:
        """`body` on every replica, its gradients applied to the networks, its terms summed.

        XLA compiles the body alone: the gradients' sum over replicas is not its to do. To the terms come the gradients'
        norms, under `label` or the network's name; over several replicas, the sum of the norms of their shares.
        """
        compute = tf.function(body, autograph=False, jit_compile=True) if self.jit_compile else body

        def replica(photographs: tf.Tensor) -> tf.Tensor:
            terms, gradients = compute(photographs)
            for name, values in gradients.items():
                network, optimizer = self.state.trained[name]
                optimizer.apply(values, network.trainable_variables)
                terms[f"gradient_{label or name}"] = tf.linalg.global_norm(values)
            names[:] = terms
            return tf.stack([tf.cast(value, tf.float32) for value in terms.values()])  # one message for all

        def run(photographs: tf.Tensor) -> Terms:
            values = self.strategy.reduce("SUM", self.strategy.run(replica, args=(photographs,)), axis=None)
            return dict(zip(names, tf.unstack(values, len(names)), strict=True))

        names: list[str] = []
        return run

    def _metered(self, terms: Terms) -> Terms:
        """Adds the terms to the meter; returns the losses and scores alone."""
        self.meter.add(terms, self.state.images)
        return {name: value for name, value in terms.items() if not name.startswith("gradient_")}

    def _step(self, photographs: tf.Tensor, phase: str) -> Terms:
        body = self._imitate if phase == "imitate" else lambda images: self._adversarial(images, phase)
        terms = self._distributed(body)(photographs)
        if self.state.ada is not None and "ada_rt" in terms:
            terms |= self.state.ada.update(terms["ada_rt"])
        self.state.update_average(self.state.images)
        self.state.images.assign_add(self.config.batch_size)
        return self._metered(terms)

    def _mean(self, per_image: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the global batch; replicas' shares are summed."""
        return tf.reduce_sum(per_image) / tf.cast(per_image.shape[0] * self.replicas, tf.float32)

    # ---- draws ----------------------------------------------------------------------------------------------------

    def _draw(self) -> tuple[tf.Tensor, tf.Tensor]:
        """λ [B + 2P, L] and noise [B + 2P, N] of this step, in the row order of the module's docstring."""
        seed, shown = self.config.draw_seed, self.state.images
        latent_size, noise_dim = self.sampler.latent_size, self.config.noise_dim
        draw = replica_normal(seed, LATENT, shown, self.batch, latent_size + noise_dim, self.replicas)
        lambdas, noise = self.sampler.sample(draw[:, :latent_size]), draw[:, latent_size:]
        if not self.pairs:
            return lambdas, noise
        pairs = self.pairs
        other = self.sampler.sample(replica_normal(seed, PAIR_LATENT, shown, 2 * pairs, latent_size, self.replicas))
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
        rows = tf.range(images) % self.batch
        if self.replicas > 1:  # row i of the global batch is of replica i mod n
            rows = rows * self.replicas + tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = seed_for(self.config.draw_seed, LAYER_NOISE, self.state.images)
        return BatchNoise(seed, rows, self.batch * self.replicas)

    def _augmented(self, images: tf.Tensor, purpose: int) -> tf.Tensor:
        """What the discriminator is shown of these images: themselves, or with ADA, an augmentation of them."""
        if self.state.ada is None:
            return images
        return self.state.ada(images, purpose, self.state.images, self.replicas)

    # ---- phases ---------------------------------------------------------------------------------------------------

    def _imitate(self, photographs: tf.Tensor) -> Outcome:
        """The renderer alone, at `imitate_resolution`: the synthesis stops there, and there is no discriminator."""
        del photographs
        state = self.state
        lambdas, noise = self._draw()
        rendering = self.renderer(lambdas)
        size = self.imitate_size
        with tf.GradientTape() as tape:
            layer_noise = self._layer_noise(lambdas.shape[0])
            fakes = state.generator(tf.concat([lambdas, noise], -1), noise=layer_noise, max_resolution=size)
            l1 = self._mean(pixel_loss(fakes, rendering, size))
            loss = l1 * self.config.weights.warmup_l1
        return {"warmup_l1": l1}, {"imitate": _gradients(tape, loss, state.generator)}

    def _adversarial(self, photographs: tf.Tensor, phase: str) -> Outcome:
        """The discriminator's step and the generator's, from one forward pass."""
        state, weights = self.state, self.imitation.wanted(phase)
        reals = to_network_range(photographs)
        lambdas, noise = self._draw()
        with tf.GradientTape(persistent=True) as tape:
            fakes = state.generator(tf.concat([lambdas, noise], -1), noise=self._layer_noise(lambdas.shape[0]))
            fake_logits = state.discriminator(self._augmented(fakes, AUGMENT_FAKES))
            real_logits = state.discriminator(self._augmented(reals, AUGMENT_REALS))
            judged = [fake_logits[: self.batch]]
            if self.pairs:
                judged.append(tf.concat([fake_logits[: 2 * self.pairs], fake_logits[self.batch :]], 0))
            terms = {
                "generator": tf.add_n([self._mean(adversarial.generator_loss(logits)) for logits in judged]),
                "discriminator": self._mean(adversarial.real_loss(real_logits))
                + tf.add_n([self._mean(adversarial.fake_loss(logits)) for logits in judged]) / len(judged),
            }
            weighted = terms["generator"]
            for name, value in self.imitation(fakes, lambdas, phase).items():
                terms[name] = self._mean(value)
                weighted += weights[name] * terms[name]
        gradients = {
            "generator": _gradients(tape, weighted, state.generator),
            "discriminator": _gradients(tape, terms["discriminator"], state.discriminator),
        }
        terms["score_real"], terms["score_fake"] = self._mean(real_logits[:, 0]), self._mean(fake_logits[:, 0])
        if state.ada is not None:
            terms["ada_rt"] = self._mean(tf.sign(real_logits[:, 0]))
        return terms, gradients

    # ---- lazy penalties -------------------------------------------------------------------------------------------

    def _r1_step(self, photographs: tf.Tensor) -> Outcome:
        network = self.state.discriminator
        with tf.GradientTape() as tape:
            reals = to_network_range(photographs)
            penalty = self._mean(
                adversarial.r1_penalty(lambda images: network(self._augmented(images, AUGMENT_R1)), reals)
            )
            loss = penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)
        return {"r1": penalty}, {"discriminator": _gradients(tape, loss, network)}

    def _r1(self, photographs: tf.Tensor) -> Terms:
        return self._metered(self._distributed(self._r1_step, "r1")(photographs))

    def _path_length_step(self, photographs: tf.Tensor) -> Outcome:
        del photographs
        state, config = self.state, self.config
        seed, shown = config.draw_seed, state.images
        rows = max(self.batch // 2, 1)  # the reference's pl_batch_shrink
        latent_size, size = self.sampler.latent_size, config.resolution
        draw = replica_normal(seed, PATH_LATENT, shown, rows, latent_size + config.noise_dim, self.replicas)
        inputs = tf.concat([self.sampler.sample(draw[:, :latent_size]), draw[:, latent_size:]], -1)
        image_noise = replica_normal(seed, PATH_LENGTH, shown, rows, size * size * 3, self.replicas)
        image_noise = tf.reshape(image_noise, [rows, size, size, 3])
        layer_noise = self._layer_noise(rows)
        with tf.GradientTape() as tape:
            lengths = adversarial.path_lengths(
                lambda w: state.generator.synthesis(w, noise=layer_noise), state.generator.styles(inputs), image_noise
            )
            penalty = self._mean(tf.square(lengths - state.mean_path_length))
            loss = penalty * config.pl_weight * config.pl_interval
        terms = {"path_length": penalty, "mean_path_length": self._mean(lengths)}
        return terms, {"generator": _gradients(tape, loss, state.generator)}

    def _first_mean_path_length(self, photographs: tf.Tensor) -> None:
        """Takes the mean of the lengths as they are now: a run from a snapshot that does not know its own."""
        measure = self._distributed(lambda images: (self._path_length_step(images)[0], {}))
        self.state.mean_path_length.assign(measure(photographs)["mean_path_length"])

    def _path_length(self, photographs: tf.Tensor) -> Terms:
        """The penalty over all replicas, then one step of the mean that the next one compares with."""
        terms = self._distributed(self._path_length_step, "path_length")(photographs)
        mean = self.state.mean_path_length
        mean.assign(mean + 0.01 * (terms["mean_path_length"] - mean))
        return self._metered(terms)


def _gradients(tape: tf.GradientTape, loss: tf.Tensor, network: keras.Model) -> list[tf.Tensor]:
    """Of the loss by each weight; zero where it does not reach (layers above 32 pixels, last biases)."""
    raw = [variable.value for variable in network.trainable_variables]
    return tape.gradient(loss, raw, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _replace(first: tf.Tensor, second: tf.Tensor, where: slice) -> tf.Tensor:
    """`first` [P, L] with the columns `where` taken from `second`."""
    return tf.concat([first[:, : where.start], second[:, where], first[:, where.stop :]], -1)
