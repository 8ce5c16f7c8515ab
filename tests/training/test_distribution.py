"""Devices and hosts: TF_CONFIG, which rows a replica holds, means that wait for nobody."""

import json

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.sampling import LATENT, replica_normal
from discoface_tf2.training.distribution import (
    Agreement,
    clear_worker_errors,
    distributed_batches,
    is_chief,
    make_strategy,
    read_tf_config,
    worker_count,
    workers,
)
from discoface_tf2.training.meter import Broken, Meter


def tf_config(kind="worker", index=0, **cluster):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_tf_config_is_read_as_tensorflow_defines_it():
    assert read_tf_config({}) == {} and workers({}) == 1
    assert workers(read_tf_config(tf_config(worker=["a:1", "b:1"]))) == 2
    assert workers(read_tf_config(tf_config("chief", chief=["a:1"], worker=["b:1", "c:1"]))) == 3


@pytest.mark.parametrize(
    "environment, reason",
    [
        ({"TF_CONFIG": "{"}, "Expecting property name"),
        ({"TF_CONFIG": "[]"}, "list indices"),
        ({"TF_CONFIG": '{"cluster": {}}'}, "no 'task'"),
        (tf_config(index=2, worker=["a:1", "b:1"]), "the task worker 2 is not in the cluster"),
        (tf_config("chief", worker=["a:1"]), "the task chief 0 is not in the cluster"),
    ],
)
def test_a_wrong_tf_config_is_one_line(environment, reason):
    with pytest.raises(ValueError, match="TF_CONFIG: expected JSON like") as error:
        read_tf_config(environment)
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_names_of_strategies(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=r"expected one of auto, one, mirrored, multiworker\. Received: 'two'"):
        make_strategy("two")
    with pytest.raises(ValueError, match="strategy multiworker: expected the environment variable TF_CONFIG"):
        make_strategy("multiworker")
    for name, replicas in (("auto", 1), ("one", 1), ("mirrored", 2)):
        strategy = make_strategy(name)
        assert (strategy.num_replicas_in_sync, worker_count(strategy), is_chief(strategy)) == (replicas, 1, True)


def numbered(start, batch, shard=(0, 1)):
    """Image k is all k; shards as `load_dataset` has them."""
    dataset = tf.data.Dataset.range(start, 1000).batch(batch).shard(shard[1], shard[0])
    return dataset.map(
        lambda k: {"image": tf.ones([batch, 2, 2, 3], tf.uint8) * tf.cast(k, tf.uint8)[:, None, None, None], "index": k}
    )


def test_row_i_is_of_replica_i_mod_n():
    strategy = make_strategy("mirrored")
    batches = distributed_batches(strategy, numbered, 16, 8)
    for first in (16, 24):
        batch = next(batches)
        for name, where in (("image", (slice(None), 0, 0, 0)), ("index", slice(None))):
            parts = [part.numpy()[where].tolist() for part in strategy.experimental_local_results(batch[name])]
            assert parts == [list(range(first, first + 8, 2)), list(range(first + 1, first + 8, 2))]
    alone = next(distributed_batches(make_strategy("one"), numbered, 16, 8))
    assert alone["image"].numpy()[:, 0, 0, 0].tolist() == list(range(16, 24))


def test_draws_of_the_replicas_are_the_rows_of_one():
    images = tf.constant(32, tf.int64)
    strategy = make_strategy("mirrored")
    parts = strategy.run(lambda: replica_normal(3, LATENT, images, 4, 5, replicas=2))
    parts = [part.numpy() for part in strategy.experimental_local_results(parts)]
    whole = replica_normal(3, LATENT, images, 8, 5).numpy()
    np.testing.assert_array_equal(parts[0], whole[::2])
    np.testing.assert_array_equal(parts[1], whole[1::2])


@pytest.mark.parametrize("name", ["one", "mirrored"])
def test_the_meter_averages_and_remembers_the_first_that_broke(name):
    strategy = make_strategy(name)
    with strategy.scope():
        meter = Meter()

    @tf.function
    def first(value, images):
        meter.add({"a": value, "b": 2 * value}, images)

    @tf.function
    def second(value, images):
        meter.add({"c": value, "a": value}, images)

    for step in (1, 2):
        first(tf.constant(float(step)), tf.constant(10 * step, tf.int64))
    second(tf.constant(6.0), tf.constant(20, tf.int64))
    assert meter.read() == {"a": 3.0, "b": 3.0, "c": 6.0}
    assert meter.read() == {} and meter.broken() == []
    for images, value in ((30, 1.0), (40, np.nan), (50, np.inf)):
        second(tf.constant(value), tf.constant(images, tf.int64))
    first(tf.constant(np.inf), tf.constant(60, tf.int64))
    assert meter.read()["c"] != meter.read().get("c")
    assert meter.broken() == [Broken("a", 40), Broken("c", 40), Broken("b", 60)]
    assert first.experimental_get_tracing_count() == 1


def test_alone_there_is_nothing_to_agree_on():
    agreement = Agreement(make_strategy("one"))
    assert agreement.stop(None, 16) is None and agreement.stop(15, 17) == 15
    agreement.require_same("checkpoint", b"anything")


def test_a_lost_worker_is_one_line_and_other_errors_stay(monkeypatch):
    strategy = make_strategy("one")
    with pytest.raises(tf.errors.UnavailableError), clear_worker_errors(strategy):
        raise tf.errors.UnavailableError(None, None, "alone, it is no worker's")
    monkeypatch.setattr("discoface_tf2.training.distribution.worker_count", lambda _: 2)
    lost = tf.errors.UnavailableError(None, None, "Graph execution error:\n\nCollective ops is aborted by …")
    with pytest.raises(OSError, match="another worker stopped") as error, clear_worker_errors(strategy):
        raise lost
    assert "\n" not in str(error.value)
    with pytest.raises(tf.errors.InvalidArgumentError), clear_worker_errors(strategy):
        raise tf.errors.InvalidArgumentError(None, None, "a shape")
