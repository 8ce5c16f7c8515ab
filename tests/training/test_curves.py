"""Curves of made-up runs: stages in a row, and parts done twice."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from discoface_tf2.training import curves


def write(run, values, phase, first=0):
    writer = tf.summary.create_file_writer(str(run / "tensorboard"))
    with writer.as_default():
        for k, value in enumerate(values):
            tf.summary.scalar(f"{phase}/landmarks", value, step=1000 * (first + k + 1))
            tf.summary.scalar("sec_per_kimg", 2.0, step=1000 * (first + k + 1))
        tf.summary.text("options", "not a curve", step=0)
    writer.close()


def test_stages_follow_each_other_and_the_last_try_counts(tmp_path):
    write(tmp_path / "one", [3.0, 2.0, 9.0], "imitative")
    write(tmp_path / "one", [1.0, 0.5], "imitative", first=2)  # from kimg 2 on again
    write(tmp_path / "two", [0.25], "contrastive")
    found = curves.read_curves([tmp_path / "one", tmp_path / "two"])
    assert set(found) == {"landmarks", "sec_per_kimg"}
    np.testing.assert_allclose(found["landmarks"]["imitative"], [[1, 3], [2, 2], [3, 1], [4, 0.5]])
    np.testing.assert_allclose(found["landmarks"]["contrastive"], [[5, 0.25]])
    np.testing.assert_allclose(found["sec_per_kimg"][""][:, 0], [1, 2, 3, 4, 5])


def test_running_mean():
    values = np.arange(100.0)
    np.testing.assert_allclose(curves.running_mean(values)[2:-2], values[2:-2])
    np.testing.assert_allclose(curves.running_mean(values)[[0, -1]], [1.0, 98.0])  # two neighbours on one side
    np.testing.assert_array_equal(curves.running_mean(np.ones(3)), np.ones(3))


def test_the_picture_and_what_is_said_without_a_run(tmp_path, capsys):
    write(tmp_path / "one", [3.0, 2.0], "imitative")
    out = tmp_path / "deep" / "curves.png"
    curves.main([str(tmp_path / "one"), "--out", str(out)])
    assert capsys.readouterr().out.strip() == str(out)
    assert np.asarray(Image.open(out).convert("L")).std() > 1
    with pytest.raises(FileNotFoundError, match="expected TensorBoard events"):
        curves.main([str(tmp_path / "none"), "--out", str(out)])


def test_event_files_are_in_the_order_of_their_counters():
    names = [f"events.out.tfevents.1795.host.77.{k}.v2" for k in (2, 9, 10, 100)]
    assert sorted(map(Path, reversed(names)), key=curves._age) == list(map(Path, names))
