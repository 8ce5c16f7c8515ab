"""Reading shards record by record, with the place of the damage when there is some."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.schema import HAIR, MANIFEST, Manifest, Record, read_manifest, shard_name
from datasets.stylegan_records import is_stylegan, open_stylegan, resolutions
from datasets.tfrecord import HEADER, DamagedRecordError, record_offsets


def iterate_shard(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """(offset of the payload, payload) of every record of a shard, checksums checked; errors as `record_offsets`."""
    offsets = record_offsets(path)
    iterator = iter(tf.data.TFRecordDataset(str(path)))
    for number, (offset, _) in enumerate(offsets):
        try:
            yield int(offset), next(iterator).numpy()
        except (tf.errors.OpError, StopIteration):
            at = f"{path}: damaged record {number} at byte {offset - HEADER}"
            raise DamagedRecordError(f"{at}: its checksum is wrong") from None


def check_record(serialized: bytes, manifest: Manifest) -> tuple[Record, np.ndarray, np.ndarray | None]:
    """The record, its image [H, W, 3] and its mask [H, W], or None. Raises ValueError unless it is as `manifest` says.

    The reason is one line; where the record lies is for the caller to say.
    """
    size = manifest.image_size
    record = Record.parse(serialized)
    try:
        pixels, classes = record.pixels(), record.classes()
    except tf.errors.OpError as error:
        raise ValueError(str(error).splitlines()[0].split("[Op:")[0].strip()) from None
    if pixels.shape != (size, size, 3):
        raise ValueError(f"expected a {size}×{size} image. Received: {pixels.shape}")
    if classes is not None and (classes.shape != (size, size) or classes.max() > HAIR):
        raise ValueError(f"expected a {size}×{size} mask of classes 0-{HAIR}. Received: {classes.shape}")
    if manifest.layout is not None:
        received = 0 if record.coefficients is None else record.coefficients.size
        if received != manifest.layout.size:
            raise ValueError(f"expected {manifest.layout.size} coefficients. Received: {received}")
    for name in ("coefficients", "landmarks"):
        values = getattr(record, name)
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"expected finite {name}. Received: NaN or infinity")
    return record, pixels, classes


def validate(path: str | Path, progress: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> Manifest:
    """Reads and decodes every record of a dataset, ours or StyleGAN's, and returns its manifest.

    Raises FileNotFoundError or ValueError with one line naming the file, the record and its byte offset.
    """
    folder, manifest = Path(path), read_manifest(path)
    assert manifest.shard_counts is not None
    if is_stylegan(path):
        for file in progress(resolutions(path).values()):
            opened = open_stylegan(file)
            for number, (offset, serialized) in enumerate(iterate_shard(file)):
                with _located(file, number, offset):
                    opened.unpack(serialized)
        return manifest
    for shard in progress(range(manifest.shards)):
        file = folder / shard_name(shard, manifest.shards)
        number = 0
        for offset, serialized in iterate_shard(file):
            with _located(file, number, offset):
                check_record(serialized, manifest)
            number += 1
        check_count(file, number, manifest.shard_counts[shard])
    return manifest


@contextmanager
def _located(file: Path, number: int, offset: int) -> Iterator[None]:
    """Says of a ValueError which record it is about."""
    try:
        yield
    except ValueError as error:
        raise DamagedRecordError(f"{file}: bad record {number} at byte {offset - HEADER}: {error}") from None


def check_count(file: Path, received: int, expected: int) -> None:
    """Raises ValueError unless the shard holds as many records as the manifest says."""
    if received != expected:
        raise ValueError(f"{file}: expected {expected} records, as dataset.json says. Received: {received}")


@contextmanager
def clear_read_errors(path: str | Path) -> Iterator[None]:
    """Turns TensorFlow's errors from a damaged record, while iterating, into one clear line with file and byte."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        said = re.search(rf"{DamagedRecordError.__name__}: (.+)", str(error))
        if said:  # raised by our own reading, inside of TensorFlow
            raise DamagedRecordError(said[1]) from None
        if (Path(path) / MANIFEST).is_file():
            validate(path)  # raises the clear ValueError if the data are at fault
        raise
