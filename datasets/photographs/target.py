"""Writing into the target folder: aside, then renamed, so that a file that is there is whole."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import uuid
from pathlib import Path

import numpy as np
from scipy import io as scipy_io

_HEADER = 116  # bytes of free text at the start of a MATLAB file
# What is wrong with one name, while others can be written.
_NAME_ERRORS = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


class TargetError(OSError):
    """The target folder cannot be written to: full, read-only, gone. Made of an error number and one line."""

    def __str__(self) -> str:
        return str(self.strerror)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file, and the folders that it lies in.

    Raises TargetError, or ValueError where the trouble is this file's name alone.
    """
    # Not the file's own name, which may just fit; and nobody else's, since a pipeline may do a photograph twice.
    aside = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(content)
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno in _NAME_ERRORS:
            raise ValueError(f"its name cannot be written as {path.name!r} ({error.strerror})") from None
        raise TargetError(error.errno, f"cannot write {path}: {error.strerror}") from None


def remove_unfinished(folder: Path) -> None:
    """Deletes what a run that was killed left half written in a folder and the folders in it."""
    for path in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()


def mat_bytes(key: str, values: np.ndarray) -> bytes:
    """A MATLAB 5 file with one variable: the same bytes for the same numbers, at any time and place."""
    buffer = io.BytesIO()
    scipy_io.savemat(buffer, {key: values})
    content = buffer.getvalue()
    return b"MATLAB 5.0 MAT-file".ljust(_HEADER) + content[_HEADER:]  # scipy's own text has the date
