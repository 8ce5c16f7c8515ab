from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vae.initial import start_from_pca
from vae.model import FactorConfig, FactorVAE
from vae.quantiles import GRID, piecewise_linear, quantile_table
from vae.sampler import load_factor_vae, save_factor


def _made_up(rng: np.random.Generator, count: int = 5000) -> np.ndarray:
    """Normal, skewed, at rest for two thirds, a mixture of far modes, and one that never varies."""
    modes = np.where(rng.random(count) < 0.1, 1.0, 0.0) + 0.05 * rng.standard_normal(count)
    rest = np.maximum(rng.standard_normal(count) - 0.43, 0)
    columns = [rng.standard_normal(count) * 3 + 1, rng.exponential(size=count), rest, modes, np.full(count, 0.7)]
    return np.stack(columns, axis=1).astype(np.float32)


def test_table_of_a_normal_distribution_is_the_grid() -> None:
    table = quantile_table(np.random.default_rng(0).standard_normal((200_000, 1)) * 3 + 1)
    np.testing.assert_allclose(table[0, 8:25], 1 + 3 * GRID[8:25], atol=0.06)


def test_normal_numbers_become_the_distribution() -> None:
    rng = np.random.default_rng(2)
    values = _made_up(rng)
    normal = rng.standard_normal((20_000, 5)).astype(np.float32)
    drawn = np.asarray(piecewise_linear(normal, np.tile(GRID, (5, 1)), quantile_table(values)))
    for column in range(4):
        assert stats.wasserstein_distance(drawn[:, column], values[:, column]) < 0.05 * values[:, column].std()
    np.testing.assert_allclose(drawn[:, 4], 0.7, atol=1e-4)


def test_calibration_corrects_the_marginals_and_keeps_what_goes_with_what(tmp_path: Path) -> None:
    """A linear VAE of skewed pairs: normal samples before, the data's marginals after, and the same rank order."""
    rng = np.random.default_rng(3)
    common = rng.exponential(size=(4000, 1))
    values = (common + 0.1 * rng.standard_normal((4000, 2))).astype(np.float32)
    vae = FactorVAE(FactorConfig.for_data("expression", values, latent=2, width=8))
    start_from_pca(vae, np.asarray(vae.normalize(values)))
    z = rng.standard_normal((4000, 2)).astype(np.float32)
    before = np.asarray(vae.decode(z))
    vae.calibrate(values)
    after = np.asarray(vae.decode(z))
    for column in range(2):
        assert stats.wasserstein_distance(before[:, column], values[:, column]) > 0.2
        assert stats.wasserstein_distance(after[:, column], values[:, column]) < 0.06
        assert stats.spearmanr(before[:, column], after[:, column]).statistic > 0.9999
    np.testing.assert_allclose(np.corrcoef(after.T)[0, 1], np.corrcoef(values.T)[0, 1], atol=0.03)
    assert after.min() >= values.min() - 1e-3
    assert after.max() <= values.max() + 1e-3
    save_factor(tmp_path, vae, {})
    np.testing.assert_array_equal(load_factor_vae(tmp_path).decode(z), after)


def test_gradient_is_the_slope_and_nothing_beyond_the_ends() -> None:
    knots, images = np.array([[0.0, 1.0, 3.0]]), np.array([[0.0, 10.0, 12.0]])
    value = tf.constant([[-1.0], [0.5], [2.0], [5.0]])
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = piecewise_linear(value, knots, images)
    np.testing.assert_allclose(result[:, 0], [0, 5, 11, 12])
    np.testing.assert_allclose(tape.gradient(result, value)[:, 0], [0, 10, 1, 0])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-100, 100, width=32), min_size=2, max_size=40))
def test_the_table_always_rises(values: list[float]) -> None:
    table = quantile_table(np.array(values)[:, None])
    assert table.shape == (1, GRID.size)
    assert (np.diff(table) > 0).all()
    assert table.min() >= min(values) - 0.01 * (max(values) - min(values)) - 1e-4
