"""Images → coefficients of the face model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.perception.backbone import Trunk, build_by_call, check_images, fit_size
from renderer.layout import CoefficientLayout


class Reconstruction(keras.Model):
    """What face model, pose and light an aligned picture shows.

    Input: images [B, H, W, 3] in [-1, 1], aligned as the generator's (translation 0), of any size.
    Output: coefficients [B, layout.size] in the face model's own units; the translation is 0. Differentiable.
    The trunk predicts standardised numbers; the labels' mean and standard deviation are part of the weights.
    """

    kind = "reconstruction"

    def __init__(
        self,
        layout: CoefficientLayout,
        image_size: int = 64,  # the network's own input size
        channels: Sequence[int] = (32, 64, 128, 192),
        hidden: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=self.kind, **kwargs)
        self.layout = layout
        self.image_size = image_size
        self.options = {"image_size": image_size, "channels": list(channels), "hidden": hidden}
        self.trunk = Trunk(channels)
        self.hidden = keras.layers.Dense(hidden, activation="silu")
        self.head = keras.layers.Dense(layout.lambda_size, kernel_initializer=keras.initializers.RandomNormal(0, 0.01))
        self.label_mean = self._label_weight("label_mean", "zeros")
        self.label_std = self._label_weight("label_std", "ones")
        build_by_call(self, image_size)

    def _label_weight(self, name: str, start: str) -> tf.Variable:
        shape = (self.layout.lambda_size,)
        return self.add_weight(name=name, shape=shape, initializer=start, trainable=False)

    def set_labels(self, mean: np.ndarray, std: np.ndarray) -> None:
        """Takes the training labels' mean and standard deviation, [lambda_size] each, as the output's units."""
        if (np.asarray(std) < 0).any():
            raise ValueError(f"reconstruction: standard deviations cannot be negative. Received: {np.min(std)}")
        self.label_mean.assign(mean)
        self.label_std.assign(std)

    def standardised(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → (λ − mean) / std [B, lambda_size], what the losses of training look at."""
        x = self.trunk(fit_size(check_images(images), self.image_size))[-1]  # [B, S/2^n, S/2^n, C]
        x = tf.nn.silu(x)
        return self.head(self.hidden(tf.reshape(x, [-1, np.prod(x.shape[1:])])))

    def to_coefficients(self, standardised: tf.Tensor) -> tf.Tensor:
        """Standardised λ [B, lambda_size] → coefficients [B, size] with translation 0."""
        codes = tf.convert_to_tensor(self.label_mean) + tf.convert_to_tensor(self.label_std) * standardised
        return tf.pad(codes, [[0, 0], [0, self.layout.translation]])

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → coefficients [B, layout.size]."""
        return self.to_coefficients(self.standardised(images))
