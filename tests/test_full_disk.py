"""A disk that is full: one line that names the place, nothing half made, and what was done before is kept."""

import errno

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from datasets.records import MANIFEST, Manifest, Record, RecordWriter
from discoface_tf2.files import write_json
from discoface_tf2.perception.perception import Perception
from discoface_tf2.training.events import Events
from renderer.command import describe
from renderer.files import save_npz, save_png
from tests.helpers.full_disk import KINDS, files, full_disk
from vae.sampler import save_factor

NOISE = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)  # which nothing compresses
ROOM = 200_000  # bytes


def refused(error: OSError, path) -> None:
    assert error.errno in (errno.ENOSPC, errno.EFBIG)
    line, code = describe("a.py", error, "the same command goes on from here")
    assert code == 1 and line.startswith(f"a.py: error: {path}: ") and "\n" not in line
    assert line.endswith("; the same command goes on from here, once there is room")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name, write", [
    ("a.png", lambda path: save_png(Image.fromarray(NOISE), path)),
    ("a.npz", lambda path: save_npz({"a": NOISE}, path)),
    ("a.json", lambda path: write_json(path, "x" * 2 * ROOM)),
])  # fmt: skip
def test_one_file(kind, name, write, tmp_path):
    with full_disk(kind, tmp_path / "small", ROOM) as folder:
        (folder / name).write_text("what was there")
        with pytest.raises(OSError) as error:
            write(folder / name)
        refused(error.value, folder / name)
        assert files(folder) == {name} and (folder / name).read_text() == "what was there"


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_keeps_its_whole_shards(kind, tmp_path):
    def record(size):
        return Record.from_arrays(NOISE[:64, :64], name="x" * size)

    with full_disk(kind, tmp_path / "small", ROOM) as folder:
        writer = RecordWriter(folder / "data", Manifest(64, 2))
        writer.write_shard(0, [record(10)])
        with pytest.raises(OSError) as error:
            writer.write_shard(1, [record(10)] * 100)
        refused(error.value, folder / "data" / "shard-00001-of-00002.tfrecord")
        assert files(folder / "data") == {MANIFEST, "shard-00000-of-00002.tfrecord"}
        assert RecordWriter(folder / "data", Manifest(64, 2)).missing() == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_weights(kind, tmp_path, tiny_vaes, tiny_face_model):
    with full_disk(kind, tmp_path / "small", 8192) as folder:
        with pytest.raises(OSError, match="MB cannot be written"):
            save_factor(folder, tiny_vaes["identity"], tiny_face_model.layout.to_dict())
        with pytest.raises(OSError, match="MB cannot be written"):
            Perception.new(tiny_face_model.layout, 32).save(folder)
        assert files(folder) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_events_are_lost_and_later_ones_are_not(kind, tmp_path):
    """TensorFlow would be silent, and what it writes behind half a record cannot be read."""
    with full_disk(kind, tmp_path / "small", ROOM) as folder:
        events = Events(folder / "tensorboard")
        for step in range(3):
            with events.at(10 * step):
                tf.summary.scalar("loss", float(step))
            with pytest.raises(OSError, match=r"tensorboard: 0.8 MB cannot be written"), events.at(step, NOISE.nbytes):
                tf.summary.image("grid", NOISE[None])
        found = EventAccumulator(str(folder / "tensorboard"))
        found.Reload()
        assert [event.step for event in found.Tensors("loss")] == [0, 10, 20]
