"""The same function for each item, on many machines: an Apache Beam pipeline (`pip install apache-beam`).

Every worker must see the folders that the function reads and writes under the same path (a network disk, a mounted
bucket), and have this checkout on its PYTHONPATH. What a worker has done lies in the target folder at once, so an
interrupted pipeline goes on like any other run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from datasets.photographs.workers import use_one_thread

try:
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as missing:
    raise ValueError(f"--runner needs Apache Beam: pip install apache-beam ({missing})") from None


class Do(apache_beam.DoFn):
    """Calls the function for the items that Beam hands out together. What it raises ends the pipeline."""

    def __init__(self, make: Callable[[], Callable[[Any], object]]):
        self._make = make
        self._function: Callable[[Any], object] | None = None

    def setup(self) -> None:
        """Makes the function, once in each worker."""
        use_one_thread()
        self._function = self._make()

    def process(self, item: Any) -> None:
        """One item."""
        assert self._function is not None
        self._function(item)


def run_pipeline(items: Sequence[Any], make: Callable[[], Callable[[Any], object]], options: Sequence[str]) -> None:
    """Calls the function that `make` makes, once in each worker, for each of the items, by a Beam pipeline.

    Args:
        items: what to do; pickled.
        make: pickled, too.
        options: Beam's own, as on a command line: --runner=DirectRunner, --runner=FlinkRunner, …

    Raises:
        OSError: the pipeline failed; what it had done is kept.
        ValueError: Beam does not know an option.
    """
    try:
        with apache_beam.Pipeline(options=PipelineOptions(list(options), save_main_session=False)) as pipeline:
            (
                pipeline
                | "Items" >> apache_beam.Create(list(items))
                | "Spread" >> apache_beam.Reshuffle()
                | "Do" >> apache_beam.ParDo(Do(make))
            )
    except SystemExit:  # argparse's, which has said what is wrong
        raise ValueError(f"Beam does not take these options: {' '.join(options)}") from None
    except Exception as error:  # runners have no common class of errors
        raise OSError(f"the Beam pipeline failed; what it had done is kept ({_last_line(error)})") from None


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else type(error).__name__)
