"""Distances of meshes beside those worked out by hand."""

import numpy as np
import pytest

from discoface_tf2.metrics.mesh import mesh_errors


def test_errors_are_of_one_factor_each_in_millimetres(tiny_face_model):
    layout, rng = tiny_face_model.layout, np.random.default_rng(0)
    target = rng.normal(0, 0.3, (3, layout.lambda_size)).astype(np.float32)
    predicted = target.copy()
    shape, angles = layout.slice("shape"), layout.slice("angles")
    predicted[:, shape.start] += 0.5
    seen = np.unique(tiny_face_model.triangles[tiny_face_model.face_triangles])
    expected = 100 * 0.5 * np.linalg.norm(tiny_face_model.shape_basis[seen, :, 0], axis=-1).mean()
    errors = mesh_errors(target, predicted, tiny_face_model)
    assert errors["shape_error_mm"] == pytest.approx(expected, rel=1e-4)
    assert errors["expression_error_mm"] == errors["pose_error_mm"] == 0

    target[:, angles], predicted[:, angles] = 0, [0, 0.2, 0]  # a turn about y moves by 2 sin(0.1) times the distance
    radius = np.linalg.norm(tiny_face_model.mean_shape[seen][:, [0, 2]], axis=-1)
    expected = 100 * 2 * np.sin(0.1) * radius.mean()
    errors = mesh_errors(target, np.pad(predicted, [(0, 0), (0, 3)]), tiny_face_model)
    assert errors["pose_error_mm"] == pytest.approx(expected, rel=1e-3)
