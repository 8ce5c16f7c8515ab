"""The disentanglement score of coefficients whose spreads are known."""

import numpy as np
import pytest

from discoface_tf2.metrics import disentanglement as ds
from renderer import CoefficientLayout

LAYOUT = CoefficientLayout(2, 3, 4)


SIGNS = np.resize([1.0, -1.0], 10)  # of standard deviation 1


def made_up(own: float, others: float) -> dict[str, np.ndarray]:
    """Rows of 3 subjects, in which each factor has the spread `own` where it varies, else `others`."""
    rows = {}
    for varied in ds.FACTORS:
        size = np.full(LAYOUT.lambda_size, others)
        size[LAYOUT.slice(varied)] = own
        rows[varied] = np.arange(3)[:, None, None] + SIGNS[:, None] * size
    return rows


REAL = np.tile(SIGNS[:, None], LAYOUT.lambda_size)


def test_the_score_is_the_product_of_ratios_of_spreads():
    """(own / others)³ for four factors; for three, in cGOF's units, which are not those of our images."""
    figures = ds.disentanglement(made_up(0.8, 0.2), REAL, LAYOUT)
    for varied, row in figures["spread"].items():
        assert figures["score"][varied] == pytest.approx(4.0**3)
        assert row == pytest.approx({name: 0.8 if name == varied else 0.2 for name in row})
    expected = 4.0**2 * 0.2850049 * 0.15251215 / 0.5771492**2
    assert figures["three_factor_score"]["identity"] == pytest.approx(expected, rel=1e-6)
    assert list(figures["three_factor_score"]) == ["identity", "expression", "pose"]


def test_the_unit_is_the_spread_of_real_images():
    real = REAL.copy()
    real[:, LAYOUT.slice("pose")] *= 3
    figures = ds.disentanglement(made_up(1, 1), real, LAYOUT)
    assert figures["real_spread"]["pose"] == pytest.approx(3)
    assert figures["score"]["pose"] == pytest.approx(1 / 27)
    assert figures["score"]["identity"] == pytest.approx(3)


def test_the_matrix_is_printed_and_plotted(tmp_path):
    figures = ds.disentanglement(made_up(0.8, 0.2), REAL, LAYOUT)
    lines = ds.table(figures["spread"]).splitlines()
    assert lines[0].split()[-4:] == list(ds.FACTORS) and lines[2].split()[0] == "expression" and len(lines) == 5
    ds.plot(figures["spread"], figures["score"], "made up", tmp_path / "ds.png")
    assert (tmp_path / "ds.png").read_bytes()[:4] == b"\x89PNG"
