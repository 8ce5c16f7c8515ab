"""Makes a folder of synthetic images with exact labels.

    python -m datasets.make_synthetic --out DIR --count 10000 --image_size 64 --seed 0
    python -m datasets.make_synthetic --out DIR --face_model makehuman.npz --assets FOLDER --image_size 128 --workers 2

Interrupted and run again with the same options, it goes on at the first missing shard; finished, it does nothing.
`--sheet sheet.png` also plots the first 64 images, and their masks over them.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m datasets.make_synthetic", "the same command goes on from here")

import numpy as np
from tqdm import tqdm

from datasets import pictures
from datasets.photographs.workers import Failure, use_one_thread, work
from datasets.records import FIELDS, Manifest, Record, RecordWriter, iterate_shard
from datasets.synthetic.parts import check_fit
from datasets.synthetic.population import TRAITS, MakeHumanPopulation
from datasets.synthetic.synthesizer import Synthesizer
from renderer.face_model import FaceModel, load_face_model
from renderer.files import save_png
from renderer.makehuman.assets import LICENCE, Assets, read_assets
from renderer.makehuman.population import is_makehuman
from renderer.options import SEED, add_dry_run, print_options, whole

_SHEET = 64  # images on a contact sheet
_SHARD_LIMIT = 24 * 3600.0  # seconds for a shard


@dataclass(frozen=True)
class _Job:
    """What one process needs to make shards."""

    out: str
    count: int
    image_size: int
    seed: int
    shards: int
    subjects: int
    face_model: str
    assets: str | None

    def prepare(self) -> tuple[Manifest, Callable[[], Synthesizer]]:
        """What the dataset will be, and what makes its images."""
        model = load_face_model(self.face_model)
        assets = None if self.assets is None else read_assets(self.assets)
        if assets is not None:
            check_fit(model)
        manifest = Manifest(
            self.image_size, self.shards, FIELDS, model.layout, model.name, self._options(model, assets)
        )
        return manifest, lambda: self._synthesizer(model, assets)

    def records(self, synthesizer: Synthesizer, shard: int) -> Iterator[Record]:
        """The records of a shard."""
        bounds = np.linspace(0, self.count, self.shards + 1).astype(int)
        return synthesizer.records(range(bounds[shard], bounds[shard + 1]))

    def make(self) -> Callable[[int], int]:
        """The function of a worker: it writes a shard, and returns how many images that has."""
        use_one_thread()
        manifest, build = self.prepare()
        writer, synthesizer = RecordWriter(self.out, manifest), build()

        def write(shard: int) -> int:
            records = list(self.records(synthesizer, shard))
            writer.write_shard(shard, records)
            return len(records)

        return write

    def _options(self, model: FaceModel, assets: Assets | None) -> dict[str, Any]:
        options: dict[str, Any] = {"maker": "make_synthetic", "count": self.count, "seed": self.seed}
        options |= {"subjects": self.subjects, "face_model_checksum": model.checksum()}
        options["face_model_licence"] = model.licence
        if is_makehuman(model):
            options["traits"] = list(TRAITS)
        if assets is not None:
            options["assets"] = {"licence": LICENCE, "checksum": assets.checksum(), "parts": assets.names()}
            skins = self._skins()
            options["assets"]["skins"] = sorted(path.stem for path in skins.glob("*.jpg")) if skins else []
        return options

    def _synthesizer(self, model: FaceModel, assets: Assets | None) -> Synthesizer:
        population = None
        if is_makehuman(model):
            population = MakeHumanPopulation(model, self.image_size, self._skins(), painted_brows=assets is None)
        return Synthesizer(
            model,
            self.image_size,
            seed=self.seed,
            subjects=self.subjects,
            assets=assets,
            population=population,
        )

    def _skins(self) -> Path | None:
        folder = None if self.assets is None else Path(self.assets) / "skins"
        return folder if folder and folder.is_dir() else None


def make_synthetic(
    out: str | Path,
    *,
    count: int,
    image_size: int = 64,
    seed: int = 0,
    shards: int = 8,
    face_model: str = "builtin",
    subjects: int | None = None,
    assets: str | Path | None = None,
    workers: int = 0,
) -> Manifest:
    """Writes `count` images of `subjects` persons (None: a quarter of `count`) to the folder `out`.

    Image i depends only on the seed, the face model, the assets, the image size, the number of subjects and i.

    Args:
        out: folder of the dataset.
        count, image_size, seed, shards, subjects: see the command line.
        face_model: `builtin` or a .npz file.
        assets: folder of MakeHuman's parts that people wear, or None.
        workers: processes, each of which makes whole shards; 0: this one does everything.

    Raises:
        ValueError: an option is out of range, or `out` holds a dataset of other options.
        FileNotFoundError: no such face model or assets.
        OSError: a worker failed.
    """
    subjects = max(1, count // 4) if subjects is None else subjects
    if min(count, subjects, shards) < 1 or shards > count or image_size < 16 or min(seed, workers) < 0:
        raise ValueError(
            "count and subjects must be at least 1, shards 1…count, image_size at least 16, seed and workers at "
            f"least 0. Received: count={count}, subjects={subjects}, shards={shards}, image_size={image_size}, "
            f"seed={seed}, workers={workers}"
        )
    folder = None if assets is None else str(assets)
    job = _Job(str(out), count, image_size, seed, shards, subjects, str(face_model), folder)
    manifest, build = job.prepare()
    writer = RecordWriter(out, manifest)
    if writer.complete:
        print(f"{out}: {count} images are there already; nothing to do")
        return writer.manifest
    missing = writer.missing()
    bounds = np.linspace(0, count, shards + 1).astype(int)
    todo = sum(bounds[shard + 1] - bounds[shard] for shard in missing)
    with tqdm(total=count, initial=count - int(todo), unit="img", desc=str(out), mininterval=2.0) as bar:
        if workers == 0 or not missing:
            synthesizer = build() if missing else None
            for shard in missing:
                assert synthesizer is not None
                writer.write_shard(shard, _counted(job.records(synthesizer, shard), bar))
        else:
            with contextlib.closing(work(job.make, missing, workers, _SHARD_LIMIT, (OSError, ValueError))) as results:
                for shard, result in results:
                    if isinstance(result, Failure):
                        raise OSError(f"shard {shard}: {result.reason}. Run the command again to go on")
                    bar.update(result)
    return writer.finish()


def _counted(records: Iterator[Record], bar: tqdm) -> Iterator[Record]:
    for record in records:
        yield record
        bar.update()


def contact_sheet(folder: str | Path, path: str | Path) -> None:
    """Plots the first images of a dataset, left, and their masks over them, right."""
    shards = sorted(Path(folder).glob("shard-*.tfrecord"))
    records = (Record.parse(payload) for shard in shards for _, payload in iterate_shard(shard))
    first = itertools.islice(records, _SHEET)
    save_png(pictures.contact_sheet([pictures.cells(r.pixels(), r.classes(), None) for r in first]), Path(path))


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.make_synthetic", description="Make synthetic images with exact labels."
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the dataset")
    parser.add_argument("--count", type=whole(1, 10**8), default=10000, help="number of images (default: %(default)s)")
    parser.add_argument("--image_size", type=whole(16, 2048), default=64, help="pixels (default: %(default)s)")
    parser.add_argument("--seed", type=SEED, default=0, help="of everything (default: %(default)s)")
    parser.add_argument("--shards", type=whole(1, 100_000), default=8, help="number of files (default: %(default)s)")
    parser.add_argument(
        "--face_model", "--face-model", default="builtin", help="'builtin' or a .npz file (default: %(default)s)"
    )
    parser.add_argument("--subjects", type=whole(1, 10**8), help="number of persons (default: a quarter of --count)")
    parser.add_argument(
        "--assets", metavar="DIR", help="MakeHuman's parts (hair/, eyebrows/, eyes/, skins/, …) to wear"
    )
    parser.add_argument(
        "--workers",
        type=whole(0, 1024),
        default=0,
        help="processes, each making whole shards (default: all in this one)",
    )
    parser.add_argument("--sheet", metavar="PNG", help="also plot the first 64 images and their masks")
    add_dry_run(parser)
    values = vars(parser.parse_args(argv))
    if values["shards"] > values["count"]:
        parser.error(f"--shards: expected --count, {values['count']}, at most. Received: {values['shards']}")
    if values.pop("dry_run"):
        print_options(values)
        return
    sheet = values.pop("sheet")
    make_synthetic(**values)
    if sheet:
        contact_sheet(values["out"], sheet)


if __name__ == "__main__":
    main()
