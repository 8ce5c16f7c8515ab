"""Which files are photographs, and what each is called in everything that is made of them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_OTHER_FACE = re.compile(r"@\d+$")  # how further faces of a photograph are named


@dataclass(frozen=True)
class Photograph:
    """One image file. `name` is its path inside the folder without the suffix, with / between folders."""

    name: str
    path: Path
    landmarks: Path | None = None  # a file of 5 lines `x y`, where there is one

    def stamp(self) -> tuple[int, ...]:
        """Size and time of change of the file, and of its landmarks: another stamp, another photograph."""
        found: list[int] = []
        for path in (self.path, self.landmarks):
            if path is not None:
                try:
                    status = path.stat()
                except OSError:
                    found += [-1, -1]
                else:
                    found += [status.st_size, status.st_mtime_ns]
        return tuple(found)


@dataclass(frozen=True)
class Search:
    """What a folder holds: the photographs by name, and how many files of other kinds, by suffix."""

    photographs: tuple[Photograph, ...]
    others: Counter[str]


def find_photographs(folder: Path, landmarks: Path | None = None, leave_out: Path | None = None) -> Search:
    """The image files of a folder and of the folders in it, sorted by name.

    Two files of one folder that differ in the suffix alone keep it in their names. Hidden files and the folder
    `leave_out` are passed over. Landmarks are looked for under the same relative path, as NAME.txt.

    Raises FileNotFoundError or ValueError, with one line, where there is no folder or no image.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--image_path {folder}: there is no such folder")
    if landmarks is not None and not landmarks.is_dir():
        raise FileNotFoundError(f"--lm_path {landmarks}: there is no such folder")
    images, others = [], Counter[str]()
    for path in _files(folder, leave_out):
        if path.suffix.lower() in SUFFIXES:
            images.append(path)
        else:
            others[path.suffix.lower() or "no suffix"] += 1
    if not images:
        raise ValueError(f"--image_path {folder}: no image there; expected {' '.join(sorted(SUFFIXES))}")
    stems = Counter(_key(path.with_suffix("")) for path in images)
    found: dict[str, Photograph] = {}
    taken: set[str] = set()
    for path in sorted(images):
        relative = path.relative_to(folder)
        alone = stems[_key(path.with_suffix(""))] == 1 and not _OTHER_FACE.search(path.stem)
        name = _text(relative.with_suffix("") if alone else relative)
        while _fold(name) in taken:  # a.png.jpg beside a.png and a.jpg
            name += "_"
        taken.add(_fold(name))
        found[name] = Photograph(name, path, None if landmarks is None else _landmarks(landmarks, relative, alone))
    return Search(tuple(found[name] for name in sorted(found)), others)


def other_face(name: str, number: int) -> str:
    """The name of face `number` of a photograph: the first one has the photograph's."""
    return name if number == 1 else f"{name}@{number}"


def _files(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    left_out = None if leave_out is None else leave_out.resolve()
    seen: set[Path] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place).resolve()
        if here in seen or here == left_out:  # links may lead in a circle
            folders.clear()
            continue
        seen.add(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and (path.is_file() or path.is_symlink()):  # a broken link is told of later
                yield path


def _landmarks(folder: Path, relative: Path, alone: bool) -> Path | None:
    full, short = (folder / relative.parent / f"{stem}.txt" for stem in (relative.name, relative.stem))
    for candidate in (full, short) if alone else (full,):
        if candidate.is_file():
            return candidate
    return None


def _text(relative: Path) -> str:
    """A name that can be written in UTF-8, whatever bytes the file system holds."""
    return os.fsencode(relative.as_posix()).decode("utf-8", "backslashreplace")


def _fold(name: str) -> str:
    """What two names share that a file system may not tell apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _key(path: Path) -> str:
    return _fold(os.fsencode(path).decode("utf-8", "backslashreplace"))
