"""GIF's re-inference error: how far the mesh that is seen in an image lies from the mesh that it was generated of."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from renderer import FaceModel, FaceRenderer

MILLIMETRES = 100.0  # per decimetre
_ROWS = 256  # faces at a time


def mesh_errors(target: np.ndarray, predicted: np.ndarray, face_model: FaceModel) -> dict[str, float]:
    """Mean distance of the face's vertices in mm, by what differs: shape, expression, pose.

    Each alone, as in the reference's evaluation: `shape` at rest and unposed; `expression` of the mean person, unposed;
    `pose` of the mean person at rest. Numbers come from the reconstruction network, which errs on real images too:
    read them beside those of held-out images.

    Args:
        target: coefficients that images were generated of, [N, λ or size].
        predicted: coefficients seen in them, [N, λ or more].
        face_model: both are of.
    """
    layout, renderer = face_model.layout, FaceRenderer(face_model, 16)
    seen = np.unique(face_model.triangles[face_model.face_triangles])
    size = layout.lambda_size
    errors = {}
    for name, group in (("shape", "shape"), ("expression", "expression"), ("pose", "angles")):
        where, total = layout.slice(group), 0.0
        for start in range(0, len(target), _ROWS):
            meshes = []
            for coefficients in (target, predicted):
                rows = np.zeros([len(coefficients[start : start + _ROWS]), size], np.float32)
                rows[:, where] = coefficients[start : start + _ROWS, where]
                meshes.append(tf.gather(renderer.vertices(tf.constant(rows)), seen, axis=1))
            total += float(tf.reduce_sum(tf.reduce_mean(tf.norm(meshes[0] - meshes[1], axis=-1), 1)))
        errors[f"{name}_error_mm"] = MILLIMETRES * total / len(target)
    return errors
