"""Albedo as a picture over texture coordinates, finer than a mesh's vertices, and linear in the same coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True, eq=False)
class TextureMap:
    """mean + basis · texture coefficients. A texels along each side, row 0 at the top (v = 1), T components."""

    mean: np.ndarray  # [A, A, 3] float, RGB 0-255
    basis: np.ndarray  # [A, A, 3, T] float; float16 does, and halves a file

    def __post_init__(self) -> None:
        size = self.mean.shape[0] if self.mean.ndim else 0
        if self.mean.shape != (size, size, 3) or size < 2 or size & (size - 1):
            raise ValueError(f"texture_map_mean should be [A, A, 3], A a power of 2. Received: {self.mean.shape}")
        if self.basis.ndim != 4 or self.basis.shape[:3] != self.mean.shape:
            raise ValueError(f"texture_map_basis should be [{size}, {size}, 3, T]. Received: {self.basis.shape}")
        if not np.isfinite(self.mean).all() or not np.isfinite(self.basis).all():
            raise ValueError("texture_map holds NaN or infinity")

    @property
    def size(self) -> int:
        """Texels along each side."""
        return self.mean.shape[0]

    @property
    def components(self) -> int:
        """Number of texture coefficients."""
        return self.basis.shape[-1]

    def halved(self, size: int) -> TextureMap:
        """The map at `size` texels or, if it is smaller, as it is; texels are averaged in blocks."""
        factor = max(1, self.size // size)
        if factor == 1:
            return self
        small = self.size // factor
        blocks = (small, factor, small, factor)
        return TextureMap(
            self.mean.reshape(*blocks, 3).mean((1, 3)),
            self.basis.reshape(*blocks, 3, self.components).mean((1, 3), dtype=np.float32),
        )


class TextureSampler(tf.Module):
    """Looks a texture map up at pixels.

    Args:
        texture_map: the map.
        image_size: pixels of the images; the map is reduced to about the texels that such an image can show, as
            mipmaps are, so that small images neither alias nor pay for texels that they average away.
    """

    # A face is about 0.7 of an image wide and 0.4 of the maps at hand: so many texels for a pixel.
    _TEXELS_PER_PIXEL = 1.5

    def __init__(self, texture_map: TextureMap, image_size: int):
        super().__init__()
        wanted = 1 << max(3, int(np.ceil(np.log2(self._TEXELS_PER_PIXEL * image_size))))
        level = texture_map.halved(wanted)
        self.size = level.size
        self._mean = tf.constant(level.mean.reshape(-1), tf.float32)
        self._basis = tf.constant(level.basis.reshape(-1, level.components).T.astype(np.float32))  # [T, A·A·3]

    def atlas(self, texture: tf.Tensor) -> tf.Tensor:
        """Albedo over uv [B, A, A, 3], RGB 0-255, not clipped, of `texture` coefficients [B, T]."""
        return tf.reshape(self._mean + tf.matmul(texture, self._basis), [-1, self.size, self.size, 3])

    def __call__(self, texture: tf.Tensor, uv: tf.Tensor) -> tf.Tensor:
        """Albedo [B, H, W, 3] at `uv` [B, H, W, 2] (in [0, 1], v up), of `texture` [B, T]."""
        return bilinear(self.atlas(texture), uv)


def bilinear(images: tf.Tensor, uv: tf.Tensor) -> tf.Tensor:
    """`images` [B, A, A, C] (row 0 at v = 1) at `uv` [B, H, W, 2], between the centres of texels; edges are held.

    Returns:
        [B, H, W, C]. Gradients reach the images and uv.
    """
    shape, places = tf.shape(images), tf.shape(uv)
    height, width, channels = images.shape[1], images.shape[2], images.shape[3]
    limit = tf.constant([width - 1, height - 1], tf.float32)
    x, y = tf.unstack(
        tf.clip_by_value(tf.stack([uv[..., 0] * width, (1 - uv[..., 1]) * height], -1) - 0.5, 0.0, limit), axis=-1
    )
    left, top = tf.minimum(tf.floor(x), width - 2.0), tf.minimum(tf.floor(y), height - 2.0)
    across, down = (x - left)[..., None], (y - top)[..., None]
    first = (tf.range(shape[0]) * height * width)[:, None, None]
    corner = first + tf.cast(top, tf.int32) * width + tf.cast(left, tf.int32)
    texels = tf.reshape(images, [-1, channels])
    pairs = tf.gather(texels, tf.reshape(tf.stack([corner, corner + 1, corner + width, corner + width + 1]), [-1]))
    a, b, c, d = tf.unstack(tf.reshape(pairs, [4, places[0], places[1], places[2], channels]))
    upper, lower = a + (b - a) * across, c + (d - c) * across
    return upper + (lower - upper) * down
