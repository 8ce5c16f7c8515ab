"""The augmentations of adaptive discriminator augmentation: flips, turns, shifts, scales and colours of images.

Karras et al., "Training generative adversarial networks with limited data" (NeurIPS 2020), appendix B. Each
transformation is applied to each image with probability p, and its size is then drawn anew. For given sizes an image's
augmentation is an affine function of its pixels, so gradients of any order pass. The order is the paper's: pixel
blitting, geometry, colour.

Geometry is one resampling, low-passed against aliasing with the sym6 wavelet as in the paper: the image is enlarged by
two, sampled with bilinear weights where the transformation says, and reduced by two. Beyond its border it goes on
mirrored, without end, so every size is known beforehand. Images must be square.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

BLIT, GEOMETRY, COLOUR = "b", "g", "c"
# The scaling filter of the symlet with six vanishing moments (Daubechies, "Ten lectures on wavelets", section 8.1.1).
SYM6 = np.array(
    [0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
     0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
     0.0017677118642428036, -0.007800708325034148]
)  # fmt: skip
# Where along its taps the filter has its centre: what a pixel of the enlarged image shows lies there.
_CENTRE = float(np.sum(np.arange(len(SYM6)) * SYM6) / np.sum(SYM6))
_AHEAD = 5  # taps of the filter before the sample that it is placed at

_SHIFT_MAX = 0.125  # of the image's size: whole pixels, uniform
_SHIFT_STD = 0.125  # of the image's size: fractions of pixels, normal
_SCALE_STD = 0.2  # base-2 logarithm, of both scales
_BRIGHTNESS_STD = 0.2  # of images in [-1, 1]
_CONTRAST_STD = 0.5  # base-2 logarithm
_SATURATION_STD = 1.0  # base-2 logarithm
DRAWS = 28  # numbers that an image's sizes are drawn from


class Transformation(NamedTuple):
    """What is done to each image of a batch, in this order. Directions are those of the displayed image, y down."""

    flip: tf.Tensor  # [B] bool, left and right exchanged
    quarter_turns: tf.Tensor  # [B] int32, 0 … 3, counter-clockwise
    shift: tf.Tensor  # [B, 2] pixels to the right and down; whole numbers keep pixels as they are
    scale: tf.Tensor  # [B] both axes, larger than 1 enlarges
    rotation: tf.Tensor  # [B] radians, counter-clockwise
    stretch: tf.Tensor  # [B] width times it, height divided by it
    second_rotation: tf.Tensor  # [B] radians, after the stretch, which so has any direction
    second_shift: tf.Tensor  # [B, 2] pixels to the right and down, any fraction
    brightness: tf.Tensor  # [B] added
    contrast: tf.Tensor  # [B] multiplies
    luma_flip: tf.Tensor  # [B] bool, the grey part of each colour negated
    hue: tf.Tensor  # [B] radians around the grey axis
    saturation: tf.Tensor  # [B] multiplies the distance from grey

    @classmethod
    def none(cls, batch: int) -> Transformation:
        """The transformation that leaves `batch` images as they are."""
        no, zero, one = tf.zeros([batch], tf.bool), tf.zeros([batch]), tf.ones([batch])
        turns, still = tf.zeros([batch], tf.int32), tf.zeros([batch, 2])
        return cls(no, turns, still, one, zero, one, zero, still, zero, one, no, zero, one)


def draw_transformation(
    normals: tf.Tensor, probability: tf.Tensor, size: int, pipe: str = BLIT + GEOMETRY + COLOUR
) -> Transformation:
    """Transformations of images of `size` pixels from normal numbers [B, DRAWS], each with this probability.

    `pipe` names the groups that are drawn: b (flip, quarter turns, whole shifts), g (scale, rotation, stretch, shifts),
    c (colour). The others, and what chance leaves out, are neutral.
    """
    columns = iter(tf.unstack(normals, DRAWS, axis=1))

    def uniform() -> tf.Tensor:  # in [0, 1): of a normal number, so that one draw serves all
        return tf.minimum(0.5 * tf.math.erfc(-next(columns) / np.sqrt(2.0)), 1.0 - 2.0**-24)

    def gate(group: str, chance: tf.Tensor = probability) -> tf.Tensor:
        hit = uniform() < chance
        return hit if group in pipe else tf.zeros_like(hit)

    def sized(hit: tf.Tensor, value: tf.Tensor, neutral: float = 0.0) -> tf.Tensor:
        return tf.where(hit, value, neutral)

    def power(hit: tf.Tensor, std: float) -> tf.Tensor:
        return sized(hit, tf.pow(2.0, next(columns) * std), 1.0)

    def angle(hit: tf.Tensor) -> tf.Tensor:
        return sized(hit, (2.0 * uniform() - 1.0) * np.pi)

    flip = tf.logical_and(gate(BLIT), uniform() < 0.5)
    quarter_turns = tf.cast(sized(gate(BLIT), tf.floor(4.0 * uniform())), tf.int32)
    hit = gate(BLIT)
    shift = tf.stack([sized(hit, tf.round((2.0 * uniform() - 1.0) * _SHIFT_MAX * size)) for _ in range(2)], 1)
    scale = power(gate(GEOMETRY), _SCALE_STD)
    # Two rotations, one of which suffices: each with a chance such that the chance of either is p.
    half = 1.0 - tf.sqrt(tf.maximum(1.0 - probability, 0.0))
    rotation = angle(gate(GEOMETRY, half))
    stretch = power(gate(GEOMETRY), _SCALE_STD)
    second_rotation = angle(gate(GEOMETRY, half))
    hit = gate(GEOMETRY)
    second_shift = tf.stack([sized(hit, next(columns) * _SHIFT_STD * size) for _ in range(2)], 1)
    brightness = sized(gate(COLOUR), next(columns) * _BRIGHTNESS_STD)
    contrast = power(gate(COLOUR), _CONTRAST_STD)
    luma_flip = tf.logical_and(gate(COLOUR), uniform() < 0.5)
    hue = angle(gate(COLOUR))
    saturation = power(gate(COLOUR), _SATURATION_STD)
    return Transformation(flip, quarter_turns, shift, scale, rotation, stretch, second_rotation, second_shift,
                          brightness, contrast, luma_flip, hue, saturation)  # fmt: skip


def augment(images: tf.Tensor, transformation: Transformation) -> tf.Tensor:
    """Images [B, N, N, 3] in about [-1, 1], transformed. Images that nothing is done to come back exactly."""
    if images.shape.rank != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
        raise ValueError(f"augment: expected square images [B, N, N, 3]. Received: {tuple(images.shape)}")
    t = transformation
    images = turn(images, t.flip, t.quarter_turns)
    moved = tf.reduce_any(tf.stack([*tf.unstack(t.shift != 0, axis=1), t.scale != 1, t.rotation != 0, t.stretch != 1,
                                    t.second_rotation != 0, *tf.unstack(t.second_shift != 0, axis=1)]), 0)  # fmt: skip
    images = tf.where(moved[:, None, None, None], resample(images, source_matrix(t, images.dtype)), images)
    recoloured = tf.reduce_any(tf.stack([t.brightness != 0, t.contrast != 1, t.luma_flip, t.hue != 0,
                                         t.saturation != 1]), 0)  # fmt: skip
    colours = colour_matrix(t, images.dtype)
    coloured = tf.einsum("bhwi,boi->bhwo", images, colours[:, :, :3]) + colours[:, None, None, :, 3]
    return tf.where(recoloured[:, None, None, None], coloured, images)


def turn(images: tf.Tensor, flip: tf.Tensor, quarter_turns: tf.Tensor) -> tf.Tensor:
    """Images [B, N, N, C] with left and right exchanged, then turned counter-clockwise by so many quarters."""
    images = tf.where(flip[:, None, None, None], tf.reverse(images, [2]), images)
    turns = quarter_turns[:, None, None, None]
    images = tf.where(turns >= 2, tf.reverse(images, [1, 2]), images)
    return tf.where(turns % 2 == 1, tf.reverse(tf.transpose(images, [0, 2, 1, 3]), [1]), images)


def source_matrix(transformation: Transformation, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Where each pixel of the result comes from, after the flips and turns: [B, 2, 3], of (x, y, 1) to (x, y).

    Coordinates are pixels from the image's centre, x to the right and y down.
    """
    t = Transformation(*(tf.cast(x, dtype) for x in transformation))
    ratio = tf.stack([1.0 / t.stretch, t.stretch], 1)
    back = tf.matmul(_rotation(-t.rotation), ratio[:, :, None] * _rotation(-t.second_rotation))
    back = back / t.scale[:, None, None]
    offset = -tf.linalg.matvec(back, t.second_shift) - t.shift
    return tf.concat([back, offset[:, :, None]], 2)


