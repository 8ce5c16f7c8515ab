"""Files that are written aside and renamed, so that a reader, or a run after a crash, never sees half of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8, aside, and renames it."""
    aside = path.with_name(f"{path.name}.tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as indented JSON, aside, and renames it."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
