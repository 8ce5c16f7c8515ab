"""Writes StyleGAN's multi-resolution TFRecords in their true format, for tests.

The bytes are laid out here from the format's description, framing and protocol buffers included, so that the reader is
not measured against its own writer; `test_stylegan_records` compares them with TensorFlow's.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def crc32c(data: bytes) -> int:
    """CRC-32C bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def framed(payload: bytes) -> bytes:
    """A payload as a record of a TFRecord file."""

    def checksum(data: bytes) -> bytes:
        crc = crc32c(data)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(payload))
    return length + checksum(length) + payload + checksum(payload)


def example(image: np.ndarray) -> bytes:
    """The `tf.train.Example` of an image [C, H, W] uint8: `shape` and `data`."""
    shape = _message(3, _message(1, b"".join(_varint(n) for n in image.shape)))  # Feature.int64_list, packed
    data = _message(1, _message(1, image.tobytes()))  # Feature.bytes_list
    entries = [_message(1, key) + _message(2, feature) for key, feature in ((b"shape", shape), (b"data", data))]
    return _message(1, b"".join(_message(1, entry) for entry in entries))  # Example.features.feature


def write_set(folder: Path, images: np.ndarray, name: str = "faces", smallest: int = 4) -> Path:
    """`NAME-rNN.tfrecords` of images [N, C, R, R] uint8 and of their halves down to `smallest`, and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    np.zeros((len(images), 2), np.float32).tofile(folder / f"{name}-rxx.labels")
    while images.shape[-1] >= smallest:
        size = images.shape[-1]
        path = folder / f"{name}-r{size.bit_length() - 1:02d}.tfrecords"
        path.write_bytes(b"".join(framed(example(image)) for image in images))
        blocks = images.reshape(*images.shape[:2], size // 2, 2, size // 2, 2).astype(np.float64)
        images = np.rint(blocks.mean((3, 5))).astype(np.uint8)
    return folder


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
