"""Checkpoints and snapshots beside what may happen to them: kills, damage, a full disk."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2 import files, model_io
from discoface_tf2.model import load
from discoface_tf2.systems.base import Tools
from discoface_tf2.training.checkpoints import Checkpoints
from discoface_tf2.training.saver import Saver
from discoface_tf2.training.state import TrainingState
from tests.helpers.tiny_training import tiny_config


@pytest.fixture
def box(tmp_path):
    """A variable, and its checkpoints at 100, 200 and 300 images, which hold 1, 2 and 3."""
    variable = tf.Variable(tf.zeros([100]))
    checkpoints = Checkpoints(tf.train.Checkpoint(variable=variable), tmp_path / "checkpoints", keep=3)
    for number in (1, 2, 3):
        variable.assign(tf.fill([100], float(number)))
        checkpoints.save(100 * number)
    variable.assign(tf.zeros([100]))
    return variable, checkpoints


def names(checkpoints):
    return sorted(path.name for path in checkpoints.directory.iterdir())


def test_the_newest_is_read_and_the_last_few_are_kept(box):
    variable, checkpoints = box
    assert checkpoints.restore() == 300
    np.testing.assert_array_equal(variable, 3.0)
    checkpoints.save(400)
    assert checkpoints.numbers() == [200, 300, 400]
    assert len(names(checkpoints)) == 6  # an index and a file of data each, and nothing else


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_one_is_reported_and_the_one_before_is_used(box, part, damage, capsys):
    variable, checkpoints = box
    path = checkpoints.directory / f"ckpt-300.{part}"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        content[len(content) // 3] ^= 64
        path.write_bytes(content)
    else:
        path.unlink()
    assert checkpoints.restore() == 200
    np.testing.assert_array_equal(variable, 2.0)
    said = capsys.readouterr().err.strip().splitlines()
    if (part, damage) == ("index", "gone"):  # without its index there is no checkpoint: a kill before the rename
        assert not said
    else:
        assert len(said) == 1 and "ckpt-300: this checkpoint cannot be read" in said[0]
        checkpoints.save(250)
        assert checkpoints.numbers() == [100, 200, 250]
    checkpoints.save(300)
    assert checkpoints.restore() == 300


def test_when_none_can_be_read_it_says_so(box):
    _, checkpoints = box
    for path in checkpoints.directory.glob("*.index"):
        path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=r"ckpt-300: this checkpoint cannot be read .*, nor any before it"):
        checkpoints.restore()


def test_a_write_that_fails_leaves_what_was_there(box, monkeypatch):
    _, checkpoints = box
    before = names(checkpoints)

    def full(path):
        (checkpoints.directory / "writing.tmp").mkdir()
        (checkpoints.directory / "writing.tmp" / "ckpt-400.data-00000-of-00001").write_bytes(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(checkpoints.checkpoint, "write", full)
    with pytest.raises(OSError, match=r"the checkpoint cannot be written .No space left on device."):
        checkpoints.save(400)
    assert names(checkpoints) == before
    assert checkpoints.restore() == 300


# ---- Saver: snapshot and checkpoint together ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state(tiny_face_model):
    return TrainingState(tiny_config(), tiny_face_model.layout)


@pytest.fixture
def saver(state, tmp_path, tiny_face_model, tiny_sampler, tiny_assets):
    state.images.assign(1000)
    facts = {"stage": 1, "preset": "demo64"}
    return Saver(state, tmp_path / "run", Tools(tiny_face_model, tiny_sampler, None), str(tiny_assets / "vae"), facts)


def test_a_full_disk_is_said_once_and_saved_when_there_is_room(saver, monkeypatch, capsys):
    saver.save()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    saver.state.images.assign(2000)
    saver.try_to_save()
    saver.try_to_save()
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "cannot be written (No space left on device;" in said[0] and "The checkpoint at 1 kimg is kept" in said[0]
    assert saver.pending and saver.checkpoints.numbers() == [1000]
    assert [path.name for path in model_io.snapshots(saver.directory)] == ["kimg000001"]
    with pytest.raises(OSError, match=r"cannot be written .No space left"):
        saver.save()
    monkeypatch.undo()
    saver.try_to_save()
    assert "there is room again" in capsys.readouterr().err
    assert not saver.pending and saver.checkpoints.numbers() == [1000, 2000]
    assert [path.name for path in (saver.directory / "snapshots").iterdir() if path.suffix == ".tmp"] == []


def test_tries_on_a_nearly_full_disk_leave_one_snapshot(saver, monkeypatch, capsys):
    """The room that a checkpoint waits for is not filled with a snapshot a try."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saver.checkpoints, "save", full)
    for images in (1000, 1500, 2000):
        saver.state.images.assign(images)
        saver.try_to_save()
    assert [path.name for path in model_io.snapshots(saver.directory)] == ["kimg000001"] and saver.pending
    monkeypatch.undo()
    saver.try_to_save()
    assert not saver.pending and saver.checkpoints.numbers() == [2000]
    saver.state.images.assign(3000)
    saver.try_to_save()
    assert [path.name for path in model_io.snapshots(saver.directory)] == ["kimg000003", "kimg000001"]
    assert "there is room again" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_never_saved(saver):
    saver.save()
    saver.state.images.assign(2000)
    weight = saver.state.discriminator.trainable_variables[0]
    before = weight.numpy()
    weight.assign(np.full_like(before, np.nan))
    with pytest.raises(FloatingPointError, match=r"kernel is not finite at 2 kimg.*checkpoint at 1 kimg is kept"):
        saver.save()
    weight.assign(before)
    assert saver.checkpoints.numbers() == [1000]
    assert len(model_io.snapshots(saver.directory)) == 1


def test_a_worker_that_is_not_the_chief_writes_nothing(saver):
    saver.writes = False
    saver.save()
    assert not saver.directory.exists()


def test_a_damaged_snapshot_is_passed_over_with_a_line(saver, capsys):
    for images in (1000, 2000, 3000):
        saver.state.images.assign(images)
        saver.save()
    first, second, third = reversed(model_io.snapshots(saver.directory))
    shutil.rmtree(third / "vae" / "exp")
    weights = second / model_io.WEIGHTS
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    weights.write_bytes(content)
    assert load(saver.directory).folder == first
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 2 and "is missing" in said[0] and f"{weights}: the file is damaged" in said[1]
    (first / model_io.CURRENT_WEIGHTS).unlink()
    with pytest.raises(ValueError, match=r"kimg000003/vae/exp.*is missing"):
        model_io.find_snapshot(saver.directory)


def test_snapshots_of_earlier_versions_have_no_checksums(saver):
    snapshot = saver.save()
    manifest = json.loads((snapshot / model_io.MANIFEST).read_text())
    assert set(manifest["files"]) > {model_io.WEIGHTS, model_io.DISCRIMINATOR_WEIGHTS}
    del manifest["files"]
    (snapshot / model_io.MANIFEST).write_text(json.dumps(manifest))
    assert load(saver.directory).folder == snapshot


def test_an_atomic_write_leaves_nothing_when_it_fails(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(path, {"a": object()})
    with pytest.raises(RuntimeError), files.atomic_path(path) as other:
        other.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
