"""FLAME's published files: the model (`.pkl` of Python 2 with chumpy, or `.npz`), its texture space, its landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from renderer.importers.flame_pickle import array, content, sizes_text

VERTICES, FACES, SHAPES, EXPRESSIONS = 5023, 9976, 300, 100
JOINTS = ("root", "neck", "jaw", "left eye", "right eye")
PARENTS = (-1, 0, 1, 1, 1)
_STATIC, _CONTOUR = 51, 17


@dataclass(frozen=True, eq=False)
class FlameModel:
    """The arrays of a FLAME model; metres, y up, z out of the face, x to the person's left."""

    template: np.ndarray  # [5023, 3]
    shapes: np.ndarray  # [5023, 3, 300], for coefficients of unit variance
    expressions: np.ndarray  # [5023, 3, 100], the same
    correctives: np.ndarray  # [5023, 3, 36], by the entries of R - I of the four joints after the root
    regressor: np.ndarray  # [5, 5023]
    weights: np.ndarray  # [5023, 5]
    triangles: np.ndarray  # [9976, 3] int64


@dataclass(frozen=True, eq=False)
class FlameTexture:
    """FLAME's texture space: mean + basis · coefficients of unit variance. A texels along each side, v up."""

    mean: np.ndarray  # [A, A, 3] RGB 0-255, row 0 at v = 1
    basis: np.ndarray  # [A, A, 3, T]
    uv: np.ndarray  # [U, 2] in [0, 1]
    uv_triangles: np.ndarray  # [9976, 3] int64, into uv


@dataclass(frozen=True, eq=False)
class FlameLandmarks:
    """The 68 iBUG landmarks as points of triangles; those of the contour as they are on a face seen from the front."""

    triangles: np.ndarray  # [68] int64
    barycentrics: np.ndarray  # [68, 3]


def read_model(path: Path) -> FlameModel:
    """The model at `path`: generic_model.pkl, female_model.pkl, … of FLAME 2020, flame2023.pkl, or the same as `.npz`.

    Raises FileNotFoundError or ValueError with one line that names the file, the array and what is wrong with it.
    """
    count = SHAPES + EXPRESSIONS
    sizes = {
        "v_template": (VERTICES, 3), "shapedirs": (VERTICES, 3, count), "posedirs": (VERTICES, 3, 9 * len(PARENTS) - 9),
        "J_regressor": (len(PARENTS), VERTICES), "weights": (VERTICES, len(PARENTS)),
        "kintree_table": (2, len(PARENTS)), "f": (FACES, 3),
    }  # fmt: skip
    arrays = _arrays(path, sizes, "FLAME's model")
    parents = arrays["kintree_table"][0].astype(np.int64)
    if tuple(parents[1:]) != PARENTS[1:]:
        raise ValueError(
            f"{path}: kintree_table should say that {', '.join(JOINTS)} follow {PARENTS[1:]} after the root. "
            f"Received: {parents.tolist()}"
        )
    weights = arrays["weights"].astype(np.float64)
    if weights.min() < -1e-3 or np.abs(weights.sum(1) - 1).max() > 1e-3:
        raise ValueError(f"{path}: weights should be at least 0 and sum to 1 for each vertex")
    return FlameModel(
        template=arrays["v_template"],
        shapes=arrays["shapedirs"][..., :SHAPES],
        expressions=arrays["shapedirs"][..., SHAPES:],
        correctives=arrays["posedirs"],
        regressor=arrays["J_regressor"],
        weights=weights / weights.sum(1, keepdims=True),
        triangles=_numbers_of(arrays["f"], VERTICES, path, "f"),
    )


