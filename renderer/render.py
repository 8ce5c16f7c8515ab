"""Draws a face model: who, how they look, which way, under which light.

    python -m renderer.render --seed 3 --yaw 30 --pitch -10 --expression smile=0.8,jaw_open=0.3 --light left=0.6 --out face.png
    python -m renderer.render --coefficients rows.npz --outputs image,normals,depth,uv,mask,landmarks --out folder
    python -m renderer.render --seed 3 --turntable turn.gif --dump mesh.npz

Angles are degrees: positive pitch bows the head, positive yaw turns the face to the picture's right, positive roll turns
it counter-clockwise. Left and right of lights are the picture's, those of expressions the person's.
"""  # noqa: E501

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from renderer.command import begin

if __name__ == "__main__":
    begin("renderer.render")

import numpy as np
from PIL import Image, ImageColor
from tqdm import tqdm

from renderer.coefficients_io import load_coefficients
from renderer.controls import Controls, identity, known_names, parse_assignments
from renderer.face_model import FaceModel, load_face_model
from renderer.files import save_npz, save_png
from renderer.lights import DEFAULT_SETUP, NAMES, LightSetup
from renderer.options import SEED, number, whole
from renderer.outputs import GREY, OUTPUTS, FaceDrawer, pictures, sheet, thumbnail
from renderer.turntable import check_writer, draw_turn, write_film

LARGEST = 1024
_DEGREES = number(-360, 360)
LARGEST_SUPERSAMPLE = 4
WHOLE_HEAD = 0.6  # zoom
SHEET_COLUMNS, SHEET_ROWS, SHEET_SIDE = 8, 40, 256  # a sheet shows the first 320 faces, at most 256 pixels wide

