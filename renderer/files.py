"""Atomic writes: into a temporary file that is renamed, so that a file that is there is whole. And a lock.

And where the built-in face model lies."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
_BUILTIN = Path(__file__).parent / "data" / "builtin.npz"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def face_model_path(source: str | Path) -> Path:
    """The file of a face model: of the built-in one by the name `builtin`, else `source`.

    Raises FileNotFoundError with one line.
    """
    path = _BUILTIN if str(source) == "builtin" else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"face model: expected 'builtin' or a .npz file. There is no file {path}")
    return path


def save_png(image: Image.Image, path: Path) -> None:
    """Writes a PNG, whatever the name ends in."""
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def save_npz(arrays: Mapping[str, Any], path: Path) -> None:
    """Writes a compressed `.npz` under exactly this name."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:  # a file, so that numpy adds no suffix
        np.savez_compressed(file, **arrays)


def lock(file: IO[Any]) -> bool:
    """Locks an open file until it is closed or the process ends; False when another process holds it.

    Where the system or the file system has no such locks (Windows, some network disks), nothing is locked and the
    answer is True: there two processes in one folder are the user's to avoid.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


@contextlib.contextmanager
def atomic_path(path: Path, suffix: str = "") -> Iterator[Path]:
    """A temporary file to write in place of `path`: renamed to it when all went well, and removed when not.

    The folder is made if needed. Raises OSError that names `path`, also where another library says in its own way that
    the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp{suffix}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, Exception) and is_full(error):
            raise no_room(path, error) from None
        raise


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill in place of `path`, as `atomic_path`; what was there is replaced in the end."""
    temporary = path.with_name(f"{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in (*(file for file in temporary.rglob("*") if file.is_file()), temporary):
            flush(file)
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
        flush(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, Exception) and is_full(error):
            raise no_room(path, error) from None
        raise


def flush(path: Path) -> None:
    """Has the system write a file, or a folder's list of names, to the disk now, so that no power cut undoes it."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_full(error: Exception) -> bool:
    """Whether an error, TensorFlow's too, says that a file system takes no more."""
    return any(os.strerror(number) in str(error) for number in _FULL)


def no_room(path: Path, error: Exception) -> OSError:
    """The one line to raise where `path` could not be written because of `error`, of which `is_full` is true."""
    number = next(number for number in _FULL if os.strerror(number) in str(error))
    return OSError(number, os.strerror(number), str(path))


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
