"""Trains the bundled perception networks (coefficients, identity, parsing) on labelled photographs.

    python train_perception.py --data runs/data/synthetic64 --out runs/perception --preset quick

Running the same command again trains only what is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets.records import clear_read_errors, load_dataset, read_manifest
from discoface_tf2.perception.bundle import NETWORKS
from discoface_tf2.perception.recipe import PRESETS, budgets, train
from discoface_tf2.perception.samples import Samples
from renderer import load_face_model


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
    parser.add_argument("--steps", type=int, help="steps of each network instead of the preset's")
    parser.add_argument("--minutes", type=float, help="minutes of each network instead of the preset's")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="which to train (default: %(default)s)")
    parser.add_argument("--face_model", "--face-model", help="'builtin', or the .npz that the photographs were made "
                        "with (default: the one that the dataset names)")  # fmt: skip
    parser.add_argument("--held-out", type=float, default=0.08, help="share of subjects held out (default: 0.08)")
    parser.add_argument("--seed", type=int, default=0, help="of split, order and augmentation (default: 0)")
    return parser.parse_args(argv)


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
    if not 0 < args.held_out < 1:
        raise ValueError(f"--held-out: expected a share between 0 and 1. Received: {args.held_out}")
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
        networks=[name for name in args.networks.split(",") if name],
        seed=args.seed,
        held_out=args.held_out,
        command="python train_perception.py " + " ".join(sys.argv[1:] if argv is None else argv),
    )
    print(f"perception networks, report and pictures: {args.out}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"train_perception.py: error: {error}")
