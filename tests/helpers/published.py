"""Made-up weights for pretrained networks, in the two forms in which weights are published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from discoface_tf2.perception.pretrained import Facenet, FaceParser, RNet

SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "perception"
NARROW = {
    "reconstruction": lambda: RNet(base=4),
    "identity": lambda: Facenet(base=4),
    "parsing": lambda: FaceParser(base=2),
}


def made_up(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The reference's rule for the weight of a variable of this name."""
    rng, part = np.random.RandomState(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)), name.rpartition("/")[2]
    if part == "moving_variance":
        value = rng.uniform(0.5, 1.5, shape)
    elif part == "moving_mean":
        value = rng.normal(0, 0.1, shape)
    elif part == "gamma":
        value = rng.uniform(0.8, 1.2, shape)
    elif part in ("beta", "biases", "bias"):
        value = rng.normal(0, 0.05, shape)
    else:
        value = rng.normal(0, 1, shape) * np.sqrt(1 / np.prod(shape[:-1]))
    return value.astype(np.float32)


def made_up_variables(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: made_up(name, tuple(shape)) for name, shape in shapes.items()}


def write_checkpoint(prefix: Path, values: Mapping[str, np.ndarray]) -> Path:
    """By TensorFlow 1's own saver: prefix.index and prefix.data-00000-of-00001."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    saver = tf.compat.v1.train.Saver({name: tf.Variable(value) for name, value in values.items()})
    saver.save(None, str(prefix), write_meta_graph=False)
    return prefix


def write_graph(path: Path, values: Mapping[str, np.ndarray]) -> Path:
    """As TensorFlow 1 freezes: a Const in place of each variable, its Identity NAME/read, and another constant."""
    graph = tf.compat.v1.GraphDef()
    for name, value in {**values, "pool5/reduction_indices": np.array([1, 2], np.int32)}.items():
        node = graph.node.add(op="Const", name=name)
        node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        if name in values:
            graph.node.add(op="Identity", name=f"{name}/read", input=[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph.SerializeToString())
    return path
