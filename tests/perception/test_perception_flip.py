from __future__ import annotations

import numpy as np

from discoface_tf2.perception.training.flip import mirror_matrix
from discoface_tf2.perception.training.run import make_draw
from renderer import FaceRenderer, load_face_model
from tests.helpers.toy_face import random_coefficients, toy_face


def check(model, size, tolerance, twice=1e-5):
    """Drawing flipped coefficients is flipping the drawing."""
    matrix, renderer = mirror_matrix(model), FaceRenderer(model, size)
    assert matrix is not None
    coefficients = random_coefficients(model, 3, 7)
    flipped = coefficients.copy()
    flipped[:, : model.layout.lambda_size] = coefficients[:, : model.layout.lambda_size] @ matrix
    draw = make_draw(renderer)
    (image, mask), (image_flipped, mask_flipped) = draw(coefficients), draw(flipped)
    assert mask.mean() > 0.1 and np.abs(image[:, :, ::-1] - image).mean() > 2  # lopsided enough to notice
    assert (mask[:, :, ::-1] != mask_flipped).mean() < 0.01
    both = mask[:, :, ::-1] * mask_flipped
    assert (np.abs(image[:, :, ::-1] - image_flipped) * both).mean() < tolerance
    np.testing.assert_allclose(matrix @ matrix, np.eye(len(matrix)), atol=twice)  # twice is not at all
    return matrix


def test_toy_face_is_drawn_mirrored(face):
    matrix = check(face, 48, 0.6)
    shape, expression = face.layout.slice("shape"), face.layout.slice("expression")
    np.testing.assert_allclose(matrix[shape, shape], np.diag([1, 1, -1]), atol=1e-5)  # a leaning jaw leans back
    np.testing.assert_allclose(matrix[expression, expression], [[0, 1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-5)


def test_builtin_face_is_drawn_mirrored():
    model = load_face_model("builtin")
    matrix = check(model, 64, 1.5, twice=0.12)  # its movements are not quite symmetric
    names = list(model.expression_names)
    swaps = np.abs(matrix[model.layout.slice("expression"), model.layout.slice("expression")])
    for name in names:
        if name.endswith("Left"):
            assert swaps[names.index(name), names.index(name[:-4] + "Right")] > 0.95, name


def test_lopsided_faces_are_not_mirrored():
    assert mirror_matrix(toy_face(lopsided=True)) is None
