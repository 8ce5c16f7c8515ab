"""The framing of TFRecord files: where the records lie, whether they are whole, and where to go on after damage.

A record is 8 bytes of length (little-endian), 4 bytes of the length's checksum, the payload, and 4 bytes of the
payload's checksum. A checksum is CRC-32C, rotated right by 15 bits, plus 0xA282EAD8.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

HEADER, FOOTER = 12, 4  # bytes around a payload
_SAMPLES = 64  # headers that are looked at before records are taken to be equally long
_BLOCK = 1 << 18  # bytes searched at once for the next record after damage
_MAX_LANES = 4096


class DamagedRecordError(ValueError):
    """A record that is not what its checksums, or its reader, say it should be. One line: file, byte and reason."""


@dataclass(frozen=True)
class Framed:
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
            length = _length_at(file.fileno(), offset)
            if length is not None and offset + HEADER + length + FOOTER <= size:
                framed = os.pread(file.fileno(), length + FOOTER, offset + HEADER)
                good = len(framed) == length + FOOTER and _checks(memoryview(framed)[:length], framed[length:])
                yield Framed(offset, framed[:length] if good else None, "" if good else "its checksum is wrong")
                floor = offset + HEADER + length + FOOTER + 1 if good else offset + 1
                offset += HEADER + length + FOOTER
                continue
            what = "its length does not check"
            if length is not None or offset + HEADER > size:
                what = f"truncated, the file ends at byte {size}"
            follows = _next_header(file.fileno(), floor, size)
            if follows is None:
                yield Framed(offset, None, f"{what}; no whole record follows")
                return
            if follows > offset:  # else bytes are lost from the damaged record before, which is reported already
                yield Framed(offset, None, f"{what}; the next whole record is at byte {follows}")
            offset, floor = follows, follows + 1


def record_offsets(path: str | Path) -> np.ndarray:
    """[N, 2] int64: offset and length of the payload of each record of a file, read off the framing.

    Raises FileNotFoundError for a missing file, DamagedRecordError for a truncated or damaged one, with the record's
    offset. Payloads are not read: `read_payload` checks them.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the shard is missing. Run the command that made the dataset again")
    found: list[tuple[int, int]] = []
    offset, size = 0, path.stat().st_size
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            length = _length_at(file.fileno(), offset)
            if length is None and offset + HEADER <= size:
                raise DamagedRecordError(
                    f"{path}: damaged record {len(found)} at byte {offset}: its length does not check"
                )
            if length is None or offset + HEADER + length + FOOTER > size:
                raise DamagedRecordError(f"{path}: truncated in record {len(found)} at byte {offset} of {size}")
            found.append((offset + HEADER, length))
            offset += HEADER + length + FOOTER
    return np.array(found, np.int64).reshape(-1, 2)


def equal_record_offsets(path: str | Path) -> np.ndarray:
    """`record_offsets` of a file whose records are all of one length, without reading every header.

    The first header, the file's size and a sample of the headers that follow from them decide; if they do not agree,
    every header is read. So 70,000 offsets take milliseconds on a cold disk too. A header that was not looked at is
    checked when its record is read.
    """
    path = Path(path)
    size = path.stat().st_size if path.is_file() else 0
    if size:
        with open(path, "rb", buffering=0) as file:
            length = _length_at(file.fileno(), 0)
            step = HEADER + FOOTER + (length or 0)
            if length is not None and size % step == 0:
                count = size // step
                sample = np.unique(np.linspace(0, count - 1, _SAMPLES).astype(np.int64)) * step
                if all(_length_at(file.fileno(), int(offset)) == length for offset in sample):
                    return np.stack([np.arange(count) * step + HEADER, np.full(count, length)], axis=1).astype(np.int64)
    return record_offsets(path)


def read_payload(path: str | Path, offset: int, length: int) -> bytes:
    """The payload of `length` bytes at `offset` of a file, its length and its bytes checked.

    Raises DamagedRecordError, OSError.
    """
    with open(path, "rb", buffering=0) as file:
        framed = os.pread(file.fileno(), HEADER + length + FOOTER, offset - HEADER)
    at = f"{path}: damaged record at byte {offset - HEADER}"
    if len(framed) < HEADER + length + FOOTER:
        raise DamagedRecordError(f"{at}: the file ends before it does")
    if _length(framed[:HEADER]) != length:
        raise DamagedRecordError(f"{at}: its length does not check")
    if not _checks(memoryview(framed)[HEADER:-FOOTER], framed[-FOOTER:]):
        raise DamagedRecordError(f"{at}: its checksum is wrong")
    return framed[HEADER:-FOOTER]


def stored_checksums(path: str | Path, locations: np.ndarray) -> bytes:
    """Length and stored checksum of each payload of a file, 8 bytes each: they tell contents apart.

    `locations` [N, 2]: offset and length of each payload.
    """
    found = bytearray()
    with open(path, "rb", buffering=0) as file:
        for offset, length in locations:
            found += int(length).to_bytes(4, "little")
            found += os.pread(file.fileno(), FOOTER, int(offset + length))
    return bytes(found)


