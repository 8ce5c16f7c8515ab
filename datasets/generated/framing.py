"""Where the face lies in an image of a data set: ArcFace's frame, FFHQ's, or the generator's own.

Points are pixels, y down, of which (0, 0) is the image's top left corner. A similarity is w = a·z + b of points as
complex numbers x + iy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from datasets.alignment import five_landmarks, reflect_border

# ArcFace's places of eyes, nose tip and mouth corners in an image of 112 pixels (Deng et al., CVPR 2019, and their
# published code), where a pixel's number is its middle.
ARCFACE_SIZE = 112
ARCFACE_POINTS = 0.5 + np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)


@dataclass(frozen=True)
class Similarity:
    """From the pixels of one image to those of another: w = turn·z + shift."""

    turn: complex
    shift: complex

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 2] of the first image → [N, 2] of the second."""
        w = self.turn * (points[:, 0] + 1j * points[:, 1]) + self.shift
        return np.stack([w.real, w.imag], -1)

    def matrix(self) -> np.ndarray:
        """The same as a matrix [2, 3] float32, for columns (x, y, 1)."""
        a, b = self.turn, self.shift
        return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]], np.float32)

    def inverse(self) -> Similarity:
        """From the second image to the first."""
        return Similarity(1 / self.turn, -self.shift / self.turn)


def similarity(align: str, landmarks: np.ndarray, size: int, image_size: int) -> Similarity:
    """From an image of `size` pixels with these 68 `landmarks` [68, 2] to one of `image_size` pixels, by alignment."""
    if align == "none":
        return Similarity(complex(image_size / size), 0j)
    if align == "arcface":
        return fit_similarity(five_landmarks(landmarks), ARCFACE_POINTS * (image_size / ARCFACE_SIZE))
    return _ffhq(landmarks, image_size)


def fit_similarity(points: np.ndarray, target: np.ndarray) -> Similarity:
    """The one that brings `points` [N, 2] nearest to `target` [N, 2]: Umeyama's (1991), without reflection.

    In complex numbers it is the linear regression of the target on the points.
    """
    z, w = (values[:, 0] + 1j * values[:, 1] for values in (points.astype(np.float64), target.astype(np.float64)))
    offset = z - z.mean()
    turn = complex(np.vdot(offset, w) / np.vdot(offset, offset).real)
    return Similarity(turn, complex(w.mean() - turn * z.mean()))


def _ffhq(landmarks: np.ndarray, image_size: int) -> Similarity:
    """The square of FFHQ and CelebA-HQ (Karras et al., ICLR 2018, appendix C), of eyes e0, e1 and mouth corners.

    With x = e1 - e0, and v from the middle of the eyes to that of the mouth: the square's middle is 0.1 v below the
    eyes, its side max(4 |x|, 3.6 |v|), and it lies along x less v turned by 90 degrees, -i·v.
    """
    z = landmarks[:, 0].astype(np.float64) + 1j * landmarks[:, 1]
    left, right = z[36:42].mean(), z[42:48].mean()
    eyes, mouth = (left + right) / 2, (z[48] + z[54]) / 2
    x, v = right - left, mouth - eyes
    along = x - 1j * v
    turn = image_size / max(4 * abs(x), 3.6 * abs(v)) * np.conj(along / abs(along))
    middle = eyes + 0.1 * v
    return Similarity(complex(turn), complex(image_size / 2 * (1 + 1j) - turn * middle))


def warp(pixels: np.ndarray, found: Similarity, image_size: int) -> np.ndarray:
    """Resamples an image [H, W, 3], or a map of classes [H, W], both uint8, as `found` has it → [S, S(, 3)].

    Images bicubically and antialiased, classes at the nearest pixel. Beyond the border is its reflection, blurred
    more and more in an image.
    """
    back, classes = found.inverse(), pixels.ndim == 2
    corners = back(np.array([(0, 0), (image_size, 0), (0, image_size), (image_size, image_size)], float))
    size = np.array(pixels.shape[1::-1])
    before, after = (np.ceil(part.clip(0)).astype(int) for part in (-corners.min(0), corners.max(0) - size))
    if before.any() or after.any():
        if classes:
            pixels = np.pad(pixels, [(before[1], after[1]), (before[0], after[0])], mode="symmetric")
        else:
            pixels = reflect_border(pixels, before, after, side=float(abs(back.turn) * image_size))
    factor = 1 if classes else max(1, int(np.ceil(abs(back.turn) - 1e-6)))  # samples per pixel, along each side
    coefficients = back.matrix().astype(np.float64)
    coefficients[:, :2] /= factor
    coefficients[:, 2] += before
    method = Image.Resampling.NEAREST if classes else Image.Resampling.BICUBIC
    shape = (image_size * factor,) * 2
    warped = Image.fromarray(pixels).transform(shape, Image.Transform.AFFINE, tuple(coefficients.ravel()), method)
    return np.asarray(warped if factor == 1 else warped.reduce(factor))