def read_texture(path: Path, components: int, size: int) -> FlameTexture:
    """The texture space of FLAME_texture.npz: its first `components`, at most `size` texels along each side.

    The file has its colours in the order blue, green, red. Texels are averaged in blocks. Raises as `read_model`.
    """
    any_size = (-1, -1, 3)
    sizes = {"mean": any_size, "tex_dir": (*any_size, -1), "vt": (-1, 2), "ft": (FACES, 3)}
    arrays = _arrays(path, sizes, "FLAME's texture space")
    mean, basis = arrays["mean"], arrays["tex_dir"][..., :components]
    side = len(mean)
    if mean.shape != (side, side, 3) or basis.shape[:3] != mean.shape or side & (side - 1) or not basis.shape[-1]:
        raise ValueError(
            f"{path}: mean and tex_dir should be A x A x 3 and A x A x 3 x T, A a power of 2. Received: "
            f"{sizes_text(mean.shape)} and {sizes_text(arrays['tex_dir'].shape)}"
        )
    block = max(1, side // size)

    def reduced(values: np.ndarray) -> np.ndarray:
        blocks = values.reshape(side // block, block, side // block, block, *values.shape[2:])
        return blocks.mean((1, 3), dtype=np.float32)[:, :, ::-1]  # blue, green, red to red, green, blue

    uv = arrays["vt"].astype(np.float64)
    if uv.min() < -1e-3 or uv.max() > 1 + 1e-3:
        raise ValueError(f"{path}: vt should lie in 0…1. Received: {uv.min():g}…{uv.max():g}")
    return FlameTexture(
        reduced(mean), reduced(basis), np.clip(uv, 0, 1), _numbers_of(arrays["ft"], len(uv), path, "ft")
    )


def read_landmarks(path: Path) -> FlameLandmarks:
    """The landmarks of landmark_embedding.npy (DECA's), or of a `.npz` or `.pkl` with the same names.

    All 68 are `full_lmk_faces_idx` and `full_lmk_bary_coords`, or `lmk_face_idx` and `lmk_b_coords`. Without them the
    51 of `static_lmk_faces_idx` and `static_lmk_bary_coords` follow the contour of a face seen from the front, the
    first row of `dynamic_lmk_faces_idx` and `dynamic_lmk_bary_coords`. Raises as `read_model`.
    """
    stored = content(path, "FLAME's landmarks")
    for faces, places in (("full_lmk_faces_idx", "full_lmk_bary_coords"), ("lmk_face_idx", "lmk_b_coords")):
        if faces in stored and places in stored:
            found = _points(stored, faces, places, path)
            if len(found[0]) == _CONTOUR + _STATIC:
                return FlameLandmarks(*found)
    keys = ("static_lmk_faces_idx", "static_lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords")
    missing = [key for key in keys if key not in stored]
    if missing:
        raise ValueError(
            f"{path}: expected 68 landmarks (full_lmk_faces_idx and full_lmk_bary_coords), or 51 and the contour. "
            f"Missing: {', '.join(missing)}"
        )
    static, contour = _points(stored, keys[0], keys[1], path), _points(stored, keys[2], keys[3], path, first=True)
    if (len(contour[0]), len(static[0])) != (_CONTOUR, _STATIC):
        raise ValueError(
            f"{path}: expected {_CONTOUR} landmarks of the contour and {_STATIC} others. Received: {len(contour[0])} "
            f"and {len(static[0])}"
        )
    return FlameLandmarks(np.concatenate([contour[0], static[0]]), np.concatenate([contour[1], static[1]]))


def _points(
    stored: Mapping[str, Any], faces: str, places: str, path: Path, first: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [N] and barycentrics [N, 3] by their names in the file; of the first row of several if `first`."""
    numbers, weights = (array(stored[key], f"{path}: {key}") for key in (faces, places))
    if first and numbers.ndim == 2 and weights.ndim == 3:
        numbers, weights = numbers[0], weights[0]
    numbers = numbers.reshape(-1)
    if weights.size != 3 * numbers.size:
        raise ValueError(f"{path}: {places} should have 3 numbers per landmark. Received: {sizes_text(weights.shape)}")
    weights = weights.reshape(-1, 3).astype(np.float64)
    if not np.isfinite(weights).all() or np.abs(weights.sum(1) - 1).max(initial=0) > 1e-2:
        raise ValueError(f"{path}: {places} should sum to 1 for each landmark")
    return _numbers_of(numbers, FACES, path, faces), weights / weights.sum(1, keepdims=True)


def _arrays(path: Path, sizes: Mapping[str, tuple[int, ...]], what: str) -> dict[str, np.ndarray]:
    """The named arrays of finite numbers, of their sizes (-1 is any), from a `.npz` or `.pkl`."""
    stored = content(path, what, tuple(sizes))
    missing = [key for key in sizes if key not in stored]
    if missing:
        raise ValueError(f"{path}: expected {what}: {', '.join(sizes)}. Missing: {', '.join(missing)}")
    arrays = {}
    for key, size in sizes.items():
        values = arrays[key] = array(stored[key], f"{path}: {key}", size)
        if values.ndim != len(size) or any(a not in (-1, b) for a, b in zip(size, values.shape, strict=True)):
            raise ValueError(
                f"{path}: {key} should have {sizes_text(size)} numbers. Received: {sizes_text(values.shape)}"
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{path}: {key} should be finite. It holds NaN or infinity")
    return arrays


def _numbers_of(values: np.ndarray, limit: int, path: Path, name: str) -> np.ndarray:
    """`values` as int64, which have to be whole numbers in 0…limit - 1."""
    if values.size and (not np.array_equal(values, np.floor(values)) or values.min() < 0 or values.max() >= limit):
        raise ValueError(
            f"{path}: {name} should hold whole numbers in 0…{limit - 1}. Received: {values.min():g}…{values.max():g}"
        )
    return values.astype(np.int64)
