"""Files that are written aside and renamed, so that one that is there is whole. Their folder is made if needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


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


def _aside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f"{path.name}.tmp")
