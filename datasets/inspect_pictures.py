"""The pictures of `python -m datasets.inspect`: a contact sheet, and histograms of the coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from datasets.scan import Sample
from renderer.layout import CoefficientLayout

_CELL = 128  # pixels a photograph
_COLUMNS = 8
_MASK_COLOURS = np.array([(40, 90, 220), (240, 190, 60), (220, 40, 120)], np.float32)  # background, skin, hair
_PANELS = (
    ("shape", "identity: shape"),
    ("texture", "identity: texture"),
    ("expression", "expression"),
    ("angles", "pose"),
    ("lighting", "lighting"),
)
_ANGLES = ("pitch", "yaw", "roll")


def contact_sheet(samples: Sequence[Sample]) -> Image.Image:
    """The photographs, and to their right, where there are labels, the same with masks and landmarks drawn over."""
    plain = _grid([_cell(sample.image) for sample in samples])
    if all(sample.mask is None and sample.landmarks is None for sample in samples):
        return Image.fromarray(plain)
    return Image.fromarray(np.concatenate([plain, _grid([_labelled(sample) for sample in samples])], axis=1))


def _cell(image: np.ndarray) -> np.ndarray:
    """A whole multiple of a small picture, or a large one as it is, centred in a cell [_CELL, _CELL, 3]."""
    image = image[:_CELL, :_CELL]
    image = image.repeat(factor := max(1, _CELL // image.shape[0]), 0).repeat(factor, 1)
    cell = np.zeros((_CELL, _CELL, 3), np.uint8)
    top = (_CELL - image.shape[0]) // 2
    cell[top : top + image.shape[0], top : top + image.shape[1]] = image
    return cell


def _labelled(sample: Sample) -> np.ndarray:
    image = sample.image
    if sample.mask is not None:
        image = (0.5 * image + 0.5 * _MASK_COLOURS[sample.mask]).astype(np.uint8)
    cell, factor = _cell(image), max(1, _CELL // image.shape[0])
    top = (_CELL - min(_CELL, image.shape[0] * factor)) // 2
    if sample.landmarks is not None:
        for x, y in (sample.landmarks * factor + top).round().astype(int):
            cell[max(y - 1, 0) : max(y + 1, 0), max(x - 1, 0) : max(x + 1, 0)] = (60, 255, 60)
    return cell


def _grid(cells: Sequence[np.ndarray]) -> np.ndarray:
    rows = -(-len(cells) // _COLUMNS)
    grid = np.zeros((rows * _COLUMNS, _CELL, _CELL, 3), np.uint8)
    grid[: len(cells)] = cells
    return grid.reshape(rows, _COLUMNS, _CELL, _CELL, 3).swapaxes(1, 2).reshape(rows * _CELL, _COLUMNS * _CELL, 3)


def coefficient_histograms(
    coefficients: np.ndarray, layout: CoefficientLayout, deviations: dict[str, np.ndarray], title: str
) -> Image.Image:
    """Above, all numbers of a factor together; below, each one's median and the middle 90 %.

    coefficients: [N, layout.size]. deviations: standard deviations of groups of the face model, in which these groups
    are shown beside a normal density; other groups are shown in their own units, pose in degrees.
    """
    figure = Figure(figsize=(19, 7), dpi=80, layout="constrained")
    figure.suptitle(title)
    above, below = figure.subplots(2, len(_PANELS))
    for upper, lower, (group, name) in zip(above, below, _PANELS, strict=True):
        values = coefficients[:, layout.slice(group)].astype(np.float64)
        unit = "the model's own unit"
        if group in deviations:
            values, unit = values / np.maximum(deviations[group], 1e-12), "σ of the face model"
        elif group == "angles":
            values, unit = np.rad2deg(values), "degrees"
        low, high = np.quantile(values, [0.0005, 0.9995])
        bins = np.linspace(low, high if high > low else low + 1.0, 81)
        if group == "angles":
            for column, angle in enumerate(_ANGLES):
                upper.hist(values[:, column], bins, density=True, histtype="step", linewidth=1.6, label=angle)
        else:
            upper.hist(values.ravel(), bins, density=True, color="#6f8fbf", label=f"all {values.shape[1]}")
        if group in deviations:
            upper.plot(bins, np.exp(-(bins**2) / 2) / np.sqrt(2 * np.pi), "k--", linewidth=1, label="normal, σ = 1")
        upper.set(title=name, xlabel=unit, yticks=[])
        upper.legend(fontsize=8)
        least, middle, most = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
        places = np.arange(values.shape[1])
        lower.bar(places, most - least, bottom=least, color="#b9c8e0", label="5-95 %")
        lower.plot(places, middle, "k_", markersize=6, label="median")
        lower.set(xlabel="" if group == "angles" else "number of the coefficient", ylabel=unit)
        if group == "angles":
            lower.set_xticks(places, _ANGLES)
        lower.legend(fontsize=8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
