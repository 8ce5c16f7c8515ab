"""A photograph in a generator's space: coefficients, noise and a style per layer, by an encoder and optimisation.

References: Abdal et al., "Image2StyleGAN" (2019) for W+; Deng et al., "Disentangled and controllable face image
generation" (2020), section 5, for edits by the difference of two mappings.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.embedding.encoder import Encoder
from discoface_tf2.generation import to_uint8
from discoface_tf2.model import Model
from discoface_tf2.perception import Perception
from discoface_tf2.systems.base import FaceGenerator
from renderer.files import save_npz
from renderer.options import check_options, number, option, positive, whole

FORMAT = "discoface_tf2 embedding, version 1"
_SAMPLES = 1024  # people who say how far coefficients and styles spread
_SEED = 20_211_019  # theirs; any number


@dataclass(frozen=True)
class EmbedOptions:
    """How photographs are embedded."""

    steps: int = option(150, "steps of the optimisation; 0: the encoder's answer", whole(0, 100_000))
    learning_rate: float = option(0.05, "Adam's, in standard deviations of w", positive(10.0))
    pixels: float = option(1.0, "weight of the L1 distance, at three sizes", number(0, 1e6))
    perceptual: float = option(1.0, "weight of the distance between the identity network's feature maps",
                               number(0, 1e6))  # fmt: skip
    identity: float = option(0.2, "weight of one less the similarity of identities", number(0, 1e6))
    w_prior: float = option(0.003, "weight of the distance of w from its average", number(0, 1e6))
    coefficients_prior: float = option(0.02, "weight of the distance of coefficients from the reconstruction",
                                       number(0, 1e6))  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, eq=False)
class Embedding:
    """N photographs as a generator has them.

    Attributes:
        coefficients: λ [N, λ] float32.
        noise: [N, noise_dim] float32.
        ws: [N, num_ws, w_dim] float32; what mapping gives for coefficients and noise is not in it: `edit` adds changes.
        psnr: [N] dB, of the photograph and what the generator draws of it.
        similarity: [N] of identities, -1 to 1.
    """

    coefficients: np.ndarray
    noise: np.ndarray
    ws: np.ndarray
    psnr: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.ws)

    def __getitem__(self, rows: int | slice | np.ndarray) -> Embedding:
        """Some of them."""
        which = np.atleast_1d(np.arange(len(self))[rows])
        return Embedding(**{name: value[which] for name, value in vars(self).items()})

    @staticmethod
    def joined(parts: list[Embedding]) -> Embedding:
        """All of several, in order."""
        return Embedding(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})

    def save(self, path: Path, facts: dict[str, str]) -> None:
        """Writes them as one `.npz`; `facts` say what they belong to: see `load`."""
        save_npz({"manifest": np.array(json.dumps({"format": FORMAT, "facts": facts})), **vars(self)}, path)

    @classmethod
    def load(cls, path: Path, facts: dict[str, str]) -> Embedding | None:
        """What `save` wrote with the same facts; None where there is no such file, or it is not whole."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                if json.loads(str(stored["manifest"])) != {"format": FORMAT, "facts": facts}:
                    return None
                return cls(**{name: stored[name] for name in cls.__dataclass_fields__})
        except Exception:  # a damaged archive fails in zipfile, zlib or numpy, each with its own errors
            return None


