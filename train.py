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
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.config import PRESETS, LossWeights, Monitoring, TrainingConfig, make_config, require_effective
from renderer.command import begin
from renderer.options import add_option, number

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
# What an imported network brings with it, so that options about it have no effect.
OF_THE_NETWORK = ("channel_base", "channel_max", "mapping_layers", "mapping_width", "mapping_lr_multiplier",
                  "standardize_input")  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    """Every field of TrainingConfig and LossWeights is an option; what is left out comes from the preset."""
    parser = argparse.ArgumentParser(
        usage="train.py --stage {1,2} --preset {" + ",".join(PRESETS) + "} [options]; --help lists them",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", type=int, choices=(1, 2), default=1, help="1: imitate the renderer (default); "
                        "2: keep the factors apart, from a run of stage 1")  # fmt: skip
    parser.add_argument("--preset", choices=tuple(PRESETS), default="synthetic64", help="what fills in what is not "
                        "given; docs/training.md has the table; default synthetic64")  # fmt: skip
    parser.add_argument("--out", type=Path, help="run folder; default runs/<preset>-stage<stage>")
    parser.add_argument("--data", default="runs/data/synthetic64", help="folder of photographs as TFRecords, or a "
                        "folder or file of StyleGAN's NAME-rNN.tfrecords")  # fmt: skip
    parser.add_argument("--vae_dir", default="runs/vae", help="folder of the four factor VAEs")
    parser.add_argument("--perception_dir", default="runs/perception", help="folder of the perception networks")
    parser.add_argument("--face_model", "--face-model", default="builtin", help="'builtin' or a face model's .npz")
    parser.add_argument("--run_id", help="run to start from: a run folder, or its name under runs/ (stage 2 needs one)")
    parser.add_argument("--snapshot", type=number(0, 1e6), help="kimg of --run_id's snapshot to start from; default "
                        "its last")  # fmt: skip
    parser.add_argument("--strategy", choices=("auto", "one", "mirrored", "multiworker"), default="auto",
                        help="one device, all of this host, or TF_CONFIG's workers; docs/scale.md")  # fmt: skip
    metrics = {field.name: field for field in dataclasses.fields(Monitoring)}["metrics"].metadata
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", type=metrics["kind"],
                        help=f"{metrics['help']} ({metrics['kind']})")  # fmt: skip
    add_option(parser, Monitoring, "metric_ticks", default=None)
    parser.add_argument("--histograms", action="store_true", help="of weights and w, in TensorBoard")
    parser.add_argument("--quiet", action="store_true", help="no status lines")
    parser.add_argument("--dry-run", action="store_true", help="check the options, print the configuration and stop")
    group = parser.add_argument_group("in place of the preset's values")
    for field in dataclasses.fields(TrainingConfig):
        if field.name not in ("stage", "preset", "weights"):
            add_option(group, TrainingConfig, field.name, default=None)
    for flag, name in WEIGHT_FLAGS.items():
        add_option(group, LossWeights, name, flag, default=None)
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


def imported(snapshot: str) -> bool:
    """Whether a snapshot's networks are of another architecture than training makes."""
    from discoface_tf2.model_io import MANIFEST, read_manifest
    from discoface_tf2.networks.config import NetworkConfig

    folder = Path(snapshot)
    return (folder / MANIFEST).is_file() and not isinstance(read_manifest(folder)[0], NetworkConfig)


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to configuration, configuration to one call."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.stage == 2 and not args.run_id and not args.dry_run:
        parser.error("--stage 2 goes on from a run of stage 1: give its folder by --run_id")
    if args.snapshot is not None and not args.run_id:
        parser.error("--snapshot is one of --run_id's, and has no effect without it")
    if args.metric_ticks is not None and not args.metrics:
        parser.error("--metric_ticks has no effect without --metrics, such as control500")
    overrides = {f.name: getattr(args, f.name, None) for f in dataclasses.fields(TrainingConfig) if f.name != "weights"}
    overrides |= {f"w_{name}": getattr(args, flag) for flag, name in WEIGHT_FLAGS.items()}
    del overrides["stage"], overrides["preset"]
    try:
        config = make_config(args.preset, args.stage, **overrides)
        require_effective(config, overrides)
        ticks = Monitoring.metric_ticks if args.metric_ticks is None else args.metric_ticks
        monitoring = Monitoring(tuple(args.metrics), ticks, args.histograms, args.quiet)
    except ValueError as error:
        parser.error(str(error))
    out = args.out or Path("runs") / f"{args.preset}-stage{args.stage}"
    print(json.dumps({"out": str(out), **config.to_dict()}, indent=2))
    if args.dry_run:
        return

    # TensorFlow takes seconds to import, so usage errors and --dry-run come before it.
    from datasets.reader import describe, fingerprint, load_dataset
    from datasets.scan import clear_read_errors
    from discoface_tf2.training.distribution import make_strategy
    from discoface_tf2.training.loop import Assets, train

    print(f"photographs: {describe(args.data, config.resolution)}")  # raises before anything is made
    start_from = str(start_snapshot(args.run_id, args.snapshot)) if args.run_id else None
    if start_from is not None and imported(start_from):
        for name in OF_THE_NETWORK:
            if overrides[name] is not None:
                parser.error(f"--{name} has no effect on {start_from}, an imported network: leave it out")
    assets = Assets(args.data, args.vae_dir, args.perception_dir, args.face_model, start_from,
                    fingerprint(args.data, config.resolution))  # fmt: skip

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
    begin("train.py", "the same command goes on from what is saved")
    main()
