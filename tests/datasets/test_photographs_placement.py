from __future__ import annotations

import numpy as np
import pytest

from datasets.alignment import five_landmarks
from datasets.photographs.placement import FaceLandmarks, fit_pose, fit_translation, project, rotation
from renderer.camera import Camera
from renderer.face_renderer import FaceRenderer
from renderer.pose import rotation_matrix


@pytest.fixture(scope="module")
def points(face) -> np.ndarray:
    return FaceLandmarks(face).five()


def test_numpy_landmarks_are_the_renderers(face) -> None:
    rng = np.random.default_rng(0)
    coefficients = (0.3 * rng.normal(size=(3, face.layout.size))).astype(np.float32)
    expected = FaceRenderer(face, 64).landmarks(coefficients, Camera.reconstruction()).numpy()
    landmarks = FaceLandmarks(face)
    for row, wanted in zip(coefficients, expected, strict=True):
        groups = face.layout.split(row.astype(np.float64))
        drawn = project(landmarks.all(row), groups["angles"], groups["translation"])
        np.testing.assert_allclose(drawn, wanted, atol=2e-3)
        np.testing.assert_allclose(five_landmarks(landmarks.all(row)), landmarks.five(row))
    np.testing.assert_array_equal(landmarks.all(), landmarks.all(np.zeros(face.layout.size)))


def test_rotation_is_the_renderers() -> None:
    angles = np.random.default_rng(1).uniform(-2, 2, (5, 3))
    expected = rotation_matrix(angles.astype(np.float32)).numpy()
    np.testing.assert_allclose([rotation(row) for row in angles], expected, atol=1e-6)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (10, -35, 5), (-15, 50, -20), (20, 0, 60), (0, -60, 0), (5, 10, 150)])
def test_pose_and_place_of_exact_landmarks_come_back(points: np.ndarray, degrees: tuple[float, float, float]) -> None:
    angles, translation = np.radians(degrees), np.array([0.1, -0.2, 0.4])
    fit = fit_pose(project(points, angles, translation), points)
    np.testing.assert_allclose(np.degrees(fit.angles), degrees, atol=0.1)
    np.testing.assert_allclose(fit.translation, translation, atol=5e-3)
    assert fit.disagreement < 1e-3


def test_translation_of_a_known_pose(points: np.ndarray) -> None:
    angles, translation = np.array([0.1, 0.4, -0.2]), np.array([-0.3, 0.2, -0.8])
    picture = project(points, angles, translation)
    fit = fit_translation(picture, points, angles)
    np.testing.assert_allclose(fit.translation, translation, atol=1e-9)
    # Landmarks that are off by a tenth of the eye distance each, in directions that no translation explains.
    eyes = np.linalg.norm(points[0] - points[1]) * 1015 / 10.8
    off = np.array([[1, 0], [-1, 0], [0, 0], [0, 1], [0, -1]]) * 0.1 * eyes
    assert fit_translation(picture + off, points, angles).disagreement == pytest.approx(0.1 * np.sqrt(4 / 5), abs=0.02)


def test_noise_of_a_detector_moves_the_fit_little(points: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    errors = []
    for _ in range(20):
        angles = np.radians(rng.normal(size=3) * (8, 20, 8))
        picture = project(points, angles, np.zeros(3))
        eyes = np.linalg.norm(points[0] - points[1]) * 101.5
        fit = fit_pose(picture + rng.normal(size=(5, 2)) * 0.03 * eyes, points)
        errors.append(np.abs(np.degrees(fit.angles - angles)))
        assert np.linalg.norm(fit.translation[:2]) < 0.1  # decimetres
    assert (np.median(errors, axis=0) < (7, 5, 3)).all()
