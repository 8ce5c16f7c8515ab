"""What a system is to the rest: training, generation, metrics and export rely on this, and on no system by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.perception import Perception
from discoface_tf2.sampling import ReplicaShare
from renderer import FaceModel, FaceRenderer
from renderer.layout import CoefficientLayout
from vae import FactorSampler

Networks = Mapping[str, keras.Model]  # "generator", "discriminator", …
Batch = Mapping[str, tf.Tensor]  # `TrainingConfig.FIELDS` of the records [B, …]: see `datasets.reader.load_dataset`
Terms = dict[str, tf.Tensor]
# Loss terms, unweighted, and gradients by the name of an optimiser: one for each trainable variable of its network.
Update = tuple[Terms, dict[str, list[tf.Tensor]]]


class Architecture(NamedTuple):
    """Networks that a snapshot can hold: the dataclass of their sizes, and what builds them.

    The sizes have `resolution`, `input_size`, `inputs(lambda_size, noise_dim)` (what input_size has to be), `to_dict`
    and `from_dict`; the builders take (sizes, dtype=…, seed=…).
    """

    sizes: Any
    build_generator: Callable[..., keras.Model]
    build_discriminator: Callable[..., keras.Model]


@dataclass(frozen=True)
class Tools:
    """What a run uses and does not train."""

    face_model: FaceModel
    sampler: FactorSampler
    perception: Perception | None  # None where neither the losses nor the figures need it


class Penalty(NamedTuple):
    """A loss that is computed every `interval` steps, in an update of its own (lazy regularisation, StyleGAN2)."""

    interval: int
    update: Callable[[Batch], Update]
    # In cross-replica context, with the terms over all replicas: before the first update, and after each.
    first: Callable[[Terms], None] | None = None
    after: Callable[[Terms], None] | None = None


class FaceGenerator(ABC):
    """Images of coefficients and noise, by a trained generator.

    Attributes:
        layout: sizes of the coefficient groups.
        noise_dim: normal numbers per person beside λ.
        average_w: what truncation moves w toward.
    """

    def __init__(
        self, generator: keras.Model, layout: CoefficientLayout, noise_dim: int, average_w: np.ndarray
    ) -> None:
        self.generator, self.layout, self.noise_dim = generator, layout, noise_dim
        self.average_w = average_w.astype(np.float32)
        self._compiled = tf.function(self.images)

    @abstractmethod
    def styles(self, coefficients: tf.Tensor, noise: tf.Tensor, truncation: tf.Tensor | float) -> tf.Tensor:
        """λ [B, λ], noise [B, noise_dim] and ψ → truncated styles [B, num_ws, w_dim]. It can be traced."""

    @abstractmethod
    def synthesis(self, ws: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
        """Styles [B, num_ws, w_dim] and λ [B, λ] → images [B, R, R, 3], float32, about [-1, 1]. It can be traced."""

    def images(self, coefficients: tf.Tensor, noise: tf.Tensor, truncation: tf.Tensor | float) -> tf.Tensor:
        """λ [B, λ], noise [B, noise_dim] and ψ → images [B, R, R, 3], float32, about [-1, 1]. It can be traced."""
        return self.synthesis(self.styles(coefficients, noise, truncation), coefficients)

    def __call__(self, coefficients: np.ndarray, noise: np.ndarray, truncation: float = 1.0) -> tf.Tensor:
        """As `images`, compiled once for each batch size."""
        tensors = (tf.convert_to_tensor(array, tf.float32) for array in (coefficients, noise, truncation))
        return self._compiled(*tensors)


class Objective(ABC):
    """What the networks learn from: one replica's part of a step. Its methods are called inside of `tf.function`.

    Args:
        config: the run's.
        networks: what is trained.
        tools: what is not.
        share: this replica's random numbers and means.
        augment: (images [B, R, R, 3], purpose) → what the discriminator is shown of them; with ADA, augmentations.
        variables: what `System.variables` made.
    """

    renderer: FaceRenderer  # of the images that the system compares with, at the run's resolution

    def __init__(
        self,
        config: Any,
        networks: Networks,
        tools: Tools,
        share: ReplicaShare,
        augment: Callable[[tf.Tensor, int], tf.Tensor],
        variables: Mapping[str, tf.Variable],
    ) -> None:
        self.config, self.networks, self.tools, self.share = config, networks, tools, share
        self.augment, self.variables = augment, variables

    @abstractmethod
    def update(self, batch: Batch, phase: str) -> Update:
        """The losses of a phase. With ADA, `ada_rt` among its terms is the mean sign of the logits of real images."""

    def penalties(self, phase: str) -> Mapping[str, Penalty]:
        """The lazy penalties of a phase, by name."""
        return {}

    def weights(self, phase: str) -> Mapping[str, float]:
        """What each of a phase's terms weighs in the generator's loss."""
        return {}


class System(ABC):
    """One kind of controllable generator: its options, networks, objective, and how it generates."""

    config: ClassVar[type[TrainingConfig]]
    architectures: ClassVar[Mapping[str, Architecture]]  # by the name in a snapshot's manifest; the first is trained
    needs_perception: ClassVar[bool] = True  # to train
    renders: ClassVar[bool] = False  # whether generating needs the face model

    @abstractmethod
    def network_sizes(self, config: Any, layout: CoefficientLayout) -> Any:
        """The sizes of the networks that a run trains."""

    @abstractmethod
    def optimizers(self, config: Any) -> dict[str, tuple[str, keras.optimizers.Optimizer]]:
        """By name: a network's name, and what updates it."""

    def variables(self, config: Any) -> dict[str, tf.Variable]:
        """What the objective keeps from step to step, and a checkpoint with it. Called in the strategy's scope."""
        return {}

    def prepare(self, config: Any, networks: Networks, tools: Tools) -> None:  # noqa: B027  # most need nothing
        """Sets what networks with random weights take from the tools, in the strategy's scope."""

    def facts(self, config: Any, variables: Mapping[str, tf.Variable]) -> dict[str, float]:
        """What a snapshot notes of the variables for the next run."""
        return {}

    def restore(self, variables: Mapping[str, tf.Variable], facts: Mapping[str, Any]) -> None:  # noqa: B027
        """Sets the variables of a run that starts from a snapshot with these facts."""

    @abstractmethod
    def objective(self, *args: Any) -> Objective:
        """Takes the arguments of `Objective`."""

    @abstractmethod
    def average_w(
        self, generator: keras.Model, sampler: FactorSampler, layout: CoefficientLayout, noise_dim: int
    ) -> np.ndarray:
        """What truncation moves w toward, [w_dim]."""

    @abstractmethod
    def faces(
        self,
        generator: keras.Model,
        layout: CoefficientLayout,
        noise_dim: int,
        average_w: np.ndarray,
        face_model: FaceModel | None = None,
    ) -> FaceGenerator:
        """The generator of images; `face_model` where the system `renders`."""


