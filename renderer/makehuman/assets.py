"""Reads a folder of MakeHuman's parts: hair, brows, lashes and eyes, each a mesh that is bound to the base mesh.

A part is NAME.obj, NAME.mhclo (its binding) and, unless pictures are given apart, NAME.mhmat or one PNG (its texture).
The folder is laid out as MakeHuman's own data: hair/NAME/NAME.obj, eyebrows/…, eyelashes/…, eyes/low-poly/low-poly.obj
with eyes/materials/*.png.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from renderer.importers.reading import Mesh, read_obj

BASE_VERTICES = 19158  # of MakeHuman's base mesh
_AXES = {"x_scale": 0, "y_scale": 1, "z_scale": 2}
_LARGEST = 4096  # pixels along a side of a texture
LICENCE = "CC0 1.0 (MakeHuman's system assets, released in September 2020)"


@dataclass(frozen=True, eq=False)
class Binding:
    """How N vertices of a part follow the base mesh: position = weights · three base vertices + offset · scale."""

    corners: np.ndarray  # [N, 3] int64, base vertices
    weights: np.ndarray  # [N, 3] float64
    offsets: np.ndarray  # [N, 3] float64, decimetres on the head that the part was made for
    scales: tuple[tuple[int, int, int, float], ...] = ()  # axis, two base vertices and their distance on that head

    def fit(self, base: np.ndarray) -> np.ndarray:
        """Vertices [B, N, 3] of the part on heads whose base meshes have the vertices `base` [B, 19158, 3].

        Along each axis offsets grow with the distance of that axis's two vertices. Decimetres; any frame will do that
        is moved, not turned, from the base mesh's own.
        """
        scale = np.ones((len(base), 1, 3), base.dtype)
        for axis, first, second, reference in self.scales:
            scale[:, 0, axis] = np.abs(base[:, first, axis] - base[:, second, axis]) / reference
        weights = self.weights.astype(base.dtype)
        points = sum(base[:, self.corners[:, k]] * weights[:, k, None] for k in range(3))
        return points + self.offsets.astype(base.dtype) * scale

    def base_vertices(self) -> np.ndarray:
        """[K] int64 ascending: the base vertices that `fit` reads."""
        pairs = [vertex for _, first, second, _ in self.scales for vertex in (first, second)]
        return np.unique(np.concatenate([self.corners.ravel(), np.array(pairs, np.int64)]))


@dataclass(frozen=True, eq=False)
class Part:
    """A textured mesh of N vertices, U texture coordinates and T triangles."""

    name: str
    vertices: np.ndarray  # [N, 3] float64, on the base mesh's own head
    triangles: np.ndarray  # [T, 3] int32, vertices
    uv: np.ndarray  # [U, 2] float32, v up
    uv_triangles: np.ndarray  # [T, 3] int32, texture coordinates of the triangles' corners
    binding: Binding
    texture: np.ndarray | None  # [H, W, 4] uint8 RGBA, row 0 at v = 1


@dataclass(frozen=True, eq=False)
class Assets:
    """What a folder holds, each kind by name."""

    hair: dict[str, Part]
    brows: dict[str, Part]
    lashes: dict[str, Part]
    eyes: Part  # without a texture: each of `irises` fits it
    irises: dict[str, np.ndarray]  # [H, W, 4] uint8 RGBA

    def parts(self) -> Iterator[Part]:
        """All parts."""
        yield from (*self.hair.values(), *self.brows.values(), *self.lashes.values(), self.eyes)

    def checksum(self) -> str:
        """SHA-256 over meshes, bindings and pictures."""
        digest = hashlib.sha256()
        for part in self.parts():
            binding = part.binding
            arrays = [part.triangles, part.uv, part.uv_triangles, binding.corners, binding.weights, binding.offsets]
            arrays += [] if part.texture is None else [part.texture]
            for array in arrays:
                digest.update(np.ascontiguousarray(array).tobytes())
        for picture in self.irises.values():
            digest.update(np.ascontiguousarray(picture).tobytes())
        return digest.hexdigest()

    def names(self) -> list[str]:
        """Every part by kind and name, for a manifest."""
        kinds: dict[str, Iterable[str]] = {
            "hair": self.hair,
            "eyebrows": self.brows,
            "eyelashes": self.lashes,
            "eyes": self.irises,
        }
        return [f"{kind}/{name}" for kind, found in kinds.items() for name in found]


def read_assets(folder: str | Path) -> Assets:
    """The parts of a folder.

    Raises:
        FileNotFoundError: there is no such folder, or a kind of part is missing.
        ValueError: one line with the file and what is wrong with it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"assets: expected a folder of MakeHuman's parts. There is no folder {folder}")
    kinds = [_read_kind(folder / kind) for kind in ("hair", "eyebrows", "eyelashes")]
    eyes = folder / "eyes"
    pictures = sorted((eyes / "materials").glob("*_eye.png"))
    if not pictures:
        raise FileNotFoundError(f"assets: expected pictures of eyes, {eyes / 'materials'}/*_eye.png. There is none")
    irises = {path.stem.removesuffix("_eye"): read_texture(path) for path in pictures}
    return Assets(kinds[0], kinds[1], kinds[2], read_part(eyes / "low-poly" / "low-poly.obj", textured=False), irises)


