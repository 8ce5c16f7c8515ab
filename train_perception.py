"""Trains the bundled perception networks (coefficients, identity, parsing) on labelled photographs.

    python train_perception.py --data runs/data/synthetic64 --out runs/perception --preset quick

Running the same command again trains only what is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("train_perception.py", "the same command trains what is missing")

import numpy as np

from datasets.records import clear_read_errors, load_dataset, read_manifest
from discoface_tf2.perception.perception import NETWORKS
from discoface_tf2.perception.training.run import PRESETS, budgets, train
from discoface_tf2.perception.training.samples import Samples
from renderer import load_face_model
from renderer.options import SEED, Range, add_dry_run, positive, print_options, whole


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="train_perception.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="dataset folder with coefficients, masks and subjects")
    parser.add_argument("--out", required=True, help="perception folder to write")
    parser.add_argument(
        "--preset", choices=sorted(PRESETS), default="default", help="how long to train (default: default)"
    )
    parser.add_argument("--steps", type=whole(1, 10**7), help="steps of each network instead of the preset's")
    parser.add_argument("--minutes", type=positive(1e6), help="minutes of each network instead of the preset's")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="which to train (default: %(default)s)")
    parser.add_argument("--face_model", "--face-model", help="'builtin', or the .npz that the photographs were made "
                        "with (default: the one that the dataset names)")  # fmt: skip
    parser.add_argument("--held-out", type=Range(0, 1, open_below=True, open_above=True), default=0.08,
                        help="share of subjects held out (default: 0.08)")  # fmt: skip
    parser.add_argument("--seed", type=SEED, default=0, help="of split, order and augmentation (default: 0)")
    add_dry_run(parser)
    args = parser.parse_args(argv)
    args.networks = [name for name in args.networks.split(",") if name]
    if not args.networks or set(args.networks) - set(NETWORKS):
        parser.error(f"--networks: expected some of {','.join(NETWORKS)}. Received: {','.join(args.networks)!r}")
    return args


def read_samples(folder: str) -> Samples:
    """A whole dataset folder in memory. Raises ValueError when it lacks labels."""
    manifest = read_manifest(folder)
    needed = ("image", "mask", "coefficients", "subject")
    absent = sorted(set(needed) - set(manifest.fields))
    if absent or manifest.layout is None:
        raise ValueError(f"{folder}: expected a dataset with {', '.join(needed)}. Missing: {', '.join(absent)}")
    with clear_read_errors(folder):
        dataset = load_dataset(
            folder, batch_size=256, shuffle=False, repeat=False, fields=needed, drop_remainder=False, cache=False
        )
        batches = list(dataset.as_numpy_iterator())
    arrays = {key: np.concatenate([batch[key] for batch in batches]) for key in needed}
    return Samples(manifest.layout, arrays["image"], arrays["mask"], arrays["coefficients"], arrays["subject"])


def main(argv: Sequence[str] | None = None) -> None:
    """Flags → arrays → one call. Raises OSError and ValueError with one clear line."""
    args = parse_args(argv)
    if args.dry_run:
        print_options(args)
        return
    samples = read_samples(args.data)
    manifest = read_manifest(args.data)
    named = manifest.face_model or "builtin"
    if args.face_model is None and named != "builtin" and not Path(named).is_file():
        raise ValueError(f"{args.data} was made with the face model {named!r}: say where its file is by --face_model")
    face_model = load_face_model(args.face_model or named)
    made_with = manifest.options.get("face_model_checksum", face_model.checksum())
    if args.face_model is None and made_with != face_model.checksum():
        raise ValueError(
            f"{args.data} was made with another version of the face model {manifest.face_model!r}. Make it again, or "
            "say which model its coefficients are for: --face_model"
        )
    chosen = {key: getattr(args, key) for key in ("data", "preset", "steps", "minutes", "held_out", "seed")}
    train(
        samples,
        face_model,
        args.out,
        plan=budgets(args.preset, args.steps, args.minutes),
        options={**chosen, "samples": len(samples), "face_model": face_model.checksum()},
        networks=args.networks,
        seed=args.seed,
        held_out=args.held_out,
        command="python train_perception.py " + " ".join(sys.argv[1:] if argv is None else argv),
    )
    print(f"perception networks, report and pictures: {args.out}")


if __name__ == "__main__":
    main()
