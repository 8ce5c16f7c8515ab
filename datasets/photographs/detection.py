"""Faces and their five landmarks, by MTCNN (Zhang et al., 2016; the package `mtcnn` carries the weights).

The package keeps its weights as pickles, which can run anything when they are loaded, and looks for them in the current
directory first. Here they are loaded from the package's own folder, and only if they are the published ones.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

# Long sides, in pixels, at which a photograph is searched in turn, until a face is found. The detector sees faces of 20
# pixels and more, and reads landmarks off 48: a portrait costs a small picture, a face in a crowd a large one.
SIDES = (320, 960, 2400)
_SMALLEST = 20
_MAX_ENLARGEMENT = 3.0
_SHARP = 48  # pixels; narrower faces are looked at again, larger
_AGAIN_SIDE, _AGAIN_MARGIN = 240, 2.0
# SHA-256 of the weights of mtcnn 1.0.0, in the order of its stages.
WEIGHTS = {
    "pnet.lz4": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet.lz4": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet.lz4": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}


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


def weight_files(folder: Path | None = None, expected: Mapping[str, str] = WEIGHTS) -> list[Path]:
    """The detector's weight files, checked: nothing of theirs has been loaded yet.

    Args:
        folder: where they are; by default, in the installed package.
        expected: SHA-256 by file name.

    Raises:
        RuntimeError: the package is not installed, or a file is not the published one.
    """
    if folder is None:
        package = importlib.util.find_spec("mtcnn")  # finds it without running it
        if package is None or package.origin is None:
            raise RuntimeError(
                "finding faces needs the package mtcnn: pip install mtcnn==1.0.0 (the extra `photographs`), or give "
                "landmarks with --lm_path"
            )
        folder = Path(package.origin).parent / "assets" / "weights"
    files = [folder / name for name in expected]
    for file in files:
        received = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no such file"
        if received != expected[file.name]:
            raise RuntimeError(
                f"{file}: expected the weights of mtcnn 1.0.0 (SHA-256 {expected[file.name][:16]}…). Received: "
                f"{received[:16]}. It is a pickle and was not loaded; reinstall with pip install --force-reinstall "
                "--no-deps mtcnn==1.0.0"
            )
    return files


class Detector:
    """Finds faces. Making one loads three small networks; each call looks at one photograph.

    Raises RuntimeError, as `weight_files` does.
    """

    def __init__(self) -> None:
        files = weight_files()
        from mtcnn import MTCNN  # brings TensorFlow; only who detects pays
        from mtcnn.stages import StageONet, StagePNet, StageRNet

        # By absolute paths: a bare name would be looked for in the current directory first.
        stages = [
            stage(weights=str(file.absolute()))
            for stage, file in zip((StagePNet, StageRNet, StageONet), files, strict=True)
        ]
        self._network = MTCNN(stages, device="CPU:0")

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
