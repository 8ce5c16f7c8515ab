"""The generator: mapping and synthesis."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2.mapping import Mapping
from discoface_tf2.networks.stylegan2.synthesis import Noise, Synthesis


class Generator(keras.Model):
    """Images of coefficients λ and noise.

    Args:
        mapping: from λ and noise to w.
        synthesis: from styles to images; that of `stylegan1` has the same interface.

    Call arguments:
        inputs: λ and noise side by side [B, λ + noise].
        noise: the synthesis' noise maps: see `synthesis.layer_noise`.
        max_resolution: stop at this resolution.

    Output shape: [B, R, R, 3], float32, about [-1, 1].
    """

    def __init__(self, mapping: Mapping, synthesis: Synthesis, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if mapping.w_dim != synthesis.w_dim:
            raise ValueError(f"Generator: expected one w_dim. Received: {mapping.w_dim} and {synthesis.w_dim}")
        self.mapping, self.synthesis = mapping, synthesis

    @property
    def num_ws(self) -> int:
        """Number of styles an image."""
        return self.synthesis.num_ws

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return self.synthesis.resolution

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, λ + noise]."""
        self.mapping.build(input_shape)
        self.synthesis.build((None, self.num_ws, self.mapping.w_dim))
        self.built = True

    def styles(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs [B, λ + noise] → the same w for every layer [B, num_ws, w_dim]."""
        return tf.tile(self.mapping(inputs)[:, None, :], [1, self.num_ws, 1])

    def call(self, inputs: tf.Tensor, noise: Noise = None, max_resolution: int | None = None) -> tf.Tensor:
        """Inputs [B, λ + noise] → images [B, R, R, 3]."""
        return self.synthesis(self.styles(inputs), noise=noise, max_resolution=max_resolution)
