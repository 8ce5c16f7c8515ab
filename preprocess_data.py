"""Finds the faces of photographs, aligns them to the generator's framing, and writes them as a dataset for `train.py`.

    python preprocess_data.py --image_path DIR --save_path DIR --image_size 256 [--lm_path DIR]

Folders in --image_path are searched too; a photograph's name is its path in there. Faces and landmarks come from a
detector, or from --lm_path/NAME.txt where that is there: 5 lines `x y`, pixels of the upright photograph, y down: the
eye on the picture's left, the other eye, the nose tip, the mouth corner on the left, the other one.

Writes into --save_path: aligned/NAME.png, coeff/NAME.mat (with perception networks), TFRecords with dataset.json, the
contact sheet aligned.png, and report.html and report.csv, which say the status of each photograph and why one was
rejected. The same command again goes on where it stopped and adds what is new. docs/photographs.md says more.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from datasets.photographs.files import Photograph, TargetError, find_photographs, remove_unfinished
from datasets.photographs.journal import Journal, Settings, Status
from datasets.photographs.workers import Failure, usable_cores, use_one_thread, work
from renderer.command import begin
from renderer.options import add_dry_run, add_option, number, print_options, whole

if TYPE_CHECKING:  # it brings TensorFlow along, which a usage error need not wait for
    from datasets.photographs.preparing import Preparer

_PROGRAM = "preprocess_data.py"
_DEFAULT_PERCEPTION = Path("runs/perception")


def make_preparer(face_model: str, perception: str | None, out: str, settings: Settings) -> Preparer:
    """Loads what a worker needs; `perception` is a folder, or None to leave the coefficients unknown."""
    from datasets.photographs.preparing import Preparer
    from renderer.face_model import load_face_model

    model = load_face_model(face_model)
    reconstruction = None
    if perception is not None:
        from discoface_tf2.perception.crops import CropReconstruction

        reconstruction = CropReconstruction(perception, model)
    return Preparer(model, Path(out), settings, reconstruction)


def prepare(
    photographs: Sequence[Photograph],
    journal: Journal,
    make: Callable[[], Callable[[Photograph], Status]],
    workers: int,
    runner: Sequence[str] | None = None,
) -> list[Status]:
    """The status of each photograph: those that are known already, and the others prepared now.

    With `runner`, the options of a Beam pipeline, that does the work.
    """
    statuses = journal.done(photographs)
    kept = sum(bool(status.faces) for status in statuses.values())
    if len(statuses) > kept:
        print(f"rejected before, and not looked at again since unchanged: {len(statuses) - kept}")
    missing = [photograph for photograph in photographs if photograph.name not in statuses]
    results: Generator[tuple[Photograph, Status | Failure], None, None]
    if runner is None:
        results = work(make, missing, workers, fatal=(TargetError,))
    else:
        from datasets.photographs.beam import run_pipeline

        results = run_pipeline(missing, make, journal.folder, runner)
    quiet = 0.2 if sys.stderr.isatty() else 5.0
    bar = tqdm(total=len(photographs), initial=len(statuses), desc="preparing", unit="img", mininterval=quiet)
    with bar, contextlib.closing(results):  # ends the workers at once
        for photograph, result in results:
            if isinstance(result, Failure):
                result = Status(photograph.name, photograph.stamp(), reason=result.reason, transient=True)
            journal.add(result)
            statuses[result.name] = result
            if not result.faces:
                bar.write(f"skipped {result.name}: {result.reason}", file=sys.stdout)
            bar.update()
    used = sum(bool(status.faces) for status in statuses.values())
    print(
        f"aligned {used - kept}, kept {kept} aligned before, skipped {len(photographs) - used} "
        f"of {len(photographs)} photographs"
    )
    return [statuses[photograph.name] for photograph in photographs]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image_path", required=True, type=Path, help="folder of photographs")
    parser.add_argument("--lm_path", type=Path, help="folder of landmarks, NAME.txt each; others are detected")
    parser.add_argument("--save_path", required=True, type=Path, help="folder to write into")
    add_option(parser, Settings, "image_size")
    parser.add_argument("--shards", type=whole(1, 100_000), default=8, help="TFRecord files at most (default: 8)")
    parser.add_argument(
        "--face_model", "--face-model", default="builtin", help="'builtin' or a .npz: whose face fills the frame"
    )
    parser.add_argument(
        "--perception_dir",
        help=f"networks that tell the coefficients, or 'none' (default: {_DEFAULT_PERCEPTION}, if that is there)",
    )
    parser.add_argument("--all_faces", action="store_true", help="every face of a photograph, not the largest alone")
    add_option(parser, Settings, "max_disagreement")
    parser.add_argument("--format", choices=("png", "jpeg"), default="png", help="of the aligned images")
    add_option(parser, Settings, "quality", default=None)
    add_option(parser, Settings, "thumbnail", "report_size")
    parser.add_argument("--max_megapixels", type=number(0.001, 4000), default=Settings.max_pixels / 1e6,
                        help=f"of a photograph, at most (default: {Settings.max_pixels / 1e6:g})")  # fmt: skip
    parser.add_argument("--workers", type=whole(0, 1024), help="processes (default: one per core); 0: in this process")
    parser.add_argument(
        "--runner", help="prepare in an Apache Beam pipeline by this runner; further options of Beam's are passed on"
    )
    add_dry_run(parser)
    arguments, further = parser.parse_known_args(argv)
    if further and arguments.runner is None:
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    if arguments.quality is not None and arguments.format != "jpeg":
        parser.error("--quality is JPEG's, and has no effect without --format jpeg")
    if arguments.workers is not None and arguments.runner is not None:
        parser.error("--workers has no effect with --runner, which has workers of its own")
    arguments.beam = None if arguments.runner is None else [f"--runner={arguments.runner}", *further]
    return arguments


def _perception(asked: str | None) -> Path | None:
    if asked == "none":
        return None
    if asked is not None:
        return Path(asked)
    return _DEFAULT_PERCEPTION if (_DEFAULT_PERCEPTION / "perception.json").is_file() else None


def _fingerprint(folder: Path | None) -> str | None:
    """Of the networks' numbers; None without networks."""
    if folder is None or not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in (folder / "perception.json", folder / "reconstruction.weights.h5"):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    arguments = _parse(argv)
    if arguments.dry_run:
        print_options(arguments)
        return
    use_one_thread()  # in this process too, so that it makes no difference which one prepares a photograph
    out = arguments.save_path
    search = find_photographs(arguments.image_path, arguments.lm_path, leave_out=out)
    if search.others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in search.others.most_common(6))
        print(f"left out {search.others.total()} files of other kinds ({kinds})")
    from datasets.photographs.dataset import check_folder, contact_sheet, write_records
    from datasets.photographs.detection import weight_files
    from datasets.photographs.report import write_report
    from renderer.face_model import load_face_model

    check_folder(out, arguments.image_size)
    settings = Settings(
        image_size=arguments.image_size,
        image_format=arguments.format,
        quality=Settings.quality if arguments.quality is None else arguments.quality,
        all_faces=arguments.all_faces,
        max_disagreement=arguments.max_disagreement,
        thumbnail=arguments.report_size,
        max_pixels=round(arguments.max_megapixels * 1e6),
    )
    perception = _perception(arguments.perception_dir)
    model = load_face_model(arguments.face_model)
    if any(photograph.landmarks is None for photograph in search.photographs):
        weight_files()  # the detector will be needed
    if perception is not None:  # before anything is made
        from discoface_tf2.perception.crops import CropReconstruction

        CropReconstruction(perception, model)
    print(f"coefficients: {'unknown (no perception networks)' if perception is None else f'by {perception}'}")
    options: dict[str, Any] = {
        **{key: value for key, value in asdict(settings).items() if key not in ("thumbnail", "max_pixels")},
        "face_model": model.checksum()[:16],
        "perception": _fingerprint(perception),
    }
    source = arguments.face_model if arguments.face_model == "builtin" else str(Path(arguments.face_model).resolve())
    networks = None if perception is None else str(perception.resolve())
    make = functools.partial(make_preparer, source, networks, str(out.resolve()), settings)
    workers = usable_cores() if arguments.workers is None else arguments.workers
    with Journal(out, options, settings.max_pixels) as journal:
        remove_unfinished(out)
        statuses = prepare(search.photographs, journal, make, workers, arguments.beam)
        write_report(out, statuses, search.others)
        faces = [face for status in statuses for face in status.faces]
        if not faces:
            raise ValueError(
                f"none of the {len(statuses)} photographs could be aligned; {out / 'report.html'} says why"
            )
        contact_sheet([out / face.file for face in faces], out / "aligned.png")
        write_records(faces, out, settings.image_size, arguments.shards, None if perception is None else model, options)
    print(f"dataset: {out}\npictures: {out / 'aligned'}\ncontact sheet: {out / 'aligned.png'}")
    print(f"report: {out / 'report.html'}")


if __name__ == "__main__":
    begin(_PROGRAM, "what is done is kept, and the same command goes on from here")
    main()
