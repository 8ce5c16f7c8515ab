"""From a photograph and five landmarks to the generator's framing: frames, and the resampling of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from renderer.camera import Camera
from renderer.landmarks import FIVE_OF_68

LANDMARK_NAMES = (
    "eye on the picture's left",
    "eye on its right",
    "nose tip",
    "mouth corner left",
    "mouth corner right",
)

RECONSTRUCTION_SCALE = 102.0  # pixels per decimetre of the reconstruction crop of 224 pixels
_MAX_SIDE = 6.0  # the frame may be this many times as large as the photograph; beyond, the landmarks are not a face
_REDUCE_TO = 3  # large photographs are averaged to about this many pixels per frame pixel before they are resampled
_BLUR, _BLUR_RAMP = 0.03, 0.10  # of the frame's side: how much, and how far out, the reflected border is blurred


@dataclass(frozen=True)
class FrameBox:
    """The square of a photograph that the frame shows, in pixels from the photograph's top left corner, y down."""

    left: float
    top: float
    side: float

    def to_frame(self, points: np.ndarray, image_size: int) -> np.ndarray:
        """Photograph pixels [N, 2] → pixels [N, 2] of the aligned image, y down in both."""
        return (np.asarray(points, np.float64) - (self.left, self.top)) * (image_size / self.side)


