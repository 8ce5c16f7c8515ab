"""The features that FID is defined by: `pool_3` of TensorFlow's Inception of 2015-12-05, and of no other network.

FID and KID of other weights, or of another resizing, are other figures (Parmar et al., 2022); so the graph that the
authors of FID used is run as it is, with the resizing that is part of it. It is not shipped: the archive
inception-2015-12-05.tgz of TensorFlow's model downloads holds it, as classify_image_graph_def.pb (91 MiB).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

INPUT, OUTPUT, SIZE = "ExpandDims", "pool_3", 2048
# A graph can read and write files; one of these operations alone cannot.
_OPERATIONS = {
    "Add", "AvgPool", "BatchNormWithGlobalNormalization", "BiasAdd", "Cast", "CheckNumerics", "Concat", "ConcatV2",
    "Const", "Conv2D", "DecodeJpeg", "ExpandDims", "Identity", "MaxPool", "Mul", "Placeholder", "Relu",
    "ResizeBilinear", "Sub",
}  # fmt: skip


def load_inception(path: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network as a function: images uint8 [B, H, W, 3] of any size → features [B, 2048].

    Raises FileNotFoundError or ValueError, with one line that names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected classify_image_graph_def.pb of inception-2015-12-05.tgz")
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    except Exception:  # protobuf's DecodeError has no stable public home
        raise ValueError(f"{path}: expected classify_image_graph_def.pb, a frozen graph. It is none") from None
    nodes = {node.name: node for node in graph_def.node}
    if not {INPUT, OUTPUT} <= set(nodes):
        raise ValueError(f"{path}: expected the graph of 2015-12-05, with the nodes {INPUT} and {OUTPUT}")
    part, left = tf.compat.v1.GraphDef(versions=graph_def.versions), [OUTPUT]
    while left:  # what the output is of; the classifier behind it is left out
        node = nodes.pop(left.pop(), None)
        if node is not None:
            part.node.append(node)
            left += [name.lstrip("^").split(":")[0] for name in node.input]
    strange = {node.op for node in part.node} - _OPERATIONS
    if strange:
        raise ValueError(f"{path}: expected Inception's operations alone. Received: {', '.join(sorted(strange))}")
    # A graph of its own, and no tf.function: some operations are too old for the graphs that TensorFlow 2 makes.
    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        (features,) = tf.graph_util.import_graph_def(part, {f"{INPUT}:0": images}, [f"{OUTPUT}:0"])
    if features.shape[-1] != SIZE:
        raise ValueError(f"{path}: expected {SIZE} features. Received: {features.shape[-1]}")
    session = tf.compat.v1.Session(graph=graph)

    def run(batch: np.ndarray) -> np.ndarray:
        return session.run(features, {images: batch.astype(np.float32)}).reshape(-1, SIZE)

    return run
