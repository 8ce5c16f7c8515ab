"""Raw coefficients from files that others wrote: JSON, JSON lines, `.mat` and `.npz`. Nothing in them is executed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from renderer.layout import GROUPS, CoefficientLayout
from renderer.mat_file import read_mat

KEY = "coeff"
SUFFIXES = (".json", ".jsonl", ".mat", ".npz")
# What else generate_images.py writes beside the coefficients of an image.
_IGNORED = ("file", "label", "subject", "variation", "noise")
_NAMED = (*GROUPS, "identity", "angles_radians", "angles_degrees")


def load_coefficients(path: str | Path, layout: CoefficientLayout) -> np.ndarray:
    """[N, layout.size] float32 coefficients of a file, one row a face; the order is the layout's.

    - `.npz` and `.mat`: the array `coeff`, [size] or [N, size]; a λ, without the translation, is taken too.
    - `.json`: an object with `coeff`, as above; or with the groups by name (shape, texture, identity for both,
      expression, lighting, translation, and angles in radians, or angles_degrees), those left out being zero; or a
      list of such objects.
    - `.jsonl`: one such object a line, as generate_images.py writes them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: one line that names the file, the field and what is wrong with it: a suffix that is none of these,
            a damaged file, no `coeff`, no numbers, NaN, a wrong size, an object array or a pickle.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: coefficients should be in a file {', '.join(SUFFIXES)}. Received: {path.suffix!r}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of coefficients")
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl"):
        rows = [row for where, record in _records(path, suffix) for row in _from_record(record, layout, where)]
    else:
        rows = list(
            _rows(_from_npz(path) if suffix == ".npz" else read_mat(path, [KEY])[KEY], layout, f"{path}: {KEY}")
        )
    if not rows:
        raise ValueError(f"{path}: {KEY}: expected one row of coefficients or more. Received: none")
    return np.stack(rows)


def _from_npz(path: Path) -> Any:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError(f"{path}: expected a .npz with the array {KEY!r}. Received: a single .npy array")
            if KEY not in stored.files:
                raise ValueError(f"{path}: expected the array {KEY!r}. Received: {_some(stored.files)}")
            try:
                return stored[KEY]
            except ValueError as error:
                if "pickle" in str(error).lower():
                    raise ValueError(_objects(f"{path}: {KEY}")) from None
                raise
    except Exception as error:  # damaged bytes make parsers raise anything
        raise _clear(error, path, "a .npz file") from None


def _records(path: Path, suffix: str) -> Iterator[tuple[str, Any]]:
    """(where it is, for messages; the object) of each record of a JSON file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _clear(error, path, "text in UTF-8") from None
    if suffix == ".json":
        document = _json(text, str(path))
        if isinstance(document, list) and document and isinstance(document[0], Mapping):
            yield from ((f"{path}, record {number}", record) for number, record in enumerate(document))
        else:
            yield str(path), document
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{path}, line {number}", _json(line, f"{path}, line {number}")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not JSON ({' '.join(str(error).split())})") from None


def _from_record(record: Any, layout: CoefficientLayout, where: str) -> Iterator[np.ndarray]:
    """The rows of one JSON object."""
    if not isinstance(record, Mapping):
        raise ValueError(f"{where}: expected an object with {KEY!r}. Received: {type(record).__name__}")
    unknown = set(record) - {KEY, *_NAMED, *_IGNORED}
    if unknown:
        raise ValueError(f"{where}: expected {KEY!r}, or some of {', '.join(_NAMED)}. Received: {_some(unknown)}")
    if KEY in record:
        named = [key for key in _NAMED if key in record]
        if named:
            raise ValueError(f"{where}: expected {KEY!r} alone. Received: {_some(named)} as well")
        yield from _rows(record[KEY], layout, f"{where}: {KEY}")
        return
    if not set(record) & set(_NAMED):
        raise ValueError(f"{where}: expected {KEY!r}, or some of {', '.join(_NAMED)}. Received: {_some(record)}")
    row = np.zeros(layout.size, np.float32)
    if "identity" in record and ("shape" in record or "texture" in record):
        raise ValueError(f"{where}: identity is shape and texture: expected it alone, or these two")
    # Radians are exact where a file has both, as those of generate_images.py have.
    spellings = [key for key in ("angles", "angles_radians", "angles_degrees") if key in record][:1]
    for key in [key for key in _NAMED if key in record and not key.startswith("angles")] + spellings:
        place = layout.slice("angles" if key.startswith("angles") else key)
        values = _numbers(record[key], f"{where}: {key}")
        if values.shape != (place.stop - place.start,):
            raise ValueError(
                f"{where}: {key}: expected {place.stop - place.start} numbers. Received: {_shape(values.shape)}"
            )
        row[place] = np.radians(values) if key == "angles_degrees" else values
    yield row


def _rows(value: Any, layout: CoefficientLayout, where: str) -> Iterator[np.ndarray]:
    """Whole vectors [size] float32 of `value`, numbers [size] or [N, size] or without the translation."""
    values = _numbers(value, where)
    if values.ndim not in (1, 2) or values.shape[-1] not in (layout.size, layout.lambda_size):
        raise ValueError(
            f"{where}: expected {layout.size} numbers a row, or {layout.lambda_size} without the translation. "
            f"Received: {_shape(values.shape)}"
        )
    for values_row in np.atleast_2d(values):
        row = np.zeros(layout.size, np.float32)
        row[: values.shape[-1]] = values_row
        yield row


def _numbers(value: Any, where: str) -> np.ndarray:
    """`value` as finite float32. Raises ValueError with one line."""
    try:
        values = np.asarray(value)
    except ValueError:  # numpy's word for rows of different lengths
        raise ValueError(f"{where}: expected rows of one length. Received: rows of several") from None
    if values.dtype.kind == "O":
        raise ValueError(_objects(where))
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{where}: expected real numbers. Received: {values.dtype.name}")
    with np.errstate(over="ignore", invalid="ignore"):
        result = values.astype(np.float32)
    if not np.isfinite(result).all():
        row = int(np.argwhere(~np.isfinite(result))[0][0]) if result.ndim > 1 else 0
        place = f" (first in row {row})" if result.ndim > 1 else ""
        raise ValueError(f"{where}: expected finite numbers. Received: NaN, infinity or beyond float32{place}")
    return result


def _objects(where: str) -> str:
    return f"{where}: expected numbers. Received: Python objects, cells or other things than numbers; they are not read"


def _clear(error: BaseException, path: Path, expected: str) -> ValueError:
    """Our own errors as they are; others as one line with the file's name."""
    text = " ".join(str(error).split())
    if isinstance(error, ValueError) and text.startswith(str(path)):
        return error
    if "pickle" in text.lower():
        return ValueError(f"{path}: expected {expected}. Received: a pickle, which is never read")
    return ValueError(f"{path}: not {expected}, or damaged ({text or type(error).__name__})")


def _shape(shape: tuple[int, ...]) -> str:
    return "a single number" if not shape else " x ".join(map(str, shape)) + " numbers"


def _some(names: Any) -> str:
    """A few of the names that a file has, sorted."""
    ordered = sorted(map(repr, names))
    return ", ".join(ordered[:8]) + (", …" if len(ordered) > 8 else "") if ordered else "nothing"
