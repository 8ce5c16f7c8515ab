"""Photographs prepared in an Apache Beam pipeline: their statuses lie in the target folder until it has ended.

The records are written by the one who started it.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from datasets import beam
from datasets.photographs.files import Photograph, TargetError, write_bytes
from datasets.photographs.journal import Status

STATUSES = "status"  # one file per photograph, until the launcher has taken them into the journal


def make_noting(make: Callable[[], Callable[[Photograph], Status]], folder: Path) -> Callable[[Photograph], None]:
    """The function that `make` makes, but that its status goes into a file.

    A TargetError is raised; any other error is this photograph's, as in `workers`: it must not stop the others.
    """
    prepare = make()

    def note(photograph: Photograph) -> None:
        try:
            status = prepare(photograph)
        except TargetError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            status = Status(photograph.name, photograph.stamp(), reason=reason, transient=True)
        write_bytes(_status_path(folder, photograph), status.to_json().encode())

    return note


def run_pipeline(
    photographs: Sequence[Photograph],
    make: Callable[[], Callable[[Photograph], Status]],
    folder: Path,
    options: Sequence[str],
) -> Generator[tuple[Photograph, Status], None, None]:
    """Prepares photographs by a Beam pipeline and yields them with their statuses, which it takes out of `folder`.

    Args:
        photographs: what to do.
        make: makes the function for one photograph; called once in each worker.
        folder: the target folder.
        options: Beam's own; see `datasets.beam.run_pipeline`, whose errors it raises.
    """
    there = {photograph.name: _finished(folder, photograph) for photograph in photographs}
    waiting = [p for p in photographs if (status := there[p.name]) is None or status.transient]
    folder = folder.resolve()
    if waiting:
        items = [photograph.absolute() for photograph in waiting]
        beam.run_pipeline(items, functools.partial(make_noting, make, folder), options)
    for photograph in photographs:
        status = _finished(folder, photograph)
        if status is None:
            raise OSError(f"the Beam pipeline left no status of {photograph.name}: do all workers see {folder}?")
        yield photograph, status
    with contextlib.suppress(OSError):
        shutil.rmtree(folder / STATUSES)


def _status_path(folder: Path, photograph: Photograph) -> Path:
    return folder / STATUSES / f"{photograph.name}.json"


def _finished(folder: Path, photograph: Photograph) -> Status | None:
    """What a worker of this pipeline, or of an interrupted one, has left; None where the photograph has changed."""
    try:
        status = Status.from_json(_status_path(folder, photograph).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return status if status.stamp == photograph.stamp() else None
