"""From λ and noise to the intermediate latent w."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2.layers import Dense, child_seed


class Mapping(keras.layers.Layer):
    """Multi-layer perceptron with leaky ReLU.

    Args:
        layers: number of layers.
        width: units of all layers but the last.
        w_dim: units of the last.
        lr_multiplier: learning rate relative to the synthesis' (0.01 in the paper, for 15 million images and more).
        normalize_input: divide each input by its root mean square; the method feeds λ without it.
        scale_input: multiply each input by a factor of its own, `input_scale`, which is stored with the weights and not
            trained: 1 / standard deviation gives a smile as much say as the width of a nose. Ones until assigned.
        seed: of the weights.

    Input shape: [B, λ + noise]. Output shape: [B, w_dim].
    """

    def __init__(
        self,
        layers: int = 8,
        width: int = 512,
        w_dim: int = 512,
        *,
        lr_multiplier: float = 0.01,
        normalize_input: bool = False,
        scale_input: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if layers < 1:
            raise ValueError(f"Mapping: expected at least one layer. Received: layers={layers}")
        self.layers, self.width, self.w_dim = layers, width, w_dim
        self.lr_multiplier, self.normalize_input, self.seed = lr_multiplier, normalize_input, seed
        self.scale_input = scale_input
        self.dense = [
            Dense(
                w_dim if k == layers - 1 else width,
                activation=True,
                lr_multiplier=lr_multiplier,
                seed=child_seed(seed, f"mapping/{k}"),
                dtype=self.dtype_policy,
                name=f"dense_{k}",
            )
            for k in range(layers)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, λ + noise]."""
        if self.scale_input:
            self.input_scale = self.add_weight((input_shape[-1],), "ones", trainable=False, name="input_scale")
        for layer in self.dense:
            layer.build(input_shape)
            input_shape = (None, layer.units)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs [B, λ + noise] → w [B, w_dim]."""
        x = inputs * tf.convert_to_tensor(self.input_scale) if self.scale_input else inputs
        if self.normalize_input:
            x = x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + 1e-8)
        for layer in self.dense:
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(layers=self.layers, width=self.width, w_dim=self.w_dim, lr_multiplier=self.lr_multiplier,
                   normalize_input=self.normalize_input, scale_input=self.scale_input, seed=self.seed)  # fmt: skip
        return {**super().get_config(), **own}
