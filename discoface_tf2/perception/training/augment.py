"""Spoils pictures the way generators, cameras and files do, so that networks trained on clean ones bear it.

Every function takes images [B, S, S, 3] in [-1, 1] and a stateless seed [2], draws for each picture on its own, and
works inside `tf.function`. None moves the face or changes its light unless it says so.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

_BLOCK = 8  # pixels of a JPEG block


def split_seed(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """`count` independent stateless seeds [2] drawn from one."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, count), num=count)


def uniform(seed: tf.Tensor, batch: int, low: float = 0.0, high: float = 1.0, channels: int = 1) -> tf.Tensor:
    """One number per picture (or per picture and channel), [B, 1, 1, channels]."""
    return tf.random.stateless_uniform([batch, 1, 1, channels], seed, low, high)


def sometimes(seed: tf.Tensor, batch: int, share: float, low: float, high: float) -> tf.Tensor:
    """Strengths [B, 1, 1, 1]: zero, but for a `share` of the pictures uniform in low … high."""
    whether, much = split_seed(seed, 2)
    return tf.where(uniform(whether, batch) < share, uniform(much, batch, low, high), 0.0)


def soft_noise(seed: tf.Tensor, batch: int, size: int, cells: int) -> tf.Tensor:
    """Blobs: normal noise on `cells` x `cells`, enlarged smoothly to [B, size, size, 3]."""
    return tf.image.resize(tf.random.stateless_normal([batch, cells, cells, 3], seed), (size, size), "bicubic")


