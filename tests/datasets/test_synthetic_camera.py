"""A camera's faults are there, grow with the size as they should, and do not touch what labels say."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.camera import JPEG_QUALITY, expose


def exposures(level, size, count):
    picture = np.full((size, size, 3), level, float)
    return np.array([expose(picture, np.random.default_rng(seed)) for seed in range(count)], float)


def middle(pictures):
    quarter = pictures.shape[1] // 4
    return pictures[:, quarter:-quarter, quarter:-quarter]


def test_exposure_and_white_balance_stay_small():
    for level in (60, 128, 200):
        means = middle(exposures(level, 64, 40)).mean((1, 2))  # [N, 3]
        assert abs(means.mean() - level) < 4
        assert means.mean(1).std() < 0.045 * level + 3
        assert np.ptp(means, axis=1).mean() < 0.05 * level


def test_deterministic_and_different():
    picture = np.random.default_rng(0).uniform(0, 255, (64, 64, 3))
    first, again, other = (expose(picture, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.uint8 and first.shape == (64, 64, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.2


def test_noise_is_moderate_correlated_and_grows_with_the_size():
    spread = {}
    for size in (64, 256):
        pictures = middle(exposures(128, size, 24))
        pictures -= pictures.mean((1, 2), keepdims=True)
        spread[size] = np.median(pictures.std((1, 2)))
        neighbours = (pictures[:, :, 1:] * pictures[:, :, :-1]).mean() / (pictures**2).mean()
        apart = (pictures[:, :, 4:] * pictures[:, :, :-4]).mean() / (pictures**2).mean()
        assert 0.15 < neighbours < 0.8 and abs(apart) < 0.15
    assert 0.8 < spread[64] < spread[256] < 5


def test_extremes_stay_in_range_and_keep_their_order():
    black, white = exposures(0, 64, 30), exposures(255, 64, 30)
    assert black.mean() < 12 and white.mean() > 225
    over = np.full((64, 64, 3), 1000.0)  # what a renderer may give
    assert expose(over, np.random.default_rng(0)).mean() > 215


def test_nothing_moves_an_edge():
    """The middle of a blurred, sharpened, noisy dot stays where the landmark is."""
    size, at = 64, (40.3, 25.6)
    y, x = np.mgrid[:size, :size]
    dot = 180 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 4.0**2))[..., None] * np.ones(3) + 40
    around = np.hypot(x - at[0], y - at[1]) < 14
    for seed in range(20):
        grey = expose(dot, np.random.default_rng(seed)).mean(-1)
        weight = np.clip(grey - np.median(grey[~around]) - 10, 0, None) * around
        found = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        assert np.abs(found - at).max() < 0.3


def test_corners_are_darker_on_average():
    pictures = exposures(150, 64, 60)
    corners = np.mean([pictures[:, :6, :6], pictures[:, -6:, -6:], pictures[:, :6, -6:], pictures[:, -6:, :6]])
    assert 0.9 * middle(pictures).mean() < corners < 0.99 * middle(pictures).mean()


def test_qualities_are_jpegs():
    low, high = JPEG_QUALITY
    assert 70 <= low < high <= 100
