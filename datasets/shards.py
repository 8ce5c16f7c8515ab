"""Reading shards record by record, with the place of the damage when there is some."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.schema import HAIR, Manifest, Record, read_manifest, shard_name


def record_offsets(path: str | Path) -> np.ndarray:
    """[N, 2] int64: offset and length of the payload of each record of a shard, read off the framing.

    Raises FileNotFoundError for a missing shard, ValueError for a truncated or damaged one, with the record's offset.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the shard is missing. Run the command that made the dataset again")
    found: list[tuple[int, int]] = []
    offset, size = 0, path.stat().st_size
    with open(path, "rb", buffering=16) as file:
        while offset < size:
            file.seek(offset)
            header = file.read(12)  # length uint64, masked CRC-32C of the length uint32
            length, checksum = struct.unpack("<QI", header) if len(header) == 12 else (0, 0)
            if len(header) == 12 and _masked_crc32c(header[:8]) != checksum:
                raise ValueError(f"{path}: damaged record {len(found)} at byte {offset}: its length does not check")
            if len(header) < 12 or offset + length + 16 > size:
                raise ValueError(f"{path}: truncated in record {len(found)} at byte {offset} of {size}")
            found.append((offset + 12, length))
            offset += length + 16
    return np.array(found, np.int64).reshape(-1, 2)


def iterate_shard(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """(offset of the payload, payload) of every record of a shard, checksums checked; errors as `record_offsets`."""
    offsets = record_offsets(path)
    iterator = iter(tf.data.TFRecordDataset(str(path)))
    for number, (offset, _) in enumerate(offsets):
        try:
            yield int(offset), next(iterator).numpy()
        except (tf.errors.OpError, StopIteration):
            raise ValueError(f"{path}: damaged record {number} at byte {offset - 12}: its checksum is wrong") from None


def validate(path: str | Path, progress: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> Manifest:
    """Reads and decodes every record of a dataset folder and returns its manifest.

    Raises FileNotFoundError or ValueError with one line naming the file, the record and its byte offset.
    """
    folder, manifest = Path(path), read_manifest(path)
    assert manifest.shard_counts is not None
    size = manifest.image_size
    for shard in progress(range(manifest.shards)):
        file = folder / shard_name(shard, manifest.shards)
        number = 0
        for offset, serialized in iterate_shard(file):
            try:
                record = Record.parse(serialized)
                pixels, classes = record.pixels(), record.classes()
                if pixels.shape != (size, size, 3):
                    raise ValueError(f"expected a {size}×{size} image. Received: {pixels.shape}")
                if classes is not None and (classes.shape != (size, size) or classes.max() > HAIR):
                    raise ValueError(f"expected a {size}×{size} mask of classes 0-{HAIR}. Received: {classes.shape}")
                if manifest.layout is not None:
                    received = 0 if record.coefficients is None else record.coefficients.size
                    if received != manifest.layout.size:
                        raise ValueError(f"expected {manifest.layout.size} coefficients. Received: {received}")
            except (ValueError, tf.errors.OpError) as error:
                reason = str(error).split("[Op:")[0].strip()
                raise ValueError(f"{file}: bad record {number} at byte {offset - 12}: {reason}") from None
            number += 1
        check_count(file, number, manifest.shard_counts[shard])
    return manifest


def check_count(file: Path, received: int, expected: int) -> None:
    """Raises ValueError unless the shard holds as many records as the manifest says."""
    if received != expected:
        raise ValueError(f"{file}: expected {expected} records, as dataset.json says. Received: {received}")


@contextmanager
def clear_read_errors(path: str | Path) -> Iterator[None]:
    """Turns TensorFlow's errors from a damaged record, while iterating, into the one clear line of `validate`."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.UnknownError):
        validate(path)  # raises the clear ValueError if the data are at fault
        raise


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc32c_table()


def _masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of a few bytes, rotated and offset as the TFRecord format has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