def blur(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Half of the pictures, mixed with a blurred copy of themselves (standard deviation about 1.2 pixels)."""
    soft = tf.nn.avg_pool2d(tf.nn.avg_pool2d(images, 3, 1, "SAME"), 3, 1, "SAME")
    return images + sometimes(seed, images.shape[0], 0.5, 0.1, 1.0) * (soft - images)


def low_resolution(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A third of the pictures, mixed with a copy that went through half or a third of the size, smooth or blocky."""
    batch, size = images.shape[0], images.shape[1]
    mix, kind = split_seed(seed, 2)
    half = tf.nn.avg_pool2d(images, 2, 2, "VALID")
    third = tf.image.resize(images, (size // 3, size // 3), antialias=True)
    copies = [
        tf.image.resize(half, (size, size)),
        tf.image.resize(half, (size, size), "nearest"),
        tf.image.resize(third, (size, size)),
    ]
    which = tf.random.stateless_uniform([batch, 1, 1, 1], kind, 0, len(copies), tf.int32)
    coarse = tf.add_n([tf.cast(which == k, tf.float32) * copy for k, copy in enumerate(copies)])
    return images + sometimes(mix, batch, 0.33, 0.3, 1.0) * (coarse - images)


def jpeg(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A third of the pictures with the 8x8 cosine coefficients rounded, coarser for higher frequencies (as JPEG)."""
    batch, size = images.shape[0], images.shape[1]
    if size % _BLOCK:
        raise ValueError(f"augment: expected pictures of a multiple of {_BLOCK} pixels. Received: {size}")
    whether, much = split_seed(seed, 2)
    k = np.arange(_BLOCK)
    cosines = np.sqrt(2 / _BLOCK) * np.cos(math.pi * (2 * k[None] + 1) * k[:, None] / (2 * _BLOCK))
    cosines[0] /= math.sqrt(2)
    transform = tf.constant(np.kron(np.eye(size // _BLOCK), cosines), tf.float32)  # all blocks of a row at once
    frequency = np.tile(k, size // _BLOCK)
    coarseness = tf.constant((1.0 + frequency[:, None] + frequency)[None, ..., None], tf.float32)  # [1, S, S, 1]
    quantum = uniform(much, batch, 0.02, 0.12) * coarseness
    x = tf.einsum("ki,bijc,lj->bklc", transform, images, transform)
    x = tf.round(x / quantum) * quantum
    x = tf.einsum("ki,bklc,lj->bijc", transform, x, transform)
    return tf.where(uniform(whether, batch) < 0.33, x, images)


def noise(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Grain, blobs of several sizes, and a checkerboard, each on a share of the pictures."""
    batch, size = images.shape[0], images.shape[1]
    seeds = split_seed(seed, 7)
    images += sometimes(seeds[0], batch, 0.5, 0.01, 0.12) * tf.random.stateless_normal(images.shape, seeds[1])
    images += sometimes(seeds[2], batch, 0.3, 0.01, 0.08) * soft_noise(seeds[3], batch, size, size // 4)
    images += sometimes(seeds[4], batch, 0.2, 0.01, 0.06) * soft_noise(seeds[5], batch, size, size // 8)
    row, column = np.indices((size, size))
    board = tf.constant(((row + column) % 2 * 2 - 1)[None, ..., None], tf.float32)
    return images + sometimes(seeds[6], batch, 0.15, 0.01, 0.08) * board


def erase(images: tf.Tensor, seed: tf.Tensor, share: float = 0.2, largest: float = 0.4) -> tf.Tensor:
    """Covers a rectangle, of sides up to `largest` of the picture, with one colour, in a `share` of the pictures."""
    batch, size = images.shape[0], images.shape[1]
    seeds = split_seed(seed, 4)
    sides = uniform(seeds[0], batch, 0.1, largest, 2)
    start = uniform(seeds[1], batch, channels=2) * (1.0 - sides)
    place = (tf.range(size, dtype=tf.float32) + 0.5) / size
    down = (place >= start[:, 0, :, 0]) & (place < (start + sides)[:, 0, :, 0])  # [B, S]
    across = (place >= start[:, 0, :, 1]) & (place < (start + sides)[:, 0, :, 1])
    inside = down[:, :, None, None] & across[:, None, :, None] & (uniform(seeds[2], batch) < share)
    return tf.where(inside, uniform(seeds[3], batch, -1.0, 1.0, 3), images)


def degrade(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Blur, low resolution, compression and noise, in this order; clipped to [-1, 1]. A fifth stays as it is."""
    seeds = split_seed(seed, 5)
    spoilt = blur(images, seeds[0])
    spoilt = low_resolution(spoilt, seeds[1])
    spoilt = noise(spoilt, seeds[2])
    spoilt = jpeg(spoilt, seeds[3])
    spoilt = tf.where(uniform(seeds[4], images.shape[0]) < 0.2, images, spoilt)
    return tf.clip_by_value(spoilt, -1.0, 1.0)


def jitter_colours(images: tf.Tensor, seed: tf.Tensor, amount: float = 0.2) -> tf.Tensor:
    """Changes brightness and the gain of each channel by up to `amount`; this does change light and skin."""
    batch = images.shape[0]
    seeds = split_seed(seed, 3)
    gain = uniform(seeds[0], batch, 1 - amount, 1 + amount) * uniform(
        seeds[1], batch, 1 - amount / 2, 1 + amount / 2, 3
    )
    light = (images + 1.0) * gain + uniform(seeds[2], batch, -amount / 2, amount / 2)
    return tf.clip_by_value(light - 1.0, -1.0, 1.0)


def shift(images: tf.Tensor, seed: tf.Tensor, pixels: int) -> tf.Tensor:
    """Moves all channels of each picture [B, S, S, C] by whole pixels, up to `pixels` each way; borders repeat.

    The one function that moves the face; for labels that are pictures, stack them with the images as channels.
    """
    batch, size = images.shape[0], images.shape[1]
    offset = tf.random.stateless_uniform([batch, 2], seed, -pixels, pixels + 1, tf.int32)
    place = tf.clip_by_value(tf.range(size)[None] + offset[:, :1], 0, size - 1)
    images = tf.gather(images, place, axis=1, batch_dims=1)
    place = tf.clip_by_value(tf.range(size)[None] + offset[:, 1:], 0, size - 1)
    return tf.transpose(tf.gather(tf.transpose(images, [0, 2, 1, 3]), place, axis=1, batch_dims=1), [0, 2, 1, 3])


def background(seed: tf.Tensor, batch: int, size: int) -> tf.Tensor:
    """Pictures without a face [B, size, size, 3]: black for a third, else a colour with soft blobs of others."""
    seeds = split_seed(seed, 5)
    colour = uniform(seeds[0], batch, -1.0, 1.0, 3)
    blobs = soft_noise(seeds[1], batch, size, 4) + 0.5 * soft_noise(seeds[2], batch, size, 16)
    picture = tf.clip_by_value(colour + uniform(seeds[3], batch, 0.0, 0.5) * blobs, -1.0, 1.0)
    return tf.where(uniform(seeds[4], batch) < 1 / 3, -1.0, picture)
