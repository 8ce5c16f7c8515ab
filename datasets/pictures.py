"""Pictures of datasets: contact sheets, with masks and landmarks where they are known, and histograms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from renderer.layout import CoefficientLayout

CELL = 128  # pixels per image
_MASK_COLOURS = np.array([(40, 90, 220), (240, 190, 60), (220, 40, 120)], np.float32)  # background, skin, hair
_PANELS = (
    ("shape", "identity: shape"),
    ("texture", "identity: texture"),
    ("expression", "expression"),
    ("angles", "pose"),
    ("lighting", "lighting"),
)
_ANGLES = ("pitch", "yaw", "roll")


def tile(images: Sequence[np.ndarray], columns: int = 8, background: int = 0) -> np.ndarray:
    """Images [H, W, 3] uint8 of one size in rows of `columns`; places left free are grey of the level `background`."""
    height, width, _ = images[0].shape
    rows = -(-len(images) // columns)
    grid = np.full((rows * columns, height, width, 3), background, np.uint8)
    grid[: len(images)] = images
    return grid.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)


def cells(pixels: np.ndarray, classes: np.ndarray | None, landmarks: np.ndarray | None) -> list[np.ndarray]:
    """An image for a contact sheet [CELL, CELL, 3] and, where something is known, the same with what is known over it.

    pixels: [S, S, 3] uint8. classes: [S, S] uint8. landmarks: [68, 2] pixels, y up, of which (0, 0) is bottom left.
    """
    size = pixels.shape[0]
    smooth = Image.Resampling.BOX if size > CELL else Image.Resampling.NEAREST
    plain = np.asarray(Image.fromarray(pixels).resize((CELL, CELL), smooth))
    if classes is None and landmarks is None:
        return [plain]
    labelled = plain.copy()
    if classes is not None:
        small = np.asarray(Image.fromarray(classes).resize((CELL, CELL), Image.Resampling.NEAREST))
        labelled = (0.5 * plain + 0.5 * _MASK_COLOURS[small]).astype(np.uint8)
    if landmarks is not None:
        for x, y in ((landmarks * (1, -1) + (0, size)) * CELL / size).round().astype(int):
            labelled[max(y - 1, 0) : max(y + 1, 0), max(x - 1, 0) : max(x + 1, 0)] = (60, 255, 60)
    return [plain, labelled]


def contact_sheet(samples: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """The images, left, and to their right what is known of them, from `cells` of each."""
    return Image.fromarray(np.concatenate([tile(group) for group in zip(*samples, strict=True)], axis=1))


def coefficient_histograms(
    coefficients: np.ndarray, layout: CoefficientLayout, deviations: dict[str, np.ndarray], title: str
) -> Image.Image:
    """Above, all numbers of a factor together; below, each one's median and the middle 90 %.

    coefficients: [N, layout.size]. deviations: standard deviations of groups of the face model, in which these groups
    are shown beside a normal density; other groups are shown in their own units, pose in degrees.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # it takes a second, which contact sheets do not need
    from matplotlib.figure import Figure

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