def _read_kind(folder: Path) -> dict[str, Part]:
    found = {path.stem: read_part(path) for path in sorted(folder.glob("*/*.obj"))}
    if not found:
        raise FileNotFoundError(f"assets: expected parts, {folder}/NAME/NAME.obj. There is none")
    return found


def read_part(path: Path, *, textured: bool = True) -> Part:
    """A part from its .obj and the files beside it. Errors as `read_assets`."""
    mesh = read_obj(path)
    binding_path = path.with_suffix(".mhclo")
    binding, material = _read_binding(binding_path, len(mesh.vertices))
    if (mesh.uv_faces[:, :3] < 0).any():
        raise ValueError(f"{path}: expected texture coordinates at every corner of a face")
    return Part(
        name=path.stem,
        vertices=mesh.vertices,
        triangles=_triangles(mesh, mesh.faces),
        uv=mesh.coordinates.astype(np.float32),
        uv_triangles=_triangles(mesh, mesh.uv_faces),
        binding=binding,
        texture=read_texture(_texture_path(path.parent, material)) if textured else None,
    )


def read_texture(path: Path) -> np.ndarray:
    """[H, W, 4] uint8 RGBA of a picture. Raises FileNotFoundError or ValueError with one line."""
    try:
        with Image.open(path) as picture:
            if max(picture.size) > _LARGEST:
                raise ValueError(f"at most {_LARGEST} pixels a side. Received: {picture.size}")
            return np.asarray(picture.convert("RGBA"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow says of bad files
        raise ValueError(f"{path}: expected a picture ({error})") from None


def _triangles(mesh: Mesh, corners: np.ndarray) -> np.ndarray:
    """[T, 3] int32 of `corners` [F, 4] of triangles and quads."""
    second = corners[mesh.faces[:, 3] >= 0][:, [0, 2, 3]]
    return np.concatenate([corners[:, :3], second]).astype(np.int32)


def _read_binding(path: Path, vertices: int) -> tuple[Binding, str | None]:
    """The binding of a .mhclo file, and the name of its material."""
    rows: list[list[float]] = []
    scales: dict[int, tuple[int, int, int, float]] = {}
    material, started = None, False
    for number, line in enumerate(_lines(path), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        wrong = partial(ValueError, f"{path}: line {number}: expected a binding. Received: {line[:60]!r}")
        if started and len(rows) < vertices and len(words) in (1, 9) and words[0].lstrip("-").isdigit():
            values = _numbers(words, wrong)
            rows.append(values if len(words) == 9 else values * 3 + [1.0, 0, 0, 0, 0, 0])
        elif words[0] in _AXES and len(words) == 4:
            first, second, reference = _numbers(words[1:], wrong)
            if reference <= 0 or not all(v == int(v) and 0 <= v < BASE_VERTICES for v in (first, second)):
                raise wrong()
            scales[_AXES[words[0]]] = (_AXES[words[0]], int(first), int(second), reference)
        elif words[0] == "material" and len(words) == 2:
            material = words[1]
        elif words[0] == "verts":
            started = True
    if len(rows) != vertices:
        raise ValueError(f"{path}: expected {vertices} bound vertices, as the .obj has. Received: {len(rows)}")
    table = np.array(rows, np.float64).reshape(-1, 9)
    corners = table[:, :3].astype(np.int64)
    if (corners != table[:, :3]).any() or corners.min() < 0 or corners.max() >= BASE_VERTICES:
        raise ValueError(f"{path}: expected base vertices 0…{BASE_VERTICES - 1}. Received: {table[:, :3].max():g}")
    return Binding(corners, table[:, 3:6], table[:, 6:], tuple(scales.values())), material


def _numbers(words: list[str], wrong: partial[ValueError]) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise wrong() from None
    if not np.isfinite(values).all():
        raise wrong()
    return values


def _texture_path(folder: Path, material: str | None) -> Path:
    """The picture that a material names, or the only one in the folder."""
    if material is not None and (folder / material).is_file():
        for line in _lines(folder / material):
            words = line.split()
            if len(words) == 2 and words[0] == "diffuseTexture":
                return folder / words[1]
    pictures = sorted(folder.glob("*.png"))
    if len(pictures) != 1:
        raise FileNotFoundError(f"{folder}: expected one PNG, or a .mhmat that names one. There are {len(pictures)}")
    return pictures[0]


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
