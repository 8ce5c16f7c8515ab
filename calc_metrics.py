"""Measures how well a generator follows its coefficients, beside the same figures on real images with known ones.

    python calc_metrics.py --model runs/stage2 --perception_dir runs/perception --data runs/data/heldout64

Generated: `--samples` images in rows of one identity and one noise, with expression, lighting and pose drawn anew.
Real: as many of the held-out set (synthetic images, with labels). The perception networks look at both. Writes
one line to metric-control<samples>.jsonl in the run folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from discoface_tf2.face_model_option import add_face_model_option
from discoface_tf2.generation_options import SAMPLES, TRUNCATION, VARIATION
from renderer.command import begin
from renderer.options import SEED, add_dry_run, print_options


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a run folder (its newest snapshot) or a snapshot")
    parser.add_argument("--perception_dir", type=Path, required=True, help="folder of the perception networks")
    parser.add_argument("--data", type=Path, required=True, help="images with labels that no network has seen")
    parser.add_argument("--samples", type=SAMPLES, default=500, help="images of each kind; default 500")
    parser.add_argument("--variation", type=VARIATION, default=5, help="images of one identity; default 5")
    parser.add_argument("--truncation", type=TRUNCATION, default=1.0, help="ψ; default 1, none")
    parser.add_argument("--seed", type=SEED, default=0, help="of what is generated; default 0")
    add_face_model_option(parser)
    add_dry_run(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to two measurements, and a table of both."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.samples < 2 * args.variation:
        parser.error(f"--samples should be at least twice --variation, {2 * args.variation}. Received: {args.samples}")
    if args.dry_run:
        print_options(args)
        return

    from datasets.reader import load_dataset
    from datasets.schema import read_manifest
    from discoface_tf2.metrics.control import measure
    from discoface_tf2.metrics.protocols import Control, append_figures
    from discoface_tf2.model import load
    from discoface_tf2.perception import Perception

    protocol = Control(args.samples, args.variation, args.seed, args.truncation)
    model, perception = load(args.model, face_model=args.face_model), Perception.load(args.perception_dir)
    model.require_face_model()
    perception.require_layout(model.layout, args.perception_dir)
    theirs, ours = perception.face_model_checksum, model.facts.get("face_model_checksum")
    if theirs and ours and theirs != ours:
        raise ValueError(
            f"{args.perception_dir}: made for another face model than {model.folder}: expected "
            f"{model.facts['face_model']}, checksum {ours}. Received: {perception.face_model}, checksum {theirs}"
        )
    if read_manifest(args.data).count < args.samples:
        raise ValueError(f"{args.data}: expected at least --samples {args.samples} images")

    def reals() -> Iterator[tuple]:
        fields = ("image", "coefficients", "subject")
        dataset = load_dataset(args.data, image_size=model.resolution, batch_size=20, shuffle=False,
                               repeat=False, fields=fields, drop_remainder=False)  # fmt: skip
        left = args.samples
        for batch in dataset:
            images, coefficients, subjects = (batch[name].numpy()[:left] for name in fields)
            yield images / 127.5 - 1.0, coefficients, subjects
            left -= len(images)
            if left <= 0:
                return

    try:
        face_model = model.face_model
    except (FileNotFoundError, ValueError) as error:  # the built-in one may be another than when this was trained
        print(f"no distances of meshes: {error}", file=sys.stderr)
        face_model = None
    generated = protocol.measure(model.faces, model.sampler, perception, face_model)
    figures = {"generated": generated, "real": measure(reals(), perception, face_model)}
    print(f"{'':24}{'generated':>12}{'real':>14}")
    for name, value in figures["generated"].items():
        print(f"{name:24}{value:12.3f}{figures['real'][name]:14.3f}")
    run = model.folder.parent.parent if model.folder.parent.name == "snapshots" else model.folder
    facts = {"snapshot": model.folder.name, "kimg": model.facts.get("kimg"), "seed": args.seed,
             "truncation": args.truncation, "data": args.data.name}  # fmt: skip
    append_figures(run, f"control{args.samples}", {**facts, **figures})


if __name__ == "__main__":
    begin("calc_metrics.py")
    main()
