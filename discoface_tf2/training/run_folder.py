"""A run is a folder: options, checkpoints, TensorBoard events, grids and snapshots. The same command again resumes."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from discoface_tf2.files import log, write_json
from discoface_tf2.training.guard import LOCK, only_process

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

    An option that the run's file does not have yet has its value in `defaults`. Where `options` and the file both have
    the checksum of an asset (`checksums`), that decides, whatever the asset's name (`assets`); a file of an earlier
    version has none, and a line says so.

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
    checksums, free = _compare_assets(directory, theirs, ours)
    different = [
        f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} asked for"
        for key in sorted(set(theirs) | set(ours))
        if theirs.get(key) != ours.get(key) and key not in free and key.rsplit(".", 1)[-1] not in _FREE
    ] + checksums
    if different:
        raise ValueError(
            f"{directory} holds a run with other options ({'; '.join(different)}). "
            "Give another --out, or the run's own options"
        )
    if writes and theirs != ours:
        write_json(path, plain)
    return True


@contextlib.contextmanager
def own_folder(directory: Path, begun: Callable[[], bool]) -> Iterator[None]:
    """Has the run folder to itself, and removes what it made there when an error ends the run before it has `begun`.

    So a corrected command finds no options of a run that never was. Raises OSError when another process trains there.
    """
    new = not directory.is_dir()
    directory.mkdir(parents=True, exist_ok=True)
    with only_process(directory):
        there = set() if new else {*directory.iterdir(), directory / LOCK}
        try:
            yield
        except BaseException:
            if not begun():
                _remove(set(directory.iterdir()) - there)
                with contextlib.suppress(OSError):  # only a new one is empty now
                    directory.rmdir()
            raise


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def _compare_assets(directory: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> tuple[list[str], set[str]]:
    """What is different in the content of two runs' assets, and the keys that need not be compared otherwise."""
    different, free, unknown = [], set(), []
    for key, own in ours.items():
        if not key.startswith("checksums."):
            continue
        name, noted = key.removeprefix("checksums."), theirs.get(key)
        free.add(key)
        if own is not None and noted is not None:
            free.add(f"assets.{name}")
            if own != noted:
                there, here = theirs.get(f"assets.{name}"), ours.get(f"assets.{name}")
                different.append(f"{name}: {there!r}, checksum {noted} there, {here!r}, checksum {own} asked for")
        elif own is not None:
            unknown.append(name)
    if unknown:
        log(
            f"{directory}: does not say what was in its {', '.join(unknown)}; taken to be what is there now", sys.stderr
        )
    return different, free


def flatten(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options within options by dotted names: `weights.identity`."""
    flat: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
