"""How the images of a data set are stored: a folder per identity, TFRecords, or tar files for WebDataset."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datasets.generated.metadata import ANGLES, Sample, name_of
from datasets.generated.options import GeneratedSet
from datasets.records import Manifest, Record, RecordWriter, iterate_shard, shard_name
from renderer.face_model import FaceModel
from renderer.files import atomic_path


class Stored(NamedTuple):
    """The files of an image."""

    image: bytes
    mask: bytes | None


class Layout(ABC):
    """Writes and reads the shards of a data set in `folder`."""

    def __init__(self, folder: Path, options: GeneratedSet) -> None:
        self.folder, self.options = folder, options
        assert options.shards is not None
        self.shards: int = options.shards

    def prepare(self, face_model: FaceModel, facts: dict[str, Any]) -> None:  # noqa: B027  # most need nothing
        """Before the first shard, in one process."""

    @abstractmethod
    def write(self, shard: int, samples: Sequence[Sample]) -> list[str]:
        """Stores the images of a shard, and returns in which file each lies. Raises OSError."""

    @abstractmethod
    def read(self, shard: int) -> dict[str, Stored]:
        """What is stored of a shard, by name. Raises OSError or ValueError where it cannot be read."""

    def finish(self, face_model: FaceModel, facts: dict[str, Any]) -> None:  # noqa: B027  # most need nothing
        """After the last shard."""


class Folders(Layout):
    """images/IDENTITY/NUMBER.jpg, and masks/IDENTITY/NUMBER.png beside, so that `images` is an ImageFolder."""

    def write(self, shard: int, samples: Sequence[Sample]) -> list[str]:
        """See Layout."""
        files = []
        for sample in samples:
            image, mask = self._paths(sample.name)
            for path, content in ((image, sample.image), (mask, sample.mask)):
                if content is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
            files.append(image.relative_to(self.folder).as_posix())
        return files

    def read(self, shard: int) -> dict[str, Stored]:
        """See Layout."""
        found = {}
        for identity, number in itertools.product(
            self.options.identities_of(shard), range(self.options.images_per_identity)
        ):
            image, mask = self._paths(name_of(identity, number))
            if image.is_file():
                content = mask.read_bytes() if self.options.masks and mask.is_file() else None
                found[name_of(identity, number)] = Stored(image.read_bytes(), content)
        return found

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"images/{name}{self.options.suffix}", self.folder / f"masks/{name}.png"


class WebDataset(Layout):
    """shard-00000-of-00008.tar: of each image NAME.jpg, .cls (identity), .json, .coefficients.npy and .mask.png."""

    def write(self, shard: int, samples: Sequence[Sample]) -> list[str]:
        """See Layout."""
        path = self._path(shard)
        with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as file:
            for sample in samples:
                for suffix, content in self._members(sample).items():
                    member = tarfile.TarInfo(sample.name + suffix)  # of no time and no owner: the same bytes always
                    member.size = len(content)
                    file.addfile(member, io.BytesIO(content))
        return [path.name] * len(samples)

    def read(self, shard: int) -> dict[str, Stored]:
        """See Layout."""
        found: dict[str, dict[str, bytes]] = {}
        try:
            with tarfile.open(self._path(shard)) as file:
                for member in file:
                    content = file.extractfile(member)
                    name, dot, suffix = member.name.partition(".")
                    found.setdefault(name, {})[dot + suffix] = b"" if content is None else content.read()
        except tarfile.TarError as error:
            raise ValueError(f"{self._path(shard)}: not a whole .tar ({error})") from None
        suffix = self.options.suffix
        return {name: Stored(members.get(suffix, b""), members.get(".mask.png")) for name, members in found.items()}

    def _path(self, shard: int) -> Path:
        return (self.folder / shard_name(shard, self.shards)).with_suffix(".tar")

    def _members(self, sample: Sample) -> dict[str, bytes]:
        facts = {
            **{"identity": sample.identity, "image": sample.number, "person": sample.person},
            **dict(zip(ANGLES, sample.degrees.tolist(), strict=True)),
            **sample.traits,
            "landmarks": np.round(sample.landmarks.astype(float), 3).tolist(),
        }
        coefficients = io.BytesIO()
        np.save(coefficients, sample.coefficients, allow_pickle=False)
        members = {
            self.options.suffix: sample.image,
            ".cls": str(sample.identity).encode(),
            ".json": json.dumps(facts).encode(),
            ".coefficients.npy": coefficients.getvalue(),
        }
        return members if sample.mask is None else {**members, ".mask.png": sample.mask}


class TFRecords(Layout):
    """The records that `train.py` and `datasets.inspect` read (docs/datasets.md)."""

    _writer: RecordWriter | None = None

    def prepare(self, face_model: FaceModel, facts: dict[str, Any]) -> None:
        """See Layout."""
        labels = ("image", *(("mask",) if self.options.masks else ()), "coefficients", "landmarks", "subject", "name")
        options = {"maker": "generate_dataset.py", **facts}
        size, layout = self.options.image_size, face_model.layout
        manifest = Manifest(size, self.shards, labels, layout, face_model.name, options)
        self._writer = RecordWriter(self.folder, manifest)

    def write(self, shard: int, samples: Sequence[Sample]) -> list[str]:
        """See Layout."""
        assert self._writer is not None
        self._writer.write_shard(shard, (self._record(sample) for sample in samples))
        return [shard_name(shard, self.shards)] * len(samples)

    def read(self, shard: int) -> dict[str, Stored]:
        """See Layout."""
        payloads = iterate_shard(self.folder / shard_name(shard, self.shards))
        records = (Record.parse(payload) for _, payload in payloads)
        return {record.name: Stored(record.image, record.mask) for record in records}

    def finish(self, face_model: FaceModel, facts: dict[str, Any]) -> None:
        """See Layout."""
        assert self._writer is not None
        self._writer.finish()

    def _record(self, sample: Sample) -> Record:
        size = self.options.image_size
        return Record(
            image=sample.image,
            height=size,
            width=size,
            coefficients=np.concatenate([sample.coefficients, np.zeros(3, np.float32)]),  # no translation
            landmarks=sample.landmarks * (1, -1) + (0, size),
            mask=sample.mask,
            subject=sample.identity,
            name=sample.name,
        )


LAYOUTS: dict[str, type[Layout]] = {"folders": Folders, "tfrecord": TFRecords, "webdataset": WebDataset}
