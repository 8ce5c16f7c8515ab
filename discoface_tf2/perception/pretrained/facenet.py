"""Facenet: the face recognition network 20170512-110547 (Schroff et al., 2015; Szegedy et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from discoface_tf2.perception.backbone import check_images, fit_size
from discoface_tf2.perception.pretrained.units import (
    PublishedNetwork,
    Source,
    Unit,
    in_sequence,
    max_pool,
    to_bytes_range,
)

_ROOT = "InceptionResnetV1"
_EPSILON = 1e-3  # of its batch normalisations, which have no gamma

# A convolution: name, (height, width) of the kernel, channels, and stride where it is not 1.
Conv = tuple[str, tuple[int, int], int] | tuple[str, tuple[int, int], int, int]

_STEM: tuple[tuple[Conv, str], ...] = (  # before the pooling, and after
    (("Conv2d_1a_3x3", (3, 3), 32, 2), "VALID"),
    (("Conv2d_2a_3x3", (3, 3), 32), "VALID"),
    (("Conv2d_2b_3x3", (3, 3), 64), "SAME"),
    (("Conv2d_3b_1x1", (1, 1), 80), "VALID"),
    (("Conv2d_4a_3x3", (3, 3), 192), "VALID"),
    (("Conv2d_4b_3x3", (3, 3), 256, 2), "VALID"),
)
_BLOCK35: tuple[tuple[Conv, ...], ...] = (
    (("Conv2d_1x1", (1, 1), 32),),
    (("Conv2d_0a_1x1", (1, 1), 32), ("Conv2d_0b_3x3", (3, 3), 32)),
    (("Conv2d_0a_1x1", (1, 1), 32), ("Conv2d_0b_3x3", (3, 3), 32), ("Conv2d_0c_3x3", (3, 3), 32)),
)
_BLOCK17: tuple[tuple[Conv, ...], ...] = (
    (("Conv2d_1x1", (1, 1), 128),),
    (("Conv2d_0a_1x1", (1, 1), 128), ("Conv2d_0b_1x7", (1, 7), 128), ("Conv2d_0c_7x1", (7, 1), 128)),
)
_BLOCK8: tuple[tuple[Conv, ...], ...] = (
    (("Conv2d_1x1", (1, 1), 192),),
    (("Conv2d_0a_1x1", (1, 1), 192), ("Conv2d_0b_1x3", (1, 3), 192), ("Conv2d_0c_3x1", (3, 1), 192)),
)
_MIXED_6A: tuple[tuple[Conv, ...], ...] = (
    (("Conv2d_1a_3x3", (3, 3), 384, 2),),
    (("Conv2d_0a_1x1", (1, 1), 192), ("Conv2d_0b_3x3", (3, 3), 192), ("Conv2d_1a_3x3", (3, 3), 256, 2)),
)
_MIXED_7A: tuple[tuple[Conv, ...], ...] = (
    (("Conv2d_0a_1x1", (1, 1), 256), ("Conv2d_1a_3x3", (3, 3), 384, 2)),
    (("Conv2d_0a_1x1", (1, 1), 256), ("Conv2d_1a_3x3", (3, 3), 256, 2)),
    (("Conv2d_0a_1x1", (1, 1), 256), ("Conv2d_0b_3x3", (3, 3), 256), ("Conv2d_1a_3x3", (3, 3), 256, 2)),
)


@dataclass(frozen=True)
class Reduction:
    """Branches that halve the size, and a pooling, side by side."""

    branches: Sequence[Sequence[Unit]]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, in] → [B, (H − 1) / 2, (W − 1) / 2, Σ out + in]."""
        return tf.concat([*(in_sequence(branch, x) for branch in self.branches), max_pool(x, "VALID")], -1)


