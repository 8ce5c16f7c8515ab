"""One pass over every record of a dataset, damaged ones included: for `python -m datasets.inspect`, and `validate`.

The checksum of the content is a sum: each whole record gives the SHA-256 of its features, taken as a number, and the
numbers are added modulo 2^256. So it depends on which records there are and how often each, and neither on their order
nor on how they are sharded. It tells of accidents; it is no proof against forgery.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from datasets.pictures import cells
from datasets.schema import COEFFICIENTS, HAIR, Manifest, Record, is_ours, read_manifest, shard_name
from datasets.stylegan_records import named_size, parse_image, resolutions
from datasets.tfrecord import FRAME, DamagedRecordError, walk


class Damage(NamedTuple):
    """A record, or a file as a whole, that is not as it should be."""

    file: Path
    offset: int | None  # bytes; None: the whole file
    reason: str

    def __str__(self) -> str:
        if self.offset is None:
            return f"{self.file}: {self.reason}"
        return str(DamagedRecordError.at(self.file, self.offset, self.reason))


class Content(NamedTuple):
    """What a whole record holds, decoded."""

    parts: tuple[bytes, ...]  # what its checksum is of
    encoded: bytes  # the image as it is stored
    format: str
    pixels: np.ndarray  # [H, W, 3] uint8
    classes: np.ndarray | None = None  # [H, W] uint8
    record: Record | None = None  # where it is one of ours


@dataclass
class Scan:
    """What was found in the files of one set of records of one size."""

    title: str
    files: tuple[Path, ...]
    parse: Callable[[bytes], Content]  # a payload; raises ValueError with the reason when it is not what it should be
    expected: int | None = None  # records in all, where something says so
    count: int = 0  # whole records
    damage: list[Damage] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # bytes of each whole record
    shapes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    colours: np.ndarray = field(default_factory=lambda: np.zeros((3, 256), np.int64))  # pixels of each value by channel
    class_shares: np.ndarray = field(default_factory=lambda: np.zeros(3))  # sums of background, skin, hair
    coefficients: list[np.ndarray] = field(default_factory=list)
    traits: list[np.ndarray] = field(default_factory=list)
    subjects: Counter[int] = field(default_factory=Counter)
    images: set[bytes] = field(default_factory=set)  # digests, so that copies are noticed
    samples: list[list[np.ndarray]] = field(default_factory=list)  # for the contact sheet, see `cells`
    total: int = 0  # of the digests, modulo 2^256

    @property
    def checksum(self) -> str:
        """64 hexadecimal digits; see the module."""
        return f"{self.total:064x}"

    @property
    def size(self) -> int:
        """Bytes of the files that are there."""
        return sum(file.stat().st_size for file in self.files if file.is_file())

    def run(self, samples: int = 0, progress: Callable[[int], object] = lambda done: None) -> None:
        """Walks every file, past damage. `progress` gets the number of bytes that were read since its last call."""
        expected = self.expected or self._estimate()
        wanted = set(np.linspace(0, max(expected - 1, 0), samples).astype(int).tolist()) if samples else set()
        number = 0
        for file in self.files:
            if not file.is_file():
                self.damage.append(Damage(file, None, "the file is missing"))
                continue
            done = 0
            try:
                for offset, payload, damage in walk(file):
                    progress(offset - done)
                    done = offset
                    try:
                        if payload is None:
                            raise ValueError(damage)
                        self._add(self.parse(payload), len(payload), number in wanted)
                    except ValueError as error:
                        self.damage.append(Damage(file, offset, str(error)))
                    number += 1
            except OSError as error:
                self.damage.append(Damage(file, done, f"the file cannot be read ({error.strerror})"))
            progress(file.stat().st_size - done)

    def _add(self, content: Content, length: int, sampled: bool) -> None:
        pixels, classes, record = content.pixels, content.classes, content.record
        self.count += 1
        self.lengths.append(length)
        self.total = (self.total + digest(content.parts)) % (1 << 256)
        self.images.add(hashlib.sha256(content.encoded).digest()[:16])
        self.formats[content.format] += 1
        self.shapes[f"{pixels.shape[1]}×{pixels.shape[0]}"] += 1
        self.colours += [np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)]
        if classes is not None:
            self.class_shares += np.bincount(classes.ravel(), minlength=3) / classes.size
        if record is not None:
            self.subjects[record.subject] += 1
            if record.coefficients is not None:
                self.coefficients.append(record.coefficients)
            if record.traits is not None:
                self.traits.append(record.traits)
        if sampled:
            self.samples.append(cells(pixels, classes, None if record is None else record.landmarks))

    def _estimate(self) -> int:
        """About how many records there are, going by the first whole one."""
        found = (payload for file in self.files if file.is_file() for _, payload, _ in walk(file))
        first = next((payload for payload in found if payload is not None), b"")
        return max(1, self.size // (len(first) + FRAME))


def scans_of(path: str | Path, manifest: Manifest | None) -> list[Scan]:
    """What is to be walked: one scan of a folder of ours, of this `manifest`; one of each StyleGAN file (None)."""
    path = Path(path)
    if manifest is None:
        files = [path] if path.is_file() else list(resolutions(path).values())
        return [Scan(str(file), (file,), _stylegan(named_size(file))) for file in files]
    shards = tuple(path / shard_name(k, manifest.shards) for k in range(manifest.shards))
    expected = None if manifest.shard_counts is None else manifest.count
    return [Scan(str(path), shards, lambda payload: _ours(payload, manifest), expected)]


def check_whole(scans: Sequence[Scan], path: Path, manifest: Manifest | None) -> None:
    """Adds to the damage of whole sets what the manifest, `coefficients.npz` or the other files contradict."""
    most = max(scan.count for scan in scans)
    for scan in scans:
        expected = most if scan.expected is None else scan.expected
        if not scan.damage and scan.count != expected:
            who = "another file has" if scan.expected is None else "dataset.json says"
            reason = f"expected {expected} records, as {who}. Received: {scan.count}"
            scan.damage.append(Damage(scan.files[0] if manifest is None else path, None, reason))
    scan = scans[-1]
    if scan.damage or scan.expected is None or manifest is None or manifest.layout is None:
        return
    try:
        with np.load(path / COEFFICIENTS, allow_pickle=False) as stored:
            same = np.array_equal(stored["coeff"], np.array(scan.coefficients))
        reason = "" if same else "does not hold the coefficients of the records in their order"
    except Exception as error:  # a damaged archive can fail in any of zipfile, zlib and numpy, each with its own errors
        reason = f"not readable ({' '.join(str(error).split())[:120]})"
    if reason:
        scan.damage.append(Damage(path / COEFFICIENTS, None, reason))


def validate(path: str | Path) -> Manifest:
    """Reads and decodes every record of a dataset, ours or StyleGAN's, and returns its manifest.

    Raises FileNotFoundError, or ValueError with one line that names the file, the record's byte and what is wrong.
    """
    path, manifest = Path(path), read_manifest(path)
    ours = manifest if is_ours(path) else None
    scans = scans_of(path, ours)
    for scan in scans:
        scan.run()
    check_whole(scans, path, ours)
    for scan in scans:
        if scan.damage:
            raise DamagedRecordError(str(scan.damage[0]))
    return manifest


@contextmanager
def clear_read_errors(path: str | Path) -> Iterator[None]:
    """Turns TensorFlow's errors from a damaged record, while iterating, into one clear line with file and byte."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        said = re.search(rf"{DamagedRecordError.__name__}: (.+)", str(error))
        if said:  # raised by our own reading, inside of TensorFlow
            raise DamagedRecordError(said[1]) from None
        validate(path)  # raises the clear ValueError if the data are at fault
        raise


