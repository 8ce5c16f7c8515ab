"""ICT-FaceKit's light face model (Li et al., 2020) as a face model of this project."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from renderer.face_model import FaceModel
from renderer.importers.ict_colours import REGIONS, Masks, regions, texture
from renderer.importers.ict_mesh import Head, read_head

LICENCE = "MIT (ICT-FaceKit, (c) 2020 USC Institute for Creative Technologies); colours Apache-2.0, as this project"
# How far activations (0 to 1) spread in the population, by the beginnings of the names; rare ones spread less.
_SPREAD = {"jawOpen": 0.30, "eyeBlink": 0.25, "mouthSmile": 0.45, "eyeLook": 0.4, "cheekPuff": 0.25, "noseSneer": 0.25,
           "jaw": 0.25, "mouthLeft": 0.25, "mouthRight": 0.25, "mouthFunnel": 0.3, "mouthPucker": 0.3}  # fmt: skip


def import_ict(source: Path, lashes: bool = True) -> FaceModel:
    """ICT-FaceKit's head in the renderer's units and place, with a texture basis of this project.

    Shape coefficients are unit normal, as the kit's identities are; expression coefficients are activations (0 none,
    1 full) under the kit's own names. The kit has no albedo: skin tones, lips, brows, irises and the rest are given to
    its parts, texture coordinates and landmarks.

    Args:
        source: a checkout of ICT-FaceKit, or its folder FaceXModel.
        lashes: whether to draw lashes, a thin triangle for each column of the kit's sheets.

    Raises:
        FileNotFoundError, ValueError: one line that names the file and what is wrong with it.
    """
    head = read_head(source, lashes)
    masks = Masks(head)
    texture_names, colours, tones = texture(masks)

    def f32(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, np.float32)

    return FaceModel(
        mean_shape=f32(head.vertices),
        shape_basis=f32(head.shapes),
        shape_std=np.ones(len(head.shape_names), np.float32),
        expression_basis=f32(head.moves),
        expression_std=f32(np.array([_spread(name) for name in head.expression_names])),
        mean_texture=f32(colours),
        texture_basis=f32(tones),
        texture_std=np.ones(len(texture_names), np.float32),
        triangles=np.ascontiguousarray(head.triangles, np.int32),
        landmarks=np.ascontiguousarray(head.landmarks, np.int32),
        region=regions(masks).astype(np.int32),
        uv=f32(_atlas(head)),
        face_triangles=head.narrow,
        region_names=REGIONS,
        shape_names=head.shape_names,
        texture_names=texture_names,
        expression_names=head.expression_names,
        name="ict",
        source="ICT-FaceKit, ICT Face Model Light",
        licence=LICENCE,
        manifest={
            "centre": [0.0, 0.0, 0.0],
            "lashes": lashes,
            "activations": "one-way",
            "corrects": {"mouthClose": "jawOpen"},
        },
    )


def _spread(name: str) -> float:
    return next((value for start, value in _SPREAD.items() if name.startswith(start)), 0.35)


def _atlas(head: Head) -> np.ndarray:
    """[V, 2] in the unit square: the face's own square large, each of the other squares small along two sides."""
    eyes = np.char.endswith(head.part, "left") * 1 + 1
    slot = np.where(head.of("eyeball"), 6 + eyes, head.tile)  # the eyeballs have the face's square to themselves
    small, large = 0.2, 0.8
    corner = np.array(
        [(0.0, small), (large, small), (large, 0.4), (large, 0.6), (large, 0.8), (0.0, 0.0), (small, 0.0), (0.4, 0.0),
         (0.6, 0.0)]
    )  # fmt: skip
    size = np.where(slot == 0, large, small)[:, None]
    return corner[slot] + size * (0.005 + 0.99 * head.uv)
