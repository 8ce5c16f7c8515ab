"""Makes a folder of synthetic photographs with exact labels.

    python -m datasets.make_synthetic --out DIR --count 10000 --image_size 64 --seed 0

Interrupted and run again with the same options, it goes on at the first missing shard; finished, it does nothing.
`--sheet sheet.png` also draws the first 64 photographs, and their masks over them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m datasets.make_synthetic", "the same command goes on from here")

import numpy as np
from PIL import Image
from tqdm import tqdm

from datasets.records import FIELDS, Manifest, Record, RecordWriter, iterate_shard
from datasets.synthetic.photographer import Photographer
from renderer.face_model import load_face_model
from renderer.files import save_png
from renderer.options import SEED, add_dry_run, print_options, whole

_SHEET = 64  # photographs on a contact sheet
_MASK_COLOURS = np.array([(40, 90, 220), (240, 190, 60), (220, 40, 120)], np.float32)  # background, skin, hair


def make_synthetic(
    out: str | Path,
    *,
    count: int,
    image_size: int = 64,
    seed: int = 0,
    shards: int = 8,
    face_model: str = "builtin",
    subjects: int | None = None,
) -> Manifest:
    """Writes `count` photographs of `subjects` persons (None: a quarter of `count`) to the folder `out`.

    Photograph i depends only on the seed, the face model, the image size, the number of subjects and i.

    Raises:
        ValueError: an option is out of range, or `out` holds a dataset of other options.
        FileNotFoundError: no such face model.
    """
    subjects = max(1, count // 4) if subjects is None else subjects
    if min(count, subjects, shards) < 1 or shards > count or image_size < 16 or seed < 0:
        raise ValueError(
            "count and subjects must be at least 1, shards 1…count, image_size at least 16, seed at "
            f"least 0. Received: count={count}, subjects={subjects}, shards={shards}, image_size={image_size}, "
            f"seed={seed}"
        )
    model = load_face_model(face_model)
    options = {"maker": "make_synthetic", "count": count, "seed": seed, "subjects": subjects}
    options["face_model_checksum"] = model.checksum()
    manifest = Manifest(image_size, shards, FIELDS, model.layout, model.name, options)
    writer = RecordWriter(out, manifest)
    if writer.complete:
        print(f"{out}: {count} photographs are there already; nothing to do")
        return writer.manifest
    photographer = Photographer(model, image_size, seed=seed, subjects=subjects)
    bounds = np.linspace(0, count, shards + 1).astype(int)
    missing = writer.missing()
    todo = sum(bounds[shard + 1] - bounds[shard] for shard in missing)
    with tqdm(total=count, initial=count - int(todo), unit="img", desc=str(out), mininterval=2.0) as bar:
        for shard in missing:
            indices = range(bounds[shard], bounds[shard + 1])
            writer.write_shard(shard, _counted(photographer.records(indices), bar))
    return writer.finish()


def _counted(records: Iterator[Record], bar: tqdm) -> Iterator[Record]:
    for record in records:
        yield record
        bar.update()


def contact_sheet(folder: str | Path, path: str | Path, *, columns: int = 8, scale: int = 2) -> None:
    """Draws the first photographs of a dataset, left, and their masks over them, right."""
    records: list[Record] = []
    for shard in sorted(Path(folder).glob("shard-*.tfrecord")):
        for _, serialized in iterate_shard(shard):
            records.append(Record.parse(serialized))
            if len(records) == _SHEET:
                break
        if len(records) == _SHEET:
            break
    pictures, masked = [], []
    for record in records:
        pixels, classes = record.pixels(), record.classes()
        pictures.append(pixels)
        if classes is not None:
            masked.append((0.5 * pixels + 0.5 * _MASK_COLOURS[classes]).astype(np.uint8))
    sheet = np.concatenate([_grid(group, columns) for group in (pictures, masked) if group], 1)
    image = Image.fromarray(sheet)
    save_png(image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST), Path(path))


def _grid(images: list[np.ndarray], columns: int) -> np.ndarray:
    size = images[0].shape[0]
    rows = -(-len(images) // columns)
    grid = np.zeros((rows * columns, size, size, 3), np.uint8)
    grid[: len(images)] = images
    return grid.reshape(rows, columns, size, size, 3).swapaxes(1, 2).reshape(rows * size, columns * size, 3)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.make_synthetic", description="Make synthetic photographs with exact labels."
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the dataset")
    parser.add_argument(
        "--count", type=whole(1, 10**8), default=10000, help="number of photographs (default: %(default)s)"
    )
    parser.add_argument("--image_size", type=whole(16, 2048), default=64, help="pixels (default: %(default)s)")
    parser.add_argument("--seed", type=SEED, default=0, help="of everything (default: %(default)s)")
    parser.add_argument("--shards", type=whole(1, 100_000), default=8, help="number of files (default: %(default)s)")
    parser.add_argument(
        "--face_model", "--face-model", default="builtin", help="'builtin' or a .npz file (default: %(default)s)"
    )
    parser.add_argument("--subjects", type=whole(1, 10**8), help="number of persons (default: a quarter of --count)")
    parser.add_argument("--sheet", metavar="PNG", help="also draw the first 64 photographs and their masks")
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
