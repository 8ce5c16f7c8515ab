"""A folder of generated images: numbered PNGs, what each was drawn from, and a labelled sheet."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from discoface_tf2.files import digest, log, write_json, write_text
from discoface_tf2.generation import (
    GenerationOptions,
    describe,
    exact,
    generate,
    sample_row,
    to_uint8,
)
from discoface_tf2.model import Model
from discoface_tf2.model_io import WEIGHTS
from renderer.files import save_png
from renderer.outputs import sheet
from vae.model import ABBREVIATIONS
from vae.sampler import WEIGHTS as VAE_WEIGHTS

OPTIONS = "options.json"
COEFFICIENTS = "coefficients.jsonl"
SHEET = "sheet.png"
SHEET_ROWS, SHEET_COLUMNS = 40, 20  # at most; the images beyond are in the folder all the same


def write_pictures(
    folder: str | Path,
    options: GenerationOptions,
    model: Model,
    *,
    batch_size: int = 16,
) -> Path:
    """Writes the images that are not there yet, `coefficients.jsonl` and the sheet; returns the sheet's path.

    Raises ValueError when the folder holds images of other options or of another model.
    """
    folder = Path(folder)
    faces = model.faces  # what it lacks is said before anything is made
    claim(folder, options.to_dict(), model)
    _write_coefficients(folder / COEFFICIENTS, options, model)
    missing = [k for k in range(options.count) if not image_path(folder, k).is_file()]
    if missing:
        with tqdm(total=options.count, initial=options.count - len(missing), unit="img", mininterval=2) as progress:
            for batch in generate(options, faces, model.sampler, batch_size=batch_size, indices=missing):
                for k, pixels in zip(batch.indices, to_uint8(batch.images), strict=True):
                    save_png(Image.fromarray(pixels), image_path(folder, int(k)))
                progress.update(len(batch.indices))
    if missing or not (folder / SHEET).is_file():
        save_png(contact_sheet(folder, options), folder / SHEET)
    return folder / SHEET


def image_path(folder: Path, index: int) -> Path:
    """Where image `index` lies."""
    return folder / f"{index:05d}.png"


def claim(folder: Path, options: Mapping[str, Any], model: Model) -> None:
    """Notes the options in the folder, or checks that they are those noted. Raises ValueError with the difference."""
    plain = json.loads(json.dumps(options))  # tuples become lists, as they will when read back
    ours: dict[str, Any] = {
        **plain,
        "model": str(model.folder),
        "weights": digest(model.folder / WEIGHTS),
        "vae": digest(*(model.vae_dir / short / VAE_WEIGHTS for short in ABBREVIATIONS.values())),
    }
    path = folder / OPTIONS
    if path.is_file():
        try:
            theirs = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: not the options of a folder of pictures ({error})") from None
        different = [
            f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} asked for"
            for key in sorted({*theirs, *ours} - {"model"})  # the same model may lie elsewhere
            if theirs.get(key) != ours.get(key)
        ]
        if different:
            raise ValueError(f"{folder} holds images of other options ({'; '.join(different)}). Give another --out")
        return
    strange = next(folder.glob("[0-9]*.png"), None) if folder.is_dir() else None
    if strange:
        raise ValueError(f"{folder} holds images without {OPTIONS} ({strange.name}). Give another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, ours)


def _write_coefficients(path: Path, options: GenerationOptions, model: Model) -> None:
    """One JSON object per image: file, subject, variation, the factors of λ by name, and the noise.

    A file that is there is kept where it has them all; one that was emptied or cut is written again, since it follows
    from the options.
    """
    if path.is_file():
        if _is_whole(path, options.count):
            return
        log(f"{path}: not {options.count} records, as it was written; written again", sys.stderr)
    write_text(path, "".join(json.dumps(record) + "\n" for record in _records(options, model)))


def _is_whole(path: Path, count: int) -> bool:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return len(lines) == count and all(len(json.loads(line)["angles_degrees"]) == 3 for line in lines)
    except (ValueError, KeyError, TypeError):
        return False


def _records(options: GenerationOptions, model: Model) -> Iterator[dict[str, Any]]:
    for subject in range(options.subjects):
        coefficients, noise = sample_row(options, model.sampler, model.noise_dim, subject)
        for column in range(options.variations):
            yield {
                "file": image_path(Path(), subject * options.variations + column).name,
                "subject": subject,
                "variation": column,
                **describe(coefficients[column], model.layout),
                "noise": exact(noise[column]),
            }


def contact_sheet(folder: Path, options: GenerationOptions) -> Image.Image:
    """The images of the folder in rows of subjects, as many as fit, with the pose under each."""
    rows, columns = min(options.subjects, SHEET_ROWS), min(options.variations, SHEET_COLUMNS)
    lines = (folder / COEFFICIENTS).read_text(encoding="utf-8").splitlines()
    cells: list[list[Image.Image]] = []
    labels: list[list[str]] = []
    for row in range(rows):
        numbers = range(row * options.variations, row * options.variations + columns)
        cells.append([Image.open(image_path(folder, k)).convert("RGB") for k in numbers])
        angles = [json.loads(lines[k])["angles_degrees"] for k in numbers]
        labels.append([f"{row}: pitch {pitch:+.0f}° yaw {yaw:+.0f}°" for pitch, yaw, _ in angles])
    varies = {"all": "expression, lighting and pose"}.get(options.factor, options.factor)
    shown = f"; {rows} × {columns} shown" if rows * columns < options.count else ""
    title = f"along a row: {varies} (seed {options.seed}, truncation {options.truncation:g}{shown})"
    return sheet(cells, labels, title=title, side=128)
