"""Images → who it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.perception.backbone import Trunk, build_by_call, check_images, fit_size


class Identity(keras.Model):
    """Embeds faces so that pictures of one person point the same way, whatever the pose, expression and light.

    Input: images [B, H, W, 3] in [-1, 1], aligned as the generator's, of any size; photographs, photographs masked to
    the face (black outside), or plain renders. Output: unit vectors [B, embedding]; their dot product is the cosine
    similarity. Differentiable.
    """

    kind = "identity"

    def __init__(
        self,
        image_size: int = 64,  # the network's own input size
        channels: Sequence[int] = (32, 64, 128, 192),
        embedding: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=self.kind, **kwargs)
        self.image_size = image_size
        self.embedding = embedding
        self.options = {"image_size": image_size, "channels": list(channels), "embedding": embedding}
        self.trunk = Trunk(channels)
        self.head = keras.layers.Dense(embedding)
        build_by_call(self, image_size)

    def maps(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Images [B, H, W, 3] → feature maps, fine to coarse, at half of the network's size and below."""
        return self.trunk(fit_size(check_images(images), self.image_size))

    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → the embedding before it is brought to unit length, [B, embedding]."""
        x = tf.nn.silu(self.maps(images)[-1])
        return self.head(tf.reshape(x, [-1, np.prod(x.shape[1:])]))

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → unit vectors [B, embedding]."""
        return tf.math.l2_normalize(self.features(images), axis=-1)
