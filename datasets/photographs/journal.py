"""Which photographs are done: one line each, appended as they are, so that an interrupted run goes on from there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from datasets.photographs.finding import Photograph
from datasets.photographs.outcome import Outcome
from datasets.photographs.settings import MAX_PIXELS
from datasets.photographs.target import TargetError
from renderer.files import lock

JOURNAL = "journal.jsonl"
_FORMAT = "discoface_tf2 photographs, version 1"


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
            self._lock()
            self._outcomes = self._read(json.loads(json.dumps(dict(options))))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def done(self, photographs: Iterable[Photograph]) -> dict[str, Outcome]:
        """By name, what is known of those photographs that have not changed, and whose aligned files are there.

        What was not the photograph's fault, or would be otherwise with this run's limit of pixels, is not known.
        """
        found = {}
        for photograph in photographs:
            outcome = self._outcomes.get(photograph.name)
            if outcome is None or outcome.stamp != photograph.stamp():
                continue
            if outcome.stands(self.max_pixels) and self._has_files(outcome):
                found[photograph.name] = outcome
        return found

    def add(self, outcome: Outcome) -> None:
        """Appends one outcome and hands it to the operating system at once. Raises TargetError."""
        self._outcomes[outcome.name] = outcome
        self._append(outcome.to_json())

    def _append(self, line: str) -> None:
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise TargetError(error.errno, f"cannot write {self.path}: {error.strerror}") from None

    def _lock(self) -> None:
        if not lock(self._file):
            raise ValueError(f"--save_path {self.folder}: another run is writing there; wait for it")

    def _read(self, options: Mapping[str, Any]) -> dict[str, Outcome]:
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        if lines[-1]:  # a line that was being written when the run ended
            os.ftruncate(self._file.fileno(), sum(map(len, lines)) + len(lines) - 1 - len(lines[-1]))
        lines.pop()
        if not lines:
            self._append(json.dumps({"format": _FORMAT, "options": options}))
            return {}
        try:
            header = json.loads(lines[0])
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
        outcomes = {}
        for line in lines[1:]:
            try:
                outcome = Outcome.from_json(line.decode())
            except ValueError:  # damaged: this one is prepared again
                continue
            outcomes[outcome.name] = outcome
        return outcomes

    def _has_files(self, outcome: Outcome) -> bool:
        for face in outcome.faces:
            try:
                if (self.folder / face.file).stat().st_size != face.size:
                    return False
            except OSError:
                return False
        return True