class Embedder:
    """Embeds aligned photographs of a model's resolution.

    Args:
        model: whose generator draws them.
        perception: its networks compare; the reconstruction tells the coefficients where none are given.
        options: steps and weights.
        encoder: where the optimisation starts; without one, at the styles of the coefficients and no noise.
    """

    def __init__(
        self,
        model: Model,
        perception: Perception,
        options: EmbedOptions | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.model, self.perception, self.options = model, perception, options or EmbedOptions()
        self.faces, self.encoder = model.faces, encoder
        self.w_std, self.coefficient_std = spreads(model)
        self._step = tf.function(self._update)

    def __call__(
        self, images: np.ndarray, coefficients: np.ndarray, progress: Callable[[], object] | None = None
    ) -> Embedding:
        """Images uint8 [N, R, R, 3] with coefficients [N, λ or more] → where they are.

        `progress` is called after every step.
        """
        goal = tf.constant(images, tf.float32) / 127.5 - 1.0
        start = tf.constant(coefficients[:, : self.model.layout.lambda_size], tf.float32)
        noise = tf.zeros([len(images), self.model.noise_dim])
        ws = self.faces.styles(start, noise, 0.5)
        if self.encoder is not None:
            ws = self.faces.average_w + self.encoder(goal) * self.w_std
        moves = [tf.Variable(tf.zeros_like(ws)), tf.Variable(tf.zeros_like(start))]
        optimizer = keras.optimizers.Adam(self.options.learning_rate, beta_1=0.9, beta_2=0.99)
        optimizer.build(moves)
        for step in range(self.options.steps):
            optimizer.learning_rate.assign(self.options.learning_rate * _falling(step / self.options.steps))
            optimizer.apply(self._step(goal, ws, start, *moves), moves)
            if progress is not None:
                progress()
        found, ws = start + moves[1] * self.coefficient_std, ws + moves[0] * self.w_std
        drawn = to_uint8(self.faces.synthesis(ws, found).numpy())
        error = ((drawn.astype(np.float32) - images) ** 2).mean((1, 2, 3))
        likeness = tf.reduce_sum(
            self.perception.identity(goal) * self.perception.identity(tf.constant(drawn, tf.float32) / 127.5 - 1.0), -1
        )
        return Embedding(
            found.numpy(), noise.numpy(), ws.numpy(), 10 * np.log10(255**2 / np.maximum(error, 1e-3)), likeness.numpy()
        )

    def _update(
        self, goal: tf.Tensor, ws: tf.Tensor, start: tf.Tensor, w_move: tf.Tensor, coefficient_move: tf.Tensor
    ) -> list[tf.Tensor]:
        options = self.options
        with tf.GradientTape() as tape:
            moved, moves = [tf.convert_to_tensor(move) for move in (w_move, coefficient_move)], []
            tape.watch(moved)
            styles = ws + moved[0] * self.w_std
            drawn = self.faces.synthesis(styles, start + moved[1] * self.coefficient_std)
            far = (styles - self.faces.average_w) / self.w_std
            # Sums over the batch: an image's embedding does not depend on the others.
            loss = tf.reduce_sum(distance(drawn, goal, self.perception, options))
            loss += options.w_prior * tf.reduce_sum(tf.reduce_mean(far**2, (1, 2)))
            loss += options.coefficients_prior * tf.reduce_sum(tf.reduce_mean(moved[1] ** 2, 1))
        moves = tape.gradient(loss, moved, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return list(moves)


def edit(faces: FaceGenerator, embedding: Embedding, coefficients: np.ndarray) -> np.ndarray:
    """Images uint8 [N, R, R, 3] of embeddings with other coefficients [N, λ].

    What the mapping makes of the change is added in W+ (the paper's section 5); a system whose renders alone carry the
    coefficients has nothing to add there.
    """
    noise, after = (tf.constant(values, tf.float32) for values in (embedding.noise, coefficients))
    before = tf.constant(embedding.coefficients, tf.float32)
    ws = embedding.ws + faces.styles(after, noise, 1.0) - faces.styles(before, noise, 1.0)
    return to_uint8(faces.synthesis(ws, after).numpy())


def distance(drawn: tf.Tensor, goal: tf.Tensor, perception: Perception, options: EmbedOptions) -> tf.Tensor:
    """How far images [B, R, R, 3] are from others, [B]: pixels at three sizes, feature maps, identity."""
    total = tf.zeros([tf.shape(goal)[0]])
    for factor in (1, 2, 4):
        ours, theirs = (tf.nn.avg_pool2d(images, factor, factor, "VALID") for images in (drawn, goal))
        total += options.pixels / 3 * tf.reduce_mean(tf.abs(ours - theirs), (1, 2, 3))
    identity = perception.identity
    if options.perceptual and hasattr(identity, "maps"):
        for ours, theirs in zip(identity.maps(drawn), identity.maps(goal), strict=True):
            # As LPIPS compares: unit vectors at each place, over all places.
            apart = tf.math.l2_normalize(ours, -1) - tf.math.l2_normalize(theirs, -1)
            total += options.perceptual * tf.reduce_mean(tf.reduce_sum(apart**2, -1), (1, 2))
    if options.identity:
        total += options.identity * (1.0 - tf.reduce_sum(identity(drawn) * identity(goal), -1))
    return total


def spreads(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations over people: of w [w_dim], and of coefficients [λ]."""
    rng, sampler = np.random.default_rng(_SEED), model.sampler
    coefficients = sampler.sample(rng.standard_normal([_SAMPLES, sampler.latent_size], np.float32))
    noise = tf.constant(rng.standard_normal([_SAMPLES, model.noise_dim]), tf.float32)
    ws = model.faces.styles(coefficients, noise, 1.0).numpy()
    return ws.std((0, 1)) + 1e-6, coefficients.numpy().std(0) + 1e-6


def _falling(done: float) -> float:
    """Of the learning rate: whole for the first half, then down to a twentieth along a cosine."""
    return 1.0 if done < 0.5 else 0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * (2 * done - 1)))
