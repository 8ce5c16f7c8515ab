"""FLAME's published files: the model (`.pkl` of Python 2 with chumpy, or `.npz`), its texture space, its landmarks.

Pickles are read by `renderer.unpickling`, which runs nothing. Arrays that chumpy wraps and scipy's sparse matrices are
taken out of the records that they leave there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from renderer.unpickled import Array, Name, Record, RefusedError, kind_of, short
from renderer.unpickling import Machine

VERTICES, FACES, SHAPES, EXPRESSIONS = 5023, 9976, 300, 100
JOINTS = ("root", "neck", "jaw", "left eye", "right eye")
PARENTS = (-1, 0, 1, 1, 1)
_STATIC, _CONTOUR = 51, 17

_CH = Name("chumpy.ch", "Ch")
_SELECT = Name("chumpy.reordering", "Select")
_SPARSE = {Name(f"scipy.sparse.{room}{kind}", f"{kind}_matrix") for kind in ("csc", "csr") for room in ("", "_")}
_SET = {Name("__builtin__", "set"), Name("builtins", "set")}
# The contour of DECA's landmark file lies in PyTorch's tensors; they stay records that nobody looks into.
_TORCH = {
    Name("torch._utils", "_rebuild_tensor_v2"),
    Name("torch.storage", "_load_from_bytes"),
    Name("collections", "OrderedDict"),
}


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
            f"{_sizes(mean.shape)} and {_sizes(arrays['tex_dir'].shape)}"
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
    content = _content(path, "FLAME's landmarks")
    for faces, places in (("full_lmk_faces_idx", "full_lmk_bary_coords"), ("lmk_face_idx", "lmk_b_coords")):
        if faces in content and places in content:
            found = _points(content, faces, places, path)
            if len(found[0]) == _CONTOUR + _STATIC:
                return FlameLandmarks(*found)
    keys = ("static_lmk_faces_idx", "static_lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords")
    missing = [key for key in keys if key not in content]
    if missing:
        raise ValueError(
            f"{path}: expected 68 landmarks (full_lmk_faces_idx and full_lmk_bary_coords), or 51 and the contour. "
            f"Missing: {', '.join(missing)}"
        )
    static, contour = _points(content, keys[0], keys[1], path), _points(content, keys[2], keys[3], path, first=True)
    if (len(contour[0]), len(static[0])) != (_CONTOUR, _STATIC):
        raise ValueError(
            f"{path}: expected {_CONTOUR} landmarks of the contour and {_STATIC} others. Received: {len(contour[0])} "
            f"and {len(static[0])}"
        )
    return FlameLandmarks(np.concatenate([contour[0], static[0]]), np.concatenate([contour[1], static[1]]))


def _points(
    content: Mapping[str, Any], faces: str, places: str, path: Path, first: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [N] and barycentrics [N, 3] by their names in the file; of the first row of several if `first`."""
    numbers, weights = (_array(content[key], f"{path}: {key}") for key in (faces, places))
    if first and numbers.ndim == 2 and weights.ndim == 3:
        numbers, weights = numbers[0], weights[0]
    numbers = numbers.reshape(-1)
    if weights.size != 3 * numbers.size:
        raise ValueError(f"{path}: {places} should have 3 numbers per landmark. Received: {_sizes(weights.shape)}")
    weights = weights.reshape(-1, 3).astype(np.float64)
    if not np.isfinite(weights).all() or np.abs(weights.sum(1) - 1).max(initial=0) > 1e-2:
        raise ValueError(f"{path}: {places} should sum to 1 for each landmark")
    return _numbers_of(numbers, FACES, path, faces), weights / weights.sum(1, keepdims=True)


def _arrays(path: Path, sizes: Mapping[str, tuple[int, ...]], what: str) -> dict[str, np.ndarray]:
    """The named arrays of finite numbers, of their sizes (-1 is any), from a `.npz` or `.pkl`."""
    content = _content(path, what, tuple(sizes))
    missing = [key for key in sizes if key not in content]
    if missing:
        raise ValueError(f"{path}: expected {what}: {', '.join(sizes)}. Missing: {', '.join(missing)}")
    arrays = {}
    for key, size in sizes.items():
        values = arrays[key] = _array(content[key], f"{path}: {key}", size)
        if values.ndim != len(size) or any(a not in (-1, b) for a, b in zip(size, values.shape, strict=True)):
            raise ValueError(f"{path}: {key} should have {_sizes(size)} numbers. Received: {_sizes(values.shape)}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{path}: {key} should be finite. It holds NaN or infinity")
    return arrays


