"""The surface of a field as a triangle mesh: marching cubes, and files of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from discoface_tf2.fields.rays import METRE, Box
from discoface_tf2.fields.rendering import Field
from renderer.files import atomic_path

SUFFIXES = (".obj", ".ply", ".glb")
_POINTS_AT_ONCE = 1 << 16


class FieldMesh(NamedTuple):
    """A surface of V vertices and F triangles in the coordinates of the field."""

    vertices: np.ndarray  # [V, 3] float32 decimetres
    triangles: np.ndarray  # [F, 3] int32, counter-clockwise seen from outside
    normals: np.ndarray  # [V, 3] float32 unit vectors, outwards
    values: np.ndarray  # [V, C] float32, what the field shows there, seen from outside


def extract_mesh(field: Field, state: Any, box: Box, level: float, resolution: int = 128) -> FieldMesh:
    """The surface on which the density of a field is `level`.

    Args:
        field: see `Field`.
        state: of the field, for one image.
        box: where to look.
        level: per decimetre.
        resolution: places along the longest side of the box at which the density is taken, 2 or more; they are as far
            apart along the others.

    Raises:
        ImportError: one line, where scikit-image is not installed.
        ValueError: where no density, or every one, is above the level.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise ImportError("meshes need scikit-image: pip install 'discoface_tf2[meshes]'") from None
    step = 2 * max(box.half) / (resolution - 1)
    counts = [int(2 * half / step + 1e-6) + 1 for half in box.half]
    low = np.array(box.centre) - (np.array(counts) - 1) * step / 2
    grid = (low + step * np.indices(counts).reshape(3, -1).T).astype(np.float32)
    density = _evaluate(field, state, grid, np.broadcast_to(np.array([0, 0, -1], np.float32), grid.shape))[1]
    if not density.min() < level < density.max():
        raise ValueError(
            f"mesh: expected a level between the densities of the field, {density.min():g} to {density.max():g} per "
            f"decimetre. Received: {level:g}"
        )
    vertices, triangles, normals, _ = marching_cubes(density.reshape(counts), level, spacing=(step,) * 3)
    vertices, normals = (vertices + low).astype(np.float32), normals.astype(np.float32)
    values = _evaluate(field, state, vertices, -normals)[0]
    return FieldMesh(vertices, triangles[:, ::-1].astype(np.int32), normals, values)  # they face inwards


def _evaluate(field: Field, state: Any, points: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values [P, C] and densities [P] at points [P, 3]."""
    run = tf.function(field, autograph=False)
    parts = [slice(start, start + _POINTS_AT_ONCE) for start in range(0, len(points), _POINTS_AT_ONCE)]
    made = [run(state, tf.constant(points[None, part]), tf.constant(directions[None, part])) for part in parts]
    return tuple(np.concatenate([part[k].numpy()[0] for part in made]) for k in (0, 1))  # type: ignore[return-value]


def save_mesh(path: Path, mesh: FieldMesh, colours: np.ndarray | None = None) -> None:
    """Writes a mesh as .obj, .ply or .glb; lengths stay decimetres but in .glb, whose unit is the metre.

    Args:
        path: the file, by whose suffix the format is chosen.
        mesh: to be written.
        colours: [V, 3] uint8 RGB of the vertices, None for none.

    Raises:
        ImportError: one line, where trimesh is not installed.
        ValueError: for another suffix.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"mesh: expected a file name that ends in {', '.join(SUFFIXES)}. Received: {path}")
    try:
        import trimesh
    except ImportError:
        raise ImportError("meshes need trimesh: pip install 'discoface_tf2[meshes]'") from None
    scale = 1 / METRE if path.suffix == ".glb" else 1.0
    made = trimesh.Trimesh(
        mesh.vertices * scale, mesh.triangles, vertex_normals=mesh.normals, vertex_colors=colours, process=False
    )
    with atomic_path(path) as temporary:
        made.export(temporary, file_type=path.suffix[1:])
