"""A labelled contact sheet of a face model: identities, every expression, poses and lights.

Example: python -m renderer.preview --out sheet.png --face_model builtin --size 256 --seed 0
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("renderer.preview")

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from renderer.face_model import FaceModel, load_face_model
from renderer.face_renderer import FaceRenderer
from renderer.files import save_png
from renderer.lights import directional_light
from renderer.options import SEED, whole

COLUMNS = 8
LABEL_HEIGHT = 16
BACKGROUND = 96.0
_POSES = {
    "yaw -50": (0, -50, 0), "yaw -25": (0, -25, 0), "yaw +25": (0, 25, 0), "yaw +50": (0, 50, 0),
    "pitch -20": (-20, 0, 0), "pitch +20": (20, 0, 0), "roll -20": (0, 0, -20), "roll +20": (0, 0, 20),
}  # fmt: skip
# Name -> (direction towards the light, ambient, strength, colour)
_LIGHTS: dict[str, tuple[tuple[float, float, float], float, float, tuple[float, float, float]]] = {
    "even": ((0, 0, 1), 0.85, 0.0, (1, 1, 1)),
    "front": ((0, 0.2, 1), 0.30, 0.75, (1, 1, 1)),
    "from the left": ((-1, 0.2, 0.5), 0.30, 0.8, (1, 1, 1)),
    "from the right": ((1, 0.2, 0.5), 0.30, 0.8, (1, 1, 1)),
    "from above": ((0, 1, 0.5), 0.30, 0.8, (1, 1, 1)),
    "from below": ((0, -1, 0.6), 0.30, 0.8, (1, 1, 1)),
    "warm": ((-0.6, 0.6, 0.7), 0.35, 0.75, (1.12, 0.98, 0.80)),
    "cool": ((0.6, 0.6, 0.7), 0.35, 0.75, (0.86, 0.98, 1.14)),
}


def preview_coefficients(face_model: FaceModel, seed: int = 0, identities: int = 16) -> tuple[list[str], np.ndarray]:
    """Labels and coefficients [N, size] of the sheet's cells: identities, expressions, poses and lights."""
    layout = face_model.layout
    rng = np.random.default_rng(seed)
    labels: list[str] = []
    rows: list[np.ndarray] = []

    def add(label: str, **groups: np.ndarray | Sequence[float]) -> None:
        vector = np.zeros(layout.size, np.float32)
        vector[layout.slice("lighting")] = directional_light((-0.45, 0.45, 0.8))
        for group, values in groups.items():
            vector[layout.slice(group)] = values
        labels.append(label)
        rows.append(vector)

    people = [
        {
            "shape": rng.normal(0, face_model.shape_std).astype(np.float32),
            "texture": rng.normal(0, face_model.texture_std).astype(np.float32),
        }
        for _ in range(identities)
    ]
    corrects = face_model.manifest.get("corrects")
    corrects = corrects if isinstance(corrects, dict) else {}
    add("mean face")
    for number, person in enumerate(people[1:], 1):
        add(f"identity {number}", **person)
    rotations = 0 if face_model.skeleton is None else face_model.skeleton.rotations
    for number, name in enumerate(face_model.expression_names):
        activation = np.zeros(layout.expression, np.float32)
        # activations are 1 when full and spread less; other coefficients, as Basel's, are normal, and so are angles
        spread = float(face_model.expression_std[number])
        activation[number] = 1.0 if spread < 1.0 and number < layout.expression - rotations else 2.5 * spread
        if corrects.get(name) in face_model.expression_names:  # means nothing without the action that it corrects
            activation[face_model.expression_names.index(corrects[name])] = 1.0
            name = f"{corrects[name]} + {name}"
        add(name, expression=activation)
    while len(rows) % COLUMNS:
        mixed = rng.normal(0, face_model.expression_std).astype(np.float32)
        if face_model.manifest.get("activations") == "one-way":  # a few at a time, and never less than none
            mixed = np.abs(mixed) * (rng.random(mixed.shape) < 0.2)
        mixed = np.where(face_model.one_way_expressions, np.abs(mixed), mixed)
        add("a random expression", expression=mixed)
    for number, (name, degrees) in enumerate(_POSES.items()):
        add(name, angles=np.radians(degrees), **(people[number % 3 + 1] if number >= 4 else people[1]))
    for name, light in _LIGHTS.items():
        add(name, lighting=directional_light(*light), **people[2])
    return labels, np.stack(rows)


def draw(renderer: FaceRenderer, coefficients: np.ndarray, size: int) -> np.ndarray:
    """[N, size, size, 3] uint8 on grey; the renderer draws at twice the size, which smooths the outlines."""
    pictures = []
    for start in range(0, len(coefficients), COLUMNS):
        rendering = renderer(tf.constant(coefficients[start : start + COLUMNS]))
        image = rendering.image + (1.0 - rendering.mask) * BACKGROUND
        pictures.append(tf.image.resize(image, (size, size), method="area").numpy())
    return np.clip(np.concatenate(pictures) + 0.5, 0, 255).astype(np.uint8)


def contact_sheet(face_model: FaceModel, size: int = 256, seed: int = 0) -> Image.Image:
    """The labelled sheet, COLUMNS pictures of `size` pixels to a line."""
    labels, coefficients = preview_coefficients(face_model, seed)
    pictures = draw(FaceRenderer(face_model, image_size=2 * size, part="head"), coefficients, size)
    lines = -(-len(labels) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * size, lines * (size + LABEL_HEIGHT)), (32, 32, 32))
    pen = ImageDraw.Draw(sheet)
    for number, (label, picture) in enumerate(zip(labels, pictures, strict=True)):
        x, y = number % COLUMNS * size, number // COLUMNS * (size + LABEL_HEIGHT)
        sheet.paste(Image.fromarray(picture), (x, y))
        pen.text((x + 4, y + size + 2), label, fill=(235, 235, 235))
    return sheet


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the sheet; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="renderer.preview", description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, type=Path, help="the picture to write (.png)")
    parser.add_argument(
        "--face_model", "--face-model", default="builtin", help="'builtin' or a .npz file (default: builtin)"
    )
    parser.add_argument("--size", type=whole(16, 2048), default=256, help="pixels of one face (default: 256)")
    parser.add_argument("--seed", type=SEED, default=0, help="which identities are drawn (default: 0)")
    arguments = parser.parse_args(argv)
    face_model = load_face_model(arguments.face_model)
    sheet = contact_sheet(face_model, arguments.size, arguments.seed)
    save_png(sheet, arguments.out)
    print(f"{arguments.out}: {sheet.width} x {sheet.height} pixels, face model {face_model.name}")


if __name__ == "__main__":
    main()