def _rotation(angle: tf.Tensor) -> tf.Tensor:
    """Counter-clockwise as displayed, y down: [B] radians → [B, 2, 2]."""
    cos, sin = tf.cos(angle), tf.sin(angle)
    return tf.stack([tf.stack([cos, sin], 1), tf.stack([-sin, cos], 1)], 1)


def colour_matrix(transformation: Transformation, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """New colours of old: [B, 3, 4], of (r, g, b, 1), with values in [-1, 1]."""
    t = transformation
    contrast, hue, saturation = (tf.cast(x, dtype)[:, None, None] for x in (t.contrast, t.hue, t.saturation))
    unit = tf.eye(3, dtype=dtype)
    grey = tf.fill([3, 3], tf.constant(1.0 / 3.0, dtype))  # v vᵀ for the grey axis v: the part without colour
    # v × x: with it and v vᵀ, Rodrigues' formula turns around v.
    cross = tf.constant(np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3.0), dtype)
    negated = unit - 2.0 * grey * tf.cast(t.luma_flip, dtype)[:, None, None]
    turned = grey + tf.cos(hue) * (unit - grey) + tf.sin(hue) * cross
    vivid = grey + saturation * (unit - grey)
    linear = tf.matmul(tf.matmul(vivid, turned), negated) * contrast
    offset = tf.linalg.matvec(linear, tf.tile(tf.cast(t.brightness, dtype)[:, None], [1, 3]))
    return tf.concat([linear, offset[:, :, None]], 2)


