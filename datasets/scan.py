"""What `python -m datasets.inspect` knows of a dataset: one pass over every record, damaged ones included.

The checksum of the content is a sum: each whole record gives the SHA-256 of its features, taken as a number, and the
numbers are added modulo 2^256. So it depends on which records there are and how often each, and neither on their order
nor on how they are sharded. It tells of accidents; it is no proof against forgery.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasets.schema import COEFFICIENTS, Manifest, Record, shard_name
from datasets.shards import check_record
from datasets.stylegan_records import parse_image
from datasets.tfrecord import HEADER, walk

_CELL = 128  # pixels at most of a photograph on the contact sheet


@dataclass(frozen=True)
class Damage:
    """A record, or a file as a whole, that is not as it should be."""

    file: Path
    offset: int | None  # bytes; None: the whole file
    reason: str

    def __str__(self) -> str:
        return f"{self.file}{'' if self.offset is None else f', byte {self.offset}'}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Sample:
    """A photograph for the contact sheet: RGB [h, w, 3], mask [h, w] or None, landmarks [68, 2] or None (y down)."""

    image: np.ndarray
    mask: np.ndarray | None
    landmarks: np.ndarray | None


@dataclass
class Scan:
    """What was found in the files of one set of records of one size."""

    title: str
    files: tuple[Path, ...]
    expected: int | None  # records in all, where something says so
    count: int = 0  # whole records
    damage: list[Damage] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)  # bytes of each whole record
    shapes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    colours: np.ndarray = field(
        default_factory=lambda: np.zeros((3, 256), np.int64)
    )  # pixels of each value, by channel
    class_shares: np.ndarray = field(default_factory=lambda: np.zeros(3))  # sums of background, skin, hair
    coefficients: list[np.ndarray] = field(default_factory=list)
    traits: list[np.ndarray] = field(default_factory=list)
    subjects: Counter[int] = field(default_factory=Counter)
    pictures: set[bytes] = field(default_factory=set)  # digests, so that copies are noticed
    samples: list[Sample] = field(default_factory=list)
    total: int = 0  # of the digests, modulo 2^256

    @property
    def checksum(self) -> str:
        """64 hexadecimal digits; see the module."""
        return f"{self.total:064x}"

    @property
    def size(self) -> int:
        """Bytes of the files that are there."""
        return sum(file.stat().st_size for file in self.files if file.is_file())


# What each whole payload is turned into: it adds to the scan, or raises ValueError with the reason.
_Take = Callable[[Scan, bytes, bool], None]


def our_scan(folder: Path, manifest: Manifest) -> tuple[Scan, _Take]:
    """A folder of ours, not yet walked, and what takes its records."""
    files = tuple(folder / shard_name(k, manifest.shards) for k in range(manifest.shards))

    def take(scan: Scan, payload: bytes, sampled: bool) -> None:
        record, pixels, classes = check_record(payload, manifest)
        _add(scan, digest_of(record), record.image, pixels, sampled, classes, record.landmarks)
        scan.formats[
            "PNG" if record.image[:4] == b"\x89PNG" else "JPEG" if record.image[:2] == b"\xff\xd8" else "?"
        ] += 1
        scan.subjects[record.subject] += 1
        if classes is not None:
            scan.class_shares += np.bincount(classes.ravel(), minlength=3) / classes.size
        if record.coefficients is not None:
            scan.coefficients.append(record.coefficients)
        if record.traits is not None:
            scan.traits.append(record.traits)

    return Scan(str(folder), files, None if manifest.shard_counts is None else manifest.count), take


def stylegan_scan(file: Path, size: int | None) -> tuple[Scan, _Take]:
    """A StyleGAN file of pictures of `size` (None: of any one size), not yet walked, and what takes its records."""

    def take(scan: Scan, payload: bytes, sampled: bool) -> None:
        image = parse_image(payload)
        raw = image.tobytes()
        if image.shape[1] != image.shape[2] or (size or image.shape[1]) != image.shape[1]:
            raise ValueError(f"expected a picture of {size or image.shape[1]} pixels. Received: {image.shape}")
        shape = struct.pack("<3q", *image.shape)
        pixels = np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))
        _add(scan, digest((shape, raw)), raw, pixels, sampled, None, None)
        scan.formats["raw"] += 1

    return Scan(str(file), (file,), None), take


def run_scan(scan: Scan, take: _Take, samples: int, progress: Callable[[int], object]) -> None:
    """Walks every file, past damage. `progress` is told the bytes that were done since it was told last."""
    expected = scan.expected or _estimate(scan)
    wanted = set(np.linspace(0, max(expected - 1, 0), samples).astype(int).tolist()) if samples else set()
    number = 0
    for file in scan.files:
        if not file.is_file():
            scan.damage.append(Damage(file, None, "the file is missing"))
            continue
        done = 0
        try:
            for framed in walk(file):
                progress(framed.offset - done)
                done = framed.offset
                try:
                    if framed.payload is None:
                        raise ValueError(framed.damage)
                    take(scan, framed.payload, number in wanted)
                    scan.count += 1
                    scan.lengths.append(len(framed.payload))
                except ValueError as error:
                    scan.damage.append(Damage(file, framed.offset, str(error)))
                number += 1
        except OSError as error:
            scan.damage.append(Damage(file, done, f"the file cannot be read ({error.strerror})"))
        progress(file.stat().st_size - done)


def check_whole(scan: Scan, folder: Path, manifest: Manifest) -> None:
    """Adds to the damage of an otherwise whole folder what its manifest and `coefficients.npz` say differently."""
    if scan.damage:
        return
    if scan.expected is not None and scan.count != scan.expected:
        scan.damage.append(
            Damage(folder, None, f"expected {scan.expected} records, as dataset.json says. Received: {scan.count}")
        )
    if scan.expected is None or manifest.layout is None:
        return
    path = folder / COEFFICIENTS
    try:
        with np.load(path, allow_pickle=False) as stored:
            same = np.array_equal(stored["coeff"], np.array(scan.coefficients))
        reason = "" if same else "does not hold the coefficients of the records in their order"
    except Exception as error:  # a damaged archive can fail in any of zipfile, zlib and numpy, each with its own errors
        reason = f"not readable ({' '.join(str(error).split())[:120]})"
    if reason:
        scan.damage.append(Damage(path, None, reason))


def digest(parts: Sequence[bytes]) -> int:
    """SHA-256, as a number, of some byte strings, each behind its length (8 bytes, little-endian)."""
    found = hashlib.sha256()
    for part in parts:
        found.update(struct.pack("<Q", len(part)))
        found.update(part)
    return int.from_bytes(found.digest(), "big")


def digest_of(record: Record) -> int:
    """`digest` of a record's image and mask files, coefficients and landmarks (float32), subject (int64) and name."""
    numbers = (np.zeros(0) if n is None else n for n in (record.coefficients, record.landmarks))
    coefficients, landmarks = (np.asarray(n, "<f4").tobytes() for n in numbers)
    subject = struct.pack("<q", record.subject)
    return digest((record.image, record.mask or b"", coefficients, landmarks, subject, record.name.encode()))


def _add(
    scan: Scan,
    number: int,
    picture: bytes,
    pixels: np.ndarray,
    sampled: bool,
    classes: np.ndarray | None,
    landmarks: np.ndarray | None,
) -> None:
    scan.total = (scan.total + number) % (1 << 256)
    scan.pictures.add(hashlib.sha256(picture).digest()[:16])
    scan.shapes[f"{pixels.shape[1]}×{pixels.shape[0]}"] += 1
    scan.colours += [np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)]
    if sampled:
        factor = max(1, pixels.shape[0] // _CELL)
        side = pixels.shape[0] // factor * factor
        blocks = pixels[:side, :side].reshape(side // factor, factor, side // factor, factor, 3)
        small = None if classes is None else classes[:side:factor, :side:factor]
        points = None if landmarks is None else (landmarks * (1, -1) + (0, pixels.shape[0])) / factor
        scan.samples.append(Sample(blocks.mean((1, 3)).round().astype(np.uint8), small, points))


def _estimate(scan: Scan) -> int:
    """About how many records there are, going by the first whole one."""
    for file in scan.files:
        if file.is_file():
            for framed in walk(file):
                if framed.payload is not None:
                    return max(1, scan.size // (len(framed.payload) + HEADER + 4))
    return 1
