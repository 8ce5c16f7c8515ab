"""Images brought into the range that the perception networks were trained on, without losing what pulls them back."""

from __future__ import annotations

import tensorflow as tf


def clip_inward(x: tf.Tensor, low: float = -1.0, high: float = 1.0) -> tf.Tensor:
    """`x` of any shape, clipped to [low, high]; outside, only gradients whose descent leads back inside pass.

    A plain clip has no gradient outside, so what has left the range would stay there. Descent moves x against its
    gradient: above `high` a positive gradient leads back, below `low` a negative one; the others become 0.
    """

    @tf.custom_gradient
    def clip(value: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            outward = ((value > high) & (upstream < 0)) | ((value < low) & (upstream > 0))
            return tf.where(outward, tf.zeros_like(upstream), upstream)

        return tf.clip_by_value(value, low, high), gradient

    return clip(x)
