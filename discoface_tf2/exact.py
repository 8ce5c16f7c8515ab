"""Images of exactly what is asked for: a face, a row or a grid of them, as PNGs with their coefficients, or a film."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from discoface_tf2.exact_options import ANGLES, Axis, ExactOptions
from discoface_tf2.files import log, write_text
from discoface_tf2.generation import describe, exact, in_batches, to_uint8
from discoface_tf2.model import Model
from discoface_tf2.people import People
from discoface_tf2.pictures import COEFFICIENTS, SHEET, claim, image_path
from renderer.coefficients_io import load_coefficients
from renderer.files import save_png
from renderer.outputs import sheet
from renderer.turntable import check_writer, write_film

_SHOWN = 40  # rows and columns of the sheet, at most
_KNOWN = 4096  # people who say how far the training went


class Grid:
    """The faces that are asked for, row by row.

    Attributes:
        people: R · C of them.
        labels: [R][C] what each shows, in words.
    """

    def __init__(self, options: ExactOptions, model: Model) -> None:
        rows, columns = options.rows, options.columns
        if rows is None and options.source is None and len(options.identities) > 1:
            rows = Axis("identity", options.identities)
        starts = self._starts(options, model, rows)
        parts: list[People] = []
        self.labels: list[list[str]] = []
        for name, people in starts:
            for row in rows.values if rows is not None and rows.name != "identity" else (None,):
                line = []
                for column in columns.values if columns is not None else (None,):
                    face, words = people, [name]
                    for axis, value in ((rows, row), (columns, column)):
                        if axis is None or value is None:
                            continue
                        words.append(axis.label(value))
                        face = self._person(model, options, float(value)) if axis.name == "identity" else face
                    for axis, value in ((rows, row), (columns, column)):
                        if axis is not None and value is not None and axis.name != "identity":
                            face = face.with_(**axis.change(value))
                    parts.append(face)
                    line.append(", ".join(word for word in words if word))
                self.labels.append(line)
        self.people = People(
            np.concatenate([part.coefficients for part in parts]), np.concatenate([part.noise for part in parts]),
            model.layout, parts[0].face_model,
        )  # fmt: skip

    def _starts(self, options: ExactOptions, model: Model, rows: Axis | None) -> list[tuple[str, People]]:
        """What the rows begin with, and its name."""
        if options.source is not None:
            faces = load_coefficients(options.source, model.layout)
            changed = self._changed(model.people(faces, _noise(options.source, len(faces), model.noise_dim)), options)
            return [(f"face {k}" if len(faces) > 1 else "", changed[[k]]) for k in range(len(faces))]
        if rows is not None and rows.name == "identity":
            return [(rows.label(number), self._person(model, options, float(number))) for number in rows.values]
        return [("", self._person(model, options, options.identities[0]))]

    def _person(self, model: Model, options: ExactOptions, number: float) -> People:
        """A person at rest, then as the options have it."""
        return self._changed(model.between(number, seed=options.seed).at_rest(), options)

    @staticmethod
    def _changed(people: People, options: ExactOptions) -> People:
        return people.with_(
            yaw=options.yaw, pitch=options.pitch, roll=options.roll, expression=options.expression, light=options.light
        )


def _noise(path: Path, count: int, noise_dim: int) -> np.ndarray | None:
    """The noise [N, noise_dim] beside the coefficients that generate_images.py wrote; None in another file."""
    if path.suffix.lower() != ".jsonl":
        return None
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [record.get("noise") for record in records]
    whole = len(rows) == count and all(isinstance(row, list) and len(row) == noise_dim for row in rows)
    return np.asarray(rows, np.float32) if whole else None


def beyond_training(people: People, model: Model) -> list[str]:
    """A line for each angle and movement of people that is beyond what the generator was trained on."""
    known = model.sampler.sample(
        np.random.default_rng(0).standard_normal([_KNOWN, model.sampler.latent_size], np.float32)
    )
    layout, seen = model.layout, known.numpy()
    names = [(layout.slice("angles").start + k, name) for k, name in enumerate(("pitch", "yaw", "roll"))]
    if people.face_model is not None:
        names += [
            (layout.slice("expression").start + k, name) for k, name in enumerate(people.face_model.expression_names)
        ]
    lines = []
    for place, name in names:
        unit, sign = (180 / np.pi, "°") if name in ANGLES else (1.0, "")
        low, high = (float(v) * unit for v in np.quantile(seen[:, place], (0.001, 0.999)))
        values = people.coefficients[:, place] * unit
        worst = float(values[np.argmax(np.maximum(low - values, values - high))])
        if worst < low - 1e-3 - 0.05 * (high - low) or worst > high + 1e-3 + 0.05 * (high - low):
            lines.append(
                f"{name} {worst:.3g}{sign}: the generator was trained on {low:.3g}{sign} to {high:.3g}{sign}; beyond, "
                "it guesses"
            )
    return lines


def write_exact(
    folder: Path, options: ExactOptions, model: Model, *, batch_size: int = 16, video: Path | None = None, fps: int = 25
) -> Path:
    """Writes the images that are not there yet, `coefficients.jsonl`, sheet and film; returns the sheet's path.

    A frame of the film is a column of the grid, its rows side by side. Raises ValueError when the folder holds images
    of other options or of another model.
    """
    if video is not None:
        check_writer(video, model.resolution)
    faces, grid = model.faces, Grid(options, model)
    people, count, columns = grid.people, len(grid.people), len(grid.labels[0])
    claim(folder, options.to_dict(), model)
    for line in beyond_training(people, model):
        log(line, sys.stderr)
    write_text(folder / COEFFICIENTS, "".join(json.dumps(record) + "\n" for record in _records(grid)))
    missing = [k for k in range(count) if not image_path(folder, k).is_file()]
    if missing:
        with tqdm(total=count, initial=count - len(missing), unit="img", mininterval=2) as progress:
            wanted = people.coefficients[missing], people.noise[missing]
            for rows, images in in_batches(faces, *wanted, options.truncation, min(batch_size, len(missing))):
                for k, pixels in zip(missing[rows], to_uint8(images), strict=True):
                    save_png(Image.fromarray(pixels), image_path(folder, k))
                progress.update(len(images))
    shown = [[Image.open(image_path(folder, row * columns + k)) for k in range(min(columns, _SHOWN))]
             for row in range(min(len(grid.labels), _SHOWN))]  # fmt: skip
    save_png(sheet(shown, [line[:_SHOWN] for line in grid.labels[:_SHOWN]], side=128), folder / SHEET)
    if video is not None:
        write_film(video, _frames(folder, len(grid.labels), columns), fps)
    return folder / SHEET


def _frames(folder: Path, rows: int, columns: int) -> Iterator[Image.Image]:
    for column in range(columns):
        images = [
            np.asarray(Image.open(image_path(folder, row * columns + column)).convert("RGB")) for row in range(rows)
        ]
        yield Image.fromarray(np.concatenate(images, 1))


def _records(grid: Grid) -> Iterator[dict[str, object]]:
    labels = [label for line in grid.labels for label in line]
    for k, label in enumerate(labels):
        yield {
            "file": image_path(Path(), k).name,
            "label": label,
            **describe(grid.people.coefficients[k], grid.people.layout),
            "noise": exact(grid.people.noise[k]),
        }
