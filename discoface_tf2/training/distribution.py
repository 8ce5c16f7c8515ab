"""Which devices a run is spread over: one, all of this host, or those of several hosts (docs/scale.md).

Row i of the global batch belongs to replica i mod n. The groups of the minibatch standard deviation are rows a fixed
stride apart, so with this order every replica holds whole groups, and pairs stay together: a run over n replicas is the
run of one device, as long as the batch of a replica is a multiple of the group.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

NAMES = ("auto", "one", "mirrored", "multiworker")
_EXAMPLE = '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}'
# What a collective operation raises when a worker on the other side is gone.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)
_LOST_WORDS = ("collective", "unhealthy", "heartbeat", "connection reset", "socket closed", "coordination")
_STOP_INTERVAL = 16  # steps between questions whether any worker was asked to stop

# records(start, batch): batches of records, fields [batch, …] by name, as if `start` images had been shown already. For
# several workers records(start, batch, (index, count)): those of this worker, as `datasets.reader.load_dataset` has it.
Records = Callable[..., tf.data.Dataset]


def jit_compiled(asked: bool | None) -> bool:
    """Whether XLA compiles the step: as asked; unasked, on GPUs. On CPU its convolutions are the slower ones."""
    return bool(tf.config.list_logical_devices("GPU")) if asked is None else asked


def read_tf_config(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """TF_CONFIG as TensorFlow defines it; {} when it is not set. Raises ValueError with one line when it is wrong."""
    text = environment.get("TF_CONFIG", "")
    if not text:
        return {}
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        jobs = {name: list(addresses) for name, addresses in cluster.items()}
        if not 0 <= index < len(jobs.get(kind, ())):
            raise ValueError(f"the task {kind} {index} is not in the cluster {jobs}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"TF_CONFIG: expected JSON like {_EXAMPLE} ({reason}). Received: {text!r}") from None
    return config


def workers(tf_config: Mapping[str, Any]) -> int:
    """How many processes train together, by TF_CONFIG; 1 without it."""
    cluster = tf_config.get("cluster", {})
    return max(sum(len(cluster.get(job, ())) for job in ("chief", "worker")), 1)


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """`one` device, `mirrored` over all devices of this host, `multiworker` over the hosts of TF_CONFIG, or `auto`.

    `auto` is multiworker when TF_CONFIG has several workers, mirrored when there are several GPUs, and otherwise one.
    A multiworker strategy waits until all workers are there, and must be made before TensorFlow has done anything else.
    Raises ValueError with one line for another name, or for a TF_CONFIG that is wrong or missing.
    """
    if name not in NAMES:
        raise ValueError(f"strategy: expected one of {', '.join(NAMES)}. Received: {name!r}")
    tf_config = read_tf_config() if name in ("auto", "multiworker") else {}
    if name == "multiworker" and not tf_config:
        raise ValueError(f"strategy multiworker: expected the environment variable TF_CONFIG, such as {_EXAMPLE}")
    count = workers(tf_config)
    if name == "multiworker" or (name == "auto" and count > 1):
        print(f"worker {tf_config['task']['index']} of {count}: waiting for the others", file=sys.stderr, flush=True)
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = len(tf.config.list_logical_devices("GPU"))
    if name == "mirrored" or (name == "auto" and gpus > 1):
        return _mirrored(gpus)
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")


@functools.cache
def _mirrored(gpus: int) -> tf.distribute.Strategy:
    """One a process: each would number its sums from 100 on, and TensorFlow takes equal numbers for the same sum."""
    devices = None if gpus else [d.name for d in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(devices)


def worker_count(strategy: tf.distribute.Strategy) -> int:
    """How many processes the strategy spans."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return workers({"cluster": strategy.cluster_resolver.cluster_spec().as_dict()})


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes what there is to write: the chief, or else worker 0. Without workers, always."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    has_chief = "chief" in resolver.cluster_spec().as_dict()
    return resolver.task_type == "chief" or (resolver.task_id == 0 and not has_chief)


def distributed_batches(
    strategy: tf.distribute.Strategy, records: Records, start: int, batch_size: int
) -> Iterator[Any]:
    """The run's records from `start` on: batches for `TrainingStep`, row i of a batch on replica i mod n."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return iter(records(start, batch_size))
    rows = batch_size // replicas

    def of_this_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        count, local = context.num_input_pipelines, replicas // context.num_input_pipelines
        if count == 1:
            dataset = records(start, batch_size)  # [rows · local, …], replica by replica within each `local`
        else:  # a worker's share is `local` rows of every n
            dataset = records(start, local, (context.input_pipeline_id, count)).batch(rows, drop_remainder=True)

        def by_replica(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            def by_replica_of(values: tf.Tensor) -> tf.Tensor:
                rest = values.shape[1 if count == 1 else 2 :]  # what one row is
                order = [1, 0, *range(2, 2 + len(rest))]
                return tf.transpose(tf.reshape(values, [rows, local, *rest]), order)

            return {name: by_replica_of(values) for name, values in batch.items()}

        dataset = dataset.map(by_replica).unbatch()
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset.apply(endless).prefetch(2 * local)

    return iter(strategy.distribute_datasets_from_function(of_this_worker))


@contextmanager
def clear_worker_errors(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turns what TensorFlow raises when another worker is gone into an OSError of one line."""
    if worker_count(strategy) == 1:
        yield
        return
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        text = str(error).lower()
        if not isinstance(error, _LOST) and not any(word in text for word in _LOST_WORDS):
            raise
        raise OSError(
            "another worker stopped, or cannot be reached, so this one stops too (see its output for the cause). The "
            "same command on all workers goes on from the last checkpoint"
        ) from None


class Agreement:
    """What all workers must do at the same step, asked of all of them: stopping, and going on from the same state."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy, self.alone = strategy, worker_count(strategy) == 1
        self._asked: tf.Tensor | None = None
        if not self.alone:

            @tf.function
            def total(value: tf.Tensor) -> tf.Tensor:
                return strategy.reduce("SUM", strategy.run(tf.identity, args=(value,)), axis=None)

            self._total = total

    def stop(self, mine: int | None, step: int) -> int | None:
        """The signal that any worker received, at a step at which all of them learn of it; None: go on.

        Every 16 steps the workers add up what they received, and look at the sum of 16 steps ago: nobody waits.
        """
        if self.alone:
            return mine
        if step % _STOP_INTERVAL:
            return None
        before, self._asked = self._asked, self._total(tf.constant(mine or 0))
        return None if before is None or not int(before) else mine or signal.SIGTERM

    def require_same(self, what: str, value: bytes) -> None:
        """Raises OSError when the workers do not hold the same bytes, such as the weights of their checkpoints."""
        if self.alone:
            return
        number = zlib.crc32(value)
        parts = [number >> 16, number & 0xFFFF]
        if [int(self._total(tf.constant(part))) for part in parts] != [
            part * self.strategy.num_replicas_in_sync for part in parts
        ]:
            raise OSError(f"the workers do not go on from the same {what}. Do all of them see the same run folder?")
