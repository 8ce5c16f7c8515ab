"""Checkpoints: all that a run goes on from. Atomic, the last few kept, a damaged one passed over."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import tensorflow as tf

from discoface_tf2.files import log
from renderer.files import flush, require_room

_INDEX = re.compile(r"ckpt-(\d+)\.index")
# What TensorFlow raises for a checkpoint that is cut, changed, missing in part or of another run.
_UNREADABLE = (tf.errors.OpError, AssertionError, ValueError, TypeError, OSError, LookupError, RuntimeError)


class Checkpoints:
    """The checkpoints of a run, in `directory`: `ckpt-IMAGES.data-…` and, written last, `ckpt-IMAGES.index`.

    TensorFlow keeps a checksum of every tensor and of the index, so damage shows when a checkpoint is read.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, directory: Path, keep: int = 3):
        self.checkpoint, self.directory, self.keep = checkpoint, directory, keep
        self._damaged: list[int] = []

    def numbers(self) -> list[int]:
        """Images shown at each of the checkpoints that are there, ascending."""
        names = (_INDEX.fullmatch(path.name) for path in self.directory.glob("ckpt-*.index"))
        return sorted(int(name[1]) for name in names if name)

    def save(self, images: int, size: int = 0) -> None:
        """Writes a checkpoint of about `size` bytes. Raises OSError with one line; the earlier ones are kept then."""
        self.directory.mkdir(parents=True, exist_ok=True)
        require_room(self.directory, size)
        temporary = self.directory / "writing.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            self.checkpoint.write(str(temporary / f"ckpt-{images}"))
            written = sorted(temporary.glob("ckpt-*"))  # data before index
            for path in written:
                flush(path)
            self._delete(images)  # what an earlier attempt left, index first
            for path in written:
                path.replace(self.directory / path.name)
            flush(self.directory)
        except tf.errors.OpError as error:
            raise OSError(f"{self.directory}: the checkpoint cannot be written ({_reason(error)})") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        for number in set(self._damaged) - {images}:
            self._delete(number)
        self._damaged = []
        for number in self.numbers()[: -self.keep]:
            self._delete(number)
        (self.directory / "checkpoint").unlink(missing_ok=True)  # TensorFlow's list, which earlier versions kept

    def restore(self) -> int | None:
        """Reads the newest checkpoint that can be read and returns its images; None when there is none.

        Those that cannot be read are reported, a line each. Raises ValueError when there are none but such.
        """
        failures = []
        for number in reversed(self.numbers()):
            path = self.directory / f"ckpt-{number}"
            try:
                self.checkpoint.read(str(path)).assert_existing_objects_matched()
            except _UNREADABLE as error:
                failures.append((number, f"{path}: this checkpoint cannot be read ({_reason(error)})"))
                continue
            for _, line in failures:
                log(f"{line}; going on from the one before", sys.stderr)
            self._damaged = [failed for failed, _ in failures]
            return number
        if failures:
            raise ValueError(
                f"{failures[0][1]}, nor any before it. Delete {self.directory.parent} to start anew, or give another "
                "--out"
            )
        return None

    def _delete(self, number: int) -> None:
        """The index first: without it there is no checkpoint."""
        (self.directory / f"ckpt-{number}.index").unlink(missing_ok=True)
        for path in self.directory.glob(f"ckpt-{number}.data-*"):
            path.unlink()


def _reason(error: BaseException) -> str:
    """The first line of an error, without what TensorFlow says of its own insides."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return re.sub(r"\{\{.*?\}\} | \[Op:.*?\]", "", line)
