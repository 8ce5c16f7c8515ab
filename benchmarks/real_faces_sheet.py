"""The contact sheet of benchmarks.real_faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_TINTS = np.array([(40, 90, 220), (240, 190, 60), (220, 40, 120)], np.float32)  # background, skin, hair
_PREDICTED, _GIVEN = (60, 255, 60), (255, 40, 40)
_COLUMNS, _CAPTION = 4, 16  # pairs of pictures in a row; pixels


def draw_sheet(
    images: np.ndarray, masks: np.ndarray, predicted: np.ndarray, given: np.ndarray, names: Sequence[str]
) -> Image.Image:
    """Pairs of pictures in rows: the masks over the photograph, and the landmarks on it; the name below.

    images: [N, S, S, 3] uint8. masks: [N, M, M] numbers 0-2, of any size. predicted, given: [N, P, 2] pixels, y down.
    """
    size = images.shape[1]
    rows = -(-len(images) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * (2 * size + 4), rows * (size + _CAPTION)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for number, (image, mask, points, truth, name) in enumerate(
        zip(images, masks, predicted, given, names, strict=True)
    ):
        left, top = number % _COLUMNS * (2 * size + 4), number // _COLUMNS * (size + _CAPTION)
        tint = Image.fromarray(_TINTS[mask].astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)
        photo = Image.fromarray(image)
        sheet.paste(Image.blend(photo, tint, 0.4), (left, top))
        sheet.paste(_plotted(photo, points, truth), (left + size, top))
        pen.text((left + 2, top + size + 1), name, "black", font)
    return sheet


def _plotted(photo: Image.Image, points: np.ndarray, truth: np.ndarray) -> Image.Image:
    photo = photo.copy()
    pen = ImageDraw.Draw(photo)
    for x, y in points.tolist():
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=_PREDICTED)
    for x, y in truth.tolist():
        pen.line((x - 4, y, x + 4, y), fill=_GIVEN)
        pen.line((x, y - 4, x, y + 4), fill=_GIVEN)
    return photo
