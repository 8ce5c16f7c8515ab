"""The geometry of ICT-FaceKit's light face model, in the renderer's units and place."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from renderer.importers.reading import Mesh, read_obj, read_obj_vertices
from renderer.landmarks import offset_to_standard

VERTICES, FACES = 26719, 26384
_CENTIMETRES = 10.0  # in a decimetre
# The kit's own tables of geometries (its README): part -> first and last vertex. Meshes that a shader would draw
# transparent (lacrimal fluid, blends and occlusion of the eye) are left out; so is the iris behind the cornea, because
# the eyeball is drawn opaque and carries the iris's colours.
PARTS = {
    "face": (0, 9408),
    "head_and_neck": (9409, 11247),
    "mouth_socket": (11248, 13293),
    "eye_socket_left": (13294, 13677),
    "eye_socket_right": (13678, 14061),
    "gums_and_tongue": (14062, 17038),
    "teeth": (17039, 21450),
    "eyeball_left": (21451, 22220),
    "eyeball_right": (23021, 23790),
    "lashes_left": (25351, 26034),
    "lashes_right": (26035, 26718),
}
_NARROW_FACE = 6705  # last vertex of the narrow face area: no ears, no neck
_SHEETS, _LASH_ROWS, _LASH_COLUMNS = 6, 6, 19
_TILES = 7  # squares of texture coordinates in a row


@dataclass(frozen=True)
class Head:
    """The kept parts of the kit's mesh. V vertices, F triangles."""

    vertices: np.ndarray  # [V, 3] decimetres
    triangles: np.ndarray  # [F, 3] int64
    part: np.ndarray  # [V] str, keys of PARTS
    uv: np.ndarray  # [V, 2] within the vertex's own square
    tile: np.ndarray  # [V] int: which of the squares in a row
    landmarks: np.ndarray  # [68] int64
    narrow: np.ndarray  # [F] bool: the kit's narrow face area, and what is seen through its eyes and mouth
    shapes: np.ndarray  # [V, 3, S] decimetres
    moves: np.ndarray  # [V, 3, E] decimetres
    shape_names: tuple[str, ...]
    expression_names: tuple[str, ...]

    def of(self, *parts: str) -> np.ndarray:
        """[V] bool: vertices of the parts whose names begin so."""
        return np.char.startswith(self.part, parts[0]) if len(parts) == 1 else np.any([self.of(p) for p in parts], 0)


def read_head(source: Path, lashes: bool = True) -> Head:
    """The head of a checkout of ICT-FaceKit, or of its folder FaceXModel.

    Raises:
        FileNotFoundError, ValueError: one line that names the file and what is wrong with it.
    """
    folder = source / "FaceXModel" if (source / "FaceXModel").is_dir() else source
    neutral = folder / "generic_neutral_mesh.obj"
    if not neutral.is_file():
        raise FileNotFoundError(f"{source}: expected a checkout of ICT-FaceKit, with "
                                "FaceXModel/generic_neutral_mesh.obj")  # fmt: skip
    expressions, landmarks = _read_tables(folder / "vertex_indices.json")
    mesh = read_obj(neutral)
    if (len(mesh.vertices), len(mesh.faces)) != (VERTICES, FACES):
        raise ValueError(
            f"{neutral}: expected {VERTICES} vertices and {FACES} faces, the topology of ICT Face Model Light. "
            f"Received: {len(mesh.vertices)} and {len(mesh.faces)}"
        )
    part = np.full(VERTICES, "", dtype="U16")
    for name, (first, last) in PARTS.items():
        if lashes or not name.startswith("lashes"):
            part[first : last + 1] = name
    triangles = np.concatenate([_triangles(mesh), _lash_hairs(mesh)])
    kept = (part[triangles] != "").all(1) & ~_behind(mesh.vertices, part)[triangles].all(1)
    used = np.zeros(VERTICES, bool)
    used[triangles[kept]] = True
    if not used[landmarks].all():
        raise ValueError(f"{folder / 'vertex_indices.json'}: idx_to_landmark_verts names vertices that are not drawn")
    number = np.cumsum(used) - 1
    placed, move = _placed(mesh.vertices, landmarks)
    triangles = triangles[kept]
    face = (triangles <= _NARROW_FACE).all(1) | ~np.isin(part[triangles[:, 0]], ("face", "head_and_neck"))

    def differences(names: list[str]) -> np.ndarray:
        stack = [read_obj_vertices(folder / f"{name}.obj", VERTICES)[used] for name in names]
        return np.stack([vertices / _CENTIMETRES + move - placed[used] for vertices in stack], -1)

    identities = _identities(folder)
    tile = np.floor(mesh.uv[used, 0]).clip(0, _TILES - 1).astype(int)
    return Head(
        vertices=placed[used],
        triangles=number[triangles],
        part=part[used],
        uv=np.clip(mesh.uv[used] - np.stack([tile, 0 * tile], -1), 0, 1),
        tile=tile,
        landmarks=number[landmarks],
        narrow=face,
        shapes=differences(identities),
        moves=differences(expressions),
        shape_names=tuple(identities),
        expression_names=tuple(expressions),
    )


