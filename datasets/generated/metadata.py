"""`metadata.parquet`: a row for each image of a data set, with every label; one row group per shard.

Until all shards are made, each has a file of its own in `parts/`, written after its images: where that is, the shard
is whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from renderer.files import atomic_path
from renderer.layout import CoefficientLayout

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as missing:
    raise ValueError(f"data sets need pyarrow: pip install pyarrow ({missing})") from None

METADATA, PARTS = "metadata.parquet", "parts"
_GROUPS = ("shape", "texture", "expression", "angles", "lighting")
ANGLES = ("pitch", "yaw", "roll")


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a data set and all that is known of it."""

    identity: int  # 0, 1, … : the label
    number: int  # of the image, 0, 1, … of its identity
    person: int  # the identity's number among the people of the seed
    image: bytes  # a file
    mask: bytes | None  # a PNG file: 0 background, 1 skin, 2 hair
    coefficients: np.ndarray  # [λ] float32
    noise: np.ndarray  # [noise_dim] float32
    degrees: np.ndarray  # [3] float32: pitch, yaw and roll of the head
    landmarks: np.ndarray  # [68, 2] float32, pixels of the image, y down from its top left corner
    transform: np.ndarray  # [2, 3] float32: from the generator's pixels to the image's
    traits: Mapping[str, float] = field(default_factory=dict)  # of the person: `renderer.traits.known_traits`

    @property
    def name(self) -> str:
        """See `name_of`."""
        return name_of(self.identity, self.number)


def name_of(identity: int, number: int) -> str:
    """IDENTITY/NUMBER of an image, of eight and of four digits."""
    return f"{identity:08d}/{number:04d}"


def digest(content: bytes | None) -> str | None:
    """SHA-256 of a file's content."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def write_part(
    folder: Path, shard: int, samples: Sequence[Sample], files: Sequence[str], seed: int, layout: CoefficientLayout
) -> None:
    """Writes the rows of a shard, whose images lie in `files`."""
    lambdas = np.stack([sample.coefficients for sample in samples])
    columns: dict[str, Any] = {
        "file": list(files),
        "name": [sample.name for sample in samples],
        "identity": np.array([sample.identity for sample in samples], np.int32),
        "image": np.array([sample.number for sample in samples], np.int32),
        "person": np.array([sample.person for sample in samples], np.int64),
        "seed": np.full(len(samples), seed, np.int64),
    }
    for name in samples[0].traits:
        columns[name] = np.array([sample.traits[name] for sample in samples], np.float32)
    degrees = np.stack([sample.degrees for sample in samples])
    columns |= {name: degrees[:, column] for column, name in enumerate(ANGLES)}
    columns |= {group: _lists(lambdas[:, layout.slice(group)]) for group in _GROUPS}
    for name in ("noise", "landmarks", "transform"):
        columns[name] = _lists(np.stack([getattr(sample, name).ravel() for sample in samples]))
    columns["sha256"] = [digest(sample.image) for sample in samples]
    columns["mask_sha256"] = pa.array([digest(sample.mask) for sample in samples], pa.string())
    with atomic_path(part_path(folder, shard)) as path:
        pq.write_table(pa.table(columns), path, compression="zstd")


def part_path(folder: Path, shard: int) -> Path:
    """Where the rows of a shard lie until all are there."""
    return folder / PARTS / f"{shard:06d}.parquet"


def merge_parts(folder: Path, shards: int, options: Mapping[str, Any]) -> None:
    """Writes `metadata.parquet` of all parts, with the options in its schema, and removes them."""
    schema = pq.read_schema(part_path(folder, 0)).with_metadata({"options": json.dumps(options)})
    with atomic_path(folder / METADATA) as path, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for shard in range(shards):
            table = pq.read_table(part_path(folder, shard))
            writer.write_table(table.replace_schema_metadata(schema.metadata), row_group_size=len(table))
    shutil.rmtree(folder / PARTS)


def read_rows(folder: Path, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """Some columns of `metadata.parquet`, shard by shard. Raises ValueError with one line where it is no such file."""
    try:
        file = pq.ParquetFile(folder / METADATA)
        for shard in range(file.num_row_groups):
            yield file.read_row_group(shard, columns=list(columns)).to_pydict()
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder / METADATA}: not the metadata of a data set ({reason})") from None


def reopen(folder: Path, damaged: set[int]) -> None:
    """Splits `metadata.parquet` into parts again, but for the `damaged` shards, which are then to be made anew."""
    file = pq.ParquetFile(folder / METADATA)
    for shard in set(range(file.num_row_groups)) - damaged:
        with atomic_path(part_path(folder, shard)) as path:
            pq.write_table(file.read_row_group(shard).replace_schema_metadata(), path, compression="zstd")
    file.close()
    (folder / METADATA).unlink()


def _lists(values: np.ndarray) -> pa.FixedSizeListArray:
    """[N, K] float32 as a column of lists."""
    flat = pa.array(np.ascontiguousarray(values, np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
