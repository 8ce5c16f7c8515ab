"""From the generator's framing to those of the published networks, and back: differentiable, in TensorFlow.

The reconstruction camera sees 224/256 · 1.22 times as wide a field as the generator's, from the same distance. So a
generator's picture fills most of a reconstruction crop, at one scale for every depth; the rest is its mirrored border.

The parser wants five landmarks on standard places of 512 pixels, then bends the plane: coordinates go through tanh, so
that the face is large and all of the rest is there as well (RoI tanh warping, Lin et al. 2019).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from discoface_tf2.perception.resizing import resample, resampling_matrix
from renderer.camera import Camera

PARSER_SIZE = 512
# Eyes, nose tip, mouth corners: where the parser's alignment puts them, pixels of PARSER_SIZE, y down.
PARSER_POINTS = ((196.0, 226.0), (316.0, 226.0), (256.0, 286.0), (220.0, 360.4), (292.0, 360.4))
_MEAN_FACE = ((-0.31, 0.29, 0.13), (0.31, 0.29, 0.13), (0, -0.05, 0.55), (-0.25, -0.38, 0.22), (0.25, -0.38, 0.22))
_REACH = 0.999  # of tanh: the parser's border is at atanh(0.999) = 3.8 half sides from the middle


def standard_face() -> np.ndarray:
    """The mean face's five landmarks [1, 5, 2] in the generator's framing: fractions of the side, y down."""
    points = np.asarray(Camera.generator(256).project(np.array(_MEAN_FACE, np.float32))) / 256
    return np.stack([points[:, 0], 1 - points[:, 1]], -1)[None].astype(np.float32)


STANDARD_FACE = standard_face()


def static_size(images: tf.Tensor) -> tuple[int, int]:
    """Height and width of [B, H, W, C]. Raises ValueError when they are not known before the graph runs."""
    height, width = images.shape[1:3]
    if height is None or width is None:
        raise ValueError(
            f"perception: the published networks need the pictures' size beforehand. Received: {images.shape}"
        )
    return height, width


def to_reconstruction_frame(images: tf.Tensor) -> tf.Tensor:
    """Images [B, H, W, C] as the generator's camera sees → [B, 224, 224, C] as the reconstruction camera does."""
    height, width = static_size(images)
    return resample(images, _reconstruction_matrix(height), _reconstruction_matrix(width))


def _reconstruction_matrix(size: int) -> np.ndarray:
    theirs, ours = Camera.reconstruction(), Camera.generator(size)
    span = theirs.image_size * ours.focal / theirs.focal  # of their picture, in our pixels
    return resampling_matrix(size, theirs.image_size, (size - span) / 2, span, mirror=True)


def parser_similarity(landmarks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn-and-scale a and shift b, complex [B], that bring PARSER_POINTS nearest to `landmarks` [B, 5, 2].

    Points are complex numbers x + iy, so least squares over similarities w = a·z + b is a linear regression on one
    variable. z is in units of PARSER_SIZE, and w in those of the landmarks. No gradient.
    """
    landmarks = tf.stop_gradient(tf.cast(landmarks, tf.float32))
    z = tf.constant(PARSER_POINTS) / PARSER_SIZE
    z, w = tf.complex(z[:, 0], z[:, 1]), tf.complex(landmarks[..., 0], landmarks[..., 1])  # [5], [B, 5]
    offset = z - tf.reduce_mean(z)
    a = tf.reduce_sum(tf.math.conj(offset) * w, -1) / tf.reduce_sum(tf.math.conj(offset) * offset)
    return a, tf.reduce_mean(w, -1) - a * tf.reduce_mean(z)


def to_parser_frame(images: tf.Tensor, similarity: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Images [B, H, W, C] → [B, 512, 512, C], aligned and bent; what is outside of a picture is 0."""
    height, width = static_size(images)
    if max(height, width) > PARSER_SIZE:  # pixels of the face's own size at most, or the sampling would skip some
        images = resample(images, *(resampling_matrix(size, PARSER_SIZE, mirror=True) for size in (height, width)))
        height = width = PARSER_SIZE
    # The published grid has its middle on pixel 256.
    line = np.arctanh((np.arange(PARSER_SIZE) / (PARSER_SIZE / 2) - 1).clip(-_REACH, _REACH)) / 2 + 0.5
    grid = tf.constant((line[None, :] + 1j * line[:, None]).astype(np.complex64))  # [512, 512], parts of the side
    a, b = similarity
    there = a[:, None, None] * grid + b[:, None, None]
    bordered = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # A picture's pixel k has its middle at k + 0.5, and the border has moved it by one.
    return sample(bordered, tf.math.real(there) * width + 0.5, tf.math.imag(there) * height + 0.5)


def from_parser_frame(maps: tf.Tensor, similarity: tuple[tf.Tensor, tf.Tensor], height: int, width: int) -> tf.Tensor:
    """[B, 512, 512, C] in the parser's framing → [B, height, width, C] over the whole picture."""
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    grid = tf.constant((x[None, :] + 1j * y[:, None]).astype(np.complex64))
    a, b = similarity
    there = (grid - b[:, None, None]) / a[:, None, None]
    half = PARSER_SIZE / 2
    x, y = (half * (tf.tanh(2 * part - 1) + 1) for part in (tf.math.real(there), tf.math.imag(there)))
    return sample(maps, x, y)


def sample(images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Bilinear: images [B, H, W, C] at columns x and rows y [B or 1, h, w] → [B, h, w, C].

    Whole numbers are the middles of pixels; beyond the border is its nearest pixel. Differentiable in the images.
    """
    batch, (height, width) = tf.shape(images)[0], static_size(images)
    x, y = tf.clip_by_value(x, 0.0, width - 1.0), tf.clip_by_value(y, 0.0, height - 1.0)
    left, top = tf.floor(x), tf.floor(y)
    dx, dy = (x - left)[..., None], (y - top)[..., None]
    first = tf.cast(top, tf.int32) * width + tf.cast(left, tf.int32)  # [B or 1, h, w]
    right = tf.cast(left < width - 1, tf.int32)
    below = tf.cast(top < height - 1, tf.int32) * width
    pixels = tf.reshape(images, [batch, height * width, images.shape[-1]])

    def at(index: tf.Tensor) -> tf.Tensor:
        index = tf.broadcast_to(index, [batch, *index.shape[1:]])
        return tf.gather(pixels, index, batch_dims=1)

    upper = at(first) * (1 - dx) + at(first + right) * dx
    lower = at(first + below) * (1 - dx) + at(first + below + right) * dx
    return upper * (1 - dy) + lower * dy
