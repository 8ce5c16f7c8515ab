"""Which files are photographs, and what each is called in all that is made of them; and atomic writes of that."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# What is wrong with one name, while others can be written.
_NAME_ERRORS = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
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
        for path in filter(None, (self.path, self.landmarks)):
            try:
                status = path.stat()
                found += [status.st_size, status.st_mtime_ns]
            except OSError:
                found += [-1, -1]
        return tuple(found)

    def absolute(self) -> Photograph:
        """The same by absolute paths, for workers in other folders."""
        return Photograph(self.name, self.path.resolve(), self.landmarks and self.landmarks.resolve())


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
    stems = Counter(_fold(_text(path.with_suffix(""))) for path in images)
    found: dict[str, Photograph] = {}
    taken: set[str] = set()
    for path in sorted(images):
        relative = path.relative_to(folder)
        alone = stems[_fold(_text(path.with_suffix("")))] == 1 and not _OTHER_FACE.search(path.stem)
        name = _text(relative.with_suffix("") if alone else relative)
        while _fold(name) in taken:  # a.png.jpg beside a.png and a.jpg
            name += "_"
        taken.add(_fold(name))
        found[name] = Photograph(name, path, None if landmarks is None else _landmarks(landmarks, relative, alone))
    return Search(tuple(found[name] for name in sorted(found)), others)


def other_face(name: str, number: int) -> str:
    """The name of face `number` of a photograph: the first one has the photograph's."""
    return name if number == 1 else f"{name}@{number}"


class TargetError(OSError):
    """The target folder cannot be written to: full, read-only, gone. Made of an error number and one line."""

    def __str__(self) -> str:
        return str(self.strerror)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically, and makes the folders that it lies in.

    Raises TargetError, or ValueError where the trouble is this file's name alone.
    """
    # Not the file's own name, which may just fit; and nobody else's, since a pipeline may do a photograph twice.
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno in _NAME_ERRORS:
            raise ValueError(f"its name cannot be written as {path.name!r} ({error.strerror})") from None
        raise TargetError(error.errno, f"cannot write {path}: {error.strerror}") from None


def remove_unfinished(folder: Path) -> None:
    """Deletes the temporary files that a run that was killed left in a folder and the folders in it."""
    for path in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()


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
    names = (f"{relative.name}.txt", f"{relative.stem}.txt") if alone else (f"{relative.name}.txt",)
    return next((path for name in names if (path := folder / relative.parent / name).is_file()), None)


def _text(path: Path) -> str:
    """A name that can be written in UTF-8, whatever bytes the file system holds."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _fold(name: str) -> str:
    """What two names share that a file system may not tell apart."""
    return unicodedata.normalize("NFC", name).casefold()
