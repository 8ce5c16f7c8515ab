"""One loop for the three networks: AdamW, a cosine schedule, and a moving average of the weights."""

from __future__ import annotations

import math
import time
from dataclasses import MISSING, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from discoface_tf2.perception.training.objectives import Objective
from renderer.options import Range, check_options, number, option, positive, whole

_REPORT_EVERY = 50  # steps between looks at the loss


@dataclass(frozen=True)
class Budget:
    """How long a network is trained: `steps`, or `minutes` if they are over first. The schedule fits what comes first.

    Under a limit of minutes the result depends on the machine; with steps alone it does not.
    """

    steps: int = option(MISSING, "updates of the weights", whole(1, 10**7))
    batch_size: int = option(64, "images per step", whole(1, 65536))
    minutes: float = option(math.inf, "limit of time", Range(0, math.inf, open_below=True))
    learning_rate: float = option(1.5e-3, "Adam's, at its peak", positive(1.0))
    weight_decay: float = option(0.02, "Adam's", number(0, 1))

    def __post_init__(self) -> None:
        check_options(self)


def schedule(progress: float, peak: float) -> float:
    """Learning rate at `progress` 0 … 1: linear to the peak over the first twentieth, then half a cosine to 1 %."""
    if progress < 0.05:
        return peak * max(progress, 0.002) / 0.05
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - 0.05) / 0.95))))


def fit(
    objective: Objective, budget: Budget, seed: int, writer: Any | None = None, name: str = "network"
) -> dict[str, float]:
    """Trains the objective's variables; the network ends with the moving average of its weights.

    Returns the last terms of the loss (means over the last look), with `steps`, `images` and `seconds`.
    `writer` is a tf.summary writer for the terms. Raises ValueError when the loss is not finite.
    """
    variables = objective.variables
    optimizer = keras.optimizers.AdamW(
        budget.learning_rate, weight_decay=budget.weight_decay, beta_2=0.99, global_clipnorm=1.0
    )
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(variables)
    averages = [tf.Variable(v.value, trainable=False) for v in variables]

    @tf.function
    def step(step_seed: tf.Tensor, decay: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss, terms = objective(step_seed)
        gradients = tape.gradient(loss, [v.value for v in variables])
        optimizer.apply(gradients, variables)
        for average, variable in zip(averages, variables, strict=True):
            average.assign(variable.value + decay * (average - variable.value))
        return {"loss": loss, **terms}

    start, done = time.monotonic(), 0
    terms: dict[str, float] = {}
    sums: dict[str, tf.Tensor] = {}
    with tqdm(total=budget.steps * budget.batch_size, unit="img", desc=name, mininterval=2) as bar:
        while True:
            elapsed = (time.monotonic() - start) / 60
            progress = max(done / budget.steps, elapsed / budget.minutes)
            if progress >= 1:
                break
            optimizer.learning_rate.assign(schedule(progress, budget.learning_rate))
            decay = min(0.995, (1 + done) / (10 + done))
            result = step(tf.constant([seed, done], tf.int32), tf.constant(decay, tf.float32))
            sums = {key: sums.get(key, 0.0) + value for key, value in result.items()}
            done += 1
            bar.update(budget.batch_size)
            if done % _REPORT_EVERY == 0 or done == budget.steps:
                count = (done - 1) % _REPORT_EVERY + 1
                terms = {key: float(value) / count for key, value in sums.items()}
                sums = {}
                if not np.isfinite(terms["loss"]):
                    raise ValueError(f"{name}: the loss is not finite after {done} steps; try a lower learning rate")
                bar.set_postfix(loss=f"{terms['loss']:.3f}", refresh=False)
                _log(writer, name, terms, done * budget.batch_size)
    for average, variable in zip(averages, variables, strict=True):
        variable.assign(average)
    seconds = round(time.monotonic() - start, 1)
    return {**terms, "steps": done, "images": done * budget.batch_size, "seconds": seconds}


def _log(writer: Any | None, name: str, terms: dict[str, float], images: int) -> None:
    if writer is None:
        return
    with writer.as_default(step=images):
        for key, value in terms.items():
            tf.summary.scalar(f"{name}/{key}", value)
