"""A few photographs prepared in one call, for what is done with them next; what is done is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from datasets.alignment import FrameBox
from datasets.photographs.files import SUFFIXES, Photograph, find_photographs
from datasets.photographs.journal import FaceStatus, Journal, Settings
from datasets.photographs.preparing import COEFFICIENTS, Preparer
from datasets.photographs.reading import read_photograph
from renderer.coefficients_io import load_coefficients
from renderer.layout import CoefficientLayout


def find(paths: Sequence[Path], landmarks: Path | None = None) -> list[Photograph]:
    """The photographs that are named, and those of folders. Raises FileNotFoundError or ValueError with one line."""
    found: list[Photograph] = []
    for path in paths:
        if path.is_dir():
            found += find_photographs(path, landmarks).photographs
        elif not path.is_file():
            raise FileNotFoundError(f"--image {path}: there is no such file")
        elif path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"--image {path}: expected one of {' '.join(sorted(SUFFIXES))}")
        else:
            points = None if landmarks is None else landmarks / f"{path.stem}.txt"
            found.append(Photograph(path.stem, path, points if points is not None and points.is_file() else None))
    names = [photograph.name for photograph in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"--image: two photographs are called {twice}; edit them in two calls")
    return found


@dataclass(frozen=True)
class PreparedFace:
    """A face of a photograph, aligned into `folder`."""

    photograph: Photograph
    status: FaceStatus
    folder: Path
    max_pixels: int

    @property
    def name(self) -> str:
        """The photograph's; of further faces with their number."""
        return self.status.name

    def aligned(self) -> np.ndarray:
        """The frame, uint8 [R, R, 3]."""
        return np.asarray(Image.open(self.folder / self.status.file).convert("RGB"))

    def coefficients(self, layout: CoefficientLayout) -> np.ndarray:
        """What the reconstruction says of it, [size]."""
        return load_coefficients(self.folder / COEFFICIENTS / f"{self.name}.mat", layout)[0]

    def original(self) -> tuple[Image.Image, FrameBox]:
        """The whole photograph, upright, and where the frame is in it."""
        image, scale = read_photograph(self.photograph.path, self.max_pixels)
        left, top, side = (value * scale for value in self.status.box)
        return image, FrameBox(left, top, side)


def prepare(
    photographs: Sequence[Photograph],
    folder: Path,
    settings: Settings,
    options: Mapping[str, Any],
    make: Callable[[], Preparer],
) -> tuple[list[PreparedFace], dict[str, str]]:
    """Their faces, found and aligned; and by photograph why it cannot be used.

    Args:
        photographs: what to prepare.
        folder: for what is made, and remembered.
        settings: of the alignment.
        options: what else decides about it; the same folder with other options is refused.
        make: loads what prepares them; called where there is something to do.
    """
    faces: list[PreparedFace] = []
    skipped: dict[str, str] = {}
    with Journal(folder, dict(options), settings.max_pixels) as journal:
        done = journal.done(photographs)
        preparer = make() if len(done) < len(photographs) else None
        for photograph in tqdm(photographs, desc="preparing", unit="img", disable=len(photographs) < 3):
            status = done.get(photograph.name)
            if status is None:
                assert preparer is not None
                status = preparer(photograph)
                journal.add(status)
            if not status.faces:
                skipped[str(photograph.path)] = status.reason
            faces += [PreparedFace(photograph, face, folder, settings.max_pixels) for face in status.faces]
    return faces, skipped