@dataclass(frozen=True)
class Residual:
    """x + scale · 1×1(branches side by side), with a ReLU but in the last block."""

    branches: Sequence[Sequence[Unit]]
    expand: Unit
    scale: float
    relu: bool = True

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, C] → the same shape."""
        mixed = tf.concat([in_sequence(branch, x) for branch in self.branches], -1)
        x = x + self.scale * self.expand(mixed)
        return tf.nn.relu(x) if self.relu else x


class Facenet(PublishedNetwork):
    """Embeds faces so that pictures of one person point the same way.

    Input: images [B, H, W, 3] in [-1, 1], aligned as the generator's, of any size; photographs, photographs masked to
    the face (black outside), or plain renders. Output: unit vectors [B, embedding]. Differentiable.
    """

    kind = "identity"
    network = "facenet"
    title = "Facenet (Inception-ResNet-v1)"
    widths: ClassVar = {
        "base": (f"{_ROOT}/Conv2d_1a_3x3/weights", 32),
        "embedding": (f"{_ROOT}/Bottleneck/weights", 512),
    }

    def __init__(self, base: int = 32, embedding: int = 128, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size = 160
        self.embedding = embedding
        self.options = {"network": self.network, "base": base, "embedding": embedding}
        self._base = base
        self._width = 3  # channels so far, while the layers are made
        self.stem = [self._conv(_ROOT, conv, padding) for conv, padding in _STEM]
        self.body: list[Reduction | Residual] = [
            self._residual(f"Repeat/block35_{k + 1}", _BLOCK35, 0.17) for k in range(5)
        ]
        self.body.append(self._reduction("Mixed_6a", _MIXED_6A))
        self.body += [self._residual(f"Repeat_1/block17_{k + 1}", _BLOCK17, 0.10) for k in range(10)]
        self.body.append(self._reduction("Mixed_7a", _MIXED_7A))
        self.body += [self._residual(f"Repeat_2/block8_{k + 1}", _BLOCK8, 0.20) for k in range(5)]
        self.body.append(self._residual("Block8", _BLOCK8, 1.0, relu=False))
        source = Source.slim(f"{_ROOT}/Bottleneck", scale=False, epsilon=_EPSILON, dense=True)
        self.head = self.unit(source, (1, 1, self._width, embedding), relu=False)

    def _conv(self, scope: str, conv: Conv, padding: str = "SAME") -> Unit:
        name, size, channels = conv[:3]
        source = Source.slim(f"{scope}/{name}", scale=False, epsilon=_EPSILON)
        shape = (*size, self._width, channels * self._base // 32)
        self._width = shape[-1]
        return self.unit(source, shape, stride=conv[3] if len(conv) > 3 else 1, padding=padding)

    def _branches(self, scope: str, table: Sequence[Sequence[Conv]], last: str = "SAME") -> list[list[Unit]]:
        """Branches from the same input; leaves the sum of their widths in `_width`. `last` pads the strided ones."""
        start, made, total = self._width, [], 0
        for number, convs in enumerate(table):
            self._width = start
            made.append(
                [self._conv(f"{scope}/Branch_{number}", conv, last if len(conv) > 3 else "SAME") for conv in convs]
            )
            total += self._width
        self._width = total
        return made

    def _reduction(self, name: str, table: Sequence[Sequence[Conv]]) -> Reduction:
        width = self._width
        branches = self._branches(f"{_ROOT}/{name}", table, last="VALID")
        self._width += width  # the pooling keeps its input's channels
        return Reduction(branches)

    def _residual(self, name: str, table: Sequence[Sequence[Conv]], scale: float, relu: bool = True) -> Residual:
        width = self._width
        branches = self._branches(f"{_ROOT}/{name}", table)
        source = Source.slim(f"{_ROOT}/{name}/Conv2d_1x1", norm=False)
        expand = self.unit(source, (1, 1, self._width, width), relu=False)
        self._width = width
        return Residual(branches, expand, scale, relu)

    def published(self, x: tf.Tensor) -> tf.Tensor:
        """The network as published: [B, 160, 160, 3], RGB in 0-255 → [B, embedding], not of unit length."""
        x = (x - 127.5) / 128.0
        x = in_sequence(self.stem[3:], max_pool(in_sequence(self.stem[:3], x), "VALID"))
        for block in self.body:
            x = block(x)
        return self.head(tf.reduce_mean(x, axis=[1, 2], keepdims=True))[:, 0, 0]

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → the embedding before it is brought to unit length, [B, embedding]."""
        return self.published(to_bytes_range(fit_size(check_images(images), self.image_size)))

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → unit vectors [B, embedding]."""
        return tf.math.l2_normalize(self.features(images), axis=-1)
