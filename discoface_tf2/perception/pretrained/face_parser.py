"""The face parser: ResNet-18 and a feature pyramid behind RoI tanh warping (Lin et al., CVPR 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from discoface_tf2.perception.backbone import check_images
from discoface_tf2.perception.parsing import CLASSES
from discoface_tf2.perception.pretrained import framing
from discoface_tf2.perception.pretrained.units import FIXED, PublishedNetwork, Source, Unit, max_pool, to_bytes_range

_ROOT = "FaceParser"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]
_DETAIL = 256  # pixels a side at which the probabilities are read before they are averaged to a smaller picture


def resize_aligned(x: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Bilinear, [B, h, w, C] → [B, height, width, C], corner pixels on corner pixels, as the parser was trained."""
    return tf.raw_ops.ResizeBilinear(images=x, size=(height, width), align_corners=True)


@dataclass(frozen=True)
class BasicBlock:
    """ReLU(shortcut + 3×3, 3×3)."""

    first: Unit
    second: Unit
    shortcut: Unit | None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, in] → [B, H / stride, W / stride, out]."""
        return tf.nn.relu((self.shortcut(x) if self.shortcut else x) + self.second(self.first(x)))


class FaceParser(PublishedNetwork):
    """Which part of a picture is background, skin and hair.

    Input: images [B, H, W, 3] in [-1, 1], aligned as the generator's, of a size known beforehand. Output: probabilities
    [B, H, W, 3] at the same size, in the order of `perception.CLASSES`, that sum to 1 in every pixel. Differentiable
    with respect to the images.

    The parser sees the face turned and scaled so that five landmarks fall on standard places; see `framing`.
    """

    kind = "parsing"
    network = "face_parser"
    title = "face parser of Lin et al."
    widths: ClassVar = {"base": (f"{_ROOT}/resnet/block0/conv2d/kernel", 64)}

    def __init__(self, base: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size = framing.PARSER_SIZE
        self.options = {"network": self.network, "base": base}
        scope = f"{_ROOT}/resnet"
        self.stem = self.unit(Source.layers(f"{scope}/block0"), (7, 7, 3, base), stride=2, padding=FIXED)
        self.blocks: list[tuple[BasicBlock, BasicBlock]] = []
        width = base
        for level in range(4):
            channels = base << level
            self.blocks.append(self._level(f"{scope}/block{level + 1}", width, channels, stride=2 if level else 1))
            width = channels
        wide = 4 * base
        self.lateral = [  # coarse to fine
            self.unit(Source.layers(f"{_ROOT}/fpn/c{level + 1}", bias=True, norm=False), (1, 1, base << level, wide),
                      relu=False)
            for level in (3, 2, 1, 0)
        ]  # fmt: skip
        self.neck = [
            self.unit(Source.layers(f"{_ROOT}/fpn/convlast", bias=True, norm=False), (3, 3, wide, wide), relu=False),
            self.unit(Source.layers(f"{_ROOT}/MaskNet/neck", 0, bias=True), (3, 3, wide, wide)),
            self.unit(Source.layers(f"{_ROOT}/MaskNet/neck", 1, bias=True), (3, 3, wide, wide)),
        ]
        source = Source.layers(f"{_ROOT}/MaskNet/convlast", bias=True, norm=False)
        self.head = self.unit(source, (1, 1, wide, len(CLASSES)), relu=False)

    def _level(self, scope: str, width: int, channels: int, stride: int) -> tuple[BasicBlock, BasicBlock]:
        """Two blocks; the first one's stride is in its first convolution and in a projection of the shortcut."""
        shortcut = None
        if stride > 1:
            shortcut = self.unit(
                Source.layers(f"{scope}/downsample"), (1, 1, width, channels), stride=stride, padding=FIXED, relu=False
            )
        first = BasicBlock(
            self.unit(Source.layers(scope, 0), (3, 3, width, channels), stride=stride, padding=FIXED),
            self.unit(Source.layers(scope, 1), (3, 3, channels, channels), relu=False),
            shortcut,
        )
        second = BasicBlock(
            self.unit(Source.layers(scope, 2), (3, 3, channels, channels)),
            self.unit(Source.layers(scope, 3), (3, 3, channels, channels), relu=False),
            None,
        )
        return first, second

    def published(self, x: tf.Tensor) -> tf.Tensor:
        """The network as published, but channels last: normalised RGB [B, 512, 512, 3] → probabilities, as large."""
        x = max_pool(self.stem(x), "SAME")
        maps = []
        for first, second in self.blocks:
            x = second(first(x))
            maps.append(x)
        x = self.lateral[0](maps[3])  # [B, 16, 16, 4 · base]
        for lateral, fine in zip(self.lateral[1:], maps[2::-1], strict=True):
            x = lateral(fine) + resize_aligned(x, fine.shape[1], fine.shape[2])
        for unit in self.neck:
            x = unit(x)
        return resize_aligned(tf.nn.softmax(self.head(x), axis=-1), self.image_size, self.image_size)

    def call(self, images: tf.Tensor, landmarks: tf.Tensor | None = None) -> tf.Tensor:
        """Images [B, H, W, 3] → probabilities [B, H, W, 3].

        landmarks: eyes, nose tip and mouth corners [B, 5, 2] in fractions of the picture's width and height from its
        top left corner. None: where the mean face has them when it looks into the camera; aligned pictures are near.
        """
        images = check_images(images)
        height, width = framing.static_size(images)
        similarity = framing.parser_similarity(framing.STANDARD_FACE if landmarks is None else landmarks)
        seen = framing.to_parser_frame(to_bytes_range(images), similarity)  # [B, 512, 512, 3]
        probabilities = self.published((seen / 255.0 - tf.constant(_MEAN)) / tf.constant(_STD))
        factors = [max(1, _DETAIL // size) for size in (height, width)]
        fine = framing.from_parser_frame(probabilities, similarity, height * factors[0], width * factors[1])
        return tf.nn.avg_pool2d(fine, factors, factors, "VALID")
