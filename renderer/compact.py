"""A face model rounded so that its file is a third as large, for the built-in model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from renderer.face_model import FaceModel
from renderer.texture_map import TextureMap

# Powers of 2, so that float16 holds their multiples exactly: decimetres and RGB levels, for a coefficient of 1.
_SHAPE, _EXPRESSION, _COLOUR, _MEAN_COLOUR = 2.0**-17, 2.0**-16, 2.0**-2, 2.0**-3


def compact(model: FaceModel) -> FaceModel:
    """`model` with bases and mean colours rounded to numbers that float16 holds, few of which deflate well.

    Over random people vertices move by less than 0.005 mm, colours by less than half a level (root mean squares;
    `tests/renderer/test_builtin.py`). `FaceModel.save` stores what float16 holds as float16. The manifest's
    `compact_of` has the checksum of `model`: what was trained for that one is good for this one too.
    """
    texture_map = model.texture_map
    if texture_map is not None:
        basis = _rounded(texture_map.basis, _COLOUR).astype(np.float16)
        texture_map = TextureMap(_rounded(texture_map.mean, _MEAN_COLOUR), basis)
    return replace(
        model,
        shape_basis=_rounded(model.shape_basis, _SHAPE),
        expression_basis=_rounded(model.expression_basis, _EXPRESSION),
        mean_texture=_rounded(model.mean_texture, _MEAN_COLOUR),
        texture_basis=_rounded(model.texture_basis, _COLOUR),
        texture_map=texture_map,
        manifest={**model.manifest, "compact_of": [model.checksum()]},
    )


def _rounded(values: np.ndarray, step: float) -> np.ndarray:
    """float32 `values` at multiples of `step`, or of float16's own larger step where they are large."""
    rounded = np.rint(values.astype(np.float32) / np.float32(step)) * np.float32(step)
    return (rounded + np.float32(0)).astype(np.float16).astype(np.float32)  # + 0: no negative zeros