def _placed(vertices: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`vertices` [V, 3] in decimetres with eyes, nose and mouth where the camera expects them, and the move."""
    move = offset_to_standard(vertices[landmarks] / _CENTIMETRES)
    return vertices / _CENTIMETRES + move, move


def _triangles(mesh: Mesh) -> np.ndarray:
    """[F, 3]: quads are cut along the diagonal from their first corner; without the lashes' sheets."""
    faces = mesh.faces[mesh.faces[:, 0] < PARTS["lashes_left"][0]]
    quads = faces[faces[:, 3] >= 0]
    return np.concatenate([faces[:, :3], quads[:, [0, 2, 3]]])


def _lash_hairs(mesh: Mesh) -> np.ndarray:
    """[F, 3], both sides: the hairs of the lashes.

    The kit has six sheets an eye, three a lid, that a shader fills with a picture of lashes. Drawn opaque they are
    awnings. So each column of a sheet becomes one thin triangle, from its root to a place along its length.
    """
    hairs = []
    for name in ("lashes_left", "lashes_right"):
        first, last = PARTS[name]
        ids, uv = np.arange(first, last + 1), mesh.uv[first : last + 1]
        # Sheets lie above each other in the texture's square, and so do their rows.
        rows_up = np.argsort(uv[:, 1], kind="stable").reshape(-1, _LASH_COLUMNS)
        across = np.take_along_axis(rows_up, np.argsort(uv[rows_up, 0], axis=1, kind="stable"), 1)
        grid = ids[across].reshape(_SHEETS, _LASH_ROWS, _LASH_COLUMNS)
        eye = mesh.vertices[slice(*PARTS["eye_socket_left" if name.endswith("left") else "eye_socket_right"])].mean(0)
        for number, rows in enumerate(grid):
            reach = np.linalg.norm(mesh.vertices[rows] - eye, axis=-1).mean(1)
            rows = rows if reach[0] < reach[-1] else rows[::-1]
            if mesh.vertices[rows, 1].mean() < eye[1]:
                continue  # the sparse lashes of the lower lid would be coarse dots
            tip = rows[3]
            hairs.append(np.stack([rows[0, :-1], rows[0, 1:], tip[:-1] if number % 2 else tip[1:]], -1))
    one_side = np.concatenate(hairs)
    return np.concatenate([one_side, one_side[:, ::-1]])


def _behind(vertices: np.ndarray, part: np.ndarray) -> np.ndarray:
    """[V] bool: the back of the eyeballs, which no turn of the eyes brings to the front."""
    behind = np.zeros(len(vertices), bool)
    for name in ("eyeball_left", "eyeball_right"):
        ids = np.flatnonzero(part == name)
        depth = vertices[ids, 2]
        behind[ids] = depth < depth.max() - 0.62 * np.ptp(depth)
    return behind


def _identities(folder: Path) -> list[str]:
    names = sorted(path.stem for path in folder.glob("identity*.obj"))
    expected = [f"identity{number:03d}" for number in range(len(names))]
    if not names or names != expected:
        raise FileNotFoundError(
            f"{folder}: expected identity000.obj, identity001.obj, … without a gap. There are {len(names)} such files"
        )
    return names


def _read_tables(path: Path) -> tuple[list[str], np.ndarray]:
    """The names of the expressions, and the 68 landmarks [68] int64."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        tables: Any = json.loads(path.read_text(encoding="utf-8"))
        expressions, landmarks = tables["expressions"], tables["idx_to_landmark_verts"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON with expressions and idx_to_landmark_verts ({error!r:.120})") from None
    # The names become names of files, so nothing but plain names is taken.
    if (
        not isinstance(expressions, list)
        or not expressions
        or not all(isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_]{1,64}", name) for name in expressions)
        or len(set(expressions)) != len(expressions)
    ):
        raise ValueError(f"{path}: expressions should be a list of distinct names of letters, digits and _")
    whole = isinstance(landmarks, list) and all(type(value) is int and 0 <= value < VERTICES for value in landmarks)
    if not whole or len(landmarks) != 68:
        raise ValueError(f"{path}: idx_to_landmark_verts should be 68 whole numbers in 0…{VERTICES - 1}")
    return expressions, np.array(landmarks, np.int64)
