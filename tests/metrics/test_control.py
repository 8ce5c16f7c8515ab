"""Control figures on made-up predictions whose quality is known."""

import numpy as np
import pytest

from discoface_tf2.metrics.control import compare, correlation, identity_similarity
from renderer import CoefficientLayout


def test_correlation_weighs_components_by_the_variance_asked_for():
    rng = np.random.default_rng(0)
    asked = rng.normal(size=(20000, 2)) * [3.0, 1.0]
    seen = np.stack([2 * asked[:, 0] + 5, rng.normal(size=20000)], 1)  # r = 1 with variance 9, r = 0 with variance 1
    assert correlation(asked, seen) == pytest.approx(0.9, abs=0.01)
    assert correlation(asked, -asked) == pytest.approx(-1.0)


def test_identity_similarity_of_two_people():
    embeddings = np.array([[1, 0], [0.6, 0.8], [0, 1], [0, 1]], np.float64)
    figures = identity_similarity(embeddings, np.array([0, 0, 1, 1]))
    assert figures["identity_within"] == pytest.approx((0.6 + 1.0) / 2)
    assert figures["identity_across"] == pytest.approx((0 + 0 + 0.8 + 0.8) / 4)
    assert figures["identity_auc"] == pytest.approx((0.5 + 1.0) / 2)


def test_identity_similarity_needs_pairs():
    with pytest.raises(ValueError, match="several subjects"):
        identity_similarity(np.eye(2), np.array([0, 1]))


def test_pose_errors_are_in_degrees_and_by_angle():
    layout = CoefficientLayout(2, 2, 3)
    rng = np.random.default_rng(1)
    asked = rng.normal(size=(6, layout.lambda_size))
    seen = np.pad(asked, [(0, 0), (0, 3)])  # with a translation, as reconstruction gives it
    seen[:, layout.slice("angles")] += np.radians([3.0, -6.0, 0.0])
    figures = compare(asked, seen, rng.normal(size=(6, 4)), np.array([0, 0, 1, 1, 2, 2]), layout)
    assert figures["pitch_error_degrees"] == pytest.approx(3.0)
    assert figures["yaw_error_degrees"] == pytest.approx(6.0)
    assert figures["pose_error_degrees"] == pytest.approx(3.0)
    assert figures["lighting_correlation"] == pytest.approx(1.0)
    assert figures["samples"] == 6
