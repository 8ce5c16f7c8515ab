"""Draws images by factor: each row is one subject, along which one factor varies.

    python generate_images.py --model runs/stage2 --factor expression --subject 20 --variation 5 --out pictures
    python generate_images.py --model runs/stage2/snapshots/kimg000060 --factor 0 --out pictures   # 0: all, 3: pose

Writes 00000.png, … (row by row), coefficients.jsonl (what each image was drawn from) and sheet.png, a labelled sheet of
them all. The same command again draws only what is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.face_model_option import add_face_model_option, require_face_model

FACTORS = {"0": "all", "1": "expression", "2": "lighting", "3": "pose"}  # the original's numbers
NAMES = ("all", "expression", "lighting", "pose", "identity")


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
    parser.add_argument("--subject", type=int, default=20, help="rows; default 20")
    parser.add_argument("--variation", type=int, default=5, help="images a row; default 5")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other subjects; default 0")
    parser.add_argument("--truncation", type=float, default=0.7, help="ψ: 1 gives the most varied identities, "
                        "0 the average one; default 0.7")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--batch_size", type=int, default=16, help="images at a time; the images do not depend on it")
    add_face_model_option(parser)
    parser.add_argument("--vae_dir", type=Path, help="the four factor VAEs; default those within the snapshot")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to options, options to one call."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if min(args.subject, args.variation, args.batch_size) < 1:
        parser.error("--subject, --variation and --batch_size should be 1 or more")
    if args.seed < 0:
        parser.error(f"--seed should be 0 or more. Received: {args.seed}")

    # TensorFlow takes seconds to import, so usage errors come before it.
    from discoface_tf2.generation import GenerationOptions
    from discoface_tf2.model_io import load_model
    from discoface_tf2.pictures import write_pictures

    options = GenerationOptions(args.factor, args.subject, args.variation, args.seed, args.truncation)
    model = load_model(args.model)
    require_face_model(args.face_model, model.layout, args.model)
    sheet = write_pictures(args.out, options, model, vae_dir=args.vae_dir, batch_size=args.batch_size)
    print(f"{options.count} images of {model.folder}; sheet: {sheet}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"generate_images.py: error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
