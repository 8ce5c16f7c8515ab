"""Trains a generator: `disco` in two stages (imitate the renderer; keep the factors apart by contrast), `gif` in one.

    python train.py --stage 1 --preset demo64 --data runs/data/synthetic64 --vae_dir runs/vae \
        --perception_dir runs/perception --out runs/stage1
    python train.py --stage 2 --preset demo64 --run_id runs/stage1 --out runs/stage2     # from its last snapshot
    python train.py --system gif --preset gif64 --data runs/data/synthetic64 --vae_dir runs/vae --out runs/gif

The same command again goes on where the run was. `--dry-run` prints the configuration and stops; `--system gif --help`
lists that system's options.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.config import Monitoring, TrainingConfig
from discoface_tf2.systems import NAMES, config_class
from renderer.command import begin
from renderer.options import add_option, number


def make_parser(config: type[TrainingConfig] = config_class("disco")) -> argparse.ArgumentParser:  # noqa: B008
    """Every field of the system's options and loss weights is a flag; what is left out comes from the preset."""
    presets = tuple(config.PRESETS)
    parser = argparse.ArgumentParser(
        usage=f"train.py --system {{{','.join(NAMES)}}} --preset {{{','.join(presets)}}} [options]; --help lists them",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = "synthetic64" if "synthetic64" in presets else presets[0]
    parser.add_argument("--system", choices=NAMES, default=config.SYSTEM, help="what is trained; default disco")
    parser.add_argument("--stage", type=int, choices=range(1, config.STAGES + 1), default=1, help="disco: 1 imitates "
                        "the renderer (default), 2 keeps the factors apart, from a run of stage 1")  # fmt: skip
    parser.add_argument("--preset", choices=presets, default=default, help="what fills in what is not given; "
                        f"docs/training.md has the table; default {default}")  # fmt: skip
    parser.add_argument("--out", type=Path, help="run folder; default runs/<preset>-stage<stage>")
    parser.add_argument("--data", default="runs/data/synthetic64", help="folder of real images as TFRecords, or a "
                        "folder or file of StyleGAN's NAME-rNN.tfrecords")  # fmt: skip
    parser.add_argument("--vae_dir", default="runs/vae", help="folder of the four factor VAEs")
    parser.add_argument("--perception_dir", help="folder of the perception networks; default runs/perception where the "
                        "system learns by them, and none where only --metrics need them")  # fmt: skip
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
    parser.add_argument("--histograms", action="store_true", help="of weights, in TensorBoard")
    parser.add_argument("--quiet", action="store_true", help="no status lines")
    parser.add_argument("--dry-run", action="store_true", help="check the options, print the configuration and stop")
    group = parser.add_argument_group(f"options of {config.SYSTEM}, in place of the preset's values")
    for field in dataclasses.fields(config):
        if field.name not in ("stage", "preset", "weights"):
            add_option(group, config, field.name, default=None)
    for flag, name in config.WEIGHT_FLAGS.items():
        add_option(group, config.weights_class(), name, flag, default=None)
    return parser


def system_of(argv: Sequence[str] | None) -> type[TrainingConfig]:
    """The options of the system that the command line names, or of `disco`."""
    words = list(sys.argv[1:] if argv is None else argv)
    given = [after for word, after in itertools.pairwise(words) if word == "--system"]
    given += [word.partition("=")[2] for word in words if word.startswith("--system=")]
    return config_class(given[-1] if given and given[-1] in NAMES else "disco")  # another is refused with the rest


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
    from discoface_tf2.systems import find_system

    if not (Path(snapshot) / MANIFEST).is_file():
        return False
    found = read_manifest(Path(snapshot))
    return found.architecture != next(iter(find_system(found.system).architectures))


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to configuration, configuration to one call."""
    kind = system_of(argv)
    parser = make_parser(kind)
    args = parser.parse_args(argv)
    if args.stage == 2 and not args.run_id and not args.dry_run:
        parser.error("--stage 2 goes on from a run of stage 1: give its folder by --run_id")
    if args.snapshot is not None and not args.run_id:
        parser.error("--snapshot is one of --run_id's, and has no effect without it")
    if args.metric_ticks is not None and not args.metrics:
        parser.error("--metric_ticks has no effect without --metrics, such as control500")
    overrides = {f.name: getattr(args, f.name, None) for f in dataclasses.fields(kind) if f.name != "weights"}
    overrides |= {f"w_{name}": getattr(args, flag) for flag, name in kind.WEIGHT_FLAGS.items()}
    del overrides["stage"], overrides["preset"]
    try:
        config = kind.make(args.preset, args.stage, **overrides)
        config.require_effective(overrides)
        ticks = Monitoring.metric_ticks if args.metric_ticks is None else args.metric_ticks
        monitoring = Monitoring(tuple(args.metrics), ticks, args.histograms, args.quiet)
    except ValueError as error:
        parser.error(str(error))
    out = args.out or Path("runs") / f"{args.preset}-stage{args.stage}"
    print(json.dumps({"out": str(out), "system": config.SYSTEM, **config.to_dict()}, indent=2))
    if args.dry_run:
        return

    # TensorFlow takes seconds to import, so usage errors and --dry-run come before it.
    from datasets.reader import describe, fingerprint, load_dataset
    from datasets.scan import clear_read_errors
    from discoface_tf2.systems import find_system
    from discoface_tf2.training.distribution import make_strategy
    from discoface_tf2.training.loop import Assets, train

    print(f"real images: {describe(args.data, config.resolution)}")  # raises before anything is made
    start_from = str(start_snapshot(args.run_id, args.snapshot)) if args.run_id else None
    if start_from is not None and imported(start_from):
        for name in config.DESCRIBES_NETWORK:
            if overrides[name] is not None:
                parser.error(f"--{name} has no effect on {start_from}, an imported network: leave it out")
    perception = args.perception_dir
    if perception is None and find_system(config.SYSTEM).needs_perception:
        perception = "runs/perception"
    if perception is None and args.metrics:
        parser.error("--metrics look through the perception networks: give their folder by --perception_dir")
    assets = Assets(args.data, args.vae_dir, perception, args.face_model, start_from,
                    fingerprint(args.data, config.resolution))  # fmt: skip

    try:
        strategy = make_strategy(args.strategy)
    except ValueError as error:  # TF_CONFIG
        parser.error(str(error))

    def records(start: int, batch: int, shard: tuple[int, int] = (0, 1)):  # of uint8 images [batch, R, R, 3]
        return load_dataset(
            args.data,
            image_size=config.resolution,
            batch_size=batch,
            seed=config.draw_seed,
            mirror=bool(getattr(config, "mirror", False)),
            fields=config.FIELDS,
            start=start,
            shard=shard,
        )

    with clear_read_errors(args.data):
        snapshot = train(config, assets, records, out, strategy, monitoring)
    print(f"snapshot:    {snapshot}\ngrids:       {out / 'grids'}\nTensorBoard: {out / 'tensorboard'}")


if __name__ == "__main__":
    begin("train.py", "the same command goes on from what is saved")
    main()
