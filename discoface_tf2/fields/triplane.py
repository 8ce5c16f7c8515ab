"""Tri-planes (EG3D; CoPo and Exp-GAN): features on three planes, summed at a point, and the decoder of the sum."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2.layers import Dense, child_seed

PLANES = ((0, 1), (0, 2), (1, 2))  # the axes along the columns and up the rows of each: xy, xz and yz


def look_up(planes: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """The sum of the three planes' features at `points`, bilinear between texels' centres; edges are held beyond.

    Args:
        planes: [B, A, A, 3·C], the features of the planes xy, xz and yz one after another; row 0 is where the second
            axis is 1, as rows of images go. The texels tile [-1, 1], so centres lie half a texel inside.
        points: [B, P, 3] in [-1, 1] (`Box.normalise`).

    Returns:
        [B, P, C]. Gradients reach the planes and the points.
    """
    size, channels = planes.shape[1], planes.shape[-1] // 3
    if planes.shape[2] != size or planes.shape[-1] % 3 or size < 2:
        raise ValueError(f"planes: expected [B, A, A, 3·C] with A ≥ 2. Received: {tuple(planes.shape)}")
    batch, count = tf.shape(points)[0], points.shape[1]
    columns, rows = (tf.gather(points, [axes[k] for axes in PLANES], axis=-1) for k in (0, 1))  # [B, P, 3]
    x, y = (tf.clip_by_value((v + 1.0) * (size / 2) - 0.5, 0.0, size - 1.0) for v in (columns, -rows))
    left, top = tf.minimum(tf.floor(x), size - 2.0), tf.minimum(tf.floor(y), size - 2.0)
    x, y = x - left, y - top
    # Each row of the table holds four neighbouring texels: a quarter of the look-ups, forward and backward.
    stacked = tf.transpose(tf.reshape(planes, [-1, size, size, 3, channels]), [0, 3, 1, 2, 4])
    corners = [stacked[:, :, i : size - 1 + i, j : size - 1 + j] for i in (0, 1) for j in (0, 1)]
    table = tf.reshape(tf.concat(corners, -1), [-1, 4 * channels])
    first = tf.reshape(tf.range(batch * 3) * (size - 1) ** 2, [-1, 1, 3])
    texels = tf.gather(table, first + tf.cast(top, tf.int32) * (size - 1) + tf.cast(left, tf.int32))  # [B, P, 3, 4·C]
    weights = tf.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1)  # [B, P, 3, 4]
    weights, texels = tf.reshape(weights, [-1, count, 1, 12]), tf.reshape(texels, [-1, count, 12, channels])
    return tf.matmul(weights, texels)[..., 0, :]


class TriplaneDecoder(keras.layers.Layer):
    """Features at points to values and a density: two fully connected layers, one hidden.

    CoPo's (EG3D's) has 64 softplus units and 52 outputs (colours 3, features 29, labels 19, density), Exp-GAN's 64
    leaky ReLU units of slope 0.01 and 33. Weights are N(0, 1) with equalised learning rate.

    Args:
        outputs: channels, the density's with them.
        hidden: units.
        activation: of the hidden units, "softplus" or "leaky_relu".
        bias_init: what the hidden units' biases start from.
        seed: of the weights.

    Input shape: [B, P, C]. Output shape: [B, P, outputs] float32, all linear, the density last: what squashes them is
    the systems' own.
    """

    def __init__(
        self,
        outputs: int,
        hidden: int = 64,
        *,
        activation: str = "softplus",
        bias_init: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if activation not in ("softplus", "leaky_relu") or outputs < 2:
            raise ValueError(
                "TriplaneDecoder: expected 2 outputs or more, and the activation softplus or leaky_relu. "
                f"Received: outputs={outputs}, activation={activation!r}"
            )
        self.outputs, self.hidden, self.activation = outputs, hidden, activation
        self.bias_init, self.seed = bias_init, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, P, C]."""
        common = dict(dtype=self.dtype_policy)
        self.first = Dense(
            self.hidden, bias_init=self.bias_init, seed=child_seed(self.seed, "first"), name="first", **common
        )
        self.last = Dense(self.outputs, seed=child_seed(self.seed, "last"), name="last", **common)
        self.first.build((None, input_shape[-1]))
        self.last.build((None, self.hidden))

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Features [B, P, C] → [B, P, outputs]."""
        x = self.first(tf.reshape(features, [-1, features.shape[-1]]))
        x = tf.nn.softplus(x) if self.activation == "softplus" else tf.nn.leaky_relu(x, 0.01)
        x = tf.cast(self.last(x), self.variable_dtype)
        return tf.reshape(x, [-1, *features.shape[1:-1], self.outputs])

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(outputs=self.outputs, hidden=self.hidden, activation=self.activation, bias_init=self.bias_init,
                   seed=self.seed)  # fmt: skip
        return {**super().get_config(), **own}
