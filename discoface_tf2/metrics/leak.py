"""Identity leak: does the generator show people whom it was trained on?

Each generated image's nearest training image, by cosine of identity embeddings, beside the same of held-out images,
which nothing was trained on: where generated images are nearer than those, people are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from renderer.files import atomic_path, save_png
from renderer.outputs import sheet

PAIRS = 8  # of a kind on the sheet, the nearest of all
_SIDE = 128  # pixels of an image on it
Pick = Callable[[set[int]], dict[int, np.ndarray]]  # images uint8 [R, R, 3] by their numbers


def nearest(queries: np.ndarray, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cosine [N] and number [N] of the nearest of unit embeddings, in batches [B, D], to unit embeddings [N, D]."""
    best, number, start = np.full(len(queries), -np.inf), np.zeros(len(queries), int), 0
    for batch in batches:
        cosine = queries @ batch.T
        column = cosine.argmax(1)
        value = cosine[np.arange(len(queries)), column]
        nearer = value > best
        best[nearer], number[nearer] = value[nearer], start + column[nearer]
        start += len(batch)
    return best, number


def figures(generated: np.ndarray, held_out: np.ndarray) -> dict[str, float]:
    """Of the nearest cosines of generated [N] and of held-out images [M].

    `share_beyond_held_out` is the share of generated images nearer to a training image than 99 % of held-out ones: 0.01
    where nothing leaks.
    """
    found: dict[str, float] = {}
    for name, values in (("generated", generated), ("held_out", held_out)):
        at = np.percentile(values, [50, 99, 100])
        found |= {f"{name}_{word}": float(v) for word, v in zip(("median", "p99", "most"), at, strict=True)}
    return found | {"share_beyond_held_out": float(np.mean(generated > found["held_out_p99"]))}


def plot(generated: np.ndarray, held_out: np.ndarray, path: Path) -> None:
    """Writes both distributions as histograms, PNG."""
    from matplotlib.figure import Figure

    bins = np.linspace(min(generated.min(), held_out.min()), max(generated.max(), held_out.max(), 1e-3), 41)
    figure = Figure((6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, values in (("generated", generated), ("held out", held_out)):
        axes.hist(values, bins.tolist(), density=True, alpha=0.5, label=f"{name}, {len(values)} images")
    axes.axvline(np.percentile(held_out, 99), color="black", linestyle=":", label="99 % of the held-out images")
    axes.set(xlabel="cosine to the nearest training image", ylabel="density")
    axes.legend()
    with atomic_path(path) as other:
        figure.savefig(other, format="png", dpi=110)


def draw_sheet(kinds: Mapping[str, tuple[np.ndarray, np.ndarray, Pick]], training: Pick, path: Path) -> None:
    """Writes the nearest pairs, nearest first, PNG: a row of images of each kind, and below it their training images.

    Args:
        kinds: by name: nearest cosines [N], numbers of the training images [N], and what gives the kind's images.
        training: what gives training images.
        path: of the PNG.
    """
    cells, labels = [], []
    for name, (cosines, numbers, images) in kinds.items():
        order = [int(k) for k in np.argsort(-cosines)[:PAIRS]]
        of_kind, of_training = images(set(order)), training({int(numbers[k]) for k in order})
        cells.append([_cell(of_kind[k]) for k in order])
        labels.append([f"{name} {k}" for k in order])
        cells.append([_cell(of_training[int(numbers[k])]) for k in order])
        labels.append([f"training {numbers[k]}: {cosines[k]:.3f}" for k in order])
    save_png(sheet(cells, labels), path)


def _cell(pixels: np.ndarray) -> Image.Image:
    smooth = Image.Resampling.BOX if pixels.shape[0] > _SIDE else Image.Resampling.NEAREST
    return Image.fromarray(pixels).resize((_SIDE, _SIDE), smooth)
