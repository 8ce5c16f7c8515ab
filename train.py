"""Trains the generator: stage 1 (imitate the renderer), then stage 2 (keep the factors apart by contrast).

    python train.py --stage 1 --preset demo64 --data runs/data/synthetic64 --vae_dir runs/vae \
        --perception_dir runs/perception --out runs/stage1
    python train.py --stage 2 --preset demo64 --run_id runs/stage1 --out runs/stage2     # from its last snapshot

The same command again goes on where the run was. `--dry-run` prints the configuration and stops.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.config import PRESETS, LossWeights, Monitoring, TrainingConfig, make_config

# The original's names of the loss weights.
WEIGHT_FLAGS = {
    "w_id": "identity",
    "w_lm": "landmarks",
    "w_gamma": "lighting",
    "w_skin": "skin",
    "w_exp": "expression",
    "w_l1": "warmup_l1",
    "w_image": "image_l1",
    "w_exp_warp": "expression_warp",
    "w_gamma_change": "lighting_change",
}
TYPES = {"int": int, "float": float, "float | None": float, "str": str}


def make_parser() -> argparse.ArgumentParser:
    """Every field of TrainingConfig and LossWeights is an option; what is left out comes from the preset."""
    parser = argparse.ArgumentParser(
        usage="train.py --stage {1,2} --preset {" + ",".join(PRESETS) + "} [options]; --help lists them",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", type=int, choices=(1, 2), default=1)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="synthetic64")
    parser.add_argument("--out", type=Path, help="run folder; default runs/<preset>-stage<stage>")
    parser.add_argument("--data", default="runs/data/synthetic64", help="folder of photographs as TFRecords, or a "
                        "folder or file of StyleGAN's NAME-rNN.tfrecords")  # fmt: skip
    parser.add_argument("--vae_dir", default="runs/vae", help="folder of the four factor VAEs")
    parser.add_argument("--perception_dir", default="runs/perception", help="folder of the perception networks")
    parser.add_argument("--face_model", "--face-model", default="builtin", help="'builtin' or a face model's .npz")
    parser.add_argument("--run_id", help="run to start from: a run folder, or its name under runs/ (stage 2 needs one)")
    parser.add_argument("--snapshot", type=float, help="kimg of the run's snapshot to start from; default its last")
    parser.add_argument("--strategy", choices=("auto", "one", "mirrored", "multiworker"), default="auto",
                        help="one device, all of this host, or TF_CONFIG's workers; docs/scale.md")  # fmt: skip
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", help="measured on the way: control500, …")
    parser.add_argument("--metric_ticks", type=int, default=10, help="status lines between measurements; default 10")
    parser.add_argument("--histograms", action="store_true", help="of weights and w, in TensorBoard")
    parser.add_argument("--quiet", action="store_true", help="no status lines")
    parser.add_argument("--dry-run", action="store_true", help="print the configuration and stop")
    group = parser.add_argument_group("in place of the preset's values (see discoface_tf2/config.py)")
    for field in dataclasses.fields(TrainingConfig):
        if field.name in ("stage", "preset", "weights"):
            continue
        if field.type in ("bool", "bool | None"):
            group.add_argument(f"--{field.name}", action=argparse.BooleanOptionalAction, default=None)
        else:
            group.add_argument(f"--{field.name}", type=TYPES[str(field.type)])
    for flag, name in WEIGHT_FLAGS.items():
        group.add_argument(f"--{flag}", type=float, help=f"weight of the loss '{name}'")
    return parser


def start_snapshot(run_id: str, kimg: float | None) -> Path:
    """The snapshot that `--run_id` and `--snapshot` name. Raises FileNotFoundError when there is none."""
    from discoface_tf2 import model_io

    run = next((p for p in (Path(run_id), Path("runs") / run_id) if p.is_dir()), None)
    if run is None:
        raise FileNotFoundError(f"--run_id {run_id}: expected a run folder, or the name of one under runs/")
    snapshot = model_io.find_snapshot(run) if kimg is None else model_io.snapshot_path(run, kimg)
    if not snapshot.is_dir():
        raise FileNotFoundError(f"{run}: no snapshot at {kimg:g} kimg to start from")
    return snapshot


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to configuration, configuration to one call."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.stage == 2 and not args.run_id and not args.dry_run:
        parser.error("--stage 2 goes on from a run of stage 1: give its folder by --run_id")
    overrides = {f.name: getattr(args, f.name, None) for f in dataclasses.fields(TrainingConfig) if f.name != "weights"}
    overrides |= {f"w_{name}": getattr(args, flag) for flag, name in WEIGHT_FLAGS.items()}
    del overrides["stage"], overrides["preset"]
    try:
        config = make_config(args.preset, args.stage, **overrides)
        monitoring = Monitoring(tuple(args.metrics), args.metric_ticks, args.histograms, args.quiet)
    except ValueError as error:
        parser.error(str(error))
    out = args.out or Path("runs") / f"{args.preset}-stage{args.stage}"
    print(json.dumps({"out": str(out), **config.to_dict()}, indent=2))
    if args.dry_run:
        return

    # TensorFlow takes seconds to import, so usage errors and --dry-run come before it.
    from datasets.reader import describe, load_dataset
    from datasets.shards import clear_read_errors
    from discoface_tf2.metrics.protocols import find_metric
    from discoface_tf2.training.distribution import make_strategy
    from discoface_tf2.training.loop import Assets, train

    try:
        for name in monitoring.metrics:
            find_metric(name)
    except ValueError as error:
        parser.error(str(error))
    print(f"photographs: {describe(args.data, config.resolution)}")  # raises before anything is made
    start_from = str(start_snapshot(args.run_id, args.snapshot)) if args.run_id else None
    assets = Assets(args.data, args.vae_dir, args.perception_dir, args.face_model, start_from)

    try:
        strategy = make_strategy(args.strategy)
    except ValueError as error:  # TF_CONFIG
        parser.error(str(error))

    def photographs(start: int, batch: int, shard: tuple[int, int] = (0, 1)):  # uint8 [batch, R, R, 3]
        dataset = load_dataset(
            args.data,
            image_size=config.resolution,
            batch_size=batch,
            seed=config.draw_seed,
            mirror=config.mirror,
            start=start,
            shard=shard,
        )
        return dataset.map(lambda example: example["image"])

    with clear_read_errors(args.data):
        snapshot = train(config, assets, photographs, out, strategy, monitoring)
    print(f"snapshot:    {snapshot}\ngrids:       {out / 'grids'}\nTensorBoard: {out / 'tensorboard'}")


assert set(WEIGHT_FLAGS.values()) == {f.name for f in dataclasses.fields(LossWeights)}

if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, FloatingPointError) as error:
        sys.exit(f"train.py: error: {error}")
    except KeyboardInterrupt as stopped:  # 130 for SIGINT, 143 for SIGTERM, as shells say
        sys.exit(128 + getattr(stopped, "signum", 2))
