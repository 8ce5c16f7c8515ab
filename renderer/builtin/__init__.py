"""The built-in face model: a parametric head made by code alone, so that everything works without a licensed file."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from renderer.builtin.assembly import REGIONS, build_head
from renderer.builtin.colours import texture
from renderer.builtin.expressions import expression_basis
from renderer.builtin.shapes import shape_basis
from renderer.face_model import FaceModel

__all__ = ["build"]


@lru_cache(maxsize=1)
def build() -> FaceModel:
    """The built-in model: about 5,100 vertices, the same in every run; built once per process (about two seconds).

    Its frame is that of the standard 68 landmarks (decimetres), so `manifest["centre"]` is the origin: the renderer
    takes this as the centre of the mean shape instead of the vertices' mean. Shape and texture coefficients are unit
    normal in the population, expression coefficients are activations (1 = full).
    """
    head = build_head()
    shape_names, shapes = shape_basis(head)
    texture_names, colours, tones = texture(head)
    expression_names, moves, spread = expression_basis(head)

    def f32(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, np.float32)

    return FaceModel(
        mean_shape=f32(head.vertices),
        shape_basis=f32(shapes),
        shape_std=np.ones(len(shape_names), np.float32),
        expression_basis=f32(moves),
        expression_std=f32(spread),
        mean_texture=f32(colours),
        texture_basis=f32(tones),
        texture_std=np.ones(len(texture_names), np.float32),
        triangles=np.ascontiguousarray(head.triangles, np.int32),
        landmarks=np.ascontiguousarray(head.landmarks, np.int32),
        region=np.ascontiguousarray(head.region, np.int32),
        uv=f32(head.uv),
        face_triangles=np.ascontiguousarray(head.face_triangles, bool),
        region_names=REGIONS,
        shape_names=shape_names,
        texture_names=texture_names,
        expression_names=expression_names,
        name="builtin",
        source="procedural, made by renderer.builtin",
        licence="Apache-2.0, as the project",
        manifest={"centre": [0.0, 0.0, 0.0]},
    )
