"""The README's gallery, of the model that ships or of another: people beside their renders, and each factor alone.

    python -m benchmarks.gallery --out docs

Writes gallery.png. Run it with -m, from a checkout.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.gallery")

import numpy as np
from PIL import Image

import discoface_tf2 as df
from discoface_tf2.generation_options import TRUNCATION
from discoface_tf2.model import BUNDLED
from renderer.files import save_png
from renderer.options import SEED
from renderer.outputs import sheet

_COLUMNS = 8
_LIGHTS = (
    "front",
    "left",
    "right",
    "top",
    "bottom",
    "left=0.6@#ffb060,ambient=0.3",
    "right=0.6@#80a0ff,ambient=0.3",
    "back",
)
_MOVEMENTS: tuple[dict[str, float], ...] = (
    {}, {"smile": 0.8}, {"jawOpen": 0.6}, {"frown": 0.8}, {"mouthPucker": 0.9}, {"browInnerUp": 1.0},
    {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}, {"smile": 0.7, "jawOpen": 0.4},
)  # fmt: skip


def rows(model: df.Model, seed: int, truncation: float) -> list[tuple[list[np.ndarray], list[str]]]:
    """The gallery's rows: pictures uint8 [R, R, 3], and a label for each."""
    found: list[tuple[list[np.ndarray], list[str]]] = []

    def add(people: Sequence[df.People], labels: Sequence[str]) -> None:
        pictures = [model.generate(one, truncation=truncation, batch_size=1)[0] for one in people]
        found.append((pictures, list(labels)))

    for start in range(0, 2 * _COLUMNS, _COLUMNS):
        some = model.sample(_COLUMNS, seed=seed, start=start)
        found.append((list(model.render(some)), ["its render"] * _COLUMNS))
        add([some[k] for k in range(_COLUMNS)], [f"person {start + k}" for k in range(_COLUMNS)])
    first, second = (model.between(number, seed=seed).at_rest() for number in (0, 3))
    yaws, pitches = np.linspace(-40, 40, _COLUMNS), np.linspace(-20, 20, _COLUMNS)
    for person in (first, second):
        add([person.with_(yaw=yaw) for yaw in yaws], [f"yaw {yaw:+.0f}°" for yaw in yaws])
        labels = [" ".join(movement) or "at rest" for movement in _MOVEMENTS]
        add([person.with_(expression=movement) for movement in _MOVEMENTS], labels)
    add([first.with_(pitch=pitch) for pitch in pitches], [f"pitch {pitch:+.0f}°" for pitch in pitches])
    add([second.with_(light=light) for light in _LIGHTS], [light[:20] for light in _LIGHTS])
    add([first.with_(identity=some[k]) for k in range(_COLUMNS)], ["identity alone"] * _COLUMNS)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="run, snapshot or .zip; default the model that ships")
    parser.add_argument("--face_model", "--face-model", help="where it is not the one that the run noted")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=SEED, default=0, help="of the people; default 0")
    parser.add_argument("--truncation", type=TRUNCATION, default=0.7, help="default 0.7")
    args = parser.parse_args(argv)
    model = df.load(args.model or BUNDLED, face_model=args.face_model)
    found = rows(model, args.seed, args.truncation)
    cells = [[Image.fromarray(picture) for picture in pictures] for pictures, _ in found]
    save_png(sheet(cells, [labels for _, labels in found], side=128), args.out / "gallery.png")
    print(args.out / "gallery.png")


if __name__ == "__main__":
    main()
