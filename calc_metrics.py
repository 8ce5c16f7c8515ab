"""Measures a generator: control, disentanglement, distances to real images, identity leak; a metric's name says how.

    python calc_metrics.py --model runs/stage2 --perception_dir runs/perception --data runs/heldout
    python calc_metrics.py --model runs/stage2 --perception_dir runs/perception --data runs/heldout \\
        --metrics ds1000 outside200 identity_frechet1000 identity_ppl1000
    python calc_metrics.py … --metrics leak500 --train_data runs/photographs
    python calc_metrics.py … --metrics fid50000 --inception classify_image_graph_def.pb --baseline runs/uncontrolled

Without --metrics, control<samples>: images in rows of one identity and one noise, with expression, lighting and pose
sampled anew, beside as many of the held-out set (images that no network has seen, with labels). docs/metrics.md has
every protocol. Each metric writes one line to metric-<name>.jsonl in the run folder, some a picture beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from discoface_tf2.face_model_option import add_face_model_option
from discoface_tf2.generation_options import SAMPLES, TRUNCATION, VARIATION
from discoface_tf2.metrics.names import METRIC, NAMES, NEEDS, NEEDS_NO_DATA, QUALITY, split
from renderer.command import begin
from renderer.options import SEED, add_dry_run, print_options

_SAMPLES = 500


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    names = "".join(f"\n  {name}<N>".ljust(24) + text for name, text in NAMES.items())
    parser = argparse.ArgumentParser(description=f"{__doc__}\nmetrics:{names}\n",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--model", type=Path, required=True, help="a run folder (its newest snapshot) or a snapshot")
    parser.add_argument("--perception_dir", type=Path, required=True, help="folder of the perception networks")
    parser.add_argument("--data", type=Path, required=True, help="images that no network has seen; with labels for "
                        "control")  # fmt: skip
    parser.add_argument("--metrics", nargs="+", type=METRIC, metavar="NAME<N>", help="see above; default "
                        "control<samples>")  # fmt: skip
    parser.add_argument("--samples", type=SAMPLES, help=f"images of each kind, without --metrics; default {_SAMPLES}")
    parser.add_argument("--variation", type=VARIATION, default=5, help="control: images of one identity; default 5")
    parser.add_argument("--truncation", type=TRUNCATION, default=1.0, help="ψ; default 1, none")
    parser.add_argument("--seed", type=SEED, default=0, help="of what is generated; default 0")
    parser.add_argument("--train_data", type=Path, help="leak: the images that the model was trained on")
    parser.add_argument("--inception", type=Path, metavar="FILE", help="fid, kid: classify_image_graph_def.pb of "
                        "inception-2015-12-05.tgz")  # fmt: skip
    parser.add_argument("--baseline", type=Path, metavar="RUN", help=f"{', '.join(QUALITY)}: the same generator "
                        "trained as long without control, for the quality tax")  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder of lines and pictures; default the run folder")
    add_face_model_option(parser)
    add_dry_run(parser)
    return parser


def wanted(args: argparse.Namespace) -> list[tuple[str, int]]:
    """Names and numbers of the metrics. Raises ValueError with one line for options that do not go together."""
    if args.metrics and args.samples:
        raise ValueError("--samples has no effect with --metrics, whose names have the number: control500")
    metrics = [split(name) for name in args.metrics or ()] or [("control", args.samples or _SAMPLES)]
    for kind, count in metrics:
        if kind == "control" and count < 2 * args.variation:
            raise ValueError(f"--samples should be at least twice --variation, {2 * args.variation}. Received: {count}")
        if kind in NEEDS and getattr(args, NEEDS[kind]) is None:
            raise ValueError(f"{kind} needs --{NEEDS[kind]}; docs/metrics.md says what it is")
    for flag in sorted({*NEEDS.values()}):
        if getattr(args, flag) and not any(NEEDS.get(kind) == flag for kind, _ in metrics):
            raise ValueError(f"--{flag} has no effect on {', '.join(kind for kind, _ in metrics)}")
    if args.baseline and not any(kind in QUALITY for kind, _ in metrics):
        raise ValueError(f"--baseline has no effect without one of {', '.join(QUALITY)}")
    return metrics


def images_of(path: Path, size: int) -> Any:
    """The images of a dataset as `metrics.registry.Images`."""
    from datasets.reader import load_dataset
    from datasets.scan import clear_read_errors

    def images(count: int | None, *fields: str) -> Iterator[tuple[np.ndarray, ...]]:
        names = ("image", *fields)
        dataset = load_dataset(path, image_size=size, batch_size=20, shuffle=False, repeat=False, fields=names,
                               drop_remainder=False, cache=False)  # fmt: skip
        left = sys.maxsize if count is None else count
        with clear_read_errors(path):
            for batch in dataset:
                arrays = tuple(batch[name].numpy()[:left] for name in names)
                yield arrays
                left -= len(arrays[0])
                if left <= 0:
                    return

    return images


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to measurements, and a table and a line of each."""
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        metrics = wanted(args)
    except ValueError as error:
        parser.error(str(error))
    if args.dry_run:
        print_options(args)
        return

    from datasets.schema import read_manifest
    from discoface_tf2.metrics.protocols import append_figures, commit
    from discoface_tf2.metrics.registry import Setup, measure_metric
    from discoface_tf2.model import load
    from discoface_tf2.perception import Perception

    model, perception = load(args.model, face_model=args.face_model), Perception.load(args.perception_dir)
    model.require_face_model()
    perception.require_layout(model.layout, args.perception_dir)
    theirs, ours = perception.face_model_checksum, model.facts.get("face_model_checksum")
    if theirs and ours and theirs != ours:
        raise ValueError(
            f"{args.perception_dir}: made for another face model than {model.folder}: expected "
            f"{model.facts['face_model']}, checksum {ours}. Received: {perception.face_model}, checksum {theirs}"
        )
    most = max((count for kind, count in metrics if kind not in NEEDS_NO_DATA), default=0)
    if read_manifest(args.data).count < most:
        raise ValueError(f"{args.data}: expected at least {most} images, as many as are generated")
    try:
        face_model = model.face_model
    except (FileNotFoundError, ValueError) as error:  # the built-in one may be another than when this was trained
        print(f"no distances of meshes: {error}", file=sys.stderr)
        face_model = None
    inception = None
    if args.inception:
        from discoface_tf2.metrics.inception import load_inception

        inception = load_inception(args.inception)
    run = args.model if args.model.is_dir() else args.model.parent
    out = args.out or (run.parent.parent if run.parent.name == "snapshots" else run)
    out.mkdir(parents=True, exist_ok=True)
    setup = Setup(
        model, perception, images_of(args.data, model.resolution), out,
        training=None if args.train_data is None else images_of(args.train_data, model.resolution),
        inception=inception, face_model=face_model, seed=args.seed, truncation=args.truncation,
        variation=args.variation,
    )  # fmt: skip
    baseline = None if args.baseline is None else load(args.baseline, face_model=args.face_model)
    if baseline is not None and baseline.resolution != model.resolution:
        raise ValueError(f"--baseline: expected {model.resolution} pixels. Received: {baseline.resolution}")
    now = commit()  # what is measured with, whatever changes meanwhile
    options = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    for kind, count in metrics:
        began = time.monotonic()
        name, figures = f"{kind}{count}", measure_metric(kind, count, setup)
        show(name, figures)
        if baseline is not None and kind in QUALITY:
            figures["baseline"] = measure_metric(kind, count, dataclasses.replace(setup, model=baseline))
            figures["tax"] = {key: figures[key] - value for key, value in figures["baseline"].items()}
            print(f"quality tax of {name}: {tax_line(figures, model.facts, baseline.facts)}")
        append_figures(out, name, {
            "metric": name, "commit": now, "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - began, 1), "samples": count, "seed": args.seed,
            "truncation": args.truncation, "snapshot": model.folder.name, "kimg": model.facts.get("kimg"),
            "data": args.data.name, "options": options, **figures,
        })  # fmt: skip
        print(f"{out / f'metric-{name}.jsonl'}")


