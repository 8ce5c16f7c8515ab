"""Pickles of other people's, read without running anything that they name.

A pickle is a program that may call whatever Python can import. Here a name means what the caller's table says, or ends
the reading: nothing is imported for a file. The tables hold plain records and functions of this project alone. Memory
is bounded by the file's length: an array must be as long as its bytes, and bytes cannot be multiplied.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Instructions that fetch objects from elsewhere than the file. What they would name never passes `find_class`.
_OUTSIDE = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_MOST_IN_TUPLE = 1_000  # the states of arrays have some ten
_LIMIT = 4 << 30  # bytes of a file
_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
_SLACK = 1 << 20  # bytes that texts may become beyond the file's own length


class RefusedError(ValueError):
    """What a file holds is not what was expected. One line."""


class Whitelist(pickle.Unpickler):
    """An unpickler for which only the names in `allowed` exist.

    allowed: by (module, name) as the file writes them, a function or class of ours that is safe with any arguments. A
    class needs a `__setstate__` that is safe with any state: without one, the file could change the class itself.
    encoding: of the texts of Python 2, as for `pickle.Unpickler`.
    """

    def __init__(self, content: bytes, allowed: Mapping[tuple[str, str], Callable[..., Any]], encoding: str = "ASCII"):
        bare = [item for item in allowed.values() if isinstance(item, type) and not hasattr(item, "__setstate__")]
        if bare:
            raise TypeError(f"classes without __setstate__: {bare}")
        _check_instructions(content)
        super().__init__(io.BytesIO(content), encoding=encoding)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """What `allowed` has under this name. Raises RefusedError for any other."""
        found = self._allowed.get((module, name))
        if found is None:
            raise RefusedError(f"the file asks for {short(f'{module}.{name}')}. Nothing in the file was run")
        return found if isinstance(found, type) else _Function(found)


class _Function:
    """A function that a file may call and cannot change."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: object) -> None:
        raise RefusedError("a state for a function. Nothing in the file was run")


def load_pickle(
    path: str | Path, allowed: Mapping[tuple[str, str], Callable[..., Any]], encoding: str = "ASCII"
) -> Any:
    """What the pickle at `path` holds, read by a `Whitelist`.

    Raises OSError; RefusedError, with one line that begins with the path, for a file that asks for more than is
    allowed, is damaged, or has more than 4 GiB.
    """
    path = Path(path)
    if path.stat().st_size > _LIMIT:
        raise RefusedError(f"{path}: expected {_LIMIT:,} bytes at most. Received: {path.stat().st_size:,}")
    try:
        return Whitelist(path.read_bytes(), allowed, encoding).load()
    except RefusedError as error:
        raise RefusedError(f"{path}: {error}") from None
    except Exception as error:  # damaged bytes make the unpickler raise anything
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise RefusedError(f"{path}: damaged, or another kind of file ({short(reason)})") from None


class Dtype:
    """A numpy dtype of plain numbers of a file: its code, then its byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if type(code) is not str or code not in _DTYPES:
            raise RefusedError("a numpy dtype that is not of plain numbers")
        self.dtype = np.dtype("<" + code)

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subtype, names, fields, size, alignment, flags): plain numbers have no subtype or fields
        plain = type(state) is tuple and len(state) == 8 and state[2:] == (None, None, None, -1, -1, 0)
        if not plain or state[1] not in ("<", ">", "|", "="):
            raise RefusedError("a numpy dtype that is not of plain numbers")
        self.dtype = self.dtype.newbyteorder(state[1])

    def array(self, content: object, shape: tuple[int, ...], fortran: bool = False) -> np.ndarray:
        """An array of this dtype of the bytes `content`, which it does not copy."""
        if type(content) is not bytes or math.prod(shape) * self.dtype.itemsize != len(content):
            length = len(content) if isinstance(content, bytes) else "no"
            raise RefusedError(f"an array of shape {shape} and type {self.dtype} with {length} bytes")
        return np.frombuffer(content, self.dtype).reshape(shape, order="F" if fortran else "C")


class Objects:
    """numpy's dtype of Python objects."""

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or state[1:] != ("|", None, None, None, -1, -1, 63):
            raise RefusedError("a numpy dtype that is not of plain objects")


