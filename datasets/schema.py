"""What an image and a dataset folder consist of: `Record`, one `tf.train.Example`; `Manifest`, `dataset.json`."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from datasets.stylegan_records import is_stylegan, open_stylegan
from renderer.layout import CoefficientLayout

FORMAT = "discoface_tf2 records, version 1"
MANIFEST, COEFFICIENTS = "dataset.json", "coefficients.npz"
FIELDS = ("image", "mask", "coefficients", "landmarks", "subject", "name")
BACKGROUND, SKIN, HAIR = 0, 1, 2
_EMPTY = np.zeros(0, np.float32)
_HOWTO = "Make one with: python -m datasets.make_synthetic --out {folder}   (or preprocess_data.py for photographs)"


@dataclass(frozen=True, eq=False)
class Record:
    """One image and what is known about it, as stored. Unknown labels are None; an unknown subject is -1."""

    image: bytes  # a PNG or JPEG file, RGB
    height: int
    width: int
    coefficients: np.ndarray | None = None  # [size] float32, see CoefficientLayout
    landmarks: np.ndarray | None = None  # [68, 2] float32, pixels of this image, origin at the bottom left, y up
    mask: bytes | None = None  # a PNG file, one channel: 0 background, 1 skin, 2 hair
    subject: int = -1
    name: str = ""
    traits: np.ndarray | None = None  # [K] float32: what the writer knows of the person; its options name them

    @classmethod
    def from_arrays(
        cls,
        image: np.ndarray,
        *,
        mask: np.ndarray | None = None,
        jpeg_quality: int | None = None,
        coefficients: np.ndarray | None = None,
        landmarks: np.ndarray | None = None,
        subject: int = -1,
        name: str = "",
        traits: np.ndarray | None = None,
    ) -> Record:
        """Encodes `image` [H, W, 3] uint8 as PNG (or JPEG at `jpeg_quality`) and `mask` [H, W] uint8 as PNG."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"record: image should be [H, W, 3] uint8. Received: {image.shape} {image.dtype}")
        if mask is not None and (mask.shape != image.shape[:2] or mask.max(initial=0) > HAIR):
            raise ValueError(
                f"record: mask should be {image.shape[:2]} with classes 0-{HAIR}. Received: {mask.shape}, "
                f"largest class {mask.max(initial=0)}"
            )
        return cls(
            image=encode_image(image, jpeg_quality),
            height=image.shape[0],
            width=image.shape[1],
            coefficients=None if coefficients is None else np.asarray(coefficients, np.float32).reshape(-1),
            landmarks=None if landmarks is None else np.asarray(landmarks, np.float32).reshape(68, 2),
            mask=None if mask is None else encode_image(mask.astype(np.uint8), None),
            subject=int(subject),
            name=name,
            traits=None if traits is None else np.asarray(traits, np.float32).reshape(-1),
        )

    def serialize(self) -> bytes:
        """The `tf.train.Example`, the same bytes for the same record."""
        values: dict[str, bytes | int | np.ndarray | None] = {
            "image": self.image,
            "height": self.height,
            "width": self.width,
            "coefficients": _EMPTY if self.coefficients is None else self.coefficients,
            "landmarks": _EMPTY if self.landmarks is None else self.landmarks.reshape(-1),
            "mask": self.mask or b"",
            "subject": self.subject,
            "name": self.name.encode(),
            "traits": self.traits,
        }
        features = {key: _feature(value) for key, value in values.items() if value is not None}
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)

    @classmethod
    def parse(cls, serialized: bytes) -> Record:
        """The record that `serialize` wrote. Raises ValueError when a feature is missing or has the wrong length."""
        try:
            feature = tf.train.Example.FromString(serialized).features.feature
        except Exception as error:  # protobuf's DecodeError has no stable public home
            raise ValueError(f"not a tf.train.Example ({error})") from None
        missing = {"image", "height", "width"} - set(feature)
        if missing:
            raise ValueError(f"the features {sorted(missing)} are missing. Received: {sorted(feature)}")

        def first(key: str, kind: str, default: Any) -> Any:
            values = getattr(feature[key], kind).value if key in feature else ()
            return values[0] if values else default

        def floats(key: str) -> np.ndarray | None:
            values = np.array(feature[key].float_list.value if key in feature else (), np.float32)
            return values if values.size else None

        landmarks = floats("landmarks")
        if landmarks is not None and landmarks.size != 136:
            raise ValueError(f"expected 136 numbers of landmarks, or none. Received: {landmarks.size}")
        return cls(
            image=first("image", "bytes_list", b""),
            height=first("height", "int64_list", 0),
            width=first("width", "int64_list", 0),
            coefficients=floats("coefficients"),
            landmarks=None if landmarks is None else landmarks.reshape(68, 2),
            mask=first("mask", "bytes_list", b"") or None,
            subject=first("subject", "int64_list", -1),
            name=first("name", "bytes_list", b"").decode(),
            traits=floats("traits"),
        )

    def pixels(self) -> np.ndarray:
        """The decoded image [H, W, 3] uint8."""
        return tf.io.decode_image(self.image, channels=3, expand_animations=False).numpy()

    def classes(self) -> np.ndarray | None:
        """The decoded mask [H, W] uint8, or None."""
        return None if self.mask is None else tf.io.decode_png(self.mask, channels=1).numpy()[..., 0]


