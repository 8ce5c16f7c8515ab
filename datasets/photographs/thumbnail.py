"""The report's pictures: landmarks over the photograph, the aligned face, and the re-rendered one over it."""

from __future__ import annotations

import io

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from datasets.alignment import FrameBox
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer

_MARGIN = 1.5  # the photograph is shown this many times as wide as the reconstruction crop
_DOT = 0.012  # radius of a landmark, of the picture's side
_GIVEN, _MODEL, _FRAME = (255, 40, 40), (60, 255, 120), (255, 220, 0)
_FIVE = (36, 39, 42, 45, 30, 48, 54)  # the model's landmarks that the five are made of


class Illustrator:
    """Draws a strip of three square pictures as a JPEG file.

    First the photograph with the given or detected landmarks (red) and the frame (yellow); then the aligned face with
    the model's landmarks (green); then the face that the renderer draws of the coefficients, over the aligned one.
    """

    def __init__(self, model: FaceModel, size: int):
        self.size = size
        renderer = FaceRenderer(model, size)
        coefficients = tf.TensorSpec([1, model.layout.size], tf.float32)

        def draw(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            drawn = renderer(values)
            return drawn.image, drawn.mask, drawn.landmarks

        self._draw = tf.function(draw, input_signature=[coefficients])

    def __call__(
        self,
        image: Image.Image,
        landmarks: np.ndarray,
        seen: FrameBox,
        frame: FrameBox,
        aligned: np.ndarray,
        coefficients: np.ndarray,
    ) -> bytes:
        """The strip [size, 3 · size] of a face.

        image: the photograph. landmarks: [5, 2] of it. seen, frame: its reconstruction crop and the generator's.
        aligned: [H, W, 3] uint8. coefficients: [size].
        """
        size = self.size
        side = seen.side * _MARGIN
        shift = (side - seen.side) / 2
        around = FrameBox(seen.left - shift, seen.top - shift, side)
        first = _part(image, around, size)
        pen = ImageDraw.Draw(first)
        corners = around.to_frame(np.array([[frame.left, frame.top]]), size)[0]
        pen.rectangle((*corners, *(corners + frame.side * size / side)), outline=_FRAME)
        _dots(pen, around.to_frame(landmarks, size), _GIVEN, size)
        second = Image.fromarray(aligned).resize((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        rendered, mask, points = (value[0].numpy() for value in self._draw(coefficients[None].astype(np.float32)))
        over = np.where(mask > 0, rendered, np.asarray(second)).clip(0, 255).astype(np.uint8)
        _dots(ImageDraw.Draw(second), points[list(_FIVE)] * (1, -1) + (0, size), _MODEL, size)
        strip = Image.new("RGB", (3 * size, size))
        for number, picture in enumerate((first, second, Image.fromarray(over))):
            strip.paste(picture, (number * size, 0))
        return _jpeg(strip)

    def plain(self, image: Image.Image) -> bytes:
        """A small copy of a photograph in which nothing was found."""
        image = image.copy()
        image.thumbnail((3 * self.size, self.size), Image.Resampling.BILINEAR)
        return _jpeg(image)


def _part(image: Image.Image, box: FrameBox, size: int) -> Image.Image:
    """A square of a photograph, black where there is none."""
    scale = box.side / size
    if scale > 2:  # an affine transform does not average
        factor = int(scale)
        corners = (max(0, box.left), max(0, box.top), box.left + box.side, box.top + box.side)
        left, top = (int(v) for v in corners[:2])
        right, bottom = min(image.width, int(corners[2]) + 1), min(image.height, int(corners[3]) + 1)
        image = image.crop((left, top, max(right, left + 1), max(bottom, top + 1))).reduce(factor)
        box, scale = FrameBox((box.left - left) / factor, (box.top - top) / factor, box.side / factor), scale / factor
    matrix = (scale, 0, box.left, 0, scale, box.top)
    return image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _dots(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, int, int], size: int) -> None:
    radius = max(1.0, _DOT * size)
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
