from __future__ import annotations

import numpy as np
import pytest

from renderer.lighting import harmonics, shade


@pytest.fixture
def normals() -> np.ndarray:
    points = np.random.default_rng(0).normal(size=[2, 40, 3])
    return (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float32)


def test_harmonics_against_numbers_by_hand():
    # a0·c0 = π/√(4π), a1·c1 = 2π/√3 · √3/√(4π), a2·c2 = 2π/√8 · 3√5/√(12π), worked out on paper to five places.
    first, second, third = 0.88623, 1.77245, 2.42703
    towards_camera = [first, 0, second, 0, 0, 0, third / (2 * np.sqrt(3)) * 2, 0, 0]
    upwards = [first, -second, 0, 0, 0, 0, -third / (2 * np.sqrt(3)), 0, -third / 2]
    np.testing.assert_allclose(harmonics(np.array([[0, 0, 1.0]]))[0], towards_camera, atol=2e-5)
    np.testing.assert_allclose(harmonics(np.array([[0, 1.0, 0]]))[0], upwards, atol=2e-5)


def test_harmonics_are_orthogonal_over_the_sphere():
    points = np.random.default_rng(1).normal(size=[200_000, 3])
    values = harmonics(points / np.linalg.norm(points, axis=-1, keepdims=True)).numpy()
    correlation = np.corrcoef(values[:, 1:].T)
    assert np.abs(correlation - np.eye(8)).max() < 0.02
    assert np.abs(values[:, 1:].mean(0)).max() < 0.02  # and orthogonal to the first, which is constant


def test_no_light_but_the_ambient_term_is_even(normals):
    texture = np.random.default_rng(2).uniform(0, 255, [2, 40, 3]).astype(np.float32)
    shaded = shade(texture, normals, np.zeros([2, 27], np.float32))
    np.testing.assert_allclose(shaded, texture * 0.8 * np.pi / np.sqrt(4 * np.pi), rtol=1e-5)


def test_lighting_is_channel_major(normals):
    gamma = np.zeros([2, 27], np.float32)
    gamma[:, 9 + 2] = 1  # green, third term: from the front
    gamma[:, [0, 9, 18]] = -0.8  # cancels the ambient term
    shaded = shade(np.ones([2, 40, 3], np.float32), normals, gamma).numpy()
    np.testing.assert_allclose(shaded[..., [0, 2]], 0, atol=1e-6)
    np.testing.assert_allclose(shaded[..., 1], np.sqrt(np.pi) * normals[..., 2], rtol=1e-4, atol=1e-6)