@functools.cache
def _enlarging(size: int) -> np.ndarray:
    """[P, size], P = 4 (size - 1): one period of the mirrored image along an axis, enlarged by two with sym6."""
    period = 2 * (size - 1)
    matrix = np.zeros((2 * period, size))
    for place in range(2 * period):
        for tap, weight in enumerate(SYM6):
            if (place + _AHEAD - tap) % 2 == 0:
                pixel = (place + _AHEAD - tap) // 2 % period
                matrix[place, min(pixel, period - pixel)] += weight * np.sqrt(2.0)
    return matrix


@functools.cache
def _reducing(size: int) -> np.ndarray:
    """[size, M], M = 2 size + 10: the reverse, of places -5 … 2 size + 4. The wavelet is orthogonal: it is exact."""
    matrix = np.zeros((size, 2 * size + len(SYM6) - 2))
    for pixel in range(size):
        matrix[pixel, 2 * pixel : 2 * pixel + len(SYM6)] = SYM6 / np.sqrt(2.0)
    return matrix


def resample(images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Images [B, N, N, C] as `matrix` [B, 2, 3] says (see `source_matrix`) → the same shape."""
    size, channels = images.shape[1], images.shape[3]
    dtype, period = images.dtype, 4 * (size - 1)
    enlarged = _along_both_axes(images, tf.constant(_enlarging(size), dtype))  # [B, P, P, C]

    # Place m of the enlarged grid shows what lies at pixel (m - 5 + 5) / 2 plus the filter's own delay.
    delay = _AHEAD - _CENTRE
    middle = (size - 1) / 2
    where = (np.arange(2 * size + len(SYM6) - 2) - _AHEAD + delay) / 2 - middle  # pixels from the centre
    line = tf.constant(where, dtype)
    x, y = line[None, None, :], line[None, :, None]
    xy = [m[:, 0, None, None] * x + m[:, 1, None, None] * y + m[:, 2, None, None] for m in tf.unstack(matrix, axis=1)]
    places = [(value + middle) * 2.0 - delay for value in xy]  # [B, M, M] each, places of the enlarged grid
    low = [tf.floor(value) for value in places]
    columns, rows = (tf.cast(value, tf.int32) for value in low)
    right, lower = (value - floor for value, floor in zip(places, low, strict=True))

    flat = tf.reshape(enlarged, [-1, channels])
    first = tf.range(tf.shape(images)[0])[:, None, None] * period * period
    sampled = tf.zeros([], dtype)
    for down, down_weight in ((0, 1.0 - lower), (1, lower)):
        for over, over_weight in ((0, 1.0 - right), (1, right)):
            index = first + tf.math.floormod(rows + down, period) * period + tf.math.floormod(columns + over, period)
            sampled += tf.gather(flat, index) * (down_weight * over_weight)[..., None]
    return _along_both_axes(sampled, tf.constant(_reducing(size), dtype))


def _along_both_axes(x: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """x [B, H, H, C] with the matrix [K, H] applied to rows and columns → [B, K, K, C]."""
    count, (size, channels) = matrix.shape[0], x.shape[2:]
    x = tf.matmul(matrix, tf.reshape(x, [-1, size, channels]))  # [B·H, K, C]
    x = tf.matmul(matrix, tf.reshape(x, [-1, size, count * channels]))  # [B, K, K·C]
    return tf.reshape(x, [-1, count, count, channels])