def digest(parts: Sequence[bytes]) -> int:
    """SHA-256, as a number, of some byte strings, each behind its length (8 bytes, little-endian)."""
    found = hashlib.sha256()
    for part in parts:
        found.update(struct.pack("<Q", len(part)))
        found.update(part)
    return int.from_bytes(found.digest(), "big")


def parts_of(record: Record) -> tuple[bytes, ...]:
    """What a record's checksum is of: image and mask files, coefficients and landmarks (float32), subject, name."""
    numbers = (np.zeros(0) if n is None else n for n in (record.coefficients, record.landmarks))
    coefficients, landmarks = (np.asarray(n, "<f4").tobytes() for n in numbers)
    subject = struct.pack("<q", record.subject)
    return record.image, record.mask or b"", coefficients, landmarks, subject, record.name.encode()


def _ours(payload: bytes, manifest: Manifest) -> Content:
    record, size = Record.parse(payload), manifest.image_size
    manifest.check(record)
    try:
        pixels, classes = record.pixels(), record.classes()
    except tf.errors.OpError as error:
        raise ValueError(str(error).splitlines()[0].split("[Op:")[0].strip()) from None
    if pixels.shape != (size, size, 3):
        raise ValueError(f"expected a {size}×{size} image. Received: {pixels.shape}")
    if classes is not None and (classes.shape != (size, size) or classes.max() > HAIR):
        raise ValueError(f"expected a {size}×{size} mask of classes 0-{HAIR}. Received: {classes.shape}")
    kind = "PNG" if record.image[:4] == b"\x89PNG" else "JPEG" if record.image[:2] == b"\xff\xd8" else "?"
    return Content(parts_of(record), record.image, kind, pixels, classes, record)


def _stylegan(size: int | None) -> Callable[[bytes], Content]:
    """For images of `size` pixels; None: of any one size."""

    def parse(payload: bytes) -> Content:
        image = parse_image(payload)
        _, height, width = image.shape
        if height != width or (size or height) != height:
            raise ValueError(f"expected an image of {size or height} pixels. Received: {image.shape}")
        raw = image.tobytes()
        pixels = np.broadcast_to(image.transpose(1, 2, 0), (height, width, 3))
        return Content((struct.pack("<3q", *image.shape), raw), raw, "raw", pixels)

    return parse