def _content(path: Path, what: str, keys: Sequence[str] | None = None) -> Mapping[str, Any]:
    """What a file has by name; of a `.npz` the `keys` alone."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected {what}. There is no such file")
    needs = f"{what} may hold numpy's arrays, {_CH}, sparse matrices of scipy"
    machine = Machine(
        path.stat().st_size, {_CH, _SELECT, *_SPARSE}, _SET | _TORCH, needs, objects=path.suffix == ".npy"
    )
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            file.seek(0)
            if start.startswith(b"PK"):
                with np.load(file, allow_pickle=False) as stored:
                    return {key: stored[key] for key in stored.files if keys is None or key in keys}
            if start == b"\x93NUMPY":
                _skip_header(file)
            content = machine.run(file)
    except RefusedError as error:
        raise ValueError(f"{path}: {error}") from None
    except Exception as error:  # damaged bytes make pickletools, zipfile and numpy raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        reason = "Python objects in a .npz, which are never read" if "allow_pickle" in reason else reason
        raise ValueError(f"{path}: damaged, or not {what} ({reason})") from None
    if type(content) is Array and content.value is not None and content.value.size == 1:  # a .npy of one dictionary
        content = content.value.reshape(-1)[0]
    if type(content) is not dict:
        raise ValueError(f"{path}: expected {what}, arrays by name. Received: {kind_of(content)}")
    return content


def _skip_header(file: BinaryIO) -> None:
    """Past the header of a `.npy` file, which has to be one of Python objects."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers or not readers[version](file)[2].hasobject:
        raise RefusedError("expected arrays by name. Received: a single array")


def _array(value: Any, where: str, size: tuple[int, ...] | None = None) -> np.ndarray:
    """The array of numbers in what a file holds under a name. Raises ValueError with one line that begins `where`."""
    state = value.state if type(value) is Record and type(value.state) is dict else {}
    if type(value) is Record and value.kind in _SPARSE:
        return _dense(value, where, size)
    if type(value) is Record and value.kind == _SELECT:
        source, places = _array(state.get("a"), f"{where}: a"), _array(state.get("idxs"), f"{where}: idxs")
        shape = state.get("preferred_shape")
        if type(shape) is tuple and all(type(n) is int and n > 0 for n in shape) and places.dtype.kind in "iu":
            try:
                return source.ravel()[places].reshape(shape)
            except (IndexError, ValueError):
                pass
        raise ValueError(f"{where}: expected numbers. Received: a selection that does not fit its array")
    if type(value) is Record and value.kind == _CH:
        value = state.get("x")
    if type(value) is Array:
        value = value.value
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        received = value.dtype.name if isinstance(value, np.ndarray) else short(kind_of(value))
        raise ValueError(f"{where}: expected numbers. Received: {received}")
    return value


def _dense(value: Record, where: str, size: tuple[int, ...] | None) -> np.ndarray:
    """The matrix of a scipy record of compressed columns or rows, which has to be of `size`."""
    state = value.state if type(value.state) is dict else {}
    shape = state.get("_shape", state.get("shape"))
    if size is None or len(size) != 2 or shape != size:
        raise ValueError(f"{where}: expected {'no sparse matrix' if size is None else _sizes(size)}")
    data, indices, starts = (_array(state.get(key), f"{where}: {key}") for key in ("data", "indices", "indptr"))
    by_column = value.kind.name.startswith("csc")
    lines, across = (size[1], size[0]) if by_column else size
    whole = all(a.ndim == 1 and a.dtype.kind in "iu" for a in (indices, starts)) and data.shape == indices.shape
    counts: np.ndarray = np.diff(starts.astype(np.int64)) if whole else np.zeros(0, np.int64)
    if (
        len(counts) != lines or starts[0] != 0 or starts[-1] != len(data) or counts.min() < 0
        or (indices.size and not 0 <= indices.min() <= indices.max() < across)
    ):  # fmt: skip
        raise ValueError(f"{where}: damaged: a sparse matrix whose numbers have no place in it")
    dense = np.zeros((lines, across))
    np.add.at(dense, (np.repeat(np.arange(lines), counts), indices.astype(np.int64)), data)
    return dense.T if by_column else dense


def _numbers_of(values: np.ndarray, limit: int, path: Path, name: str) -> np.ndarray:
    """`values` as int64, which have to be whole numbers in 0…limit - 1."""
    if values.size and (not np.array_equal(values, np.floor(values)) or values.min() < 0 or values.max() >= limit):
        raise ValueError(
            f"{path}: {name} should hold whole numbers in 0…{limit - 1}. Received: {values.min():g}…{values.max():g}"
        )
    return values.astype(np.int64)


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join("any" if size == -1 else str(size) for size in shape) or "1"
