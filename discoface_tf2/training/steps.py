"""One training step: draw λ and noise, generate, judge, imitate, contrast, update.

The fake images are made once: the generator's and the discriminator's gradients come from the same forward pass, on one
tape. Rows of a step: the first B are the batch; in stage 2, P more repeat rows 0…P-1 with another expression, and P
more repeat rows P…2P-1 under another light, so that each pair shares everything else.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.losses import adversarial, contrastive, imitative
from discoface_tf2.perception import Perception
from discoface_tf2.training.draws import LATENT, LAYER_NOISE, PAIR_LATENT, PATH_LENGTH, replica_normal, seed_for
from discoface_tf2.training.pixels import pixel_loss, to_network_range
from discoface_tf2.training.state import TrainingState
from renderer import FaceRenderer
from renderer.camera import Camera
from renderer.face_renderer import Rendering
from vae import FactorSampler

Terms = dict[str, tf.Tensor]


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
        self.sampler, self.renderer, self.perception = sampler, renderer, perception
        self.layout = renderer.layout
        self.replicas = strategy.num_replicas_in_sync
        if config.batch_size % self.replicas or config.pairs % self.replicas:
            raise ValueError(
                f"batch_size and pairs must divide by the {self.replicas} replicas. "
                f"Received: batch_size={config.batch_size}, pairs={config.pairs}"
            )
        self.batch = config.batch_size // self.replicas
        self.pairs = config.pairs // self.replicas if config.stage == 2 else 0
        self.landmark_camera = Camera.reconstruction()
        self.imitate_size, self.l1_size = (
            min(size, config.resolution) for size in (config.imitate_resolution, config.l1_resolution)
        )
        self.expression_std = tf.constant(renderer.face_model.expression_std, tf.float32)
        self._functions: dict[str, Callable[..., Terms]] = {}

    def __call__(self, photographs: tf.Tensor, phase: str) -> Terms:
        """Runs the step that the phase asks for and updates networks, average and counter."""
        if phase not in self._functions:
            self._functions[phase] = tf.function(lambda images: self._step(images, phase), reduce_retracing=False)
        return self._functions[phase](photographs)

    def penalties(self, photographs: tf.Tensor, step: int) -> Terms:
        """The lazy penalties that are due at this step: R1 every r1_interval, path length every pl_interval."""
        terms: Terms = {}
        for name, body, interval, weight in (
            ("r1", self._r1_step, self.config.r1_interval, self.config.r1_gamma),
            ("path_length", self._path_length_step, self.config.pl_interval, self.config.pl_weight),
        ):
            if weight and step % interval == 0:
                if name not in self._functions:
                    self._functions[name] = tf.function(self._distributed(body))
                terms |= self._functions[name](photographs)
        return terms

    # ---- one step over all replicas -------------------------------------------------------------------------------

    def _distributed(self, body: Callable[..., Terms]) -> Callable[..., Terms]:
        def run(photographs: tf.Tensor) -> Terms:
            terms = self.strategy.run(body, args=(photographs,))
            return {k: self.strategy.reduce("SUM", v, axis=None) for k, v in terms.items()}

        return run

    def _step(self, photographs: tf.Tensor, phase: str) -> Terms:
        body = self._imitate if phase == "imitate" else lambda images: self._adversarial(images, phase)
        terms = self._distributed(body)(photographs)
        self.state.update_average(self.state.images)
        self.state.images.assign_add(self.config.batch_size)
        return terms

    def _mean(self, per_image: tf.Tensor) -> tf.Tensor:
        """This replica's share of the mean over the global batch; replicas' shares are summed."""
        return tf.reduce_sum(per_image) / tf.cast(per_image.shape[0] * self.replicas, tf.float32)

    # ---- draws ----------------------------------------------------------------------------------------------------

    def _draw(self) -> tuple[tf.Tensor, tf.Tensor]:
        """λ [B + 2P, L] and noise [B + 2P, N] of this step, in the row order of the module's docstring."""
        seed, shown = self.config.seed, self.state.images
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

    def _layer_noise(self) -> tf.Tensor | None:
        if not self.config.layer_noise:
            return None
        return seed_for(self.config.seed, LAYER_NOISE, self.state.images)

    # ---- phases ---------------------------------------------------------------------------------------------------

    def _imitate(self, photographs: tf.Tensor) -> Terms:
        """The renderer alone, at `imitate_resolution`: the synthesis stops there, and there is no discriminator."""
        del photographs
        state = self.state
        lambdas, noise = self._draw()
        rendering = self.renderer(lambdas)
        size = self.imitate_size
        with tf.GradientTape() as tape:
            fakes = state.generator(tf.concat([lambdas, noise], -1), noise=self._layer_noise(), max_resolution=size)
            l1 = self._mean(pixel_loss(fakes, rendering, size))
            loss = l1 * self.config.weights.warmup_l1
        _update(tape, loss, state.generator, state.imitate_optimizer)
        return {"warmup_l1": l1}

    def _adversarial(self, photographs: tf.Tensor, phase: str) -> Terms:
        """The discriminator's step and the generator's, from one forward pass."""
        state, weights = self.state, self.config.weights
        reals = to_network_range(photographs)
        lambdas, noise = self._draw()
        rendering = self.renderer(lambdas[: self.batch])
        with tf.GradientTape(persistent=True) as tape:
            fakes = state.generator(tf.concat([lambdas, noise], -1), noise=self._layer_noise())
            fake_logits = state.discriminator(fakes)
            real_logits = state.discriminator(reals)
            terms = {
                "generator": self._mean(adversarial.generator_loss(fake_logits)),
                "discriminator": self._mean(adversarial.discriminator_loss(real_logits, fake_logits[: self.batch])),
            }
            weighted = terms["generator"]
            if phase == "warmup":
                terms["warmup_l1"] = self._mean(pixel_loss(fakes, rendering, self.l1_size))
                weighted += weights.warmup_l1 * terms["warmup_l1"]
            else:
                per_image = self._perceptual(fakes, lambdas, rendering)
                if weights.image_l1:
                    per_image["image_l1"] = pixel_loss(fakes[: self.batch], rendering, self.l1_size)
                for name, value in per_image.items():
                    terms[name] = self._mean(value)
                    weighted += getattr(weights, name) * terms[name]
        for loss, network, optimizer in (
            (weighted, state.generator, state.generator_optimizer),
            (terms["discriminator"], state.discriminator, state.discriminator_optimizer),
        ):
            _update(tape, loss, network, optimizer)
        terms["score_real"], terms["score_fake"] = self._mean(real_logits[:, 0]), self._mean(fake_logits[:, 0])
        return terms

    # ---- imitation and contrast -----------------------------------------------------------------------------------

    def _perceptual(self, fakes: tf.Tensor, lambdas: tf.Tensor, rendering: Rendering) -> Terms:
        """Per-image terms of stage 1 [B] and, with pairs, of stage 2 [P]."""
        batch, pairs, seen = self.batch, self.pairs, self.perception
        fakes = tf.cast(fakes, tf.float32)
        render = to_network_range(rendering.image)
        # Each network sees what it must, once: the batch and the second images of the lighting pairs, whose face masks
        # are those of the first images.
        looked_at = tf.concat([fakes[:batch], fakes[batch + pairs :]], 0)
        masks = tf.concat([rendering.mask, rendering.mask[pairs : 2 * pairs]], 0)
        coefficients = seen.reconstruction(looked_at)
        embeddings = seen.identity(looked_at * masks + masks - 1.0)  # black, as the render is, where there is no face
        landmarks = self.renderer.landmarks(coefficients, camera=self.landmark_camera)
        wanted = self.renderer.landmarks(lambdas[:batch], camera=self.landmark_camera)
        lighting = self.layout.slice("lighting")
        terms = {
            "identity": imitative.identity_loss(embeddings[:batch], tf.stop_gradient(seen.identity(render))),
            "landmarks": imitative.landmark_loss(landmarks[:batch], wanted),
            "lighting": imitative.lighting_loss(coefficients[:batch, lighting], lambdas[:batch, lighting]),
            "skin": imitative.skin_colour_loss(fakes[:batch], render, rendering.mask),
        }
        if self.config.weights.expression:
            expression = self.layout.slice("expression")
            drawn = tf.stop_gradient(seen.reconstruction(render))[:, expression]
            terms["expression"] = imitative.expression_loss(
                coefficients[:batch, expression], drawn, self.expression_std
            )
        if not pairs:
            return terms
        flow = self.renderer.flow(lambdas[:pairs], lambdas[batch : batch + pairs])
        first, second = fakes[:pairs], fakes[batch : batch + pairs]
        terms["expression_warp"] = contrastive.expression_warp_loss(
            first, second, flow.flow, flow.mask_from, flow.mask_to
        )
        lit = tf.concat([fakes[pairs : 2 * pairs], fakes[batch + pairs :]], 0)
        hair = seen.parsing(lit)[..., 2:3]
        rows, others = slice(pairs, 2 * pairs), slice(batch, batch + pairs)  # of `looked_at`
        terms["lighting_change"] = contrastive.lighting_change_loss(
            hair[:pairs], hair[pairs:], embeddings[rows], embeddings[others], landmarks[rows], landmarks[others]
        )
        return terms

    # ---- lazy penalties -------------------------------------------------------------------------------------------

    def _r1_step(self, photographs: tf.Tensor) -> Terms:
        network = self.state.discriminator
        with tf.GradientTape() as tape:
            penalty = self._mean(adversarial.r1_penalty(network, to_network_range(photographs)))
            loss = penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)
        _update(tape, loss, network, self.state.discriminator_optimizer)
        return {"r1": penalty}

    def _path_length_step(self, photographs: tf.Tensor) -> Terms:
        del photographs
        state, config = self.state, self.config
        lambdas, noise = self._draw()
        rows = max(self.batch // 2, 1)  # the reference's pl_batch_shrink
        size = config.resolution
        image_noise = replica_normal(
            config.seed, PATH_LENGTH, state.images, rows, size * size * 3, self.replicas
        )  # fmt: skip
        image_noise = tf.reshape(image_noise, [rows, size, size, 3])
        layer_noise = self._layer_noise()
        with tf.GradientTape() as tape:
            ws = state.generator.styles(tf.concat([lambdas, noise], -1)[:rows])
            lengths = adversarial.path_lengths(
                lambda w: state.generator.synthesis(w, noise=layer_noise), ws, image_noise
            )
            mean = state.mean_path_length + 0.01 * (tf.reduce_mean(lengths) - state.mean_path_length)
            penalty = self._mean(tf.square(lengths - mean))
            loss = penalty * config.pl_weight * config.pl_interval
        _update(tape, loss, state.generator, state.generator_optimizer)
        state.mean_path_length.assign(mean)
        return {"path_length": penalty}


def _update(
    tape: tf.GradientTape, loss: tf.Tensor, network: keras.Model, optimizer: keras.optimizers.Optimizer
) -> None:
    """One optimiser step; weights that the loss does not reach (layers above 32, last biases) get a zero gradient."""
    raw = [variable.value for variable in network.trainable_variables]
    gradients = tape.gradient(loss, raw, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    optimizer.apply(gradients, network.trainable_variables)


def _replace(first: tf.Tensor, second: tf.Tensor, where: slice) -> tf.Tensor:
    """`first` [P, L] with the columns `where` taken from `second`."""
    return tf.concat([first[:, : where.start], second[:, where], first[:, where.stop :]], -1)
