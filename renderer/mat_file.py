"""Arrays of numbers out of MATLAB files of version 5 to 7.2, with every length checked before it is believed.

scipy.io.loadmat is not hardened against damaged files, as its manual says: one changed byte in the type of an element
can end the process. What face models and coefficients need of the format is small (MathWorks, "MAT-File Format").
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

_HEADER = 128
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_OTHERS = {1: "cells", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix", 16: "a function",
           17: "an object", 18: "an object"}  # fmt: skip
_COMPLEX = 0x0800
_HEAD = 1 << 12  # bytes of a variable that surely hold its flags, sizes and name


class _DamagedError(Exception):
    """What is wrong with the file, in words."""


class _Variable(NamedTuple):
    name: str
    kind: int  # MATLAB's class
    is_complex: bool
    shape: tuple[int, ...]
    data: int  # where the real part's element starts


def read_mat(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named variables of a MATLAB file.

    Returns:
        Name -> array of at least two axes, of the dtype that its MATLAB class says; of a logical array, uint8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: one line with the file and the variable: not such a file, damaged or truncated, a variable that is
            not there, or that is no array of real numbers (cells, structures, objects, text, sparse, complex).
    """
    path, result, seen = Path(path), {}, []
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    with open(path, "rb") as file:
        try:
            order = _byte_order(file)
            for content, whole in _elements(file, order):
                variable = _variable(content, order)
                seen.append(variable.name)
                if variable.name in names:
                    result[variable.name] = _array(whole(), variable, order)
                    if len(result) == len(set(names)):
                        return result
        except _DamagedError as error:
            raise ValueError(f"{path}: {error}") from None
        except (zlib.error, struct.error, ValueError, OSError, MemoryError) as error:
            raise ValueError(f"{path}: the .mat file is damaged ({error})") from None
    missing = ", ".join(repr(name) for name in names if name not in result)
    some = ", ".join(map(repr, seen[:8])) + (", …" if len(seen) > 8 else "")
    raise ValueError(f"{path}: expected the variable {missing}. Received: {some or 'no variables'}")


def _byte_order(file: BinaryIO) -> str:
    """`<` or `>`, of the file's header."""
    header = file.read(_HEADER)
    if b"\x89HDF" in header[:8] or header.startswith(b"MATLAB 7.3"):
        raise _DamagedError("a MATLAB 7.3 file; save it again with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None or struct.unpack(order + "H", header[124:126])[0] != 0x0100:
        raise _DamagedError("not a .mat file of version 5 to 7.2")
    return order


class _Rest:
    """Reads the whole content of a variable, of which only the head was read so far."""

    def __init__(self, file: BinaryIO, place: int, length: int, compressed: bool, order: str) -> None:
        self.file, self.place, self.length, self.compressed, self.order = file, place, length, compressed, order

    def __call__(self, limit: int | None = None) -> bytes:
        """The content, or its first `limit` bytes."""
        self.file.seek(self.place)
        if not self.compressed:
            return self.file.read(self.length if limit is None else min(limit, self.length))
        packed = self.file.read(self.length if limit is None else min(limit, self.length))
        unpacker = zlib.decompressobj()
        tag = unpacker.decompress(packed, 8)
        kind, length = struct.unpack(self.order + "II", tag)
        if kind != _MATRIX:
            raise _DamagedError(f"damaged: a compressed element of type {kind}")
        # Never more than the element says, whatever the packed bytes would grow to.
        content = unpacker.decompress(unpacker.unconsumed_tail, length if limit is None else min(limit, length) or 1)
        if limit is None and len(content) != length:
            raise _DamagedError(f"truncated or damaged: a variable of {length} bytes has {len(content)}")
        return content


def _elements(file: BinaryIO, order: str) -> Iterator[tuple[bytes, _Rest]]:
    """The head of each variable, and what reads all of it."""
    size, place = file.seek(0, 2), _HEADER
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack(order + "II", file.read(8))
        if kind not in (_MATRIX, _COMPRESSED):
            raise _DamagedError(f"damaged: an element of type {kind} where a variable should be")
        if place + 8 + length > size:
            raise _DamagedError(f"truncated: a variable needs {place + 8 + length} bytes. The file has {size}")
        rest = _Rest(file, place + 8, length, kind == _COMPRESSED, order)
        yield rest(_HEAD), rest
        place += 8 + length
    if place == _HEADER:
        raise _DamagedError("truncated: it holds no variables")


def _element(content: bytes, place: int, order: str) -> tuple[int, int, int, int]:
    """Type, start, length and the next place of the element at `place`."""
    (word,) = struct.unpack_from(order + "I", content, place)
    if word >> 16:  # up to four bytes, packed into the tag
        return word & 0xFFFF, place + 4, word >> 16, place + 8
    (length,) = struct.unpack_from(order + "I", content, place + 4)
    return word, place + 8, length, place + 8 + -(-length // 8) * 8


def _variable(content: bytes, order: str) -> _Variable:
    """Name, class and sizes of a variable, from its head."""
    kind, start, length, place = _element(content, 0, order)
    if (kind, length) != (6, 8):
        raise _DamagedError("damaged: a variable without its flags")
    flags = struct.unpack_from(order + "I", content, start)[0]
    if flags & 0xFF in (17, 18):  # opaque objects have their names elsewhere
        return _Variable("", flags & 0xFF, False, (), place)
    kind, start, length, place = _element(content, place, order)
    if kind not in (5, 6) or length % 4 or not 8 <= length <= 4 * 32:
        raise _DamagedError("damaged: a variable without its sizes")
    shape = struct.unpack_from(f"{order}{length // 4}i", content, start)
    kind, start, length, place = _element(content, place, order)
    if kind not in (1, 2) or start + length > len(content):
        raise _DamagedError("damaged: a variable without its name")
    name = content[start : start + length].decode("ascii", "replace")
    if min(shape) < 0:
        raise _DamagedError(f"{name}: damaged: sizes {shape}")
    return _Variable(name, flags & 0xFF, bool(flags & _COMPLEX), shape, place)


def _array(content: bytes, variable: _Variable, order: str) -> np.ndarray:
    """The numbers of a variable, of its whole content."""
    name, sizes = variable.name, " x ".join(map(str, variable.shape))
    if variable.kind not in _CLASSES or variable.is_complex:
        received = "complex numbers" if variable.is_complex else _OTHERS.get(variable.kind, f"class {variable.kind}")
        raise _DamagedError(f"{name}: expected an array of real numbers. Received: {received}")
    kind, start, length, _ = _element(content, variable.data, order)
    if kind not in _TYPES:
        raise _DamagedError(f"{name}: damaged: numbers of type {kind}")
    stored = np.dtype(order + _TYPES[kind])
    if length != math.prod(variable.shape) * stored.itemsize or start + length > len(content):
        raise _DamagedError(f"{name}: damaged: {length} bytes for {sizes} numbers of {stored.itemsize} bytes each")
    values = np.frombuffer(content, stored, math.prod(variable.shape), start)
    with np.errstate(invalid="ignore", over="ignore"):  # of damaged numbers; who reads them checks them
        return values.astype(_CLASSES[variable.kind]).reshape(variable.shape, order="F")
