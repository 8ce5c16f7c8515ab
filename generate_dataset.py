"""Generates a data set for face recognition: many images of each of many people, aligned, with every label.

    python generate_dataset.py --model runs/stage2 --out faces --identities 10000 --images_per_identity 50
    python generate_dataset.py --model runs/stage2 --out faces --perception_dir runs/perception --min_distance 0.3
    python generate_dataset.py --out faces --verify

Writes the images in one of three layouts (`folders`: images/IDENTITY/NUMBER.jpg; `webdataset`: .tar files; `tfrecord`:
what train.py reads), metadata.parquet with a row per image (identity, coefficients, degrees, 68 landmarks, light, seed,
digest), identities.npz and options.json. The same command again goes on at the first missing shard; the same options
give the same bytes, whatever the number of workers or of machines. docs/generated.md says more.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.generated.options import GeneratedSet
from discoface_tf2.face_model_option import add_face_model_option
from discoface_tf2.generation_options import BATCH, GenerationOptions
from renderer.command import begin
from renderer.options import Each, add_dry_run, add_option, print_options, whole

if TYPE_CHECKING:  # it brings TensorFlow along, which takes seconds that a usage error need not wait for
    from datasets.generated.making import Item, Maker
    from discoface_tf2.identities import Identities

_SHARD_LIMIT = 24 * 3600.0  # seconds for a shard


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a run folder (its newest snapshot), a snapshot, or a .zip of one")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    for field in dataclasses.fields(GeneratedSet):
        if isinstance(field.metadata["kind"], Each):
            words = field.metadata["help"]
            parser.add_argument("--balance", nargs="+", type=field.metadata["kind"], default=(), metavar="TRAIT",
                                help=f"{words}: sex, age, skin")  # fmt: skip
        else:
            add_option(parser, GeneratedSet, field.name)
    parser.add_argument("--perception_dir", help="networks that know who is alike (--min_distance) and where hair is "
                        "(--masks)")  # fmt: skip
    add_option(parser, GenerationOptions, "seed")
    add_option(parser, GenerationOptions, "truncation")
    parser.add_argument("--batch_size", type=BATCH, default=16, help="images at a time; default 16")
    parser.add_argument("--workers", type=whole(0, 1024), default=0, help="processes of one thread, each making whole "
                        "shards; one per core is best without a GPU (default: all in this one)")  # fmt: skip
    parser.add_argument(
        "--runner",
        help="make the shards in an Apache Beam pipeline by this runner; further options are passed on to it",
    )
    add_face_model_option(parser)
    parser.add_argument("--vae_dir", help="the four factor VAEs; default those within the snapshot")
    parser.add_argument("--verify", action="store_true", help="read every image back and compare it with the metadata; "
                        "without --model, of the data set that is there")  # fmt: skip
    add_dry_run(parser)
    return parser


def parse(argv: Sequence[str] | None) -> tuple[argparse.Namespace, GeneratedSet]:
    """Flags, and the data set that they ask for."""
    parser = make_parser()
    args, further = parser.parse_known_args(argv)
    if further and args.runner is None:
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    args.beam = None if args.runner is None else [f"--runner={args.runner}", *further]
    if args.model is None and not args.verify:
        parser.error("the following arguments are required: --model")
    if args.workers and args.runner is not None:
        parser.error("--workers has no effect with --runner, which has workers of its own")
    needing = [flag for flag, given in (("--min_distance", args.min_distance), ("--masks", args.masks)) if given]
    if needing and args.perception_dir is None:
        parser.error(f"{' and '.join(needing)}: expected --perception_dir, whose networks are needed")
    if args.perception_dir is not None and not needing:
        parser.error("--perception_dir has no effect without --min_distance or --masks")
    args.balance = tuple(args.balance)
    try:
        options = GeneratedSet(**{field.name: getattr(args, field.name) for field in dataclasses.fields(GeneratedSet)})
    except ValueError as error:
        parser.error(f"--{error}")
    return args, options


def make_source(arguments: Mapping[str, Any], options: GeneratedSet) -> Identities:
    """Loads what generates. Raises FileNotFoundError or ValueError with one line."""
    from discoface_tf2.identities import Identities
    from discoface_tf2.model import load
    from discoface_tf2.perception import Perception

    model = load(arguments["model"], face_model=arguments["face_model"], vae_dir=arguments["vae_dir"])
    perception = None if arguments["perception_dir"] is None else Perception.load(arguments["perception_dir"])
    generation = GenerationOptions(
        variations=options.images_per_identity, seed=arguments["seed"], truncation=arguments["truncation"]
    )
    return Identities(model, generation, arguments["batch_size"], perception, options.masks)


def make_maker(arguments: Mapping[str, Any], options: GeneratedSet, facts: dict[str, Any]) -> Maker:
    """What a worker does items with."""
    from datasets.generated.making import Maker

    return Maker(Path(arguments["out"]), options, make_source(arguments, options), facts)


def generate_dataset(args: argparse.Namespace, options: GeneratedSet) -> None:
    """Makes what is missing of the data set in `args.out`; raises OSError or ValueError with one line."""
    from tqdm import tqdm

    from datasets.generated.making import Item, Maker
    from datasets.generated.metadata import METADATA, merge_parts
    from datasets.generated.selection import IDENTITIES, check_balance, choose
    from discoface_tf2.perception.perception import weights_digest
    from discoface_tf2.pictures import claim
    from discoface_tf2.training.guard import only_process

    arguments: dict[str, Any] = {name: getattr(args, name) for name in ("seed", "truncation", "batch_size")}
    facts = json.loads(json.dumps({**options.to_dict(), **arguments}))
    for name in ("out", "model", "vae_dir", "perception_dir", "face_model"):  # workers may be in another folder
        value = getattr(args, name)
        arguments[name] = value if value in (None, "builtin") else str(Path(value).resolve())
    source = make_source(arguments, options)
    check_balance(source.face_model, options.balance)
    facts["face_model"] = source.face_model.checksum()[:16]
    if args.perception_dir is not None:
        facts["perception"] = weights_digest(args.perception_dir)
    claim(args.out, facts, source.model)
    with only_process(args.out):
        if (args.out / METADATA).is_file():
            print(f"{args.out}: {options.count:,} images are there already; nothing to do")
            return
        maker = Maker(args.out, options, source, facts)
        make: Callable[[], Maker] = functools.partial(make_maker, arguments, options, facts)
        if args.workers == 0 and args.beam is None:
            make = lambda: maker  # noqa: E731  # what is loaded serves
        maker.layout.prepare(source.face_model, facts)
        if not (args.out / IDENTITIES).is_file():
            with tqdm(unit="people", desc="choosing", mininterval=2.0) as bar:

                def look_at(units: Sequence[int]) -> None:
                    run([Item("candidates", unit) for unit in units], make, maker, args, bar.update)

                summary = choose(args.out, options, look_at)
            print(summary, flush=True)
        shards = [Item("shard", shard) for shard in range(maker.layout.shards)]
        missing = [shard for shard in shards if not maker.path(shard).is_file()]
        to_do = sum(len(options.identities_of(shard.number)) for shard in missing) * options.images_per_identity
        with tqdm(total=options.count, initial=options.count - to_do, unit="img", mininterval=2.0) as bar:
            run(missing, make, maker, args, bar.update)
        maker.layout.finish(source.face_model, facts)
        merge_parts(args.out, len(shards), facts)
    print(f"{args.out}: {options.count:,} images of {options.identities:,} identities")


def run(
    items: Sequence[Item],
    make: Callable[[], Maker],
    maker: Maker,
    args: argparse.Namespace,
    progress: Callable[[int], object],
) -> None:
    """Has the items done, here, by workers or by Beam; `progress` gets numbers of people or images. Raises OSError."""
    from datasets.photographs.workers import Failure, work

    if args.beam is not None:
        from datasets.beam import run_pipeline

        if items:
            run_pipeline(items, make, args.beam)
    else:
        with contextlib.closing(work(make, items, args.workers, _SHARD_LIMIT, (OSError, ValueError))) as results:
            for item, result in results:
                if isinstance(result, Failure):
                    raise OSError(f"{item.kind} {item.number}: {result.reason}. Run the command again to go on")
                progress(result)
    absent = [item for item in items if not maker.path(item).is_file()]
    if absent:
        raise OSError(f"the workers left no {maker.path(absent[0])}: do all of them see {args.out.resolve()}?")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    args, options = parse(argv)
    if args.dry_run:
        print_options(args)
        return 0
    from datasets.photographs.workers import use_one_thread

    use_one_thread()  # in this process too, so that it makes no difference which one makes a shard
    if args.model is not None:
        generate_dataset(args, options)
    if not args.verify:
        return 0
    from datasets.generated.verifying import report, verify

    wrong = verify(args.out)
    print(report(args.out, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    begin("generate_dataset.py", "the same command goes on from here")
    sys.exit(main())
