"""Atomic writes: into a temporary file that is renamed, so that a file that is there is whole. And a lock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def save_png(image: Image.Image, path: Path) -> None:
    """Writes a PNG, whatever the name ends in."""
    aside = _aside(path)
    image.save(aside, format="PNG")
    aside.replace(path)


def save_npz(arrays: Mapping[str, Any], path: Path) -> None:
    """Writes a compressed `.npz` under exactly this name."""
    aside = _aside(path)
    with open(aside, "wb") as file:  # a file object, so that numpy adds no second suffix
        np.savez_compressed(file, **arrays)
    aside.replace(path)


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


def _aside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.tmp")
