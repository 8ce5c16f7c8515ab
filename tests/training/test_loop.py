"""A whole run on tiny networks: what it writes, that it resumes to the same weights, and what it refuses."""

import json
import os
import re
import signal
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from discoface_tf2 import model_io
from discoface_tf2.model import load
from discoface_tf2.training.guard import Stopped
from discoface_tf2.training.loop import Assets, train
from tests.helpers.tiny_training import tiny_config

ROOM = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), np.uint8)


def records(start, batch):
    """Image k of the run is ROOM[k], from any start."""
    dataset = tf.data.Dataset.from_tensor_slices({"image": ROOM}).repeat().skip(start)
    return dataset.batch(batch, drop_remainder=True)


@pytest.fixture
def assets(tiny_assets):
    return Assets(
        "photographs", str(tiny_assets / "vae"), str(tiny_assets / "perception"), str(tiny_assets / "face.npz")
    )


def weights(snapshot):
    found = [v.numpy() for v in load(snapshot).generator.weights]
    assert len(found) > 10
    return found


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, assets, capsys):
    def options(kimg):
        return tiny_config(1, kimg=kimg, imitate_kimg=0.008, warmup_kimg=1.0, ema_rampup=1000.0)

    def terminated(start, batch):
        """Asks the process to end while the fourth batch of six is fetched."""

        def fetched(number, images):
            if number == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return images

        fetch = partial(tf.numpy_function, fetched, Tout=tf.uint8)
        numbered = records(start, batch).enumerate()
        return numbered.map(lambda k, one: {"image": tf.ensure_shape(fetch(inp=(k, one["image"])), [batch, 16, 16, 3])})

    whole = train(options(0.024), assets, records, tmp_path / "whole")
    with pytest.raises(Stopped) as stopped:
        train(options(0.024), assets, terminated, tmp_path / "parts")
    assert stopped.value.signum == signal.SIGTERM
    parts = train(options(0.024), assets, records, tmp_path / "parts")
    output = capsys.readouterr().out
    stopped_at = re.search(r"stopped at (\S+) kimg", output)[1]
    assert 0 < float(stopped_at) < 0.024 and f"going on from {stopped_at} kimg" in output
    assert "kimg  imitate" in output and "kimg  warmup" in output
    assert whole.name == parts.name == "kimg000000.024"
    for expected, received in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(received, expected)  # to the bit
    assert train(options(0.024), assets, records, tmp_path / "parts") == parts
    assert "nothing to do" in capsys.readouterr().out

    grids = sorted((tmp_path / "whole" / "grids").glob("*.png"))
    assert [grid.name for grid in grids] == ["kimg000000.000.png", "kimg000000.024.png"]
    assert Image.open(grids[-1]).size == (4 * 3 * 16, 8 * 16)
    assert list((tmp_path / "whole" / "tensorboard").glob("events*"))
    facts = json.loads((whole / model_io.MANIFEST).read_text())["facts"]
    assert (facts["stage"], facts["kimg"]) == (1, 0.024)


def test_assets_of_another_face_model_are_refused(tmp_path, assets):
    other = Assets(**{**vars(assets), "face_model": "builtin"})
    with pytest.raises(ValueError, match="VAEs were trained for another face model"):
        train(tiny_config(), other, records, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, assets):
    config = tiny_config(1, kimg=0.032, imitate_kimg=0.032, tick_kimg=0.016)
    object.__setattr__(config, "imitate_learning_rate", 1e30)  # which no option may be
    with pytest.raises(
        FloatingPointError, match=r"gradient_imitate stopped being finite at step 2 \(0.008 kimg\), seen at 0.016 kimg"
    ):
        train(config, assets, records, tmp_path / "run")


def test_a_snapshot_without_its_discriminator_is_refused_by_stage_2(tmp_path, assets):
    (tmp_path / "kimg000001").mkdir()
    incomplete = Assets(**{**vars(assets), "start_from": str(tmp_path / "kimg000001")})
    with pytest.raises(FileNotFoundError, match=r"generator\.weights\.h5"):
        train(tiny_config(2), incomplete, records, tmp_path / "run")


def test_a_damaged_checkpoint_is_named(tmp_path, assets):
    config = tiny_config(1, kimg=0.008, imitate_kimg=0.008)
    train(config, assets, records, tmp_path / "run")
    for part in (tmp_path / "run" / "checkpoints").glob("ckpt-*.index"):
        part.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="this checkpoint cannot be read"):
        train(tiny_config(1, kimg=0.016, imitate_kimg=0.008), assets, records, tmp_path / "run")


def test_a_disk_that_is_full_for_a_while_costs_curves_and_not_the_run(tmp_path, assets, capsys):
    resource = pytest.importorskip("resource")
    free = resource.getrlimit(resource.RLIMIT_FSIZE)

    def filled(number, images):
        """From the third batch to the fifth no file may be longer than 60,000 bytes."""
        if number in (2, 4):
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, free[1]) if number == 2 else free)
        return images

    def during(start, batch):
        fetch = partial(tf.numpy_function, filled, Tout=tf.uint8)
        numbered = records(start, batch).enumerate()
        return numbered.map(lambda k, one: {"image": tf.ensure_shape(fetch(inp=(k, one["image"])), [batch, 16, 16, 3])})

    try:
        snapshot = train(tiny_config(1, kimg=0.024, imitate_kimg=1.0), assets, during, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, free)
    assert snapshot.name == "kimg000000.024"
    said = [line for line in capsys.readouterr().err.splitlines() if "curves" in line]
    assert len(said) == 1 and re.match(r"no curves from 0.0\d+ kimg on \(.*File too large", said[0])
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    steps = [event.step for event in found.Tensors("imitate/warmup_l1")]  # batches are fetched ahead, so which is open
    assert steps[-1] == 24 and len(steps) < 3
