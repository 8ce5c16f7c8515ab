"""Stage 2: pairs that differ in one factor may differ in nothing else (DiscoFaceGAN, section 3.3).

Every function returns one value per pair [P]. Images are float32 [P, H, W, 3] in [-1, 1].
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from discoface_tf2.losses.imitative import cosine_distance, landmark_loss
from renderer.warp import warp

_EPSILON = 1e-8
_METHOD_SIGMA, _METHOD_RESOLUTION = 2.0, 256  # the method's blur, 5 × 5, and the images that it is for


def blur_of(resolution: int) -> tuple[int, float]:
    """Size and σ of the blur at `resolution` pixels: the method's 5 × 5 with σ 2 at 256, the same share of the face.

    σ is at least half a pixel, because bilinear warping errs by fractions of a pixel at any resolution: 3 × 3 with
    σ 0.5 at 64 and below, 3 × 3 with σ 1 at 128, 9 × 9 with σ 4 at 512.
    """
    sigma = max(_METHOD_SIGMA * resolution / _METHOD_RESOLUTION, 0.5)
    return 2 * max(round(sigma), 1) + 1, sigma


def gaussian_blur(images: tf.Tensor, size: int = 5, sigma: float = 2.0) -> tf.Tensor:
    """Each channel of [P, H, W, C] under a normalised size × size Gaussian; edges are reflected."""
    offsets = np.arange(size) - (size - 1) / 2
    line = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel = np.outer(line, line) / np.sum(line) ** 2
    channels = images.shape[-1]
    filters = tf.tile(tf.constant(kernel, images.dtype)[:, :, None, None], [1, 1, channels, 1])
    border = size // 2
    padded = tf.pad(images, [[0, 0], [border, border], [border, border], [0, 0]], mode="REFLECT")
    return tf.nn.depthwise_conv2d(padded, filters, strides=[1, 1, 1, 1], padding="VALID")


def expression_warp_loss(
    first: tf.Tensor, second: tf.Tensor, flow: tf.Tensor, first_mask: tf.Tensor, second_mask: tf.Tensor
) -> tf.Tensor:
    """How far image 1, moved by the mesh's own flow, is from image 2, which differs in expression alone.

    `flow` [P, H, W, 2] says, for each pixel of image 2, where to look in image 1 (x right, y down, pixels; zero off the
    mesh); masks [P, H, W, 1] are the two renders'. Both images are blurred (`blur_of`), so that a fraction of a pixel
    costs nothing. Pixels that only mesh 1 covers are left out: what it uncovers is the generator's to invent.
    """
    size, sigma = blur_of(int(second.shape[1]))
    kept = tf.cast(first_mask - second_mask <= 0, first.dtype)
    difference = gaussian_blur(warp(first, flow), size, sigma) - gaussian_blur(second, size, sigma)
    distance = tf.sqrt(tf.reduce_sum(tf.square(difference), axis=-1, keepdims=True) + _EPSILON)
    return tf.reduce_sum(distance * kept, axis=[1, 2, 3]) / (tf.reduce_sum(kept, axis=[1, 2, 3]) + _EPSILON)


def lighting_change_loss(
    first_hair: tf.Tensor,
    second_hair: tf.Tensor,
    first_identity: tf.Tensor,
    second_identity: tf.Tensor,
    first_landmarks: tf.Tensor,
    second_landmarks: tf.Tensor,
) -> tf.Tensor:
    """Under another light hair, person and landmarks stay: the reference's three terms, weighted 1, 2, 1000.

    Hair probabilities [P, H, W, 1], identity embeddings [P, D], landmarks [P, 68, 2] in pixels of the 224 crop.
    """
    hair = tf.reduce_mean(tf.square(first_hair - second_hair), axis=[1, 2, 3])
    identity = cosine_distance(first_identity, second_identity)
    return hair + 2.0 * identity + 1000.0 * landmark_loss(first_landmarks, second_landmarks)
