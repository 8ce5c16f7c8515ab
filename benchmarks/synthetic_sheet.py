"""Pictures of synthetic people: a sheet of many, and one person over poses, expressions and lights.

    python -m benchmarks.synthetic_sheet [--assets DIR] --out DIR

OUT/people.png shows `--count` people at `--image_size` pixels, no one twice, as make_synthetic makes them (seed 0).
OUT/person.png shows person `--person` in rows of six: yaw, expressions, lights; all else stays.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.synthetic_sheet")

import numpy as np
from PIL import Image

from datasets.synthetic.lamps import MAXIMUM, Lamps
from datasets.synthetic.population import MakeHumanPopulation
from datasets.synthetic.synthesizer import Synthesizer, _Label
from renderer import FaceModel, load_face_model
from renderer.controls import component_weights
from renderer.files import save_png
from renderer.makehuman.assets import Assets, read_assets
from renderer.makehuman.population import is_makehuman

_YAWS = (-45, -27, -9, 9, 27, 45)  # degrees
_EXPRESSIONS: tuple[dict[str, float], ...] = (
    {}, {"smile": 0.8, "eyeSquint": 0.3}, {"smile": 0.9, "jawOpen": 0.35, "mouthUpperUp": 0.4},
    {"browOuterUp": 0.9, "browInnerUp": 0.8, "eyeWide": 0.7, "jawOpen": 0.5}, {"browDown": 0.9, "noseSneer": 0.4},
    {"eyeBlinkLeft": 1.0, "mouthSmileLeft": 0.5},
)  # fmt: skip
# Azimuth and height of the key lamp in degrees, its intensity, that of the sky.
_LIGHTS = ((-70, 20, 0.9, 0.25), (-35, 30, 0.75, 0.35), (0, 30, 0.6, 0.4), (35, 30, 0.75, 0.35), (70, 20, 0.9, 0.25),
           (0, 75, 0.9, 0.25))  # fmt: skip


class _Directed(Synthesizer):
    """A synthesizer whose images follow the three rows above; all show the same person in the same place."""

    shown = 0  # the person

    def _label(self, index: int) -> _Label:
        label = super()._label(self.shown)
        groups = self.model.layout.split(coefficients := label.coefficients.copy())  # views
        row, column = divmod(index, len(_YAWS))
        groups["angles"][:] = (0, math.radians(_YAWS[column] if row == 0 else 12), 0)
        names = self.model.expression_names
        groups["expression"][:] = 0
        for place, value in component_weights(names, _EXPRESSIONS[column if row == 1 else 0], "expression").items():
            groups["expression"][place] = value
        lamps = _lamps(*_LIGHTS[column if row == 2 else 1])
        groups["lighting"][:] = lamps.coefficients()
        return _Label(coefficients, lamps, label.place)


def _lamps(azimuth: float, height: float, key: float, sky: float) -> Lamps:
    a, h = math.radians(azimuth), math.radians(height)
    towards = np.array([math.sin(a) * math.cos(h), math.sin(h), math.cos(a) * math.cos(h)])
    colours = np.zeros((MAXIMUM, 3))
    colours[0] = key * np.array([1.03, 1.0, 0.96])
    return Lamps(sky * np.ones(3), 0.1, np.tile(towards, (MAXIMUM, 1)), colours)


def _population(model: FaceModel, size: int, assets: str | None) -> MakeHumanPopulation | None:
    skins = None if assets is None else Path(assets) / "skins"
    return MakeHumanPopulation(model, size, skins, assets is None) if is_makehuman(model) else None


def people(model: FaceModel, assets: str | None, parts: Assets | None, size: int, count: int) -> Image.Image:
    """`count` people in rows of ten."""
    everyone = Synthesizer(
        model, size, seed=0, subjects=count, assets=parts, population=_population(model, size, assets)
    )
    return _grid([record.pixels() for record in everyone.records(range(count))], 10)


def person(model: FaceModel, assets: str | None, parts: Assets | None, size: int, number: int) -> Image.Image:
    """One person in three rows of six."""
    population = _population(model, size, assets)
    one = _Directed(model, size, seed=0, subjects=1, assets=parts, population=population)
    one.shown, one.seed = 0, number
    return _grid([record.pixels() for record in one.records(range(3 * len(_YAWS)))], len(_YAWS))


def _grid(images: list[np.ndarray], columns: int) -> Image.Image:
    rows = [np.concatenate(images[first : first + columns], 1) for first in range(0, len(images), columns)]
    return Image.fromarray(np.concatenate([row for row in rows if row.shape == rows[0].shape]))


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_sheet", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--face_model", default="builtin", help="'builtin' or a .npz file (default: %(default)s)")
    parser.add_argument("--assets", metavar="DIR", help="MakeHuman's parts")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the pictures")
    parser.add_argument("--count", type=int, default=100, help="people on the sheet (default: %(default)s)")
    parser.add_argument("--image_size", type=int, default=128, help="pixels of each of them (default: %(default)s)")
    parser.add_argument("--person", type=int, default=0, help="seed of the person of the rows (default: %(default)s)")
    parser.add_argument("--person_size", type=int, default=256, help="pixels there (default: %(default)s)")
    args = parser.parse_args(argv)
    if min(args.count, args.image_size, args.person_size) < 10 or args.person < 0:
        parser.error("--count, --image_size and --person_size should be 10 or more, --person 0 or more")
    model = load_face_model(args.face_model)
    parts = None if args.assets is None else read_assets(args.assets)
    for name, picture in (
        ("people", lambda: people(model, args.assets, parts, args.image_size, args.count)),
        ("person", lambda: person(model, args.assets, parts, args.person_size, args.person)),
    ):
        save_png(picture(), args.out / f"{name}.png")
        print(args.out / f"{name}.png", flush=True)


if __name__ == "__main__":
    main()
