"""Aligned faces → records for training, and a contact sheet."""

from __future__ import annotations

import errno
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from datasets.photographs.files import TargetError
from datasets.photographs.journal import FaceStatus
from datasets.photographs.preparing import COEFFICIENTS
from datasets.pictures import tile
from datasets.records import MANIFEST, Manifest, Record, RecordWriter, read_manifest
from renderer.coefficients_io import load_coefficients
from renderer.face_model import FaceModel
from renderer.files import save_png
from renderer.layout import CoefficientLayout

PROGRAM = "preprocess_data.py"
_SHEET_LIMIT, _SHEET_COLUMNS = 64, 8


def check_folder(folder: Path, image_size: int) -> None:
    """Raises ValueError where `folder` holds a dataset that is not this program's, or is of another size."""
    if not (folder / MANIFEST).is_file():
        return
    there = read_manifest(folder, complete=False)
    if there.options.get("program") != PROGRAM or there.image_size != image_size:
        raise ValueError(
            f"--save_path {folder} holds another dataset (image_size {there.image_size}, made by "
            f"{there.options.get('program', 'another program')}); choose another folder, or delete this one"
        )


def write_records(
    faces: Sequence[FaceStatus],
    folder: Path,
    image_size: int,
    shards: int,
    model: FaceModel | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Writes the aligned faces as a dataset into `folder`, in the order given; does nothing where that is done.

    A dataset of another set of faces is replaced, since the files that it was made of are there. `model` is the face
    model of the coefficients, or None where they are unknown. Raises ValueError when an aligned file is not the one
    that was prepared.
    """
    shards = min(shards, len(faces))
    digest = hashlib.sha256()
    for face in faces:
        digest.update(f"{face.name}\n{face.digest}\n".encode())
    manifest = Manifest(
        image_size=image_size,
        shards=shards,
        fields=("image", "name") if model is None else ("image", "coefficients", "name"),
        layout=None if model is None else model.layout,
        face_model=None if model is None else model.name,
        options={"program": PROGRAM, **(options or {}), "photographs": digest.hexdigest()},
    )
    if (folder / MANIFEST).is_file():
        there = read_manifest(folder, complete=False)
        if (there.options, there.shards) != (manifest.options, shards):
            (folder / MANIFEST).unlink()
            for path in folder.glob("shard-*-of-*.tfrecord"):
                path.unlink()
    writer = RecordWriter(folder, manifest)
    if writer.complete:
        return
    quiet = 0.2 if sys.stderr.isatty() else 5.0
    try:
        for shard in tqdm(writer.missing(), desc="writing", unit="shard", mininterval=quiet):
            records = (_record(folder, face, image_size, manifest.layout) for face in faces[shard::shards])
            writer.write_shard(shard, records)
        writer.finish()
    except (tf.errors.OpError, OSError) as error:
        number, reason = getattr(error, "errno", errno.EIO), getattr(error, "strerror", str(error))
        raise TargetError(number, f"cannot write records into {folder}: {reason}") from None


def contact_sheet(paths: Sequence[Path], path: Path) -> None:
    """A grid of up to 64 of the aligned files, evenly chosen."""
    chosen = np.unique(np.linspace(0, len(paths) - 1, _SHEET_LIMIT).astype(int))
    images = [np.asarray(Image.open(paths[number]).convert("RGB")) for number in chosen]
    save_png(Image.fromarray(tile(images, min(len(images), _SHEET_COLUMNS), background=255)), path)


def _record(folder: Path, face: FaceStatus, image_size: int, layout: CoefficientLayout | None) -> Record:
    content = (folder / face.file).read_bytes()
    digest, coefficients = hashlib.sha256(content), None
    if layout is not None:
        mat = folder / COEFFICIENTS / f"{face.name}.mat"
        digest.update(mat.read_bytes())
        coefficients = load_coefficients(mat, layout)[0]
    if digest.hexdigest() != face.digest:
        raise ValueError(
            f"{folder / face.file}: not the file that was prepared; delete it and run the same command again"
        )
    return Record(image=content, height=image_size, width=image_size, coefficients=coefficients, name=face.name)
