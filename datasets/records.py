"""The folder of records that every image of this project lives in: the writer, and the names that users need.

A dataset is a folder: `dataset.json` (the manifest), `shard-00000-of-00008.tfrecord`, … and, where coefficients are
known, `coefficients.npz` (`coeff` [N, size] float32, `subject` [N] int32, and `traits` [N, K] float32 where the writer
knows the people's, which its options name; in the order of the shards).
docs/datasets.md has the schema; `load_dataset` yields the folder as a `tf.data.Dataset`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from datasets.reader import load_dataset
from datasets.scan import clear_read_errors, validate
from datasets.schema import COEFFICIENTS, FIELDS, HAIR, MANIFEST, SKIN, Manifest, Record, read_manifest, shard_name
from datasets.tfrecord import iterate_shard
from renderer.files import atomic_path

__all__ = [
    "COEFFICIENTS", "FIELDS", "HAIR", "MANIFEST", "SKIN", "Manifest", "Record", "RecordWriter", "clear_read_errors",
    "iterate_shard", "load_dataset", "read_manifest", "shard_name", "validate",
]  # fmt: skip


class RecordWriter:
    """Writes a dataset folder shard by shard, so that an interrupted run goes on at the first missing shard.

    Making one creates the folder and its manifest, or finds what is already there: a manifest that differs raises
    ValueError with the difference. Then `write_shard` every shard of `missing()`, in any order, and `finish()`.

        writer = RecordWriter(folder, Manifest(image_size=64, shards=4, options={"seed": 0}))
        for shard in writer.missing():
            writer.write_shard(shard, records_of(shard))
        writer.finish()
    """

    def __init__(self, folder: str | Path, manifest: Manifest):
        self.folder, self.manifest = Path(folder), manifest
        if (self.folder / MANIFEST).is_file():
            there = read_manifest(self.folder, complete=False)
            difference = _difference(there, manifest)
            if difference:
                raise ValueError(
                    f"{self.folder} holds a dataset of other options ({difference}). Choose another folder, "
                    "or delete this one"
                )
            self.manifest = there
        else:
            self._write_manifest()

    @property
    def complete(self) -> bool:
        """Whether the dataset is finished: every shard written and counted."""
        return self.manifest.shard_counts is not None and not self.missing()

    def shard_path(self, index: int) -> Path:
        """Where shard `index` lies."""
        return self.folder / shard_name(index, self.manifest.shards)

    def missing(self) -> list[int]:
        """Numbers of the shards that are not written yet."""
        return [k for k in range(self.manifest.shards) if not self.shard_path(k).is_file()]

    def write_shard(self, index: int, records: Iterable[Record]) -> None:
        """Writes one shard atomically; nothing is left behind when `records` raises.

        Raises OSError that names the shard when the disk is full; the shards before it are kept.
        """
        with atomic_path(self.shard_path(index)) as path, tf.io.TFRecordWriter(str(path)) as file:
            for record in records:
                self.manifest.check(record)
                file.write(record.serialize())

    def finish(self) -> Manifest:
        """Reads every shard back, writes `coefficients.npz` and the final manifest, which it returns.

        Raises ValueError when a shard is missing or damaged, or when there is no image at all.
        """
        if self.missing():
            raise ValueError(f"{self.folder}: shards {self.missing()} are not written yet")
        coefficients, subjects, traits, counts = [], [], [], []
        for shard in range(self.manifest.shards):
            records = [Record.parse(payload) for _, payload in iterate_shard(self.shard_path(shard))]
            counts.append(len(records))
            coefficients += [record.coefficients for record in records if record.coefficients is not None]
            subjects += [record.subject for record in records]
            traits += [record.traits for record in records if record.traits is not None]
        if not sum(counts):
            raise ValueError(f"{self.folder}: no image was written")
        if self.manifest.layout is not None:
            arrays: dict[str, Any] = {"coeff": np.stack(coefficients), "subject": np.array(subjects, np.int32)}
            if traits:
                arrays["traits"] = np.stack(traits)
            with atomic_path(self.folder / COEFFICIENTS) as path, open(path, "wb") as file:
                np.savez(file, **arrays)
        self.manifest = replace(self.manifest, shard_counts=tuple(counts))
        self._write_manifest()
        return self.manifest

    def _write_manifest(self) -> None:
        with atomic_path(self.folder / MANIFEST) as path:
            path.write_bytes(self.manifest.to_json().encode())


def _difference(there: Manifest, asked: Manifest) -> str:
    """How two manifests differ, apart from the counts, in words; empty when they agree."""
    before, after = ({**vars(m), **m.options} for m in (there, asked))
    keys = [key for key in {**before, **after} if key not in ("options", "shard_counts")]
    pairs = [(key, before.get(key), after.get(key)) for key in keys]
    return ", ".join(f"{key}: there {old}, asked {new}" for key, old, new in pairs if old != new)
