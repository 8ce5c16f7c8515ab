"""Text files that are written whole or not at all (`renderer.files`), what tells contents apart, and lines of a log."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any, TextIO

from renderer.files import atomic_path

_BLOCK = 1 << 20


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, atomically."""
    with atomic_path(path) as other:
        other.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def checksum(path: Path) -> list[int]:
    """[bytes, CRC-32] of a file."""
    crc, size = 0, 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            crc, size = zlib.crc32(block, crc), size + len(block)
    return [size, crc]


def digest(*paths: Path) -> str:
    """16 hexadecimal digits that tell files of other content apart. Raises OSError where one cannot be read."""
    found = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
        found.update(b"\0")
    return found.hexdigest()[:16]


def say(text: str, file: TextIO | None = None) -> None:
    """Prints a line at once. A full disk under the log, or a reader that went away, ends no run."""
    with contextlib.suppress(OSError):
        print(text, file=file or sys.stdout, flush=True)
