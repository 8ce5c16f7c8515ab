"""Reads the files that face models come in, and believes none of them: what is wrong is said in one line."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from renderer import mat_file

# What a size of -1 stands for in `read_mat`: any number of them.
ANY = -1


def read_mat(path: Path, fields: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Arrays of finite numbers, of the sizes that they should have, from a MATLAB file; see `renderer.mat_file`.

    Args:
        path: the file.
        fields: name -> sizes of the axes, ANY where every size will do.

    Returns:
        Name -> array, floating-point as stored, whole numbers as int64.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: one line with the file, the field, what was expected and what came.
    """
    result = {}
    for name, values in mat_file.read_mat(path, list(fields)).items():
        shape = fields[name]
        if values.ndim != len(shape) or any(a not in (ANY, b) for a, b in zip(shape, values.shape, strict=True)):
            wanted = " x ".join("any" if size == ANY else str(size) for size in shape)
            received = " x ".join(map(str, values.shape))
            raise ValueError(f"{path}: {name} should have {wanted} numbers. Received: {received}")
        result[name] = _finite(values if values.dtype.kind == "f" else values.astype(np.int64), path, name)
    return result


def indices(values: np.ndarray, limit: int, path: Path, name: str) -> np.ndarray:
    """MATLAB's numbers 1…`limit` as int64 0…`limit` - 1, of the same shape. Raises ValueError for others."""
    if values.size and (not np.array_equal(values, np.floor(values)) or values.min() < 1 or values.max() > limit):
        raise ValueError(
            f"{path}: {name} should hold whole numbers in 1…{limit}. Received: {values.min():g}…{values.max():g}"
        )
    return values.astype(np.int64) - 1


def read_text_numbers(path: Path, count: int) -> np.ndarray:
    """[count] float64 of a text file of numbers and white space. Raises ValueError with one line for another one."""
    _must_exist(path)
    try:
        values = np.array(path.read_text(encoding="ascii").split(), np.float64)
    except ValueError as error:
        raise ValueError(f"{path}: expected a text of numbers ({_line(error)})") from None
    if values.shape != (count,):
        raise ValueError(f"{path}: expected {count} numbers. Received: {values.size}")
    return _finite(values, path, "its numbers")


def read_expression_basis(path: Path, vertices: int) -> np.ndarray:
    """[vertices, 3, K] float32 of Guo et al.'s `Exp_Pca.bin`: int32 K, a float32 mean, K float32 components.

    The mean is the mean expression of their scans; the method's mean face is the neutral one, so it is passed over.
    Raises ValueError with one line when the file's length is not that of its own K.
    """
    _must_exist(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(4)
        count = int.from_bytes(head, "little", signed=True) if len(head) == 4 else 0
        expected = 4 + 4 * 3 * vertices * (1 + count)
        if not 1 <= count <= 1000 or size != expected:
            raise ValueError(
                f"{path}: expected a number K, then (1 + K) x 3 x {vertices} floats. Received: K = {count} and "
                f"{size} bytes"
            )
        file.seek(4 * 3 * vertices, 1)
        components = np.fromfile(file, "<f4", 3 * vertices * count).reshape(count, vertices, 3)
    return np.moveaxis(_finite(components, path, "its components"), 0, -1)


@dataclass(frozen=True)
class Mesh:
    """What an .obj file holds, as far as a face model needs it."""

    vertices: np.ndarray  # [V, 3] float64
    uv: np.ndarray  # [V, 2] float64: the first that a face gives the vertex, 0 where none does
    faces: np.ndarray  # [F, 4] int64 vertex numbers from 0; the last one is -1 for a triangle
    coordinates: np.ndarray  # [U, 2] float64: all texture coordinates; at seams a vertex has several
    uv_faces: np.ndarray  # [F, 4] int64 texture coordinates of the faces' corners; -1 where there is none


def read_obj(path: Path) -> Mesh:
    """A mesh of triangles and quads. Raises ValueError with one line that names the file and the broken line."""
    lines = _lines(path)
    vertices = _rows(lines, b"v ", 3, path)
    coordinates = _rows(lines, b"vt ", 2, path)
    faces, uv_faces, corners = [], [], []
    for number, line in enumerate(lines, 1):
        if not line.startswith(b"f "):
            continue
        try:
            face = [[int(part) if part else 0 for part in corner.split(b"/")[:2]] for corner in line.split()[1:]]
        except ValueError:
            face = []
        if len(face) not in (3, 4) or any(not 1 <= corner[0] <= len(vertices) for corner in face):
            raise ValueError(
                f"{path}: line {number}: expected a triangle or quad of vertices 1…{len(vertices)}. "
                f"Received: {_shown(line)}"
            )
        if any(len(corner) > 1 and not 0 <= corner[1] <= len(coordinates) for corner in face):
            raise ValueError(f"{path}: line {number}: expected texture coordinates 1…{len(coordinates)}")
        faces.append([corner[0] - 1 for corner in face] + [-1] * (4 - len(face)))
        places = [corner[1] - 1 if len(corner) > 1 else -1 for corner in face]
        uv_faces.append(places + [-1] * (4 - len(face)))
        corners += [(corner[0] - 1, place) for corner, place in zip(face, places, strict=True) if place >= 0]
    if not faces:
        raise ValueError(f"{path}: expected a mesh. It has no faces")
    uv = np.zeros((len(vertices), 2))
    if corners:
        vertex, place = np.array(corners[::-1]).T  # backwards, so that a vertex keeps the first of several
        uv[vertex] = coordinates[place]
    return Mesh(vertices, uv, np.array(faces, np.int64), coordinates, np.array(uv_faces, np.int64))


def read_obj_vertices(path: Path, count: int) -> np.ndarray:
    """[count, 3] float64: the vertices of an .obj file alone. Raises ValueError when there are more or fewer."""
    vertices = _rows(_lines(path), b"v ", 3, path)
    if len(vertices) != count:
        raise ValueError(f"{path}: expected {count} vertices, as the neutral mesh has. Received: {len(vertices)}")
    return vertices


def _lines(path: Path) -> list[bytes]:
    _must_exist(path)
    return path.read_bytes().splitlines()


def _rows(lines: list[bytes], start: bytes, width: int, path: Path) -> np.ndarray:
    """[N, width] of the lines that begin with `start`; OBJ allows further numbers on a line."""
    numbered = [(number, line.split()[1 : width + 1]) for number, line in enumerate(lines, 1) if line.startswith(start)]
    if not numbered:
        return np.zeros((0, width))
    if all(len(row) == width for _, row in numbered):
        values = _quick_floats(b" ".join(b" ".join(row) for _, row in numbered))
        if values.size == width * len(numbered) and np.isfinite(values).all():
            return values.reshape(-1, width)
    for number, row in numbered:
        if len(row) != width or not all(_is_number(text) for text in row):
            shown = _shown(lines[number - 1])
            raise ValueError(f"{path}: line {number}: expected {width} finite numbers. Received: {shown}")
    raise ValueError(f"{path}: expected {width} finite numbers on each line that begins with {start.decode()!r}")


def _quick_floats(text: bytes) -> np.ndarray:
    """The numbers of a text, many times quicker than one by one; fewer where one of them is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what some numpys say about text that is no number
        try:
            return np.fromstring(text, np.float64, sep=" ")
        except ValueError:  # and others do
            return np.zeros(0)


def _is_number(text: bytes) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _finite(values: np.ndarray, path: Path, name: str) -> np.ndarray:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{path}: {name} should be finite. It holds NaN or infinity")
    return values


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("ascii", "replace"))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
