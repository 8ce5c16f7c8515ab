from __future__ import annotations

import numpy as np
import pytest

from discoface_tf2.perception.training import scores


def test_angles_in_degrees():
    actual = np.zeros((2, 3))
    predicted = np.radians([[1.0, -2.0, 0.0], [3.0, 2.0, 0.0]])
    np.testing.assert_allclose(scores.angle_errors(predicted, actual), [2, 2, 0])


def test_landmarks_in_percent_of_the_outer_eye_corners():
    actual = np.zeros((3, 68, 2))
    actual[:, 45, 0] = [20.0, 30.0, 1.0]  # median 20
    assert scores.landmark_error(actual + np.array([0.6, 0.8]), actual) == pytest.approx(5.0)


def test_explained_variance():
    rng = np.random.default_rng(0)
    actual = rng.normal(size=(5000, 3)) * [1, 10, 0] + 4
    predicted = actual.copy()
    predicted[:, 0] = actual[:, 0].mean()  # the mean explains nothing
    predicted[:, 1] += rng.normal(size=5000) * 5  # a quarter of the variance is lost
    each = scores.explained_variance(predicted, actual)
    np.testing.assert_allclose(each[:2], [0, 0.75], atol=0.03)
    assert np.isnan(each[2])
    assert scores.overall_explained_variance(predicted, actual) == pytest.approx(1 - (1 + 25) / (1 + 100), abs=0.02)
    assert scores.overall_explained_variance(actual, actual) == 1


def test_verification():
    clean = scores.verification_accuracy(np.array([0.9, 0.8, 0.7, 0.95]), np.array([0.1, 0.2, -0.3, 0.0]))
    assert clean[0] == 1 and 0.2 < clean[1] < 0.8
    rng = np.random.default_rng(0)
    chance, _ = scores.verification_accuracy(rng.normal(size=4000), rng.normal(size=4000))
    assert chance == pytest.approx(0.5, abs=0.03)
    # two normal distributions two standard deviations apart: the best cut is right in Φ(1) = 84.1 %
    accuracy, threshold = scores.verification_accuracy(rng.normal(1, 1, 8000), rng.normal(-1, 1, 8000))
    assert accuracy == pytest.approx(0.841, abs=0.015) and threshold == pytest.approx(0, abs=0.2)
    with pytest.raises(ValueError, match="two pairs"):
        scores.verification_accuracy(np.ones(1), np.ones(5))


def test_threshold_is_not_chosen_on_the_pairs_that_are_measured():
    # on the first of each two a cut at 0 is perfect; on the others everything is the other way round
    same, different = np.tile([1.0, -1.0], 50), np.tile([-1.0, 1.0], 50)
    assert scores.verification_accuracy(same, different)[0] == 0


def test_intersection_over_union():
    actual = np.array([[0, 0, 1, 1]])
    predicted = np.array([[0, 1, 1, 1]])
    result = scores.intersection_over_union(predicted, actual, 3)
    np.testing.assert_allclose(result[:2], [1 / 2, 2 / 3])
    assert np.isnan(result[2])
