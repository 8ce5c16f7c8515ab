"""What `renderer.unpickling` makes of a pickle: names, records, numpy's arrays; and the words for what it refuses."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
OBJECTS = {"O", "O4", "O8"}


class RefusedError(ValueError):
    """What the file holds is not what its reader needs."""


class Name(NamedTuple):
    """A function or class that the file names. It is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return short(f"{self.module}.{self.name}")


class Record:
    """An object of an allowed class, or the call of an allowed function: what the file says of it, and no more.

    Attributes:
        kind: the class or function.
        arguments: of the call; none for an object.
        state: what the object's class would restore itself from; None until the file gives it.
    """

    def __init__(self, kind: Name, arguments: tuple[Any, ...] = ()) -> None:
        self.kind, self.arguments = kind, arguments
        self.state: Any = None


class ArrayType:
    """A numpy dtype on its way: its code, then its byte order."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.dtype: np.dtype | None = None


class Array:
    """A numpy array on its way."""

    def __init__(self, value: np.ndarray | None = None) -> None:
        self.value = value


def short(text: str) -> str:
    """A text of the file, fit for a message: one line of plain letters, not too long."""
    return ascii(text[:100])[1:-1]


def kind_of(item: Any) -> str:
    """What an item is, in a word; never the item itself, which may be of any size."""
    if type(item) is Name:
        return str(item)
    if type(item) is Record:
        return f"an object of {item.kind}"
    return {ArrayType: "a numpy dtype", Array: "a numpy array"}.get(type(item), f"a {type(item).__name__}")


def new_type(arguments: tuple[Any, ...], objects: bool) -> ArrayType:
    """The call of numpy's dtype. Raises RefusedError for other than plain numbers, and objects where they are read."""
    known = _DTYPES | OBJECTS if objects else _DTYPES
    if len(arguments) != 3 or type(arguments[0]) is not str or arguments[0] not in known:
        raise RefusedError("a numpy dtype that is not of plain numbers")
    return ArrayType(arguments[0])


def finish_type(code: str, state: Any) -> np.dtype:
    """The dtype of a code and of the state that numpy's own would restore itself from."""
    # (version, byte order, subtype, names, fields, size, alignment, flags): plain numbers have no subtype and no fields
    flags = 63 if code in OBJECTS else 0
    if type(state) is not tuple or len(state) != 8 or state[2:5] != (None,) * 3 or state[5:] != (-1, -1, flags):
        raise RefusedError("a numpy dtype that is not of plain numbers")
    if type(state[1]) is not str or state[1] not in ("<", ">", "|", "="):
        raise RefusedError("a numpy dtype of unknown byte order")
    return np.dtype(object) if code in OBJECTS else np.dtype(state[1] + code)


def numbers(kind: ArrayType, content: bytes, shape: tuple[int, ...], order: Any) -> np.ndarray:
    """The array of these bytes, of which there have to be as many as it needs."""
    dtype = kind.dtype or np.dtype("<" + kind.code)
    if math.prod(shape) * dtype.itemsize != len(content):
        raise RefusedError(f"an array of shape {shape} and type {dtype} with {len(content)} bytes")
    return np.frombuffer(content, dtype).reshape(shape, order=order)
