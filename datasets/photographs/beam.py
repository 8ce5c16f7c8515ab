"""The same function for each photograph, on many machines: an Apache Beam pipeline (`pip install apache-beam`).

Every worker must see the photographs and the target folder under the same path (a network disk, a mounted bucket), and
have this checkout on its PYTHONPATH. What a worker has done lies in the target folder at once, so an interrupted
pipeline goes on like any other run; the records are written by the one who started it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from datasets.photographs.files import Photograph, TargetError, write_bytes
from datasets.photographs.journal import Status
from datasets.photographs.workers import use_one_thread

try:
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as missing:
    raise ValueError(f"--runner needs Apache Beam: pip install apache-beam ({missing})") from None

STATUSES = "status"  # one file per photograph, until the launcher has taken them into the journal


class Prepare(apache_beam.DoFn):
    """Prepares the photographs that Beam hands out together; yields the name of each that is done."""

    def __init__(self, make: Callable[[], Callable[[Photograph], Status]], folder: Path):
        self._make, self._folder = make, folder
        self._prepare: Callable[[Photograph], Status] | None = None

    def setup(self) -> None:
        """Loads the networks, once in each worker."""
        use_one_thread()
        self._prepare = self._make()

    def process(self, photograph: Photograph) -> Iterator[str]:
        """One photograph. A TargetError ends the pipeline; any other error is this photograph's."""
        assert self._prepare is not None
        try:
            status = self._prepare(photograph)
        except TargetError:
            raise
        except Exception as error:  # as in `workers`: one photograph's trouble must not stop the others
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            status = Status(photograph.name, photograph.stamp(), reason=reason, transient=True)
        write_bytes(_status_path(self._folder, photograph), status.to_json().encode())
        yield photograph.name


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
        options: Beam's own, as on a command line: --runner=DirectRunner, --runner=FlinkRunner, …

    Raises:
        OSError: the pipeline failed; what it had done is kept.
        ValueError: Beam does not know an option.
    """
    there = {photograph.name: _finished(folder, photograph) for photograph in photographs}
    waiting = [p for p in photographs if (status := there[p.name]) is None or status.transient]
    folder = folder.resolve()
    if waiting:
        try:
            with apache_beam.Pipeline(options=PipelineOptions(list(options), save_main_session=False)) as pipeline:
                (
                    pipeline
                    | "Photographs" >> apache_beam.Create([photograph.absolute() for photograph in waiting])
                    | "Spread" >> apache_beam.Reshuffle()
                    | "Prepare" >> apache_beam.ParDo(Prepare(make, folder))
                )
        except SystemExit:  # argparse's, which has said what is wrong
            raise ValueError(f"Beam does not take these options: {' '.join(options)}") from None
        except Exception as error:  # runners have no common class of errors
            raise OSError(f"the Beam pipeline failed; what it had done is kept ({_last_line(error)})") from None
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


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else type(error).__name__)
