"""Makes a folder of synthetic images with exact labels.

    python -m datasets.make_synthetic --out DIR --count 10000 --image_size 64 --seed 0
    python -m datasets.make_synthetic --out DIR --assets FOLDER --image_size 128 --workers 2

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
from renderer.face_model import load_face_model
from renderer.files import save_png
from renderer.makehuman.assets import LICENCE, read_assets
from renderer.makehuman.population import is_makehuman
from renderer.options import SEED, add_dry_run, add_option, check_options, option, print_options, whole

_SHEET = 64  # images on a contact sheet
_SHARD_LIMIT = 24 * 3600.0  # seconds for a shard


@dataclass(frozen=True)
class SyntheticSet:
    """A set of synthetic images. Image i depends only on the options, but for the number of shards, and on i."""

    out: str
    count: int = option(10_000, "number of images", whole(1, 10**8))
    image_size: int = option(64, "pixels", whole(16, 2048))
    seed: int = option(0, "of everything", SEED)
    shards: int = option(8, "number of files", whole(1, 100_000))
    subjects: int | None = option(None, "number of persons; a quarter of --count if left out", whole(1, 10**8))
    face_model: str = "builtin"
    assets: str | None = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.shards > self.count:
            raise ValueError(f"shards: expected count, {self.count}, at most. Received: {self.shards}")

    def prepare(self) -> tuple[Manifest, Callable[[], Synthesizer]]:
        """What the dataset will be, and what makes its images."""
        model = load_face_model(self.face_model)
        assets = None if self.assets is None else read_assets(self.assets)
        if assets is not None:
            check_fit(model)
        folder = None if self.assets is None else Path(self.assets) / "skins"
        skins = folder if folder and folder.is_dir() else None
        subjects = self.subjects or max(1, self.count // 4)
        options: dict[str, Any] = {"maker": "make_synthetic", "count": self.count, "seed": self.seed}
        options |= {"subjects": subjects, "face_model_checksum": model.checksum()}
        options["face_model_licence"] = model.licence
        if is_makehuman(model):
            options["traits"] = list(TRAITS)
        if assets is not None:
            names = sorted(path.stem for path in skins.glob("*.jpg")) if skins else []
            options["assets"] = {"licence": LICENCE, "checksum": assets.checksum(), "parts": assets.names()}
            options["assets"]["skins"] = names

        def build() -> Synthesizer:
            population = None
            if is_makehuman(model):
                population = MakeHumanPopulation(model, self.image_size, skins, painted_brows=assets is None)
            return Synthesizer(
                model, self.image_size, seed=self.seed, subjects=subjects, assets=assets, population=population
            )

        return Manifest(self.image_size, self.shards, FIELDS, model.layout, model.name, options), build

    def images_of(self, shard: int) -> range:
        """The numbers of the images of a shard."""
        first, end = np.linspace(0, self.count, self.shards + 1).astype(int)[shard : shard + 2].tolist()
        return range(first, end)

    def make(self) -> Callable[[int], int]:
        """The function of a worker: it writes a shard, and returns how many images that has."""
        use_one_thread()
        manifest, build = self.prepare()
        writer, synthesizer = RecordWriter(self.out, manifest), build()

        def write(shard: int) -> int:
            writer.write_shard(shard, list(synthesizer.records(self.images_of(shard))))
            return len(self.images_of(shard))

        return write


def make_synthetic(out: str | Path, *, workers: int = 0, **options: Any) -> Manifest:
    """Makes a `SyntheticSet` with these `options` in the folder `out`.

    workers: processes, each of which makes whole shards; 0: this one does everything.

    Raises:
        ValueError: an option is out of range, or `out` holds a dataset of other options.
        FileNotFoundError: no such face model or assets.
        OSError: a worker failed.
    """
    made = SyntheticSet(str(out), **options)
    manifest, build = made.prepare()
    writer = RecordWriter(out, manifest)
    if writer.complete:
        print(f"{out}: {made.count} images are there already; nothing to do")
        return writer.manifest
    missing = writer.missing()
    done = made.count - sum(len(made.images_of(shard)) for shard in missing)
    with tqdm(total=made.count, initial=done, unit="img", desc=str(out), mininterval=2.0) as bar:
        if workers == 0 and missing:
            synthesizer = build()
            for shard in missing:
                writer.write_shard(shard, _counted(synthesizer.records(made.images_of(shard)), bar))
        else:
            with contextlib.closing(work(made.make, missing, workers, _SHARD_LIMIT, (OSError, ValueError))) as results:
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
    for name in ("count", "image_size", "seed", "shards", "subjects"):
        add_option(parser, SyntheticSet, name)
    parser.add_argument(
        "--face_model", "--face-model", default="builtin", help="'builtin' or a .npz file (default: %(default)s)"
    )
    parser.add_argument(
        "--assets", metavar="DIR", help="MakeHuman's parts (hair/, eyebrows/, eyes/, skins/, …) to wear"
    )
    workers = whole(0, 1024)
    parser.add_argument(
        "--workers", type=workers, default=0, help="processes, each making whole shards (default: all in this one)"
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
