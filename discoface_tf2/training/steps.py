"""One training step: the system's losses on every replica, one update of its networks, the moving average."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.sampling import ReplicaShare
from discoface_tf2.systems.base import Batch, Objective, Penalty, Terms, Tools, Update
from discoface_tf2.training.distribution import jit_compiled
from discoface_tf2.training.meter import Meter
from discoface_tf2.training.state import TrainingState


class TrainingStep:
    """The step of a run, one `tf.function` per phase.

    Call arguments: a batch of records, fields [batch / replicas, …] by name (per-replica values under a strategy of
    several), and the phase. Returns scalar loss terms, unweighted, averaged over the global batch.
    """

    def __init__(
        self, config: TrainingConfig, state: TrainingState, strategy: tf.distribute.Strategy, tools: Tools
    ) -> None:
        self.config, self.state, self.strategy = config, state, strategy
        replicas = strategy.num_replicas_in_sync
        config.require_replicas(replicas)
        self.share = ReplicaShare(config.draw_seed, state.images, config.batch_size // replicas, replicas)
        self.objective: Objective = state.system.objective(
            config, state.networks, tools, self.share, self._augmented, state.extra
        )
        self.jit_compile = jit_compiled(config.jit_compile)
        with strategy.scope():
            self.meter = Meter()
        self._functions: dict[str, Callable[[Batch], Terms]] = {}
        self._penalties: dict[str, Mapping[str, Penalty]] = {}

    def __call__(self, batch: Batch, phase: str) -> Terms:
        """Runs the step of the phase and updates networks, average and counter."""
        if phase not in self._functions:
            self._functions[phase] = tf.function(lambda batch: self._step(batch, phase), autograph=False)
        return self._functions[phase](batch)

    def penalties(self, batch: Batch, phase: str, step: int) -> Terms:
        """The phase's lazy penalties that are due at this step."""
        if phase not in self._penalties:
            self._penalties[phase] = self.objective.penalties(phase)
        terms: Terms = {}
        for name, penalty in self._penalties[phase].items():
            if step % penalty.interval:
                continue
            key = f"penalty/{name}"
            if key not in self._functions:
                if penalty.first is not None:
                    tf.function(lambda batch, one=penalty: self._measure(batch, one), autograph=False)(batch)
                self._functions[key] = tf.function(
                    lambda batch, name=name, one=penalty: self._penalty(batch, name, one), autograph=False
                )
            terms |= self._functions[key](batch)
        return terms

    def _distributed(self, body: Callable[[Batch], Update], label: str = "") -> Callable[[Batch], Terms]:
        """`body` on every replica, its gradients applied to the networks, its terms summed.

        XLA compiles the body alone: the gradients' sum over replicas is not its to do. To the terms come the gradients'
        norms, under `label` or the optimiser's name; over several replicas, the sum of the norms of their shares.
        """
        compute = tf.function(body, autograph=False, jit_compile=True) if self.jit_compile else body

        def replica(batch: Batch) -> tf.Tensor:
            terms, gradients = compute(batch)
            for name, values in gradients.items():
                network, optimizer = self.state.trained[name]
                optimizer.apply(values, network.trainable_variables)
                terms[f"gradient_{label or name}"] = tf.linalg.global_norm(values)
            names[:] = terms
            return tf.stack([tf.cast(value, tf.float32) for value in terms.values()])  # one message for all

        def run(batch: Batch) -> Terms:
            values = self.strategy.reduce("SUM", self.strategy.run(replica, args=(batch,)), axis=None)
            return dict(zip(names, tf.unstack(values, len(names)), strict=True))

        names: list[str] = []
        return run

    def _metered(self, terms: Terms) -> Terms:
        """Adds the terms to the meter; returns the losses and logits alone."""
        self.meter.add(terms, self.state.images)
        return {name: value for name, value in terms.items() if not name.startswith("gradient_")}

    def _step(self, batch: Batch, phase: str) -> Terms:
        terms = self._distributed(lambda batch: self.objective.update(batch, phase))(batch)
        if self.state.ada is not None and "ada_rt" in terms:
            terms |= self.state.ada.update(terms["ada_rt"])
        self.state.update_average(self.state.images)
        self.state.images.assign_add(self.config.batch_size)
        return self._metered(terms)

    def _penalty(self, batch: Batch, name: str, penalty: Penalty) -> Terms:
        terms = self._distributed(penalty.update, name)(batch)
        if penalty.after is not None:
            penalty.after(terms)
        return self._metered(terms)

    def _measure(self, batch: Batch, penalty: Penalty) -> None:
        """The terms of a penalty, before it changes any weight."""
        assert penalty.first is not None
        penalty.first(self._distributed(lambda batch: (penalty.update(batch)[0], {}))(batch))

    def _augmented(self, images: tf.Tensor, purpose: int) -> tf.Tensor:
        """What the discriminator is shown of these images: themselves, or with ADA, an augmentation of them."""
        if self.state.ada is None:
            return images
        return self.state.ada(images, purpose, self.state.images, self.share.replicas)
