"""A run is a folder: options, checkpoints, TensorBoard events, grids and snapshots. The same command again resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from discoface_tf2.files import write_json

OPTIONS = "options.json"
# Options that say how long, how often to look, or how it is computed: a run may go on with others.
_FREE = ("kimg", "tick_kimg", "image_kimg", "snapshot_kimg", "jit_compile")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object. Raises ValueError naming the file when it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object. Received: {type(content).__name__}")
    return content


def open_run(
    directory: Path, options: Mapping[str, Any], writes: bool = True, defaults: Mapping[str, Any] | None = None
) -> bool:
    """Makes the run folder, or checks that it was made with these options; returns whether it was there already.

    An option that the run's file does not have yet has its value in `defaults`.

    Without `writes` (a worker that is not the chief) it only checks. Raises ValueError with the differences when the
    folder belongs to a run with other options.
    """
    path = directory / OPTIONS
    plain = json.loads(json.dumps(options))  # tuples become lists, as they will when read back
    if not path.is_file():
        if not writes:
            return False
        directory.mkdir(parents=True, exist_ok=True)
        write_json(path, plain)
        return False
    theirs, ours = flatten(defaults or {}) | flatten(read_json(path)), flatten(plain)
    different = [
        f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} asked for"
        for key in sorted(set(theirs) | set(ours))
        if theirs.get(key) != ours.get(key) and key.rsplit(".", 1)[-1] not in _FREE
    ]
    if different:
        raise ValueError(
            f"{directory} holds a run with other options ({'; '.join(different)}). "
            "Give another --out, or the run's own options"
        )
    if writes and theirs != ours:
        write_json(path, plain)
    return True


def flatten(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options within options by dotted names: `weights.identity`."""
    flat: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
