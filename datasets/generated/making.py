"""What a worker does: it looks at candidates, or makes a shard: generates, aligns, encodes and stores its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from datasets.generated.framing import similarity, warp
from datasets.generated.layouts import LAYOUTS
from datasets.generated.metadata import Sample, part_path, write_part
from datasets.generated.options import GeneratedSet
from datasets.generated.selection import IDENTITIES, UNIT, candidates_path, write_candidates
from datasets.schema import encode_image
from renderer.face_model import FaceModel

_QUALITY = 95
_THREADS = 2  # that align and encode while the next images are generated


class Source(Protocol):
    """Who generates: `discoface_tf2.identities.Identities`."""

    face_model: FaceModel
    resolution: int

    def candidates(self, numbers: range, embed: bool) -> tuple[np.ndarray, np.ndarray]:
        """Identity coefficients [N, S + T] and embeddings [N, E] of people."""

    def images(self, people: Sequence[int]) -> Iterator[Mapping[str, np.ndarray]]:
        """Batches of images and labels."""


class Item(NamedTuple):
    """A piece of work: `unit` of candidates, or a shard."""

    kind: str  # "candidates" or "shard"
    number: int


class Maker:
    """Does the items of a data set.

    Args:
        folder: of the data set.
        options: its own.
        source: generates.
        facts: all options, as they are noted; the seed is among them.
    """

    def __init__(self, folder: Path, options: GeneratedSet, source: Source, facts: dict[str, Any]) -> None:
        self.folder, self.options, self.source, self.facts = folder, options, source, facts
        self.layout = LAYOUTS[options.layout](folder, options)
        self._people: Mapping[str, np.ndarray] = {}

    def __call__(self, item: Item) -> int:
        """Does one; returns how many people, or images, that were. Raises OSError or ValueError with one line."""
        if item.kind == "candidates":
            people = range(item.number * UNIT, (item.number + 1) * UNIT)
            found = self.source.candidates(people, self.options.min_distance > 0)
            write_candidates(self.folder, item.number, self.source.face_model, *found)
            return UNIT
        self.layout.prepare(self.source.face_model, self.facts)
        samples = list(self._samples(item.number))
        files = self.layout.write(item.number, samples)
        write_part(self.folder, item.number, samples, files, self.facts["seed"], self.source.face_model.layout)
        return len(samples)

    def path(self, item: Item) -> Path:
        """The file that is there when an item is done."""
        return (candidates_path if item.kind == "candidates" else part_path)(self.folder, item.number)

    def _samples(self, shard: int) -> Iterator[Sample]:
        if not self._people:
            with np.load(self.folder / IDENTITIES, allow_pickle=False) as stored:
                self._people = dict(stored)
        identities = self.options.identities_of(shard)
        people = self._people["person"][identities.start : identities.stop].tolist()
        number = 0
        waiting: list[Future[Sample]] = []
        with ThreadPoolExecutor(_THREADS) as threads:
            for batch in self.source.images(people):
                asked = []
                for row in range(len(batch["person"])):
                    identity = identities.start + number // self.options.images_per_identity
                    one = {name: values[row] for name, values in batch.items()}
                    asked.append(threads.submit(self._sample, identity, one))
                    number += 1
                yield from (future.result() for future in waiting)
                waiting = asked
            yield from (future.result() for future in waiting)

    def _sample(self, identity: int, one: Mapping[str, np.ndarray]) -> Sample:
        size, quality = self.options.image_size, _QUALITY if self.options.format == "jpeg" else None
        found = similarity(self.options.align, one["landmarks"], self.source.resolution, size)
        classes = warp(one["classes"], found, size) if "classes" in one else None
        unlisted = ("person", "embedding", "tried", "too_near", "group_full")
        return Sample(
            identity=identity,
            number=int(one["image"]),
            person=int(one["person"]),
            image=encode_image(warp(one["pixels"], found, size), quality),
            mask=None if classes is None else encode_image(classes, None),
            coefficients=one["coefficients"],
            noise=one["noise"],
            degrees=np.degrees(one["coefficients"][self.source.face_model.layout.slice("angles")]),
            landmarks=found(one["landmarks"]).astype(np.float32),
            transform=found.matrix(),
            traits={name: float(v[identity]) for name, v in self._people.items() if name not in unlisted},
        )