def read_landmarks(path: str | Path) -> np.ndarray:
    """[5, 2] x and y in pixels of the upright photograph, y down, from a text file of 5 lines `x y`.

    The order is LANDMARK_NAMES. Raises FileNotFoundError, OSError or ValueError with one line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected 5 lines 'x y'")
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected 5 lines of text 'x y'. Received: a binary file") from None
    if len(rows) != 5 or any(len(row) != 2 for row in rows):
        widths = sorted({len(row) for row in rows})
        raise ValueError(
            f"{path}: expected 5 lines of 2 numbers. Received: {len(rows)} lines of "
            f"{' or '.join(map(str, widths)) or 'no'} words"
        )
    try:
        points = np.array(rows, float)
    except ValueError as error:
        raise ValueError(f"{path}: expected 5 lines of 2 numbers ({error})") from None
    if not np.isfinite(points).all():
        raise ValueError(f"{path}: the landmarks should be finite numbers")
    return points


def five_landmarks(points: np.ndarray) -> np.ndarray:
    """68 iBUG landmarks [..., 68, D] → eyes, nose tip and mouth corners [..., 5, D].

    An eye is the middle of its two corners (iBUG 36 and 39, 42 and 45), the nose tip is 30, the mouth 48 and 54.
    """
    return np.einsum("ij,...jd->...id", FIVE_OF_68, points)


def fit_weak_perspective(observed: np.ndarray, model: np.ndarray) -> tuple[float, np.ndarray]:
    """Scale, and place [2] of the model's origin, of the scaled orthographic projection that fits `observed` best.

    POS: weak-perspective least squares (DeMenthon & Davis 1995) of `observed` [N, 2], y up, to `model` [N, 3]. Solves
    observed = model · (s·r1, s·r2) + t for two free rows; the scale is the mean of the rows' lengths. The rows hold the
    head's rotation, which is not used further. Raises ValueError for points that determine no projection.
    """
    if len(observed) != len(model) or len(model) < 4:
        raise ValueError(f"POS: expected 4 or more pairs of points. Received: {len(observed)} and {len(model)}")
    unknowns = np.concatenate([model, np.ones((len(model), 1))], axis=1)  # [N, 4]
    solution, _, rank, _ = np.linalg.lstsq(unknowns, observed, rcond=None)  # [4, 2]
    rows = solution[:3].T  # [2, 3]
    lengths = np.linalg.norm(rows, axis=1)
    # A rigid face keeps the sense of its x and y axes unless the points are in another order, or all on one line.
    sense = float(rows[0, 0] * rows[1, 1] - rows[0, 1] * rows[1, 0])
    if rank < 4 or not np.isfinite(solution).all() or lengths.min() < 1e-3 * max(lengths.max(), 1e-9):
        raise ValueError("the landmarks lie on one line or in one point; no face is there")
    if sense <= 0:
        raise ValueError(f"the landmarks are flipped or in another order; expected {', '.join(LANDMARK_NAMES)}")
    return float(lengths.mean()), solution[3]


def reconstruction_box(landmarks: np.ndarray, standard: np.ndarray) -> FrameBox:
    """The square that the reconstruction camera sees: 224 pixels, the standard face at 102 pixels per decimetre (POS).

    landmarks: [5, 2] pixels of the photograph, y down. standard: [5, 3] decimetres, those of the mean face, whose
    origin falls into the middle. The photograph is scaled and shifted and never turned: roll is a part of the pose.
    """
    scale, origin = fit_weak_perspective(np.asarray(landmarks, np.float64) * (1, -1), standard)
    side = Camera.reconstruction().image_size * scale / RECONSTRUCTION_SCALE
    middle = origin * (1, -1)
    return FrameBox(float(middle[0] - side / 2), float(middle[1] - side / 2), float(side))


def generator_box(seen: FrameBox, translation: np.ndarray) -> FrameBox:
    """The square of the generator's camera, for a face that stands at `translation` [3] in the reconstruction crop.

    The crop is shifted by the projection of the translation, f·t/(10 − t_z), and scaled by (10 − t_z)/10, so that the
    translation becomes 0: what the reference does between its two crops.
    """
    theirs, ours = Camera.reconstruction(), Camera.generator(256)
    tx, ty, tz = (float(value) for value in translation)
    depth = theirs.distance - tz
    if not depth > 0:
        raise ValueError(f"the face stands behind the camera: its translation is {tx:.1f}, {ty:.1f}, {tz:.1f}")
    pixel = seen.side / theirs.image_size  # photograph pixels per pixel of the crop
    middle_x = seen.left + seen.side / 2 + pixel * theirs.focal * tx / depth
    middle_y = seen.top + seen.side / 2 - pixel * theirs.focal * ty / depth
    side = pixel * ours.image_size * (theirs.focal / ours.focal) * theirs.distance / depth
    return FrameBox(middle_x - side / 2, middle_y - side / 2, side)


def align(image: Image.Image, box: FrameBox, image_size: int) -> np.ndarray:
    """Resamples `box` of an RGB photograph to [image_size, image_size, 3] uint8, once and antialiased (Lanczos).

    What lies outside the photograph is its reflected border, more and more blurred. Raises ValueError when the box and
    the photograph do not meet, or hardly.
    """
    width, height = image.size
    overlap = _overlap(box.left, box.side, width) * _overlap(box.top, box.side, height) / box.side**2
    if overlap < 0.1 or box.side > _MAX_SIDE * max(width, height) or box.side < 2:
        raise ValueError(
            f"the landmarks ask for a square of {box.side:.0f} pixels at ({box.left:.0f}, {box.top:.0f}), "
            f"which is {overlap:.0%} inside the photograph of {width}×{height} pixels"
        )
    factor = max(1, int(box.side / (_REDUCE_TO * image_size)))
    if factor > 1:
        image = image.reduce(factor)
    corners = np.array([box.left, box.top, box.left + box.side, box.top + box.side]) / factor
    patch, offset = _extended(image, corners, margin=3 * box.side / factor / image_size + 1)
    left, top, right, bottom = corners - np.tile(offset, 2)
    resized = patch.resize((image_size, image_size), Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    return np.asarray(resized)


def _overlap(start: float, length: float, limit: int) -> float:
    return max(0.0, min(start + length, limit) - max(start, 0.0))


def _extended(image: Image.Image, corners: np.ndarray, margin: float) -> tuple[Image.Image, np.ndarray]:
    """The part of `image` around `corners` (left, top, right, bottom), extended where there is none; and its offset."""
    low = np.floor(corners[:2] - margin).astype(int)
    high = np.ceil(corners[2:] + margin).astype(int)
    size = np.array(image.size)
    # One more side of picture than the frame needs, where there is one, so that there is something to reflect.
    inner_low, inner_high = (low - (high - low)).clip(0, size - 1), (high + (high - low)).clip(1, size)
    pixels = np.asarray(image.crop((*inner_low.tolist(), *inner_high.tolist())))  # [h, w, 3]
    before, after = (inner_low - low).clip(0), (high - inner_high).clip(0)
    if before.any() or after.any():
        pixels = reflect_border(pixels, before, after, side=float(corners[2] - corners[0]))
    start = (low - inner_low).clip(0)
    shown = pixels[start[1] : start[1] + high[1] - low[1], start[0] : start[0] + high[0] - low[0]]
    return Image.fromarray(np.ascontiguousarray(shown)), low


def reflect_border(pixels: np.ndarray, before: np.ndarray, after: np.ndarray, side: float) -> np.ndarray:
    """Pads [h, w, 3] uint8 by (x, y) pixels before and after: reflected, and blurred with the distance."""
    pads = [(int(before[axis]), int(after[axis])) for axis in (1, 0)]
    padded = np.pad(pixels, [*pads, (0, 0)], mode="symmetric").astype(np.float32)
    sigma = _BLUR * side
    blurred = ndimage.gaussian_filter(padded, (sigma, sigma, 0), truncate=3.0)
    distances = [
        np.maximum(before - np.arange(length), np.arange(length) - (length - 1 - after)).clip(0)
        for (before, after), length in zip(pads, padded.shape, strict=False)
    ]
    weight = np.maximum(distances[0][:, None], distances[1][None, :]) / (_BLUR_RAMP * side)  # 0 in the photograph
    weight = weight.clip(0, 1)[..., None]
    return (padded + weight * (blurred - padded) + 0.5).clip(0, 255).astype(np.uint8)
