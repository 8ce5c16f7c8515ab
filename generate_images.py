"""Draws images by factor: each row is one subject, along which one factor varies.

    python generate_images.py --model runs/stage2 --factor expression --subject 20 --variation 5 --out pictures
    python generate_images.py --model runs/stage2/snapshots/kimg000060 --factor 0 --out pictures   # 0: all, 3: pose

Writes 00000.png, … (row by row), coefficients.jsonl (what each image was drawn from) and sheet.png, a labelled sheet of
them all. The same command again draws only what is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.face_model_option import add_face_model_option, require_face_model
from discoface_tf2.generation_options import BATCH, VARYING, GenerationOptions
from renderer.command import begin
from renderer.options import add_dry_run, add_option, print_options

FACTORS = {"0": "all", "1": "expression", "2": "lighting", "3": "pose"}  # the original's numbers
NAMES = tuple(VARYING)


def factor(text: str) -> str:
    """A factor's name from its name or its number."""
    name = FACTORS.get(text, text)
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(NAMES)}, or 0 to 3. Received: {text!r}")
    return name


def make_parser() -> argparse.ArgumentParser:
    """The options, with the original's names and defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a run folder (its newest snapshot) or a snapshot")
    parser.add_argument("--factor", type=factor, default="all", metavar="{" + ",".join(NAMES) + "}",
                        help="what varies along a row; also 0 to 3, as the first four; default all")  # fmt: skip
    for name, flag in (("subjects", "subject"), ("variations", "variation"), ("seed", None), ("truncation", None)):
        add_option(parser, GenerationOptions, name, flag)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--batch_size", type=BATCH, default=16, help="images at a time; the images do not depend on "
                        "it; default 16")  # fmt: skip
    add_face_model_option(parser)
    parser.add_argument("--vae_dir", type=Path, help="the four factor VAEs; default those within the snapshot")
    add_dry_run(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to options, options to one call."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.dry_run:
        print_options(args)
        return

    # TensorFlow takes seconds to import, so usage errors come before it.
    from discoface_tf2.model import load
    from discoface_tf2.pictures import write_pictures

    options = GenerationOptions(args.factor, args.subject, args.variation, args.seed, args.truncation)
    model = load(args.model, face_model=args.face_model, vae_dir=args.vae_dir)
    require_face_model(args.face_model, model.layout, args.model, model.facts)
    sheet = write_pictures(args.out, options, model, batch_size=args.batch_size)
    print(f"{options.count} images of {model.folder}; sheet: {sheet}")


if __name__ == "__main__":
    begin("generate_images.py", "the same command goes on from here")
    main()