def crc32c(data: bytes | memoryview) -> int:
    """CRC-32C (Castagnoli, RFC 3720) of `data`: 0xE3069283 for b"123456789".

    The words are dealt to up to 4,096 lanes that numpy steps together, each lane a stretch of its own; then lanes are
    joined two by two, because crc(a + b) = crc(a followed by as many zeros as b has bytes) xor crc(b), starting at 0.
    Zeros in front of everything change nothing, so any length can be padded.
    """
    if len(data) < 64:
        crc = 0xFFFFFFFF
        for byte in data:
            crc = _BYTES[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return crc ^ 0xFFFFFFFF
    lanes, steps = _shape(-(-len(data) // 4))
    padded = np.zeros(4 * lanes * steps, np.uint8)
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    start = len(padded) - len(data)
    padded[start : start + 4] ^= 0xFF  # a state of all ones before the data
    words = np.ascontiguousarray(padded.view("<u4").reshape(lanes, steps).T)
    low, high = _word_tables()
    state = np.zeros(lanes, np.uint32)
    for row in words:
        state ^= row
        state = low[state & np.uint32(0xFFFF)] ^ high[state >> np.uint32(16)]
    zeros = 4 * steps
    while len(state) > 1:
        tables, left = _zero_tables(zeros), state[::2]
        moved = tables[0][left & np.uint32(0xFF)]
        for k in range(1, 4):
            moved = moved ^ tables[k][(left >> np.uint32(8 * k)) & np.uint32(0xFF)]
        state, zeros = moved ^ state[1::2], 2 * zeros
    return int(state[0]) ^ 0xFFFFFFFF


def _shape(words: int) -> tuple[int, int]:
    """Lanes (a power of two) and steps for so many words; steps have 4 significant bits, so that few tables serve."""
    lanes = min(_MAX_LANES, 1 << round(np.log2(4 * np.sqrt(words))))
    steps = -(-words // lanes)
    unit = 1 << max(0, steps.bit_length() - 4)
    return lanes, -(-steps // unit) * unit


def _table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ np.where(table & np.uint32(1), np.uint32(0x82F63B78), np.uint32(0))
    return table


_TABLE = _table()
_BYTES = _TABLE.tolist()


@lru_cache(maxsize=1)
def _word_tables() -> tuple[np.ndarray, np.ndarray]:
    """What the low and the high 16 bits of a state become after 4 zero bytes: two of [65536] uint32."""
    low = np.arange(1 << 16, dtype=np.uint32)
    halves = [low, low << np.uint32(16)]
    for _ in range(4):
        halves = [_TABLE[half & np.uint32(0xFF)] ^ (half >> np.uint32(8)) for half in halves]
    return halves[0], halves[1]


@lru_cache(maxsize=512)
def _zero_tables(count: int) -> np.ndarray:
    """[4, 256] uint32: what each byte of a state becomes after `count` zero bytes."""
    square = _apply_byte(np.uint32(1) << np.arange(32, dtype=np.uint32))  # of one zero byte, as 32 columns
    power = np.uint32(1) << np.arange(32, dtype=np.uint32)
    while count:
        if count & 1:
            power = _apply(square, power)
        square, count = _apply(square, square), count >> 1
    return np.stack([_apply(power, np.arange(256, dtype=np.uint32) << np.uint32(8 * k)) for k in range(4)])


def _apply_byte(states: np.ndarray) -> np.ndarray:
    return _TABLE[states & np.uint32(0xFF)] ^ (states >> np.uint32(8))


def _apply(columns: np.ndarray, states: np.ndarray) -> np.ndarray:
    """A linear map over GF(2), given by its 32 columns, on states [N]."""
    bits = (states[:, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)  # [N, 32]
    return np.bitwise_xor.reduce(np.where(bits, columns, np.uint32(0)), axis=1)


def _mask(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _checks(data: bytes | memoryview, checksum: bytes) -> bool:
    return _mask(crc32c(data)) == struct.unpack("<I", checksum)[0]


def _length(header: bytes) -> int | None:
    """The length that a header holds; None when it is cut off or does not check."""
    if len(header) < HEADER or not _checks(header[:8], header[8:]):
        return None
    return struct.unpack("<Q", header[:8])[0]


def _length_at(file: int, offset: int) -> int | None:
    return _length(os.pread(file, HEADER, offset))


def _next_header(file: int, start: int, size: int) -> int | None:
    """Offset of the first header at or behind `start` that checks and whose record fits in the file."""
    while start + HEADER + FOOTER <= size:
        block = np.frombuffer(os.pread(file, _BLOCK + HEADER - 1, start), np.uint8).astype(np.uint32)
        places = len(block) - HEADER + 1
        if places < 1:
            return None
        state = np.full(places, 0xFFFFFFFF, np.uint32)
        for k in range(8):
            state = _apply_byte(state ^ block[k : k + places])
        state = ~state
        masked = ((state >> np.uint32(15)) | (state << np.uint32(17))) + np.uint32(0xA282EAD8)  # wraps, as it should
        stored = sum(block[8 + k : 8 + k + places] << np.uint32(8 * k) for k in range(4))
        for place in np.flatnonzero(masked == stored):
            length = _length_at(file, start + int(place))
            if length is not None and start + int(place) + HEADER + length + FOOTER <= size:
                return start + int(place)
        start += places
    return None
