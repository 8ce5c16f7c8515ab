"""Sampled against real coefficients, as figures and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from renderer.files import atomic_path
from vae.model import FactorVAE

_PROBABILITIES = np.linspace(0.01, 0.99, 33)
_HISTOGRAMS = 12
_DPI = 90


def draw_samples(vae: FactorVAE, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [count, size] twice: the decoder's mean, as the generator gets it, and with its noise γ added."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((count, vae.config.latent), np.float32)
    noise = rng.standard_normal((count, vae.config.size), np.float32)
    return np.asarray(vae.decode(z)), np.asarray(vae.decode(z, noise))


def compare(real: np.ndarray, mean: np.ndarray, noisy: np.ndarray) -> dict[str, float]:
    """Figures of agreement between real [N, size] and sampled [M, size] coefficients.

    std_ratio: sampled/real standard deviation, average and least over the coefficients, of the decoder's mean, and the
    average with its noise. quantile_error: mean distance of the quantiles from 1 % to 99 %, in real standard
    deviations. correlation_error: mean absolute difference of the correlation matrices.
    """
    varies = real.std(axis=0) > 1e-8
    real, mean, noisy = real[:, varies], mean[:, varies], noisy[:, varies]
    if not varies.any():
        return {}
    std = real.std(axis=0)
    ratio = mean.std(axis=0) / std
    return {
        "std_ratio": float(ratio.mean()),
        "std_ratio_least": float(ratio.min()),
        "std_ratio_with_noise": float((noisy.std(axis=0) / std).mean()),
        "quantile_error": float(np.abs((_quantiles(mean) - _quantiles(real)) / std).mean()),
        "correlation_error": float(np.abs(_correlation(mean) - _correlation(real)).mean()),
    }


def plot_samples(real: np.ndarray, mean: np.ndarray, noisy: np.ndarray, title: str) -> Figure:
    """Histograms of up to 12 coefficients, quantiles and standard deviations of all, and both correlation matrices."""
    figure = Figure(figsize=(15, 9), layout="constrained")
    figure.suptitle(title)
    rows = figure.subplots(3, 6)
    size = real.shape[1]
    shown = np.unique(np.linspace(0, size - 1, min(size, _HISTOGRAMS)).round().astype(int))
    for axes, number in zip(rows[:2].flat, shown, strict=False):
        low, high = np.quantile(np.concatenate([real[:, number], mean[:, number]]), [0.001, 0.999])
        bins = np.linspace(low, high if high > low else low + 1.0, 41)
        axes.hist(real[:, number], bins, density=True, alpha=0.45, label="real")
        axes.hist(mean[:, number], bins, density=True, histtype="step", color="black", label="sampled")
        axes.set_title(f"coefficient {number}", fontsize=8)
        axes.tick_params(labelsize=6)
    for axes in list(rows[:2].flat)[len(shown) :]:
        axes.axis("off")
    rows[0, 0].legend(fontsize=7)

    grid = rows[2, 0].get_gridspec()
    for axes in rows[2]:
        axes.remove()
    _plot_quantiles(figure.add_subplot(grid[2, 0:2]), real, mean)
    _plot_ratios(figure.add_subplot(grid[2, 2:4]), real, mean, noisy)
    for column, (name, values) in enumerate((("real", real), ("sampled", mean))):
        axes = figure.add_subplot(grid[2, 4 + column])
        axes.imshow(_correlation(values), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axes.set_title(f"correlation, {name}", fontsize=9)
        axes.tick_params(labelsize=6)
    return figure


def to_image(figure: Figure) -> np.ndarray:
    """The figure as uint8 RGB [H, W, 3]."""
    figure.set_dpi(_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes a PNG, atomically."""
    path = Path(path)
    with atomic_path(path) as other:
        figure.savefig(other, format="png", dpi=_DPI)


def _plot_quantiles(axes, real: np.ndarray, mean: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    std = np.maximum(real.std(axis=0), 1e-8)
    real_quantiles, sampled = (
        (_quantiles(values) - real.mean(axis=0)) / std  # [33, size]
        for values in (real, mean)
    )
    axes.plot(real_quantiles, sampled, linewidth=0.8, alpha=0.6)
    axes.axline((0, 0), slope=1, color="black", linewidth=0.6)
    axes.set_title("quantiles 1–99 %, in real standard deviations", fontsize=9)
    axes.set_xlabel("real", fontsize=8)
    axes.set_ylabel("sampled", fontsize=8)


def _plot_ratios(axes, real: np.ndarray, mean: np.ndarray, noisy: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    std = np.maximum(real.std(axis=0), 1e-8)
    axes.plot(mean.std(axis=0) / std, ".-", linewidth=0.6, label="decoder mean")
    axes.plot(noisy.std(axis=0) / std, ".", label="with decoder noise")
    axes.axhline(1.0, color="black", linewidth=0.6)
    axes.set_ylim(0, 1.3)
    axes.set_title("standard deviation, sampled / real, by coefficient", fontsize=9)
    axes.legend(fontsize=7, loc="lower right")


def _quantiles(values: np.ndarray) -> np.ndarray:
    return np.quantile(values, _PROBABILITIES, axis=0)


def _correlation(values: np.ndarray) -> np.ndarray:
    """[size, size]; a coefficient that never varies correlates with nothing."""
    std = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(std > 1e-8, std, 1.0)
    return scaled.T @ scaled / len(values)
