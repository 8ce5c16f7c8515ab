"""Files that are written aside and renamed, so that a reader, or a run after a crash, never sees half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

_BLOCK = 1 << 20


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path to write to in place of `path`: it is renamed when all went well, and removed when not."""
    other = path.with_name(f"{path.name}.tmp")
    try:
        yield other
        flush(other)
        other.replace(path)
    except BaseException:
        other.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, aside, and renames it."""
    with aside(path) as other:
        other.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, aside, and renames it."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def flush(path: Path) -> None:
    """Has the system write a file, or a folder's list of names, to the disk now, so that no power cut undoes it."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(path: Path) -> list[int]:
    """[bytes, CRC-32] of a file."""
    crc, size = 0, 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            crc, size = zlib.crc32(block, crc), size + len(block)
    return [size, crc]


def require_room(folder: Path, size: int) -> None:
    """Raises OSError with one line when `size` bytes cannot be written into `folder`, which must be there.

    It asks the file system to set them aside, so that quotas count too, and gives them back at once. What writes
    through h5py must ask first: on a full disk that library may take the process down with it.
    """
    probe = folder / "room.tmp"
    try:
        with open(probe, "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            elif shutil.disk_usage(folder).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        left = shutil.disk_usage(folder).free
        raise OSError(
            f"{folder}: {size / 1e6:.1f} MB cannot be written ({error.strerror}; {left / 1e6:.1f} MB are free)"
        ) from None
    finally:
        probe.unlink(missing_ok=True)


def say(text: str, file: TextIO | None = None) -> None:
    """Prints a line at once. A full disk under the log, or a reader that went away, ends no run."""
    with contextlib.suppress(OSError):
        print(text, file=file or sys.stdout, flush=True)
