"""Distances between sets of features whose distances are known, and path lengths of a linear map."""

import numpy as np
import pytest

from discoface_tf2.metrics.distributions import frechet_distance, kernel_distance, precision_recall
from discoface_tf2.metrics.path_length import on_path, path_length

RNG = np.random.default_rng(0)


def test_equal_sets_are_at_no_distance():
    features = RNG.normal(size=(300, 8))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-8)
    assert precision_recall(features, features) == {"precision": 1, "recall": 1}
    assert kernel_distance(features, RNG.permutation(features)) <= 0  # unbiased: without each with itself


def test_frechet_distance_of_shifted_and_wider_gaussians():
    """‖μ₁ − μ₂‖² + Σ (σ₁ − σ₂)² where both covariances are diagonal, and no more where one is singular."""
    x = RNG.normal(size=(200_000, 3))
    expected = 2.0**2 + 1.0**2 + (3 - 1) ** 2
    assert frechet_distance(x, x * [1, 1, 3] + [2, -1, 0]) == pytest.approx(expected, rel=0.01)
    few = RNG.normal(size=(5, 40))  # fewer than dimensions
    assert frechet_distance(few, few + 1) == pytest.approx(40, rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kernel_distance_of_shifted_gaussians(shift):
    """(xy + 1)³ is a product of 1, √3 x, √3 x², x³: the squared MMD is that of the moments."""
    x, y = RNG.normal(size=(20_000, 1)), RNG.normal(size=(20_000, 1)) + shift
    moments = np.array([shift, shift**2, shift**3 + 3 * shift])
    expected = np.sum([3, 3, 1] * moments**2)
    assert kernel_distance(x, y, subsets=8) == pytest.approx(expected, abs=0.4)


def test_precision_and_recall_tell_which_set_is_missing_something():
    real = RNG.normal(size=(400, 2))
    real[200:] += 20  # two modes
    figures = precision_recall(real, RNG.normal(size=(400, 2)))
    assert figures["precision"] > 0.9 and 0.35 < figures["recall"] < 0.55
    assert precision_recall(real, RNG.normal(size=(400, 2)) - 50) == {"precision": 0, "recall": 0}
    with pytest.raises(ValueError, match="more than 3 images"):
        precision_recall(real[:3], real)


def test_path_length_of_a_linear_map():
    """d/dt of A z(t) is A (π / 2) n with n normal: its squared length is π² / 4 · |A|² on average."""
    matrix = RNG.normal(size=(60, 40))
    expected = np.pi**2 / 4 * np.square(matrix).sum()
    found = path_length(lambda z: z.astype(np.float64) @ matrix, 60, 400, epsilon=1e-2)
    assert found == pytest.approx(expected, rel=0.05)
    assert found != path_length(lambda z: z.astype(np.float64) @ matrix, 60, 400, seed=1, epsilon=1e-2)


def test_paths_stay_normal():
    z = on_path(RNG.normal(size=(50_000, 1)), RNG.normal(size=(50_000, 1)), np.full(50_000, 0.3))
    assert z.std() == pytest.approx(1, abs=0.02)
