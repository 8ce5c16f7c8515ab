"""Generates images: at random by factor, or exactly what is asked for.

    python generate_images.py --model runs/stage2 --factor expression --subject 20 --variation 5 --out pictures
    python generate_images.py --model runs/stage2/snapshots/kimg000060 --factor 0 --out pictures   # 0: all, 3: pose
    python generate_images.py --model runs/gif --identity 7 --yaw 30 --expression smile=0.8 --light left --out face
    python generate_images.py --model runs/gif --grid yaw=-30:30:5 --rows identity=8 --out grid
    python generate_images.py --model runs/gif --grid smile=0:1:50 --video smile.mp4 --out frames

At random, each row is one subject, along which one factor varies. Exactly, what is not given is at rest: no expression,
looking ahead, plain light; names are those of `renderer.render`. Writes 00000.png, … (row by row), coefficients.jsonl
(what each image was generated of) and sheet.png, a labelled sheet of them all. The same command again generates only
what is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.exact_options import ANGLES, Axis, ExactOptions, identities
from discoface_tf2.face_model_option import add_face_model_option
from discoface_tf2.generation_options import BATCH, VARYING, GenerationOptions
from renderer.command import begin
from renderer.options import add_dry_run, add_option, number, print_options, whole

FACTORS = {"0": "all", "1": "expression", "2": "lighting", "3": "pose"}  # the original's numbers
NAMES = tuple(VARYING)
_RANDOM = {"factor": "all", "subject": 20, "variation": 5}
_DEGREES = number(-180, 180)


def factor(text: str) -> str:
    """A factor's name from its name or its number."""
    name = FACTORS.get(text, text)
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(NAMES)}, or 0 to 3. Received: {text!r}")
    return name


def make_parser() -> argparse.ArgumentParser:
    """The options, with the original's names and defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a run folder (its newest snapshot), a snapshot, or a .zip of one; "
                        "default the model that ships")  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder to write to")
    parser.add_argument("--selfcheck", action="store_true", help="whether the model draws here what it drew where it "
                        "was made; nothing else is done")  # fmt: skip
    add_option(parser, GenerationOptions, "seed")
    add_option(parser, GenerationOptions, "truncation")
    random = parser.add_argument_group("at random")
    random.add_argument("--factor", type=factor, default=_RANDOM["factor"], metavar="{" + ",".join(NAMES) + "}",
                        help="what varies along a row; also 0 to 3, as the first four; default all")  # fmt: skip
    add_option(random, GenerationOptions, "subjects", "subject")
    add_option(random, GenerationOptions, "variations", "variation")
    exact = parser.add_argument_group("exactly")
    exact.add_argument("--identity", metavar="K[,K…]", help="people of the seed by number, a row each; default 0")
    for name in ANGLES:
        exact.add_argument(f"--{name}", type=_DEGREES, help=f"degrees ({_DEGREES})")
    exact.add_argument("--expression", metavar="NAME=NUMBER[,…]", help="movements by name, such as "
                       "smile=0.8,eyeBlinkLeft=1")  # fmt: skip
    exact.add_argument("--light", metavar="LIGHT", help="such as left, or top=0.5@#ffd0a0,ambient=0.3")
    exact.add_argument("--coefficients", metavar="FILE", help="whole faces from a file, in place of people of the seed")
    exact.add_argument("--grid", metavar="AXIS", help="columns: yaw=-30:30:5, smile=0,0.5,1, light=left|right, "
                       "identity=8, identity=0:3:31 (people in between), orbit=60 (around the face)")  # fmt: skip
    exact.add_argument("--rows", metavar="AXIS", help="rows, the same")
    exact.add_argument("--video", type=Path, metavar="FILE", help="a film of the grid's columns, .mp4 or .gif")
    exact.add_argument("--fps", type=whole(1, 120), help="its frames per second (default: 25)")
    parser.add_argument("--batch_size", type=BATCH, default=16, help="images at a time; the images do not depend on "
                        "it; default 16")  # fmt: skip
    add_face_model_option(parser)
    parser.add_argument("--vae_dir", type=Path, help="the four factor VAEs; default those within the snapshot")
    add_dry_run(parser)
    return parser


def exact_options(args: argparse.Namespace) -> ExactOptions | None:
    """What is asked for exactly, or None. Raises ValueError with one line."""
    names = ("identity", *ANGLES, "expression", "light", "coefficients", "grid", "rows", "video")
    if all(getattr(args, name) is None for name in names):
        if args.fps is not None:
            raise ValueError("--fps has no effect without --video")
        return None
    for name, default in _RANDOM.items():
        if getattr(args, name) != default:
            raise ValueError(f"--{name} is for images at random, and has no effect beside what is asked for exactly")
    if args.video is not None and args.grid is None:
        raise ValueError("--video: expected --grid with what changes, such as --grid yaw=-30:30:50")
    if args.fps is not None and args.video is None:
        raise ValueError("--fps has no effect without --video")
    from renderer.controls import parse_assignments

    return ExactOptions(
        identities=(0,) if args.identity is None else identities(args.identity),
        yaw=args.yaw, pitch=args.pitch, roll=args.roll,
        expression=parse_assignments(args.expression or ""),
        light=args.light,
        coefficients=args.coefficients,
        columns=None if args.grid is None else Axis.parse(args.grid),
        rows=None if args.rows is None else Axis.parse(args.rows),
        seed=args.seed,
        truncation=args.truncation,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to options, options to one call."""
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        exact = exact_options(args)
    except ValueError as error:
        parser.error(str(error))
    if args.out is None and not args.selfcheck:
        parser.error("--out: expected the folder to write to")
    if args.dry_run:
        print_options(args)
        return

    # TensorFlow takes seconds to import, so usage errors come before it.
    from discoface_tf2.model import BUNDLED, load

    model = load(args.model or BUNDLED, face_model=args.face_model, vae_dir=args.vae_dir)
    model.require_face_model()
    if args.selfcheck:
        from discoface_tf2.selfcheck import require_golden

        mean, largest = require_golden(model)
        told = f"(of 255: mean {mean:.2g}, largest {largest})"
        print(f"{args.model or BUNDLED}: draws here what it drew where it was made {told}")
        return
    if exact is not None:
        from discoface_tf2.exact import write_exact

        sheet = write_exact(args.out, exact, model, batch_size=args.batch_size, video=args.video, fps=args.fps or 25)
        film = "" if args.video is None else f"; film: {args.video}"
        print(f"images of {model.folder}; sheet: {sheet}{film}")
        return
    from discoface_tf2.pictures import write_pictures

    options = GenerationOptions(args.factor, args.subject, args.variation, args.seed, args.truncation)
    sheet = write_pictures(args.out, options, model, batch_size=args.batch_size)
    print(f"{options.count} images of {model.folder}; sheet: {sheet}")


if __name__ == "__main__":
    begin("generate_images.py", "the same command goes on from here")
    main()