ONCE = ("triangles", "uv", "image_size")  # the arrays of a dump that are the same for every face


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="renderer.render",
        usage="python -m renderer.render [options] --out FILE.png; --help lists the options",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", "--face_model", default="builtin", help="'builtin' or a face model's .npz; default builtin")
    add("--seed", type=SEED, help="which person; without it the mean face")
    add("--coefficients", type=Path, metavar="FILE", help="raw coefficients instead of --seed, one or many rows: the "
        "key 'coeff' of a .json, .jsonl, .npz or .mat; what follows changes them")  # fmt: skip
    add("--rows", metavar="FIRST:END", help="which rows of --coefficients, from 0, such as 5 or 0:16; default all")
    add("--yaw", type=_DEGREES, help="degrees; positive turns the face to the picture's right")
    add("--pitch", type=_DEGREES, help="degrees; positive bows the head")
    add("--roll", type=_DEGREES, help="degrees; positive turns it counter-clockwise")
    for group, example in (("expression", "smile=0.8,jaw_open=0.3"), ("shape", "shape_00=2"),
                           ("texture", "texture_00=1")):  # fmt: skip
        add(f"--{group}", default="", metavar="NAME=NUMBER,…", help=f"{group} by name, such as {example}")
    add("--light", action="append", metavar="NAME=STRENGTH@COLOUR,…", help="such as left=0.6 or "
        f"'(-1 0.5 1)=0.7@orange,ambient=0.3'; names: {', '.join(NAMES)}; default above, a little left")  # fmt: skip
    add("--part", choices=("head", "face"), default="head", help="what is drawn: all, or the face alone; default head")
    add("--zoom", type=number(0.05, 20), help=f"1 frames the face as the generator's pictures do, {WHOLE_HEAD} shows "
        f"the whole head; default 1, and {WHOLE_HEAD} for --turntable")  # fmt: skip
    add("--size", type=whole(16, LARGEST), default=256, help=f"pixels, 16 to {LARGEST}; default 256")
    add(
        "--supersample",
        type=whole(1, LARGEST_SUPERSAMPLE),
        default=2,
        help="samples a pixel along each axis, 1 to 4; default 2",
    )
    add("--background", default="", help="a colour's name, #RRGGBB, or transparent; default grey")
    add("--outputs", default="image", help=f"some of {','.join(OUTPUTS)}; default image")
    add("--out", type=Path, help="the .png to write; or a folder for 00000.png, … and sheet.png")
    add("--dump", type=Path, help="write vertices, normals, colours, projections and landmarks to this .npz")
    add("--turntable", type=Path, help="write one turn of the head to this .gif or .mp4")
    add("--frames", type=whole(2, 3600), default=75, help="of the turntable; default 75")
    add("--fps", type=whole(1, 100), default=25, help="frames a second of the turntable; default 25")
    add("--list", action="store_true", help="print the names that --expression, --shape and --texture know, and stop")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to coefficients, coefficients to files."""
    parser = make_parser()
    args = parser.parse_args(argv)
    try:  # everything that a flag alone can have wrong, before any work
        outputs = _check(args)
        background = _background(args.background)
        controls = _controls(args)
        chosen = _rows(args.rows)
    except ValueError as error:
        parser.error(str(error))
    face_model = load_face_model(args.model)
    if args.list:
        for group in ("expression", "shape", "texture"):
            print(f"{group}: {', '.join(known_names(getattr(face_model, f'{group}_names')))}")
        return
    if args.coefficients:
        rows = load_coefficients(args.coefficients, face_model.layout)[chosen]
        if not len(rows):
            parser.error(f"--rows {args.rows} is none of the rows of {args.coefficients}")
    else:
        rows = Controls(lights=DEFAULT_SETUP).apply(face_model, identity(face_model, args.seed)[None])
    try:
        rows = controls.apply(face_model, rows)
    except ValueError as error:  # a name that this model lacks
        parser.error(str(error))
    if len(rows) > 1 and args.turntable:
        parser.error(f"--turntable takes one face. {args.coefficients} holds {len(rows)}")
    if len(rows) > 1 and args.out and args.out.suffix:
        parser.error(f"--out should be a folder: {args.coefficients} holds {len(rows)} faces. Received: {args.out}")
    _write(args, face_model, rows, outputs, background)


def _check(args: argparse.Namespace) -> list[str]:
    """The outputs by name. Raises ValueError for flags that are wrong or do not go together."""
    if not (args.out or args.dump or args.turntable or args.list):
        raise ValueError("nothing to write: give --out, --dump or --turntable")
    if args.coefficients and args.seed is not None:
        raise ValueError("--seed and --coefficients both say who is drawn; give one of them")
    if args.rows and not args.coefficients:
        raise ValueError("--rows are those of --coefficients; give both")
    if args.out and args.out.suffix.lower() not in ("", ".png") and not args.out.is_dir():
        raise ValueError(f"--out should be a .png or a folder. Received: {args.out}")
    if args.dump and args.dump.suffix.lower() != ".npz":
        raise ValueError(f"--dump should be a .npz. Received: {args.dump}")
    if args.turntable:
        check_writer(args.turntable, args.size)
        if args.background == "transparent":
            raise ValueError("--turntable needs a --background that is a colour")
    outputs = list(dict.fromkeys(name.strip() for name in args.outputs.split(",") if name.strip()))
    unknown = [name for name in outputs if name not in OUTPUTS]
    if unknown or not outputs:
        raise ValueError(f"--outputs should be some of {','.join(OUTPUTS)}. Received: {args.outputs!r}")
    return outputs


def _controls(args: argparse.Namespace) -> Controls:
    named = {group: parse_assignments(getattr(args, group), group) for group in ("expression", "shape", "texture")}
    lights = LightSetup.parse(*args.light) if args.light else None
    return Controls(args.pitch, args.yaw, args.roll, **named, lights=lights)


def _rows(text: str | None) -> slice:
    """`5` or `0:16` as a slice."""
    first, colon, end = (text or ":").partition(":")
    if not all(part.isascii() and part.isdigit() for part in (first, end) if part) or not (first or colon):
        raise ValueError(f"--rows should be a number or FIRST:END, such as 0:16. Received: {text!r}")
    return slice(int(first or 0), (int(end) if end else None) if colon else int(first) + 1)


def _background(text: str) -> tuple[int, int, int] | None:
    if text == "transparent":
        return None
    try:
        red, green, blue = ImageColor.getrgb(text)[:3] if text else GREY
    except ValueError:
        raise ValueError(
            f"--background should be a colour's name, #RRGGBB or transparent. Received: {text!r}"
        ) from None
    return red, green, blue


def _write(
    args: argparse.Namespace,
    face_model: FaceModel,
    rows: np.ndarray,
    outputs: list[str],
    background: tuple[int, int, int] | None,
) -> None:
    """Draws and writes what is asked for, and says what."""
    drawer = FaceDrawer(face_model, args.size, args.part, args.supersample, args.zoom or 1.0)
    if args.dump:
        print(_write_arrays(args.dump, drawer, rows))
    if args.out:
        print(_write_pictures(args.out, drawer, rows, outputs, background))
    if args.turntable:
        if not args.zoom:
            drawer = FaceDrawer(face_model, args.size, args.part, args.supersample, WHOLE_HEAD)
        turn = draw_turn(drawer, rows[0], args.frames, background or GREY)
        write_film(args.turntable, tqdm(turn, total=args.frames, unit="frame", mininterval=2, leave=False), args.fps)
        print(f"{args.turntable}: {args.frames} frames of {args.size} pixels, {args.fps} a second")


def _write_arrays(path: Path, drawer: FaceDrawer, rows: np.ndarray) -> str:
    """Writes the arrays of all rows; returns a line that says so."""
    parts = [drawer.geometry(rows[start : start + 16]) for start in range(0, len(rows), 16)]
    arrays: dict[str, Any] = {key: np.concatenate([part[key] for part in parts]) for key in parts[0] if key not in ONCE}
    arrays |= {key: parts[0][key] for key in ONCE}
    save_npz(arrays, path)
    return f"{path}: {', '.join(arrays)}"


def _write_pictures(
    out: Path,
    drawer: FaceDrawer,
    rows: np.ndarray,
    outputs: list[str],
    background: tuple[int, int, int] | None,
) -> str:
    """Writes each output of each row, and a sheet if these are several; returns a line that says so."""
    single = out.suffix.lower() == ".png" and not out.is_dir()
    cells: list[Image.Image] = []
    labels: list[str] = []
    columns = len(outputs) if len(outputs) > 1 else SHEET_COLUMNS
    with tqdm(total=len(rows), unit="face", mininterval=2, disable=len(rows) == 1, leave=False) as progress:
        for start in range(0, len(rows), drawer.batch_size):
            layers = drawer(rows[start : start + drawer.batch_size])
            for number, shown in enumerate(pictures(layers, outputs, background), start):
                stem = out.with_suffix("") if single else out / f"{number:05d}"
                for output, image in shown.items():
                    ending = f"_{output}.png" if len(outputs) > 1 and output != "image" else ".png"
                    save_png(image, stem.with_name(stem.name + ending))
                    if len(cells) < SHEET_ROWS * columns:
                        cells.append(thumbnail(image, SHEET_SIDE))
                        labels.append(output if single else f"{number} {output}" if len(outputs) > 1 else str(number))
                progress.update(1)
    name = drawer.renderer.face_model.name
    written = f"{out}: {len(rows)} x {', '.join(outputs)}, {drawer.size} pixels, face model {name}"
    if len(cells) == 1:
        return written
    path = out.with_name(f"{out.stem}_sheet.png") if single else out / "sheet.png"
    lines = [slice(first, first + columns) for first in range(0, len(cells), columns)]
    save_png(sheet([cells[line] for line in lines], [labels[line] for line in lines]), path)
    return f"{written}; sheet: {path}"


if __name__ == "__main__":
    main()
