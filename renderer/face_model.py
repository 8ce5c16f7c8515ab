"""The interface that every 3D morphable face model shares, and its one file format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from renderer.files import face_model_path, save_npz
from renderer.layout import CoefficientLayout
from renderer.skeleton import Skeleton
from renderer.texture_map import TextureMap

FORMAT = "discoface_tf2 face model, version 1"


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A linear model of face shape and colour: mean + basis · coefficients; and joints, if it has a skeleton.

    A skeleton's joints turn by the last expression coefficients. For whoever adds up bases without turning joints, the
    columns of expression_basis for them hold the first order (`renderer.skeleton.first_order`).

    Units: decimetres, y up, z to the camera, so x points to the picture's right (the person's left); colours are RGB in
    0-255. V vertices, F triangles, S shape, T texture and E expression components. Coefficients multiply the bases
    directly; `*_std` is how far each coefficient spreads in the population (ones where the basis is already scaled by
    its standard deviation, as in the Basel model).
    """

    mean_shape: np.ndarray  # [V, 3] float32
    shape_basis: np.ndarray  # [V, 3, S] float32
    shape_std: np.ndarray  # [S] float32
    expression_basis: np.ndarray  # [V, 3, E] float32
    expression_std: np.ndarray  # [E] float32
    mean_texture: np.ndarray  # [V, 3] float32
    texture_basis: np.ndarray  # [V, 3, T] float32
    texture_std: np.ndarray  # [T] float32
    triangles: np.ndarray  # [F, 3] int32, counter-clockwise seen from outside
    landmarks: np.ndarray  # [68] int32, vertex numbers in iBUG order
    region: np.ndarray  # [V] int32, index into region_names
    uv: np.ndarray  # [V, 2] float32 in [0, 1], v up
    face_triangles: np.ndarray  # [F] bool: the part that is rendered beside photographs (no neck, no back of the head)
    region_names: tuple[str, ...]  # e.g. ("skin", "lips", "eye_white", …)
    shape_names: tuple[str, ...]
    texture_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    name: str = "unnamed"
    source: str = ""
    licence: str = ""
    manifest: dict[str, object] = field(default_factory=dict)  # whatever else the importer wants remembered
    texture_map: TextureMap | None = None  # the same albedo over uv, finer than the vertices; of the same components
    welded: np.ndarray | None = None  # [V] int32: the vertex whose normal each has; seams of uv double vertices
    skeleton: Skeleton | None = None  # `renderer.geometry` turns it
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)  # further arrays that an importer keeps, by name

    def __post_init__(self) -> None:
        layout, vertices = self.layout, len(self.mean_shape)
        expected = {
            "mean_shape": (vertices, 3),
            "shape_basis": (vertices, 3, layout.shape),
            "shape_std": (layout.shape,),
            "expression_basis": (vertices, 3, layout.expression),
            "expression_std": (layout.expression,),
            "mean_texture": (vertices, 3),
            "texture_basis": (vertices, 3, layout.texture),
            "texture_std": (layout.texture,),
            "triangles": (len(self.triangles), 3),
            "landmarks": (68,),
            "region": (vertices,),
            "uv": (vertices, 2),
            "face_triangles": (len(self.triangles),),
        }
        for key, shape in expected.items():
            value = getattr(self, key)
            if value.shape != shape:
                raise ValueError(f"face model {self.name!r}: {key} should have shape {shape}. Received: {value.shape}")
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"face model {self.name!r}: {key} holds NaN or infinity")
        if self.texture_map is not None and self.texture_map.components != layout.texture:
            raise ValueError(
                f"face model {self.name!r}: texture_map should have {layout.texture} components. "
                f"Received: {self.texture_map.components}"
            )
        if self.skeleton is not None:
            joined, turned = len(self.skeleton.weights), self.skeleton.rotations
            if joined != vertices or turned > layout.expression:
                raise ValueError(
                    f"face model {self.name!r}: skeleton should have {vertices} vertices, and units for at most "
                    f"{layout.expression} expression coefficients. Received: {joined} and {turned}"
                )
        numbers = {"triangles": vertices, "landmarks": vertices, "region": len(self.region_names)}
        if self.welded is not None:
            if self.welded.shape != (vertices,):
                raise ValueError(
                    f"face model {self.name!r}: welded should have shape {(vertices,)}. Received: {self.welded.shape}"
                )
            numbers["welded"] = vertices
        for key, limit in numbers.items():
            value = getattr(self, key)
            if value.size and (value.min() < 0 or value.max() >= limit):
                raise ValueError(
                    f"face model {self.name!r}: {key} should lie in 0…{limit - 1}. "
                    f"Received: {value.min()}…{value.max()}"
                )

    @property
    def layout(self) -> CoefficientLayout:
        """Sizes of the coefficient groups, read off the bases."""
        return CoefficientLayout(
            shape=self.shape_basis.shape[-1],
            texture=self.texture_basis.shape[-1],
            expression=self.expression_basis.shape[-1],
        )

    def in_region(self, *names: str) -> np.ndarray:
        """[V] bool: vertices of the named regions. Raises ValueError for a name that the model lacks."""
        unknown = set(names) - set(self.region_names)
        if unknown:
            raise ValueError(f"face model {self.name!r} has regions {self.region_names}. Received: {sorted(unknown)}")
        return np.isin(self.region, [self.region_names.index(name) for name in names])

    @property
    def one_way_expressions(self) -> np.ndarray:
        """[E] bool: expressions, by their names in the manifest's `one_way`, whose negative no face can show."""
        names = self.manifest.get("one_way")
        return np.array([isinstance(names, list) and name in names for name in self.expression_names], bool)

    def checksum(self) -> str:
        """SHA-256 over the arrays in field order: two models with the same checksum draw the same pictures."""
        digest = hashlib.sha256()
        for array in (*(getattr(self, key) for key in _ARRAYS), *self._optional_arrays().values()):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _optional_arrays(self) -> dict[str, np.ndarray]:
        """What not every model has, by its name in the file, in a fixed order."""
        arrays = {f"{_EXTRA}{name}": self.extras[name] for name in sorted(self.extras)}
        if self.texture_map is not None:
            arrays |= {"texture_map_mean": self.texture_map.mean, "texture_map_basis": self.texture_map.basis}
        if self.welded is not None:
            arrays["welded"] = self.welded
        if self.skeleton is not None:
            arrays |= {f"{_SKELETON}{key}": getattr(self.skeleton, key) for key in _SKELETON_ARRAYS}
        return arrays

    def save(self, path: str | Path) -> None:
        """Writes one `.npz` (no pickles) with a JSON manifest: source, licence, sizes, units, names, checksum.

        Floats are stored as float16 where that holds them exactly; they are float32 again when they are loaded.
        """
        manifest = {
            "format": FORMAT,
            **{key: getattr(self, key) for key in _TEXTS},
            "layout": self.layout.to_dict(),
            "vertices": len(self.mean_shape),
            "triangles": len(self.triangles),
            "units": {"length": "decimetre", "colour": "RGB 0-255", "axes": "y up, z to the camera"},
            "checksum": self.checksum(),
            "extra": self.manifest,
        }
        arrays = {key: getattr(self, key) for key in _ARRAYS} | self._optional_arrays()
        stored = {key: _stored(key, value) for key, value in arrays.items()}
        save_npz({"manifest": np.array(json.dumps(manifest)), **stored}, Path(path))


