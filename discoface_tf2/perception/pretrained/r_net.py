"""R-Net: the regressor of Deep3DFaceReconstruction (Deng et al., CVPRW 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import tensorflow as tf

from discoface_tf2.perception.backbone import check_images, fit_size
from discoface_tf2.perception.pretrained.framing import to_reconstruction_frame
from discoface_tf2.perception.pretrained.units import FIXED, PublishedNetwork, Source, Unit, max_pool, to_bytes_range
from renderer.camera import Camera
from renderer.layout import CoefficientLayout

BASEL = CoefficientLayout(shape=80, texture=80, expression=64)  # what the published weights answer in: 257 numbers
_BLOCKS = ((3, 2), (4, 2), (6, 2), (3, 1))  # units of a block, and the stride of its last one
_HEADS = ("fc-id", "fc-tex", "fc-ex", "fc-angles", "fc-gamma", "fc-XY", "fc-Z")  # in the order of the vector


@dataclass(frozen=True)
class Bottleneck:
    """ReLU(shortcut + 1×1, 3×3, 1×1); a stride is in the 3×3 and subsamples the shortcut (slim's ResNet v1)."""

    reduce: Unit
    convolve: Unit
    expand: Unit
    shortcut: Unit | None

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """[B, H, W, in] → [B, H / stride, W / stride, out]."""
        kept = self.shortcut(x) if self.shortcut else x[:, :: self.convolve.stride, :: self.convolve.stride]
        return tf.nn.relu(kept + self.expand(self.convolve(self.reduce(x))))


class RNet(PublishedNetwork):
    """What Basel-model face, pose and light a picture shows: slim's ResNet-v1-50 and seven linear heads.

    Input: images [B, H, W, 3] in [-1, 1], aligned as the generator's, square, of any size known beforehand. Output:
    coefficients [B, layout.size] in the Basel model's units (He et al., 2016, for the trunk). Differentiable.

    Unlike the bundled network it also answers the translation, decimetres, about 0 for an aligned picture: the
    landmarks of its coefficients in the reconstruction camera are where it sees them.
    """

    kind = "reconstruction"
    network = "r_net"
    title = "R-Net of Deep3DFaceReconstruction"
    widths: ClassVar = {"base": ("resnet_v1_50/conv1/weights", 64)}

    def __init__(self, layout: CoefficientLayout = BASEL, base: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layout = layout
        self.image_size = Camera.reconstruction().image_size
        self.options = {"network": self.network, "base": base}
        self.stem = self.unit(Source.slim("resnet_v1_50/conv1"), (7, 7, 3, base), stride=2, padding=FIXED)
        self.blocks: list[Bottleneck] = []
        width = base
        for block, (units, last_stride) in enumerate(_BLOCKS):
            inner = base << block
            for number in range(units):
                scope = f"resnet_v1_50/block{block + 1}/unit_{number + 1}/bottleneck_v1"
                stride = last_stride if number == units - 1 else 1
                self.blocks.append(self._bottleneck(scope, width, inner, stride))
                width = 4 * inner
        sizes = (*(layout.to_dict()[group] for group in ("shape", "texture", "expression", "angles", "lighting")), 2, 1)
        self.heads = [
            self.unit(Source.slim(scope, norm=False), (1, 1, width, size), relu=False)
            for scope, size in zip(_HEADS, sizes, strict=True)
        ]

    def _bottleneck(self, scope: str, width: int, inner: int, stride: int) -> Bottleneck:
        outer, shortcut = 4 * inner, None
        if width != outer:
            shortcut = self.unit(
                Source.slim(f"{scope}/shortcut"), (1, 1, width, outer), stride=stride, padding="VALID", relu=False
            )
        return Bottleneck(
            reduce=self.unit(Source.slim(f"{scope}/conv1"), (1, 1, width, inner)),
            convolve=self.unit(Source.slim(f"{scope}/conv2"), (3, 3, inner, inner), stride=stride, padding=FIXED),
            expand=self.unit(Source.slim(f"{scope}/conv3"), (1, 1, inner, outer), relu=False),
            shortcut=shortcut,
        )

    def published(self, x: tf.Tensor) -> tf.Tensor:
        """The network as published: BGR [B, 224, 224, 3] in 0-255, the reconstruction framing → [B, layout.size]."""
        x = max_pool(self.stem(x), "SAME")
        for block in self.blocks:
            x = block(x)
        x = tf.reduce_mean(x, axis=[1, 2], keepdims=True)  # [B, 1, 1, 32 · base]
        return tf.concat([head(x)[:, 0, 0] for head in self.heads], axis=-1)

    def from_crops(self, crops: tf.Tensor) -> tf.Tensor:
        """The same for photographs in the reconstruction framing, RGB [B, H, W, 3] in [-1, 1] → [B, layout.size].

        The framing is the preparation's: a face of 102 pixels a decimetre around the middle of 224 pixels.
        """
        return self.published(to_bytes_range(fit_size(check_images(crops), self.image_size))[..., ::-1])

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] in the generator's framing → coefficients [B, layout.size]."""
        return self.from_crops(to_reconstruction_frame(check_images(images)))