class Array:
    """A numpy array of a file; None until its state is there."""

    value: np.ndarray | None = None
    encode: Callable[[str, str], bytes] | None = None  # of the texts that Python 2's bytes become

    def __setstate__(self, state: Any) -> None:
        # (version, shape, dtype, in Fortran's order, bytes)
        kinds = (Dtype, Objects)
        if type(state) is not tuple or len(state) != 5 or type(state[2]) not in kinds or self.value is not None:
            raise RefusedError("a numpy array that is not of plain numbers")
        shape, content = state[1], state[4]
        if type(shape) is not tuple or len(shape) > 8 or any(type(n) is not int or n < 0 for n in shape):
            raise RefusedError("a numpy array without a shape")
        if type(state[2]) is Objects:
            if type(content) is not list or len(content) != math.prod(shape):
                raise RefusedError("a numpy array of objects that are not listed")
            self.value = np.empty(len(content), object)
            for place, item in enumerate(content):  # one by one: numpy would look into lists
                self.value[place] = item
            return
        if type(content) is str and self.encode is not None:
            content = self.encode(content, "latin1")
        self.value = state[2].array(content, shape, state[3] is True)


def numpy_names(size: int, objects: bool = False) -> dict[tuple[str, str], Callable[..., Any]]:
    """What numpy's names mean in a file of `size` bytes: arrays of plain numbers become an `Array` each.

    With `objects` those of Python objects do as well, of what the file makes with the other names of the table.
    """
    budget = size + _SLACK

    def encode(text: object, encoding: object, *more: object) -> bytes:
        """The bytes of an array: protocol 2 has none, so they come as a text of the same length."""
        nonlocal budget
        if type(text) is not str or encoding not in ("latin1", "latin-1") or more:
            raise RefusedError("a call of _codecs.encode that does not give an array's bytes")
        budget -= len(text)
        if budget < 0:  # one text may be encoded many times
            raise RefusedError("arrays of more bytes than the file has")
        return text.encode("latin1")

    def reconstruct(kind: object, *_: object) -> Array:
        if kind is not Array:
            raise RefusedError("an array that is not numpy's ndarray")
        array = Array()
        array.encode = encode
        return array

    def dtype_of(code: object, *more: object) -> Dtype | Objects:
        return Objects() if type(code) is str and code in ("O", "O4", "O8") else Dtype(code, *more)

    def scalar(dtype: object, content: object, *_: object) -> Array:
        if type(dtype) is not Dtype:
            raise RefusedError("a numpy scalar that is not a plain number")
        array = Array()
        array.value = dtype.array(content, ())
        return array

    names: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): dtype_of if objects else Dtype,
        ("_codecs", "encode"): encode,
    }
    for room in ("core", "_core"):  # numpy 2 has another name for the room that these two live in
        names[f"numpy.{room}.multiarray", "_reconstruct"] = reconstruct
        names[f"numpy.{room}.multiarray", "scalar"] = scalar
    return names


def short(text: str) -> str:
    """A text of a file, fit for a message: one line of plain letters, not too long."""
    return ascii(text[:100])[1:-1]


def kind_of(item: object) -> str:
    """What an item of a file is, in a word; never the item itself, which may be of any size."""
    return {Array: "a numpy array", Dtype: "a numpy dtype"}.get(type(item), f"a {type(item).__name__}")


def _check_instructions(content: bytes) -> None:
    """Takes the file apart without running it: its instructions are whole, stay within it, and nest within reason.

    Python hashes a tuple by all that is in it, however often the same tuple is in there twice: so its size is counted
    that way, on a stack of sizes instead of items.
    """
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[object, int] = {}
    for opcode, argument, position in pickletools.genops(content):
        name, before = opcode.name, opcode.stack_before
        if name in _OUTSIDE:
            what = f" {argument!a}"[:120] if isinstance(argument, str) else ""
            raise RefusedError(f"the instruction {name}{what} at byte {position}. Nothing in the file was run")
        if name == "MARK":
            marks.append(len(stack))
            continue
        size = 1
        if name in _GETS:
            size = memo.get(argument, 1)
        elif name == "MEMOIZE" or name in _PUTS:
            # They are numbered in order, and Python's machine makes room for the highest number.
            number = len(memo) if name == "MEMOIZE" else argument
            if not isinstance(number, int) or not 0 <= number <= len(memo) + 1:
                raise RefusedError(f"item {number} is put down at byte {position}, out of order")
            memo[number] = stack[-1]
            continue
        if pickletools.markobject in before:
            start = marks.pop() - before.index(pickletools.markobject)
        else:
            start = len(stack) - len(before)
        if start < 0:
            raise IndexError(f"too few items at byte {position}")
        if name in _TUPLES:
            size += sum(stack[start:])
            if size > _MOST_IN_TUPLE:
                raise RefusedError(f"a tuple of more than {_MOST_IN_TUPLE:,} items within each other")
        stack[start:] = [size] * len(opcode.stack_after)