_EXTRA = "extra."  # before the names of extras in the file
_SKELETON = "skeleton."  # before the names of a skeleton's arrays
_SKELETON_ARRAYS = tuple(f.name for f in fields(Skeleton))
_ARRAYS = tuple(f.name for f in fields(FaceModel) if f.type == "np.ndarray")
_TEXTS = ("name", "source", "licence", "region_names", "shape_names", "texture_names", "expression_names")


def load_face_model(source: str | Path = "builtin") -> FaceModel:
    """The built-in model by the name `builtin`, or a model from a `.npz` that `FaceModel.save` wrote.

    Raises FileNotFoundError or ValueError with one line that names the file and what is wrong with it.
    """
    path = face_model_path(source)
    return _builtin(path) if str(source) == "builtin" else _load(path)


@lru_cache(maxsize=1)
def _builtin(path: Path) -> FaceModel:
    """The built-in model, read once per process, under the name by which it is asked for."""
    return replace(_load(path), name="builtin")


def _load(path: Path) -> FaceModel:
    """See `load_face_model`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            manifest = json.loads(str(_member(stored, "manifest")))
            arrays = {key: _loaded(key, _member(stored, key)) for key in _ARRAYS}
            optional = {key: _loaded(key, _member(stored, key)) for key in stored.files if _is_optional(key)}
    except Exception as error:  # a damaged archive can fail in any of zipfile, zlib and numpy, each with its own errors
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "allow_pickle" in reason:  # numpy's advice is not ours
            reason = "a pickle, which is never read"
        raise ValueError(f"{path}: not a face model written by FaceModel.save ({reason})") from None
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path}: expected the format {FORMAT!r}. Received: {found!r}")
    for key, value in (arrays | optional).items():
        kind = _KINDS.get(key, "f")
        if value.dtype.kind != kind and not key.startswith(_EXTRA):
            raise ValueError(f"{path}: {key} should be of numpy's kind {kind!r}. Received: {value.dtype}")
    extra = manifest.get("extra", {})
    if not isinstance(extra, dict):
        raise ValueError(f"{path}: extra, in its manifest, should be an object. Received: {type(extra).__name__}")
    values: dict[str, Any] = {**arrays, **{key: _text(path, manifest, key) for key in _TEXTS}}
    try:
        if "texture_map_mean" in optional or "texture_map_basis" in optional:
            values["texture_map"] = TextureMap(optional["texture_map_mean"], optional["texture_map_basis"])
        if any(key.startswith(_SKELETON) for key in optional):
            values["skeleton"] = Skeleton(**{key: optional[f"{_SKELETON}{key}"] for key in _SKELETON_ARRAYS})
        values["extras"] = {key[len(_EXTRA) :]: array for key, array in optional.items() if key.startswith(_EXTRA)}
        model = FaceModel(**values, welded=optional.get("welded"), manifest=extra)
    except KeyError as error:
        raise ValueError(f"{path}: it has no {error.args[0]}") from None
    except (ValueError, IndexError) as error:
        raise ValueError(f"{path}: {error}") from None
    for key, count in (("shape", model.layout.shape), ("texture", model.layout.texture),
                       ("expression", model.layout.expression)):  # fmt: skip
        if len(values[f"{key}_names"]) != count:
            raise ValueError(f"{path}: expected {count} {key}_names. Received: {len(values[f'{key}_names'])}")
    if model.checksum() != manifest.get("checksum"):
        raise ValueError(f"{path}: the arrays do not match the manifest's checksum; the file is damaged")
    return model


_KINDS = {"triangles": "i", "landmarks": "i", "region": "i", "face_triangles": "b", "welded": "i",
          f"{_SKELETON}parents": "i"}  # fmt: skip  # others: floats


_BASES = ("shape_basis", "expression_basis", "texture_basis", "texture_map_basis")
_HALVES = (*_ARRAYS, "texture_map_mean")  # stored as float16 where nothing is lost; others keep the type that they have


def _stored(key: str, values: np.ndarray) -> np.ndarray:
    """What the file has of an array: half the size if it can be; and a component after the other, which deflates."""
    if key in _HALVES and values.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        values = half if np.array_equal(half, values) else values
    return np.asfortranarray(values) if key in _BASES else values


def _loaded(key: str, values: np.ndarray) -> np.ndarray:
    """The array that `_stored` was given."""
    if key in _HALVES and values.dtype == np.float16:
        values = values.astype(np.float32)
    return np.ascontiguousarray(values) if key in _BASES else values


def _is_optional(key: str) -> bool:
    return key in ("texture_map_mean", "texture_map_basis", "welded") or key.startswith((_EXTRA, _SKELETON))


def _member(stored: Any, key: str) -> np.ndarray:
    """The array `key` of an open `.npz`. Raises ValueError that names it."""
    if key not in stored.files:
        raise ValueError(f"it has no {key}")
    try:
        value: np.ndarray = stored[key]
    except Exception as error:
        objects = "pickle" in str(error)
        raise ValueError(f"{key}: {'Python objects, which are never read' if objects else error}") from None
    return value


def _text(path: Path, manifest: dict[str, Any], key: str) -> str | tuple[str, ...]:
    """The text, or the names, that a manifest has under `key`."""
    value = manifest.get(key)
    if key.endswith("_names"):
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return tuple(value)
    elif isinstance(value, str):
        return value
    wanted = "a list of names" if key.endswith("_names") else "a text"
    raise ValueError(f"{path}: {key}, in its manifest, should be {wanted}. Received: {value!r:.80}")