def tax_line(figures: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """What control costs, in words, and how long both were trained, as far as their snapshots tell."""
    parts = [f"{key} {figures[key]:.4g} with control, {without:.4g} without: {figures[key] - without:+.4g}"
             for key, without in figures["baseline"].items()]  # fmt: skip
    stages = [f"stage {facts.get('stage')} after {facts.get('kimg')} kimg" for facts in (ours, theirs)]
    return "; ".join([*parts, f"with: {stages[0]}, without: {stages[1]}"])


def show(name: str, figures: Mapping[str, Any]) -> None:
    """Prints the figures of a metric: control's side by side, ds's matrix, and of the others a line each."""
    if name.startswith("control"):
        print(f"{'':24}{'generated':>12}{'real':>14}")
        for key, value in figures["generated"].items():
            print(f"{key:24}{value:12.3f}{figures['real'][key]:14.3f}")
        return
    if name.startswith("ds"):
        from discoface_tf2.metrics.disentanglement import table

        print(f"{name}, spreads relative to real images:\n{table(figures['spread'])}")
        print(f"three factors, relative to the published constants:\n{table(figures['three_factor_spread'])}")
        figures = {key: figures[key] for key in ("score", "three_factor_score")}
    for key, value in figures.items():
        for part, number in value.items() if isinstance(value, Mapping) else (("", value),):
            print(f"{name} {key} {part}".rstrip() + f": {number:.4g}")


if __name__ == "__main__":
    begin("calc_metrics.py")
    main()
