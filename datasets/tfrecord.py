"""The framing of TFRecord files: where the records lie, whether they are whole, and where to go on after damage.

A record is 8 bytes of length (little-endian), 4 bytes of the length's checksum, the payload, and 4 bytes of the
payload's checksum. A checksum is CRC-32C, rotated right by 15 bits, plus 0xA282EAD8. TensorFlow reads such files from
the beginning only, and stops at the first damaged record without saying where it lies.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import google_crc32c
import numpy as np

_HEADER, _FOOTER = 12, 4  # bytes around a payload
FRAME = _HEADER + _FOOTER
_SAMPLES = 64  # headers that are looked at before records are taken to be equally long
_BLOCK = 1 << 18  # bytes searched at once for the next record after damage
_MAYBE_HEADER = re.compile(rb"(?=.{4}\0{4})", re.DOTALL)  # no record has 4 GiB: the upper half of a length is zero


class DamagedRecordError(ValueError):
    """A record that is not what its checksums, or its reader, say it should be. One line: file, byte and reason."""

    @classmethod
    def at(cls, path: Path, offset: int, reason: object) -> DamagedRecordError:
        """The line for the record that begins at `offset`."""
        return cls(f"{path}: damaged record at byte {offset}: {reason}")


class Framed(NamedTuple):
    """One record of a file, or one damaged stretch of it."""

    offset: int  # of the first byte of the header (records), or of the stretch
    payload: bytes | None  # None: damaged
    damage: str = ""  # what is wrong with it


def walk(path: str | Path) -> Iterator[Framed]:
    """Every record of a file in order, past damage as far as the framing lets one go.

    A payload whose checksum is wrong is one damaged record, and the next one begins behind it. Where a length cannot
    be trusted, the bytes are searched for the next header whose own checksum is right and whose record fits in the
    file; how many records lay between is not known, so that stretch is reported as one.
    Raises OSError when the file cannot be read.
    """
    size = Path(path).stat().st_size
    offset, floor = 0, 1  # floor: the first byte at which a header may lie that the walk would step over
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            length, reason = _length_at(file, offset, size)
            if length is not None:
                payload, end = _payload_at(file, offset, length), offset + length + FRAME
                yield Framed(offset, payload, "" if payload is not None else "its checksum is wrong")
                floor = (offset if payload is None else end) + 1
                offset = end
                continue
            follows = _next_header(file, floor, size)
            if follows is None:
                yield Framed(offset, None, f"{reason}; no whole record follows")
                return
            if follows > offset:  # else bytes are lost from the damaged record before, which is reported already
                yield Framed(offset, None, f"{reason}; the next whole record is at byte {follows}")
            offset, floor = follows, follows + 1


def iterate_shard(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """(offset, payload) of every record of a file. Raises FileNotFoundError; DamagedRecordError at the first damage."""
    for offset, payload, damage in walk(_existing(path)):
        if payload is None:
            raise DamagedRecordError.at(Path(path), offset, damage)
        yield offset, payload


def record_offsets(path: str | Path) -> np.ndarray:
    """[N, 2] int64: offset of each record of a file and length of its payload, in bytes, read off the headers.

    Where the first header, the file's size and a sample of the headers that follow from them agree that all records
    are equally long, the other headers are not read: 70,000 raw images take milliseconds on a cold disk too. Payloads
    are not read either. `read_payload` checks both.

    Raises FileNotFoundError for a missing file, DamagedRecordError for a truncated or damaged one.
    """
    path = _existing(path)
    size, offset = path.stat().st_size, 0
    found: list[tuple[int, int]] = []
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            length, reason = _length_at(file, offset, size)
            if length is None:
                raise DamagedRecordError.at(path, offset, reason)
            step = length + FRAME
            if not found and size % step == 0:
                sample = np.unique(np.linspace(0, size // step - 1, _SAMPLES).astype(np.int64)) * step
                if all(_length_at(file, int(place), size)[0] == length for place in sample):
                    return np.stack([np.arange(0, size, step), np.full(size // step, length)], axis=1)
            found.append((offset, length))
            offset += step
    return np.array(found, np.int64).reshape(-1, 2)


def read_payload(path: str | Path, offset: int, length: int) -> bytes:
    """The payload of `length` bytes of the record at `offset` of a file, both checked.

    Raises DamagedRecordError, OSError.
    """
    path = Path(path)
    with open(path, "rb", buffering=0) as file:
        received, reason = _length_at(file, offset, path.stat().st_size)
        payload = _payload_at(file, offset, length) if received == length else None
    if payload is None:
        wrong = "its checksum is wrong" if received == length else reason or f"it has {received} bytes, not {length}"
        raise DamagedRecordError.at(path, offset, wrong)
    return payload


def stored_checksums(path: str | Path, offsets: np.ndarray) -> bytes:
    """Length and stored checksum of each payload of a file, 8 bytes each: they tell contents apart.

    `offsets` [N, 2]: as `record_offsets` gives them.
    """
    found = bytearray()
    with open(path, "rb", buffering=0) as file:
        for offset, length in offsets:
            found += int(length).to_bytes(4, "little") + _read(file, int(offset + _HEADER + length), _FOOTER)
    return bytes(found)


def _existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: the shard is missing. Run the command that made the dataset again")
    return Path(path)


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _read(file: IO[bytes], offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _length_at(file: IO[bytes], offset: int, size: int) -> tuple[int | None, str]:
    """The length that a header holds, or None and what is wrong with it. `size`: of the file."""
    header = _read(file, offset, _HEADER)
    if len(header) == _HEADER:
        if _checksum(header[:8]) != header[8:]:
            return None, "its length does not check"
        (length,) = struct.unpack("<Q", header[:8])
        if offset + length + FRAME <= size:
            return length, ""
    return None, f"truncated, the file ends at byte {size}"


def _payload_at(file: IO[bytes], offset: int, length: int) -> bytes | None:
    """The payload of a record that lies within its file; None where its checksum is wrong."""
    framed = _read(file, offset + _HEADER, length + _FOOTER)
    payload = framed[:length]
    return payload if _checksum(payload) == framed[length:] else None


def _next_header(file: IO[bytes], start: int, size: int) -> int | None:
    """Offset of the first header at or behind `start` that checks and whose record fits in the file."""
    while start + FRAME <= size:
        block = _read(file, start, _BLOCK)
        for match in _MAYBE_HEADER.finditer(block):
            if _length_at(file, start + match.start(), size)[0] is not None:
                return start + match.start()
        start += len(block) - _HEADER + 1
    return None
