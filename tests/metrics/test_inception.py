"""A graph with the names of the published one, and others that are refused."""

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.metrics.inception import SIZE, load_inception

v1 = tf.compat.v1


def graph(size=SIZE, name="pool_3", odd=False):
    """Resizes to 2 × 2, scales as Inception does, normalises by an operation that TensorFlow 2 no longer makes."""
    with tf.Graph().as_default() as made:
        images = tf.identity(v1.placeholder(tf.float32, [1, None, None, 3]), name="ExpandDims")
        x = tf.raw_ops.ResizeBilinear(images=images, size=[2, 2])
        x = tf.nn.avg_pool2d((x - 128.0) * (1 / 128), 2, 1, "VALID")
        if odd:
            x = x * tf.strings.to_number(tf.io.read_file("/etc/hostname"))
        tf.nn.conv2d(x, tf.constant(np.ones([1, 1, 3, size], np.float32)), 1, "VALID", name="before")
        for constant, value in (("zero", 0.0), ("one", 1.0), ("five", 5.0)):
            tf.constant(np.full(size, value, np.float32), name=constant)
    graph_def = made.as_graph_def()
    graph_def.versions.producer = 8
    node = graph_def.node.add(name=name, op="BatchNormWithGlobalNormalization")
    node.input.extend(["before", "zero", "one", "five", "one"])
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["variance_epsilon"].f = 0.001
    node.attr["scale_after_normalization"].b = False
    return graph_def.SerializeToString()


def test_an_old_graph_runs_on_batches_of_any_size(tmp_path):
    (tmp_path / "graph.pb").write_bytes(graph())
    features = load_inception(tmp_path / "graph.pb")(np.full([3, 9, 7, 3], 192, np.uint8))
    assert features.shape == (3, SIZE)
    np.testing.assert_allclose(features, 3 * 0.5 / np.sqrt(1.001) + 5, rtol=1e-5)


@pytest.mark.parametrize("content, message", [
    (b"no graph", "a frozen graph. It is none"),
    (graph(name="pool_4"), "the nodes ExpandDims and pool_3"),
    (graph(size=4), "expected 2048 features. Received: 4"),
    (graph(odd=True), "Received: ReadFile, StringToNumber"),
])  # fmt: skip
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "graph.pb").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_inception(tmp_path / "graph.pb")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"inception-2015-12-05.tgz"):
        load_inception(tmp_path / "graph.pb")
