"""What photographs are prepared for, and which are done: a line per photograph, so that an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from datasets.photographs.files import Photograph, TargetError
from datasets.photographs.reading import MAX_PIXELS
from renderer.files import lock
from renderer.options import SWITCH, Choice, check_options, number, option, whole

JOURNAL = "journal.jsonl"
_FORMAT = "discoface_tf2 photographs, version 1"


@dataclass(frozen=True)
class Settings:
    """What decides about the pixels and numbers of a prepared photograph."""

    image_size: int = option(256, "pixels of the aligned square", whole(8, 4096))
    image_format: Literal["png", "jpeg"] = option("png", "of the aligned images", Choice(("png", "jpeg")))
    quality: int = option(95, "of JPEG", whole(1, 100))
    all_faces: bool = option(False, "every face of a photograph, not the largest alone", SWITCH)
    max_disagreement: float = option(
        0.10,
        "of the network's pose with the landmarks, in eye distances; beyond, the landmarks alone decide",
        number(0, 10),
    )
    thumbnail: int = option(128, "pixels of each of the report's three pictures; 0: none", whole(0, 1024))
    max_pixels: int = option(MAX_PIXELS, "of a photograph, at most", whole(1000, 4 * 10**9))

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class FaceStatus:
    """One aligned face. Files are relative to the target folder; lengths are pixels of the upright file, y down."""

    name: str
    file: str
    size: int  # bytes of the aligned image
    digest: str  # SHA-256 of the aligned image and its coefficients
    landmarks: tuple[float, ...]  # 5 × (x, y)
    source: str  # of the landmarks: "given" or "detected"
    confidence: float  # of the detection, 0-1
    coefficients: str  # "network", "pose from landmarks" (the rest is the network's) or "none"
    disagreement: float  # of pose and landmarks, as a share of the eye distance
    angles: tuple[float, ...]  # pitch, yaw, roll, degrees
    box: tuple[float, ...]  # left, top and side of the frame
    thumbnail: str


@dataclass(frozen=True)
class Status:
    """One photograph: its faces, or the reason why there is none."""

    name: str
    stamp: tuple[int, ...]  # see `Photograph.stamp`
    faces: tuple[FaceStatus, ...] = ()
    reason: str = ""
    width: int = 0
    height: int = 0
    thumbnail: str = ""  # of a photograph without a face
    seconds: float = 0.0
    # The limit of pixels, where it decided: for too large a photograph, or one decoded at a smaller size.
    limit: int = 0
    transient: bool = False  # not the photograph's fault: its process died, it took too long, there was no memory

    def stands(self, max_pixels: int) -> bool:
        """Whether it would be the same again, with a limit of `max_pixels`."""
        if self.transient:
            return False
        return self.limit == max_pixels if self.limit else self.width * self.height <= max_pixels

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Status:
        """The status that `to_json` wrote. Raises ValueError for anything else."""
        try:
            values = _tuples(json.loads(line))
            values["faces"] = tuple(FaceStatus(**_tuples(face)) for face in values["faces"])
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the status of a photograph ({error})") from None


class Journal:
    """The journal of a target folder; one process at a time has it open.

    The first line says what the photographs are prepared for (`options`). Raises ValueError, with the difference, where
    the folder was prepared with others, and TargetError where it cannot be written to.

    `max_pixels`, of a photograph, may differ from run to run: what it decided is looked at again then.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], max_pixels: int = MAX_PIXELS):
        self.folder, self.path, self.max_pixels = folder, folder / JOURNAL, max_pixels
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a+b")  # noqa: SIM115  # open as long as the journal is
        except OSError as error:
            raise TargetError(error.errno, f"--save_path {folder}: cannot write there: {error.strerror}") from None
        try:
            if not lock(self._file):
                raise ValueError(f"--save_path {folder}: another run is writing there; wait for it")
            self._found = self._read(json.loads(json.dumps(dict(options))))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def done(self, photographs: Iterable[Photograph]) -> dict[str, Status]:
        """By name, what is known of those photographs that have not changed, and whose aligned files are there.

        What was not the photograph's fault, or would be otherwise with this run's limit of pixels, is not known.
        """
        found = {}
        for photograph in photographs:
            status = self._found.get(photograph.name)
            if status is None or status.stamp != photograph.stamp():
                continue
            if status.stands(self.max_pixels) and self._has_files(status):
                found[photograph.name] = status
        return found

    def add(self, status: Status) -> None:
        """Appends one status and hands it to the operating system at once. Raises TargetError."""
        self._found[status.name] = status
        self._append(status.to_json())

    def _append(self, line: str) -> None:
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise TargetError(error.errno, f"cannot write {self.path}: {error.strerror}") from None

    def _read(self, options: Mapping[str, Any]) -> dict[str, Status]:
        self._file.seek(0)
        content = self._file.read()
        whole_lines = content[: content.rfind(b"\n") + 1]  # the last line may have been being written when a run ended
        self._file.truncate(len(whole_lines))
        if not whole_lines:
            self._append(json.dumps({"format": _FORMAT, "options": options}))
            return {}
        first, *lines = whole_lines.splitlines()
        try:
            header = json.loads(first)
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ValueError(f"{self.path}: expected the format {_FORMAT!r}; delete this file to prepare all anew")
        there = header.get("options", {})
        keys = [key for key in {**there, **options} if there.get(key) != options.get(key)]
        if keys:
            words = ", ".join(f"{key}: there {there.get(key)}, asked {options.get(key)}" for key in keys)
            raise ValueError(
                f"--save_path {self.folder} holds photographs that were prepared with other options ({words}). "
                "Choose another folder, or delete this one"
            )
        found = {}
        for line in lines:
            try:
                status = Status.from_json(line.decode())
            except ValueError:  # damaged: this one is prepared again
                continue
            found[status.name] = status
        return found

    def _has_files(self, status: Status) -> bool:
        try:
            return all((self.folder / face.file).stat().st_size == face.size for face in status.faces)
        except OSError:
            return False


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
