"""Faces and their five landmarks, by MTCNN (Zhang et al., 2016; the package `mtcnn` carries the weights)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

# Long sides, in pixels, at which a photograph is searched in turn, until a face is found. The detector sees faces of 20
# pixels and more, and reads landmarks off 48: a portrait costs a small picture, a face in a crowd a large one.
SIDES = (320, 960, 2400)
_SMALLEST = 20
_MAX_ENLARGEMENT = 3.0
_SHARP = 48  # pixels; narrower faces are looked at again, larger
_AGAIN_SIDE, _AGAIN_MARGIN = 240, 2.0


@dataclass(frozen=True, eq=False)
class Face:
    """One face of a photograph, in its pixels, y down.

    landmarks: [5, 2], in the order of `datasets.alignment.LANDMARK_NAMES`. box: left, top, right, bottom.
    """

    landmarks: np.ndarray
    box: tuple[float, float, float, float]
    confidence: float  # 0-1

    @property
    def area(self) -> float:
        """Square pixels of the box."""
        left, top, right, bottom = self.box
        return max(0.0, right - left) * max(0.0, bottom - top)


class Detector:
    """Finds faces. Making one loads three small networks; each call looks at one photograph."""

    def __init__(self) -> None:
        from mtcnn import MTCNN  # brings TensorFlow; only who detects pays

        self._network = MTCNN(device="CPU:0")

    def detect(self, image: Image.Image, every: bool = False) -> list[Face]:
        """The faces of an RGB photograph, the largest first; `every` searches small ones beside large ones."""
        longest = max(image.size)
        for number, side in enumerate(SIDES):
            last = number == len(SIDES) - 1 or SIDES[number] >= longest
            if every and not last and side < SIDES[1]:
                continue
            faces = self._search(image, min(side / longest, _MAX_ENLARGEMENT))
            if faces or last:
                break
        faces = [self._again(image, face, longest) for face in faces[: None if every else 1]] + (
            [] if every else faces[1:]
        )
        return faces

    def _search(self, image: Image.Image, scale: float) -> list[Face]:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if min(size) < _SMALLEST:
            return []
        pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        # The detector's own smallest size stays at its default: with another, the pyramid ends below its networks'
        # input, which it takes for an empty picture.
        rows = self._network.detect_faces(pixels, output_type="numpy", box_format="xyxy")
        # [image, left, top, right, bottom, confidence, 5 x, 5 y]
        scales = np.array([image.width / size[0], image.height / size[1]])
        faces = []
        for row in np.asarray(rows, np.float64).reshape(-1, 16):
            points = np.stack([row[6:11], row[11:16]], axis=1) * scales
            corners = row[1:5] * np.tile(scales, 2)
            if np.isfinite(points).all():
                left, top, right, bottom = (float(corner) for corner in corners)
                faces.append(Face(points, (left, top, right, bottom), float(row[5])))
        return sorted(faces, key=lambda face: -face.area)

    def _again(self, image: Image.Image, face: Face, longest: int) -> Face:
        """A face that was only a few pixels wide where it was found, from a larger picture of its surroundings."""
        left, top, right, bottom = face.box
        width = max(right - left, bottom - top)
        if width * min(SIDES[0], longest) / longest >= _SHARP or width < 2:
            return face
        reach = width * (0.5 + _AGAIN_MARGIN / 2)
        middle = np.array([(left + right) / 2, (top + bottom) / 2])
        corner = np.floor(middle - reach).astype(int).clip(0)
        end = np.minimum(np.ceil(middle + reach).astype(int), image.size)
        if (end - corner).min() < _SMALLEST:
            return face
        part = image.crop((*corner.tolist(), *end.tolist()))
        found = self._search(part, min(_AGAIN_SIDE / max(part.size), _MAX_ENLARGEMENT))
        best, distance = face, 0.3 * width  # another face may be in the picture too
        for other in found:
            moved = other.landmarks + corner
            apart = float(np.linalg.norm(moved.mean(0) - face.landmarks.mean(0)))
            if apart < distance:
                box = tuple(float(v) for v in np.array(other.box) + np.tile(corner, 2))
                best, distance = Face(moved, box, other.confidence), apart  # type: ignore[arg-type]
        return best
