"""What FLAME's files hold, by name: from `.npz`, from pickles, and from the pickles in `.npy` files.

Pickles are read by `renderer.unpickling`, which knows no names but those of the table here. Arrays that chumpy wraps
and scipy's sparse matrices are taken out of the records that their classes stand for.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from renderer.unpickling import Array, RefusedError, Whitelist, kind_of, numpy_names, short


class _Record:
    """An object of a file: what its class would restore itself from, and no more."""

    state: dict[str, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict or self.state is not None:
            raise RefusedError("an object whose state is not one dictionary")
        self.state = state


class _Chumpy(_Record):
    """chumpy's array: its numbers are the state's `x`."""


class _Selection(_Record):
    """chumpy's selection: a.ravel()[idxs].reshape(preferred_shape)."""


class _Columns(_Record):
    """scipy's sparse matrix of compressed columns."""


class _Rows(_Record):
    """The same of compressed rows."""


class _Base(_Record):
    """Python's `object`, as it is named where an old pickle begins an object of another class."""


def _begin(kind: object, base: object, state: object) -> _Record:
    """copy_reg's way to begin an object."""
    if kind not in (_Chumpy, _Selection, _Columns, _Rows) or base is not _Base or state is not None:
        raise RefusedError("an object that is none of chumpy's and scipy's")
    return kind()  # type: ignore[operator, no-any-return]


class _Unread(_Record):
    """What nobody looks into: sets of chumpy, and PyTorch's tensors, in which DECA's file has the contour."""


def _unread(*_: object) -> _Unread:
    return _Unread()


NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy.reordering", "Select"): _Selection,
    **{(f"scipy.sparse.{room}csc", "csc_matrix"): _Columns for room in ("", "_")},
    **{(f"scipy.sparse.{room}csr", "csr_matrix"): _Rows for room in ("", "_")},
    **{(f"{room}", "object"): _Base for room in ("__builtin__", "builtins")},
    **{(f"{room}", "set"): _unread for room in ("__builtin__", "builtins")},
    **{(room, "_reconstructor"): _begin for room in ("copy_reg", "copyreg")},
    ("torch._utils", "_rebuild_tensor_v2"): _unread,
    ("torch.storage", "_load_from_bytes"): _unread,
    ("collections", "OrderedDict"): _unread,
}


def content(path: Path, what: str, keys: Sequence[str] | None = None) -> Mapping[str, Any]:
    """What a file has by name; of a `.npz` the `keys` alone."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected {what}. There is no such file")
    try:
        data = path.read_bytes()
        if data.startswith(b"PK"):
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files if keys is None or key in keys}
        is_npy = data.startswith(b"\x93NUMPY")
        names = numpy_names(len(data), objects=is_npy) | NAMES
        found = Whitelist(data[_header(data) if is_npy else 0 :], names, "latin1").load()
    except RefusedError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # damaged bytes make pickle, zipfile and numpy raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        reason = "Python objects in a .npz, which are never read" if "allow_pickle" in reason else reason
        raise ValueError(f"{path}: damaged, or not {what} ({short(reason)})") from None
    if type(found) is Array and found.value is not None and found.value.size == 1:  # a .npy of one dictionary
        found = found.value.reshape(-1)[0]
    if type(found) is not dict:
        raise ValueError(f"{path}: expected {what}, arrays by name. Received: {kind_of(found)}")
    return found


def _header(data: bytes) -> int:
    """Length of the header of a `.npy` file, which has to be one of Python objects."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers or not readers[version](file)[2].hasobject:
        raise RefusedError("expected arrays by name. Received: a single array")
    return file.tell()


def array(value: Any, where: str, size: tuple[int, ...] | None = None) -> np.ndarray:
    """The array of numbers in what a file holds under a name. Raises ValueError with one line that begins `where`."""
    state = (value.state or {}) if isinstance(value, _Record) else {}
    if isinstance(value, (_Columns, _Rows)):
        return _dense(value, where, size)
    if isinstance(value, _Selection):
        source, places = array(state.get("a"), f"{where}: a"), array(state.get("idxs"), f"{where}: idxs")
        shape = state.get("preferred_shape")
        if type(shape) is tuple and all(type(n) is int and n > 0 for n in shape) and places.dtype.kind in "iu":
            try:
                return source.ravel()[places].reshape(shape)
            except (IndexError, ValueError):
                pass
        raise ValueError(f"{where}: expected numbers. Received: a selection that does not fit its array")
    if isinstance(value, _Chumpy):
        value = state.get("x")
    if type(value) is Array:
        value = value.value
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        received = value.dtype.name if isinstance(value, np.ndarray) else short(kind_of(value))
        received = "a set, or a tensor of PyTorch's" if isinstance(value, _Unread) else received
        raise ValueError(f"{where}: expected numbers. Received: {received}")
    return value


def _dense(value: _Columns | _Rows, where: str, size: tuple[int, ...] | None) -> np.ndarray:
    """The matrix of a scipy record of compressed columns or rows, which has to be of `size`."""
    state = value.state or {}
    shape = state.get("_shape", state.get("shape"))
    if size is None or len(size) != 2 or shape != size:
        raise ValueError(f"{where}: expected {'no sparse matrix' if size is None else sizes_text(size)}")
    data, indices, starts = (array(state.get(key), f"{where}: {key}") for key in ("data", "indices", "indptr"))
    by_column = isinstance(value, _Columns)
    lines, across = (size[1], size[0]) if by_column else size
    whole = all(a.ndim == 1 and a.dtype.kind in "iu" for a in (indices, starts)) and data.shape == indices.shape
    counts: np.ndarray = np.diff(starts.astype(np.int64)) if whole else np.zeros(0, np.int64)
    if (
        len(counts) != lines or starts[0] != 0 or starts[-1] != len(data) or counts.min() < 0
        or (indices.size and not 0 <= indices.min() <= indices.max() < across)
    ):  # fmt: skip
        raise ValueError(f"{where}: damaged: a sparse matrix whose numbers have no place in it")
    dense = np.zeros((lines, across))
    np.add.at(dense, (np.repeat(np.arange(lines), counts), indices.astype(np.int64)), data)
    return dense.T if by_column else dense


def sizes_text(shape: Sequence[int]) -> str:
    """Sizes of axes for a message; -1 is any."""
    return " x ".join("any" if size == -1 else str(size) for size in shape) or "1"