def adam(learning_rate: float, beta_2: float, interval: int) -> keras.optimizers.Adam:
    """Adam for a network with a penalty every `interval` steps (0: none).

    The penalty's own update makes interval + 1 updates of what would be `interval` (StyleGAN2, appendix B), so the
    learning rate and the decay are slowed by interval / (interval + 1).
    """
    slower = interval / (interval + 1) if interval else 1.0
    return keras.optimizers.Adam(learning_rate * slower, beta_1=0.0, beta_2=beta_2**slower, epsilon=1e-8)


class HoldThenDecay(keras.optimizers.schedules.LearningRateSchedule):
    """`rate` for the first 70 % of `steps`, then down to 0 in a straight line."""

    def __init__(self, rate: float, steps: int):
        self.rate, self.steps = rate, max(steps, 1)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of a step, counted from 0."""
        left = (self.steps - tf.cast(step, tf.float32)) / (0.3 * self.steps)
        return self.rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, float | int]:
        """For Keras."""
        return {"rate": self.rate, "steps": self.steps}


def imitation_adam(rate: float, beta_2: float, steps: int) -> keras.optimizers.Adam:
    """Adam for a generator that imitates alone, with no adversary.

    Then it regresses: momentum and a falling rate, which an adversary forbids, take the L1 term of 8 kimg from 0.263 to
    0.208 (32 × 32, rate 0.012).
    """
    return keras.optimizers.Adam(HoldThenDecay(rate, steps), beta_1=0.9, beta_2=beta_2, epsilon=1e-8)


def gradients(tape: tf.GradientTape, loss: tf.Tensor, network: keras.Model) -> list[tf.Tensor]:
    """Of the loss by each weight; zero where it does not reach (layers above the resolution, last biases)."""
    raw = [variable.value for variable in network.trainable_variables]
    return tape.gradient(loss, raw, unconnected_gradients=tf.UnconnectedGradients.ZERO)