@dataclass(frozen=True)
class Manifest:
    """What `dataset.json` says. `shard_counts` is None until every shard is written."""

    image_size: int
    shards: int
    fields: tuple[str, ...] = ("image", "name")
    layout: CoefficientLayout | None = None
    face_model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # what the writing command was asked for
    shard_counts: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.image_size < 1 or self.shards < 1:
            raise ValueError(
                f"dataset: image_size and shards must be at least 1. Received: {self.image_size}, {self.shards}"
            )
        unknown = set(self.fields) - set(FIELDS)
        if unknown or "image" not in self.fields:
            raise ValueError(f"dataset: fields must be among {FIELDS}, with image. Received: {self.fields}")
        if ("coefficients" in self.fields) != (self.layout is not None):
            raise ValueError("dataset: a layout is needed for, and only for, the field coefficients")

    @property
    def count(self) -> int:
        """Number of images."""
        return sum(self.shard_counts or ())

    def check(self, record: Record) -> None:
        """Raises ValueError, with one line, unless `record` has the size and the labels that this manifest says."""
        if (record.height, record.width) != (self.image_size, self.image_size):
            size = f"{self.image_size}×{self.image_size}"
            raise ValueError(f"expected a {size} image. Received: {record.height}×{record.width}")
        for key in ("coefficients", "landmarks", "mask"):
            if (getattr(record, key) is not None) != (key in self.fields):
                raise ValueError(f"{record.name!r}: {key} does not agree with the fields {self.fields}")
        known = len(self.options.get("traits") or ())
        sizes = {"coefficients": 0 if self.layout is None else self.layout.size, "traits": known}
        for key in ("coefficients", "landmarks", "traits"):
            values = getattr(record, key)
            received = 0 if values is None else values.size
            if received != sizes.get(key, received):
                raise ValueError(f"{record.name!r}: expected {sizes[key]} {key}. Received: {received}")
            if values is not None and not np.isfinite(values).all():
                raise ValueError(f"{record.name!r}: expected finite {key}. Received: NaN or infinity")

    def to_json(self) -> str:
        """The text of `dataset.json`."""
        values = {"format": FORMAT, **asdict(self), "count": None if self.shard_counts is None else self.count}
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The manifest that `to_json` wrote. Raises ValueError for anything else."""
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f"expected the format {FORMAT!r}")
        count = values.pop("count", None)
        try:
            for key in ("fields", "shard_counts"):
                values[key] = None if values[key] is None else tuple(values[key])
            values["layout"] = None if values["layout"] is None else CoefficientLayout.from_dict(values["layout"])
            manifest = cls(**values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"missing or unknown entry ({error})") from None
        counts = manifest.shard_counts
        if counts is not None and (len(counts) != manifest.shards or manifest.count != count):
            raise ValueError(f"count {count} and shard_counts {counts} contradict each other")
        return manifest


def is_ours(path: str | Path) -> bool:
    """Whether `path` is to be read as a folder of ours, and not as StyleGAN's records."""
    return (Path(path) / MANIFEST).is_file() or not is_stylegan(path)


def shard_name(index: int, shards: int) -> str:
    """File name of shard `index` of `shards`."""
    return f"shard-{index:05d}-of-{shards:05d}.tfrecord"


def read_manifest(path: str | Path, *, complete: bool = True) -> Manifest:
    """The manifest of the dataset folder `path`, or what there is to say of a StyleGAN set (its largest images).

    Raises FileNotFoundError when it is no dataset, ValueError when the manifest is broken or, unless `complete`
    is false, when the dataset was never finished.
    """
    folder = Path(path)
    if not is_ours(folder):
        file = open_stylegan(folder)
        return Manifest(file.size, 1, ("image",), options={"file": file.path.name}, shard_counts=(file.count,))
    if folder.is_file():
        raise FileNotFoundError(f"{folder}: expected a dataset folder, or StyleGAN's NAME-rNN.tfrecords")
    if not (folder / MANIFEST).is_file():
        what = "it has no dataset.json" if folder.is_dir() else "there is no such folder"
        raise FileNotFoundError(f"{folder}: expected a dataset folder, but {what}. {_HOWTO.format(folder=folder)}")
    try:
        manifest = Manifest.from_json((folder / MANIFEST).read_text())
    except ValueError as error:
        raise ValueError(f"{folder / MANIFEST}: not a manifest of records: {error}") from None
    if complete and manifest.shard_counts is None:
        done = sum((folder / shard_name(k, manifest.shards)).is_file() for k in range(manifest.shards))
        raise ValueError(
            f"{folder}: unfinished, {done} of {manifest.shards} shards are there. Run the command that made it again"
        )
    return manifest


def encode_image(image: np.ndarray, jpeg_quality: int | None) -> bytes:
    """A PNG file, or a JPEG file of this quality without chroma subsampling, of an image [H, W (, 3)] uint8."""
    buffer = io.BytesIO()
    if jpeg_quality is None:
        Image.fromarray(image).save(buffer, "PNG", compress_level=6)
    else:
        Image.fromarray(image).save(buffer, "JPEG", quality=int(jpeg_quality), subsampling=0)
    return buffer.getvalue()


def _feature(value: bytes | int | np.ndarray) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=value))
