"""Named arrays from TensorFlow 1 checkpoints and frozen graphs. Nothing in either is run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

_PARTS = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")  # of a checkpoint
# Last parts of variables' names. A frozen graph holds other constants too: axes, factors, shapes.
_VARIABLES = frozenset({"weights", "biases", "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"})
_READER_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, LookupError, OSError)  # TensorFlow's reader raises each


@dataclass(frozen=True)
class Variables:
    """The variables of a file: shapes by name, and a function that reads one."""

    path: Path  # for messages
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]


def read_variables(source: str | Path) -> Variables:
    """The variables of a checkpoint (its prefix, or any of its files), of a `.pb`, or of the only one in a folder.

    Raises FileNotFoundError or ValueError with one line that names the file.
    """
    path = _find(Path(source))
    return _read_graph(path) if path.suffix == ".pb" else _read_checkpoint(path)


def _find(source: Path) -> Path:
    """A `.pb`, or the prefix of a checkpoint."""
    if source.is_dir():
        found = sorted({p.with_suffix("") for p in source.glob("*.index")} | set(source.glob("*.pb")))
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "none"
            raise FileNotFoundError(f"--source {source}: expected one checkpoint or .pb in the folder. Found: {names}")
        return found[0]
    prefix = source.with_name(_PARTS.sub("", source.name))
    if prefix.with_name(f"{prefix.name}.index").is_file():
        return prefix
    if prefix != source or not source.is_file():  # the oldest checkpoints are one file without a suffix
        raise FileNotFoundError(
            f"--source {source}: expected a checkpoint (there is no {prefix.name}.index beside it), a frozen graph "
            "(.pb), or a folder with one of them"
        )
    return source


def _read_checkpoint(prefix: Path) -> Variables:
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
    except _READER_ERRORS as error:
        raise ValueError(f"{prefix}: not a checkpoint, or a damaged one ({_first_line(error)})") from None

    def read(name: str) -> np.ndarray:
        try:
            return np.asarray(reader.get_tensor(name))
        except _READER_ERRORS as error:
            raise ValueError(f"{prefix}: cannot read the variable {name} ({_first_line(error)})") from None

    return Variables(prefix, shapes, read)


def _read_graph(path: Path) -> Variables:
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's own kind of error differs between its implementations
        raise ValueError(f"{path}: not a frozen graph, or a damaged one ({_first_line(error)})") from None
    constants = {node.name: node.attr["value"].tensor for node in graph.node if node.op == "Const"}
    if not constants:
        raise ValueError(f"{path}: a graph without constants; expected a frozen one, with the weights inside")
    # A variable of reference kind is read by an Identity NAME/read, which freezing keeps.
    was_read = {node.name.removesuffix("/read") for node in graph.node if node.op == "Identity"}
    shapes = {
        name: tuple(dim.size for dim in tensor.tensor_shape.dim)
        for name, tensor in constants.items()
        if name in was_read or name.rpartition("/")[2] in _VARIABLES
    }

    def read(name: str) -> np.ndarray:
        try:
            return tf.make_ndarray(constants[name])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: cannot read the constant {name} ({_first_line(error)})") from None

    return Variables(path, shapes, read)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
