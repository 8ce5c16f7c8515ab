"""Coefficients of a dataset folder, one factor at a time."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from renderer.files import face_model_path

GROUPS = ("shape", "texture", "expression", "angles", "lighting", "translation")
"""Groups of a coefficient vector, in order; `renderer.layout` owns them, and this package imports nothing of ours."""

BASEL_LAYOUT = {"shape": 80, "texture": 80, "expression": 64, "angles": 3, "lighting": 27, "translation": 3}
"""Of the Basel face model, which the original and its published VAEs use: 257 numbers."""

_SHORT = 16  # digits of a checksum that are noted

_FACTOR_GROUPS = {
    "identity": ("shape", "texture"),
    "expression": ("expression",),
    "lighting": ("lighting",),
    "pose": ("angles",),
}


@dataclass(frozen=True)
class FactorData:
    """One factor's coefficients, split into training and held-out vectors.

    train, held_out: [N, size] float32, in the coefficients' own units. layout: sizes by group name, in order.
    """

    train: np.ndarray
    held_out: np.ndarray
    layout: dict[str, int]


def read_layout(folder: str | Path) -> dict[str, int]:
    """The sizes of the coefficient groups that `dataset.json` names.

    Raises FileNotFoundError or ValueError with one line that says which file and what is wrong with it.
    """
    return _read_dataset(folder)[1]


def _read_dataset(folder: str | Path) -> tuple[dict[str, Any], dict[str, int]]:
    """`dataset.json`, and the layout in it; see `read_layout`."""
    path = Path(folder) / "dataset.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a dataset folder with dataset.json")
    try:
        dataset = json.loads(path.read_text(encoding="utf-8"))
        layout = dataset["layout"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a dataset manifest ({type(error).__name__}: {error})") from None
    if not isinstance(layout, dict) or set(layout) != set(GROUPS):
        raise ValueError(
            f"{path}: 'layout' should give the sizes of {', '.join(GROUPS)}; the VAEs learn from coefficients, which "
            f"this dataset does not have. Received: {layout!r}"
        )
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in layout.values()):
        raise ValueError(f"{path}: the sizes in 'layout' should be positive whole numbers. Received: {layout!r}")
    return dataset, {group: layout[group] for group in GROUPS}


def check_face_model(folder: str | Path, face_model: str | Path) -> None:
    """Checks that a dataset's coefficients are of `face_model`, 'builtin' or a face model's `.npz`.

    Raises FileNotFoundError or ValueError with one line that says what does not fit.
    """
    dataset, layout = _read_dataset(folder)
    sizes, checksum = face_model_layout(face_model)
    if sizes != layout:
        raise ValueError(f"{folder}: its coefficients are {layout}; those of {face_model} are {sizes}")
    made_with = noted_face_model(folder).get("face_model_checksum", checksum[:_SHORT])
    if made_with != checksum[:_SHORT]:
        raise ValueError(
            f"{folder}: made with another face model, {dataset.get('face_model')}, checksum {made_with}; that of "
            f"{face_model} is {checksum[:_SHORT]}. Make it again"
        )


def noted_face_model(folder: str | Path) -> dict[str, str]:
    """`face_model` and `face_model_checksum` of the face model that a dataset's coefficients are of; empty if unknown.

    Raises FileNotFoundError or ValueError with one line.
    """
    dataset = _read_dataset(folder)[0]
    options = dataset.get("options")
    options = options if isinstance(options, dict) else {}
    # preprocess_data.py notes the first digits of the checksum as `face_model`
    checksum = options.get("face_model_checksum", options.get("face_model"))
    if not isinstance(checksum, str):
        return {}
    return {"face_model": str(dataset.get("face_model")), "face_model_checksum": checksum[:_SHORT]}


def face_model_layout(face_model: str | Path) -> tuple[dict[str, int], str]:
    """The sizes of the coefficient groups of a face model, 'builtin' or a `.npz`, in order, and its checksum.

    Raises FileNotFoundError or ValueError with one line.
    """
    path = face_model_path(face_model)
    try:
        with np.load(path, allow_pickle=False) as stored:
            manifest = json.loads(str(stored["manifest"]))
        return {group: int(manifest["layout"][group]) for group in GROUPS}, str(manifest["checksum"])
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a face model's file ({error})") from None


def factor_slice(layout: dict[str, int], factor: str) -> slice:
    """Where a factor's coefficients lie in a whole vector."""
    groups = _FACTOR_GROUPS[factor]
    start = sum(layout[group] for group in GROUPS[: GROUPS.index(groups[0])])
    return slice(start, start + sum(layout[group] for group in groups))


def load_factor(folder: str | Path, factor: str, *, held_out: float = 0.05, seed: int = 0) -> FactorData:
    """Reads `coefficients.npz` and holds a share of the vectors out, whole subjects at a time where they are known.

    Raises FileNotFoundError or ValueError with one line that says which file and what is wrong with it.
    """
    layout = read_layout(folder)
    path = Path(folder) / "coefficients.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; the VAEs learn from a dataset with known coefficients")
    try:
        with np.load(path, allow_pickle=False) as stored:
            vectors = stored["coeff"]
            subject = stored.get("subject")
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected an array 'coeff' [N, size] ({error})") from None
    size = sum(layout.values())
    if vectors.ndim != 2 or vectors.shape[1] != size or len(vectors) < 4:
        raise ValueError(f"{path}: 'coeff' should be [N ≥ 4, {size}], as dataset.json says. Received: {vectors.shape}")
    if vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
        raise ValueError(f"{path}: 'coeff' should hold finite floating-point numbers")
    if subject is None or subject.shape != (len(vectors),) or (subject < 0).any():
        subject = np.arange(len(vectors))
    left_out = _left_out(subject, held_out, np.random.default_rng(seed))
    values = vectors[:, factor_slice(layout, factor)].astype(np.float32)
    return FactorData(values[~left_out], values[left_out], layout)


def _left_out(subject: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """[N] bool: about `share` of the subjects, at least one; of a single subject, at least one of its vectors."""
    if len(np.unique(subject)) == 1:
        subject = np.arange(len(subject))
    subjects = rng.permutation(np.unique(subject))
    return np.isin(subject, subjects[: max(1, round(share * len(subjects)))])
