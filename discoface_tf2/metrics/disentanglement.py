"""Disentanglement score: with one factor varied alone, how much of what changes in the images is that factor?

DiscoFaceGAN's score (Deng et al., 2020, section 4.2): DSᵢ = Π_{j≠i} σᵢ / σⱼ, with σⱼ the spread of factor j's
coefficients, as the reconstruction network predicts them, in rows in which factor i alone varies, over its spread in
real images. The paper leaves some of it open; docs/metrics.md says what is done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from renderer.files import atomic_path
from renderer.layout import FACTORS, CoefficientLayout

VARIATIONS = 10  # images per subject and factor
# cGOF's evaluation script (Sun et al., 2022): its three factors, and their spreads in its data. They are of the Basel
# model's 80 shape and 64 expression coefficients.
THREE_FACTORS = {"identity": "shape", "expression": "expression", "pose": "angles"}
PUBLISHED_SPREADS = {"identity": 0.5771492, "expression": 0.2850049, "pose": 0.15251215}
_EPSILON = 1e-8


def spread(coefficients: np.ndarray) -> float:
    """Standard deviation along a row, averaged over subjects and components, of [subjects, variations, size]."""
    return float(np.asarray(coefficients, np.float64).std(1).mean())


def scores(spreads: np.ndarray) -> np.ndarray:
    """DS of each of F factors, [F], of normalised spreads [F varied, F predicted]."""
    own = np.diag(spreads)
    others = np.prod(np.where(np.eye(len(own), dtype=bool), 1.0, spreads + _EPSILON), axis=1)
    return own ** (len(own) - 1) / others


def disentanglement(
    rows: Mapping[str, np.ndarray], real: np.ndarray, layout: CoefficientLayout
) -> dict[str, dict[str, float] | dict[str, dict[str, float]]]:
    """Scores of both forms, and the spreads that they are made of.

    Args:
        rows: by the factor varied, the coefficients predicted of its images, [subjects, variations, ≥ λ].
        real: those predicted of real images, [N, ≥ λ].
        layout: of both.

    Returns:
        `score` and `three_factor_score` by factor; `spread`, [varied][predicted], relative to `real_spread`;
        `three_factor_spread`, the same relative to PUBLISHED_SPREADS.
    """

    def relative(groups: Mapping[str, str], unit: Mapping[str, float]) -> dict[str, dict[str, float]]:
        return {
            varied: {
                name: spread(rows[varied][..., layout.slice(group)]) / unit[name] for name, group in groups.items()
            }
            for varied in groups
        }

    def by_name(spreads: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return dict(zip(spreads, scores(_matrix(spreads)).tolist(), strict=True))

    four = {factor: factor for factor in FACTORS}
    units = {factor: max(spread(real[None, :, layout.slice(factor)]), _EPSILON) for factor in FACTORS}
    spreads, three = relative(four, units), relative(THREE_FACTORS, PUBLISHED_SPREADS)
    return {
        "score": by_name(spreads),
        "three_factor_score": by_name(three),
        "spread": spreads,
        "three_factor_spread": three,
        "real_spread": units,
    }


def table(spreads: Mapping[str, Mapping[str, float]]) -> str:
    """The matrix of spreads as text: a row per factor varied, a column per factor predicted."""
    lines = [f"{'varied | spread of':20}" + "".join(f"{name:>12}" for name in spreads)]
    lines += [f"{varied:20}" + "".join(f"{value:12.3f}" for value in row.values()) for varied, row in spreads.items()]
    return "\n".join(lines)


def plot(spreads: Mapping[str, Mapping[str, float]], score: Mapping[str, float], title: str, path: Path) -> None:
    """Writes the matrix of spreads as a heat map, PNG, with each row's score beside it."""
    from matplotlib.figure import Figure

    matrix, names = _matrix(spreads), list(spreads)
    figure = Figure((6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap="viridis", vmin=0)
    for (row, column), value in np.ndenumerate(matrix):
        bright = value > matrix.max() / 2
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="black" if bright else "white")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), [f"{name}\nDS {score[name]:.3g}" for name in names])
    axes.set(xlabel="predicted: spread relative to real images", ylabel="varied alone", title=title)
    figure.colorbar(image)
    with atomic_path(path) as other:
        figure.savefig(other, format="png", dpi=110)


def _matrix(spreads: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    return np.array([list(row.values()) for row in spreads.values()])  # [F, F]
