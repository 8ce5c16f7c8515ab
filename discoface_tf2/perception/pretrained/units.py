"""What the three published networks are made of: convolutions that know their TensorFlow 1 variables by name.

A batch normalisation with fixed statistics is a scale and a shift, so it is folded into the convolution before it when
the weights are imported. The networks are only ever looked through, never trained, and are smaller and faster so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.perception.clipping import clip_inward

FIXED = "FIXED"  # padding of (k − 1) / 2 on each side, whatever the stride; "SAME" pads more at the end than before
_MOMENTS = ("beta", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class Source:
    """Where the numbers of one convolution lie in a TensorFlow 1 file: full variable names, "" for what it lacks."""

    kernel: str
    bias: str = ""
    norm: str = ""  # scope of the batch normalisation that follows
    scale: bool = True  # whether that has a gamma
    epsilon: float = 1e-5
    dense: bool = False  # stored [in, out], without the two axes of space

    @classmethod
    def slim(cls, scope: str, norm: bool = True, **options: Any) -> Source:
        """tf.contrib.slim: `weights`, and a `BatchNorm` or `biases`."""
        bias, following = ("", f"{scope}/BatchNorm") if norm else (f"{scope}/biases", "")
        return cls(f"{scope}/weights", bias, following, **options)

    @classmethod
    def layers(cls, scope: str, number: int = 0, bias: bool = False, norm: bool = True) -> Source:
        """tf.layers: the `number`-th `conv2d` and `batch_normalization` of a scope."""
        suffix = f"_{number}" if number else ""
        return cls(
            f"{scope}/conv2d{suffix}/kernel",
            bias=f"{scope}/conv2d{suffix}/bias" if bias else "",
            norm=f"{scope}/batch_normalization{suffix}" if norm else "",
        )


class Unit(keras.layers.Layer):
    """A convolution with bias and, if asked, a ReLU: [B, H, W, in] → [B, H / stride, W / stride, out].

    Weights: kernel [k, l, in, out] and bias [out], zero until they are imported or loaded; never trainable.
    """

    def __init__(
        self,
        source: Source,
        shape: Sequence[int],  # of the kernel: [k, l, in, out]
        stride: int = 1,
        padding: str = "SAME",  # SAME, VALID or FIXED
        relu: bool = True,
    ) -> None:
        super().__init__(name="unit", dtype="float32", trainable=False)
        self.source, self.shape, self.stride, self.relu = source, tuple(shape), stride, relu
        before = [(size - 1) // 2 for size in shape[:2]]
        after = [size - 1 - b for size, b in zip(shape[:2], before, strict=True)]
        fixed = [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]]
        self.padding: Any = fixed if padding == FIXED else padding
        self.kernel = self.add_weight(name="kernel", shape=self.shape, initializer="zeros", trainable=False)
        self.bias = self.add_weight(name="bias", shape=self.shape[3:], initializer="zeros", trainable=False)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolves [B, H, W, in]."""
        x = tf.nn.bias_add(tf.nn.conv2d(x, self.kernel, self.stride, self.padding), self.bias)
        return tf.nn.relu(x) if self.relu else x

    def variables_of_source(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the TensorFlow 1 variables that `assign_source` needs."""
        source, width = self.source, self.shape[3:]
        found = {source.kernel: self.shape[2:] if source.dense else self.shape}
        if source.bias:
            found[source.bias] = width
        if source.norm:
            found |= {f"{source.norm}/{part}": width for part in ("gamma",) * source.scale + _MOMENTS}
        return found

    def assign_source(self, values: Mapping[str, np.ndarray]) -> None:
        """Takes TensorFlow 1 variables by name, float, of the shapes that `variables_of_source` gives.

        With a batch normalisation, γ (W∗x + b − μ) / √(σ² + ε) + β becomes one kernel and one bias, in double
        precision.
        """
        source = self.source
        kernel = np.asarray(values[source.kernel], np.float64).reshape(self.shape)
        bias = np.asarray(values[source.bias], np.float64) if source.bias else np.zeros(self.shape[3])
        if source.norm:
            beta, mean, variance = (np.asarray(values[f"{source.norm}/{part}"], np.float64) for part in _MOMENTS)
            scale = 1 / np.sqrt(variance + source.epsilon)
            if source.scale:
                scale = scale * np.asarray(values[f"{source.norm}/gamma"], np.float64)
            kernel, bias = kernel * scale, (bias - mean) * scale + beta
        self.kernel.assign(kernel.astype(np.float32))
        self.bias.assign(bias.astype(np.float32))


class PublishedNetwork(keras.Model):
    """What the three share: a flat list of units, in the order in which the network uses them."""

    kind = ""  # the interface it serves: reconstruction, identity or parsing
    network = ""  # its name in a perception folder's manifest
    title = ""  # for people
    # Options that are read off a file: the last axis of which variable, and the largest that has been published.
    widths: ClassVar[dict[str, tuple[str, int]]] = {}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(name=self.kind, trainable=False, **kwargs)
        self.units: list[Unit] = []
        self.built = True

    def unit(self, source: Source, shape: Sequence[int], **options: Any) -> Unit:
        """Makes a unit and keeps it, so that Keras saves it and the importer finds it."""
        made = Unit(source, shape, **options)
        self.units.append(made)
        return made

    def variables_of_source(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of every TensorFlow 1 variable that the network needs, in order."""
        return {name: shape for unit in self.units for name, shape in unit.variables_of_source().items()}


def in_sequence(units: Sequence[Unit], x: tf.Tensor) -> tf.Tensor:
    """One unit after the other."""
    for unit in units:
        x = unit(x)
    return x


def max_pool(x: tf.Tensor, padding: str) -> tf.Tensor:
    """The largest of 3 × 3, every second pixel: [B, H, W, C] → [B, H / 2, W / 2, C]."""
    return tf.nn.max_pool2d(x, 3, 2, padding)


def to_bytes_range(images: tf.Tensor) -> tf.Tensor:
    """[-1, 1] → 0-255, clipped (`clip_inward`), as the published networks were trained to expect."""
    return clip_inward((images + 1.0) * 127.5, 0.0, 255.0)
