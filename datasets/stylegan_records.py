"""The original StyleGAN's multi-resolution TFRecords as they are: `NAME-rNN.tfrecords`, one file per resolution 2^NN.

A record is a `tf.train.Example` of two features: `shape`, int64 [3], channels, height and width; `data`, the raw bytes
of the uint8 image in that order. Labels (`NAME-rxx.labels`) are not read. An FFHQ set of this kind serves as
it is, wherever a folder of images without labels does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets.tfrecord import DamagedRecordError, read_payload, record_offsets

SUFFIX = ".tfrecords"
_NAME = re.compile(r"(?P<name>.+)-r(?P<log2>\d\d)\.tfrecords")


@dataclass(frozen=True, eq=False)
class StyleGANFile:
    """One file of a set, and where its records lie."""

    path: Path
    size: int  # pixels, both ways
    channels: int  # 1 grey or 3 RGB
    offsets: np.ndarray  # [N, 2] int64: see `record_offsets`

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.offsets)

    def unpack(self, payload: bytes) -> bytes:
        """The raw bytes of a record's image. Raises ValueError unless it is of this file's shape."""
        return parse_image(payload, (self.channels, self.size, self.size)).tobytes()


def is_stylegan(path: str | Path) -> bool:
    """Whether `path` is a StyleGAN set: a file NAME.tfrecords, or a folder with files NAME-rNN.tfrecords."""
    path = Path(path)
    return bool(_named(path)) if path.is_dir() else path.suffix == SUFFIX and path.is_file()


def resolutions(path: str | Path) -> dict[int, Path]:
    """The files of a StyleGAN folder by resolution, ascending; of a single file, that file by its images' size.

    Raises ValueError when a folder holds more than one set, or the file's first record is no image.
    """
    path = Path(path)
    if path.is_file():
        return {_open(path).size: path}
    found = _named(path)
    names = sorted({name for name, _ in found})
    if len(names) > 1:
        raise ValueError(f"{path}: holds the StyleGAN sets {', '.join(names)}. Say which by giving one of its files")
    return {1 << log2: file for (_, log2), file in sorted(found.items())}


def named_size(path: Path) -> int | None:
    """The resolution that a file's name says; None when it says nothing."""
    match = _NAME.fullmatch(path.name)
    return 1 << int(match["log2"]) if match else None


def open_stylegan(path: str | Path, image_size: int | None = None) -> StyleGANFile:
    """The file of a set that has images of `image_size` pixels, or else of the smallest larger size; None: largest.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no image is large enough, or the file is empty, damaged or something else.
    """
    path = Path(path)
    files = resolutions(path)
    sizes = [size for size in files if image_size is None or size >= image_size]
    if not sizes:
        raise ValueError(f"{path}: expected images of at least {image_size} pixels. The largest have {max(files)}")
    return _open(files[max(sizes) if image_size is None else min(sizes)])


def parse_image(payload: bytes, expected: tuple[int, ...] | None = None) -> np.ndarray:
    """[C, H, W] uint8 from a record's payload.

    Raises ValueError when it is not what StyleGAN writes, or not of the shape that is `expected`, if one is.
    """
    try:
        feature = tf.train.Example.FromString(payload).features.feature
    except Exception as error:  # protobuf's DecodeError has no stable public home
        raise ValueError(f"not a tf.train.Example ({error})") from None
    if not {"shape", "data"} <= set(feature):
        raise ValueError(f"expected the features shape and data, as StyleGAN writes. Received: {sorted(feature)}")
    shape, data = tuple(feature["shape"].int64_list.value), feature["data"].bytes_list.value
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape) < 1 or len(data) != 1:
        raise ValueError(f"expected one image of shape (1 or 3, height, width). Received: {len(data)} of {shape}")
    if len(data[0]) != shape[0] * shape[1] * shape[2]:
        raise ValueError(f"expected {shape[0] * shape[1] * shape[2]} bytes for {shape}. Received: {len(data[0])}")
    if expected is not None and shape != expected:
        raise ValueError(f"expected an image of shape {expected}. Received: {shape}")
    return np.frombuffer(data[0], np.uint8).reshape(shape)


def _named(folder: Path) -> dict[tuple[str, int], Path]:
    matches = ((_NAME.fullmatch(file.name), file) for file in folder.glob(f"*{SUFFIX}"))
    return {(match["name"], int(match["log2"])): file for match, file in matches if match}


def _open(path: Path) -> StyleGANFile:
    """A file, its size taken from its first record."""
    offsets = record_offsets(path)
    if not len(offsets):
        raise ValueError(f"{path}: expected images. The file is empty")
    payload = read_payload(path, *map(int, offsets[0]))
    try:
        channels, height, width = parse_image(payload).shape
    except ValueError as error:
        raise DamagedRecordError.at(path, 0, error) from None
    named = named_size(path) or height
    if height != width or height != named:
        raise ValueError(f"{path}: expected images of {named}×{named}, as its name says. Received: {height}×{width}")
    return StyleGANFile(path, height, channels, offsets)
