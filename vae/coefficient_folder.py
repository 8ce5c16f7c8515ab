"""A folder of `.mat` files, one coefficient vector each, read once into a dataset folder that training starts from."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from renderer.files import atomic_path
from renderer.mat_file import read_mat
from vae.data import BASEL_LAYOUT, GROUPS, check_face_model, face_model_layout, noted_face_model, read_layout

KEY = "coeff"

# Parsing takes 25 µs of a processor, so threads are there for the waiting: disks and network folders answer one by one.
_THREADS = 8
_FILES_AT_ONCE = 256
_LEAST_LIMIT = 10  # so many files may be unusable in any folder, and one in a hundred of a larger one
_NAMED = 5  # of them are printed; all are in dataset.json


def folder_layout(folder: Path, face_model: str | Path | None = None) -> dict[str, int]:
    """The sizes of the coefficient groups in `folder`.

    They are those of `face_model`, 'builtin' or a `.npz`; without one, of the dataset.json in `folder` or beside it, as
    preprocess_data.py leaves it; without either, of the Basel model.

    Raises FileNotFoundError or ValueError with one line.
    """
    described = [place for place in (folder, folder.parent) if _has_layout(place)]
    if face_model is not None:
        if described:
            check_face_model(described[0], face_model)
        return face_model_layout(face_model)[0]
    return read_layout(described[0]) if described else dict(BASEL_LAYOUT)


def folder_face_model(folder: Path, face_model: str | Path | None = None) -> dict[str, str]:
    """The face model of the coefficients in `folder`, as `vae.data.noted_face_model` gives it; arguments and errors as
    `folder_layout`'s.
    """
    if face_model is not None:
        return {"face_model": Path(face_model).stem, "face_model_checksum": face_model_layout(face_model)[1][:16]}
    described = [place for place in (folder, folder.parent) if _has_layout(place)]
    return noted_face_model(described[0]) if described else {}


def gather(folder: Path, out: Path, layout: Mapping[str, int], face_model: Mapping[str, str] | None = None) -> Path:
    """Reads every `.mat` file below `folder` into `out`, which becomes a dataset folder for `vae.data.load_factor`.

    Vectors are in the order of their files' paths. Files that cannot be used are left out, up to one in a hundred: some
    are named on stderr, all in dataset.json. Where `out` has the same files already (path, length, time), nothing is
    read. `face_model` is what `folder_face_model` gives, and is noted.

    Returns `out`. Raises FileNotFoundError or ValueError with one line: no such folder, no `.mat` files, too many that
    cannot be used.
    """
    files, fingerprint = _list_files(folder)
    noted = dict(face_model or {})
    if _is_current(out, fingerprint, layout, noted):
        print(f"{folder}: read before, {out / 'coefficients.npz'}")
        return out
    started, limit = time.monotonic(), max(_LEAST_LIMIT, len(files) // 100)
    rows: list[np.ndarray] = []
    left_out: dict[str, str] = {}
    for number, (path, result) in enumerate(zip(files, _read_all(files, dict(layout)), strict=True), 1):
        if isinstance(result, np.ndarray):
            rows.append(result)
            continue
        left_out[path] = result
        if len(left_out) > limit or (len(left_out) == number == len(files)):
            raise ValueError(
                f"{len(left_out)} of the first {number} files cannot be used; {next(iter(left_out.values()))}"
            )
    for reason in list(left_out.values())[:_NAMED]:
        print(f"left out: {reason}", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "coefficients.npz") as other, open(other, "wb") as file:
        np.savez(file, coeff=np.stack(rows))
    manifest = {"layout": dict(layout), "count": len(rows), "source": str(folder), "files": fingerprint,
                "left_out": left_out, "face_model": noted.get("face_model"), "options": noted}  # fmt: skip
    with atomic_path(out / "dataset.json") as other:
        other.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    print(f"{folder}: {len(rows)} vectors of {sum(layout.values())} numbers, {len(left_out)} files left out, "
          f"{time.monotonic() - started:.0f} s; kept in {out}")  # fmt: skip
    return out


def _has_layout(folder: Path) -> bool:
    try:
        return isinstance(json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["layout"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _list_files(folder: Path) -> tuple[list[str], str]:
    """Paths of the `.mat` files in order, and a checksum of their paths, lengths and times."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of .mat files; there is no such folder")
    facts = []
    for place, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith(".mat"):
                path = os.path.join(place, name)
                status = os.stat(path)
                facts.append((path, status.st_size, status.st_mtime_ns))
    if not facts:
        raise FileNotFoundError(
            f"{folder}: expected .mat files with {KEY!r}, as preprocess_data.py writes them; there are none"
        )
    facts.sort()
    digest = hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass"))
    return [path for path, _, _ in facts], digest.hexdigest()


def _is_current(out: Path, fingerprint: str, layout: Mapping[str, int], noted: dict[str, str]) -> bool:
    try:
        manifest = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
        same: bool = manifest["files"] == fingerprint and manifest["layout"] == dict(layout)
        same = same and manifest.get("options", {}) == noted
    except (OSError, ValueError, KeyError, TypeError):
        return False  # there is none, or one to write again
    return same and (out / "coefficients.npz").is_file()


def _read_all(files: Sequence[str], layout: dict[str, int]) -> Iterator[np.ndarray | str]:
    """For each file, in order: its vector [size] float32, or a line that says why it has none."""
    chunks = [files[start : start + _FILES_AT_ONCE] for start in range(0, len(files), _FILES_AT_ONCE)]
    bar = tqdm(total=len(files), desc="coefficients", unit="file", mininterval=0.2 if sys.stderr.isatty() else 5.0)
    with bar, ThreadPoolExecutor(_THREADS) as pool:
        waiting = [pool.submit(lambda chunk: [_read(path, layout) for path in chunk], chunk) for chunk in chunks]
        try:
            for future in waiting:
                results = future.result()
                yield from results
                bar.update(len(results))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _read(path: str, layout: dict[str, int]) -> np.ndarray | str:
    size = sum(layout.values())
    try:
        values = read_mat(path, [KEY])[KEY]
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
    if values.size != size or max(values.shape) != size:
        parts = ", ".join(f"{group} {layout[group]}" for group in GROUPS)
        sizes = " x ".join(map(str, values.shape))
        return (
            f"{path}: {KEY}: expected {size} numbers ({parts}). Received: {sizes}; "
            "for another face model give --face_model FILE.npz"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        vector = values.ravel().astype(np.float32)
    return vector if np.isfinite(vector).all() else f"{path}: {KEY}: expected finite numbers. Received: NaN or infinity"
