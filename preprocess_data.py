"""Aligns photographs to the generator's framing and writes them as PNG and as a dataset for `train.py`.

    python preprocess_data.py --image_path DIR --lm_path DIR --save_path DIR --image_size 256

Each photograph NAME.jpg (png, …) needs LM_PATH/NAME.txt: 5 lines `x y`, pixels of the upright photograph, y down: the
eye on the picture's left, the other eye, the nose tip, the mouth corner on the left, the other one. Writes
SAVE_PATH/aligned/NAME.png, a contact sheet aligned.png, and TFRecords with dataset.json. What cannot be used is named
and left out. The same command again goes on where it stopped and adds what is new.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from datasets.alignment import align, frame_box, read_landmarks, read_photograph, standard_landmarks
from datasets.records import MANIFEST, Manifest, Record, RecordWriter, read_manifest
from renderer import load_face_model
from renderer.files import save_png

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_PROGRAM = "preprocess_data.py"
_SHEET_LIMIT, _SHEET_COLUMNS = 64, 8


def find_photographs(folder: Path) -> list[Path]:
    """The image files of a folder, by name. Raises FileNotFoundError or ValueError when there is none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"--image_path {folder}: there is no such folder")
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"--image_path {folder}: no image there; expected {' '.join(sorted(SUFFIXES))}")
    return paths


def align_all(
    photographs: Sequence[Path], landmarks: Path, out: Path, standard: np.ndarray, image_size: int
) -> list[Path]:
    """Writes out/NAME.png for each photograph that can be aligned; returns these files, old and new.

    Each of the others costs a line on the terminal. Files newer than their photograph and landmarks are kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    aligned: dict[str, Path] = {}
    kept = 0
    bar = tqdm(photographs, desc="aligning", unit="img", mininterval=0.2 if sys.stderr.isatty() else 5.0)
    for path in bar:
        target, points = out / f"{path.stem}.png", landmarks / f"{path.stem}.txt"
        if path.stem in aligned:
            bar.write(f"skipped {path}: there is another photograph of the name {path.stem}")
            continue
        if _is_done(target, (path, points), image_size):
            kept += 1
        else:
            try:
                box = frame_box(read_landmarks(points), standard, image_size)
                pixels = align(read_photograph(path), box, image_size)
            except (OSError, ValueError) as error:
                text = str(error)
                bar.write(f"skipped {text if text.startswith((str(path), str(points))) else f'{path}: {text}'}")
                continue
            save_png(Image.fromarray(pixels), target)
        aligned[path.stem] = target
    print(
        f"aligned {len(aligned) - kept}, kept {kept} aligned before, skipped {len(photographs) - len(aligned)} "
        f"of {len(photographs)} photographs"
    )
    if not aligned:
        raise ValueError(f"none of the {len(photographs)} photographs could be aligned; the lines above say why")
    return list(aligned.values())


def write_records(aligned: Sequence[Path], folder: Path, image_size: int, shards: int) -> None:
    """Writes the aligned files as a dataset into `folder`; does nothing where that is done.

    A dataset of another set of aligned photographs is replaced, since the files that it was made of are there.
    """
    shards = min(shards, len(aligned))
    digest = hashlib.sha256()
    for path in aligned:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    options = {"program": _PROGRAM, "photographs": digest.hexdigest()}
    manifest = Manifest(image_size=image_size, shards=shards, options=options)
    if (folder / MANIFEST).is_file():
        there = read_manifest(folder, complete=False)
        if (there.options, there.shards) != (options, shards):
            (folder / MANIFEST).unlink()
            for path in folder.glob("shard-*-of-*.tfrecord"):
                path.unlink()
    writer = RecordWriter(folder, manifest)
    if writer.complete:
        return
    for shard in tqdm(writer.missing(), desc="writing", unit="shard", mininterval=1.0):
        writer.write_shard(shard, (_record(path, image_size) for path in aligned[shard::shards]))
    writer.finish()


def contact_sheet(paths: Sequence[Path], path: Path) -> None:
    """A grid of up to 64 of the aligned files, evenly chosen."""
    chosen = [paths[k] for k in np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _SHEET_LIMIT)).astype(int))]
    tiles = [np.asarray(Image.open(tile).convert("RGB")) for tile in chosen]
    size, columns = tiles[0].shape[0], min(len(tiles), _SHEET_COLUMNS)
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * size, columns * size, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet[row * size : (row + 1) * size, column * size : (column + 1) * size] = tile
    save_png(Image.fromarray(sheet), path)


def _is_done(target: Path, sources: Sequence[Path], image_size: int) -> bool:
    if not target.is_file() or not all(source.is_file() for source in sources):
        return False
    if target.stat().st_mtime_ns < max(source.stat().st_mtime_ns for source in sources):
        return False
    try:
        with Image.open(target) as image:
            return image.size == (image_size, image_size)
    except OSError:
        return False


def _record(path: Path, image_size: int) -> Record:
    return Record(image=path.read_bytes(), height=image_size, width=image_size, name=path.stem)


def _check_folder(folder: Path, image_size: int) -> None:
    """Raises ValueError where `folder` holds a dataset that is not this program's, or is of another size."""
    if not (folder / MANIFEST).is_file():
        return
    there = read_manifest(folder, complete=False)
    if there.options.get("program") != _PROGRAM or there.image_size != image_size:
        raise ValueError(
            f"--save_path {folder} holds another dataset (image_size {there.image_size}, made by "
            f"{there.options.get('program', 'another program')}); choose another folder, or delete this one"
        )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image_path", required=True, type=Path, help="folder of photographs")
    parser.add_argument("--lm_path", required=True, type=Path, help="folder of landmarks, NAME.txt each")
    parser.add_argument("--save_path", required=True, type=Path, help="folder to write into")
    parser.add_argument("--image_size", type=int, default=256, help="pixels of the aligned square (default: 256)")
    parser.add_argument("--shards", type=int, default=8, help="TFRecord files at most (default: 8)")
    parser.add_argument(
        "--face_model", "--face-model", default="builtin", help="'builtin' or a .npz: whose face fills the frame"
    )
    arguments = parser.parse_args(argv)
    if not 8 <= arguments.image_size <= 4096:
        parser.error(f"--image_size should lie in 8…4096. Received: {arguments.image_size}")
    if arguments.shards < 1:
        parser.error(f"--shards should be 1 or more. Received: {arguments.shards}")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    arguments = _parse(argv)
    photographs = find_photographs(arguments.image_path)
    if not arguments.lm_path.is_dir():
        raise FileNotFoundError(f"--lm_path {arguments.lm_path}: there is no such folder")
    _check_folder(arguments.save_path, arguments.image_size)
    standard = standard_landmarks(load_face_model(arguments.face_model))
    folder = arguments.save_path / "aligned"
    aligned = align_all(photographs, arguments.lm_path, folder, standard, arguments.image_size)
    contact_sheet(aligned, arguments.save_path / "aligned.png")
    write_records(aligned, arguments.save_path, arguments.image_size, arguments.shards)
    print(f"dataset: {arguments.save_path}\npictures: {folder}\ncontact sheet: {arguments.save_path / 'aligned.png'}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{_PROGRAM}: error: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{_PROGRAM}: interrupted; the same command goes on from here")
