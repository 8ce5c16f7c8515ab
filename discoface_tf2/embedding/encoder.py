"""Images → styles, near enough for a few steps of optimisation to do the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.files import write_json
from discoface_tf2.perception.backbone import Trunk, build_by_call, check_images, fit_size
from renderer.files import atomic_path

FORMAT = "discoface_tf2 encoder, version 1"
MANIFEST, WEIGHTS = "encoder.json", "encoder.weights.h5"


class Encoder(keras.Model):
    """A style per layer of an aligned image.

    Input: images [B, H, W, 3] in [-1, 1], of any size. Output: [B, num_ws, w_dim], how many standard deviations each
    style is from the average w: one answer for all layers, and each layer's own beside it, which starts at zero.
    """

    def __init__(
        self,
        num_ws: int,
        w_dim: int,
        image_size: int = 64,  # the network's own input size
        channels: Sequence[int] = (32, 64, 128, 192),
        hidden: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(name="encoder", **kwargs)
        self.num_ws, self.w_dim, self.image_size = num_ws, w_dim, image_size
        self.options = dict(num_ws=num_ws, w_dim=w_dim, image_size=image_size, channels=list(channels), hidden=hidden)
        self.trunk = Trunk(channels)
        self.hidden = keras.layers.Dense(hidden, activation="silu")
        self.shared = keras.layers.Dense(w_dim)
        self.own = keras.layers.Dense(num_ws * w_dim, kernel_initializer="zeros")
        build_by_call(self, image_size)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Images [B, H, W, 3] → [B, num_ws, w_dim]."""
        x = tf.nn.silu(self.trunk(fit_size(check_images(images), self.image_size))[-1])
        x = self.hidden(tf.reshape(x, [-1, np.prod(x.shape[1:])]))
        return self.shared(x)[:, None] + tf.reshape(self.own(x), [-1, self.num_ws, self.w_dim])

    def save_to(self, folder: Path, facts: dict[str, Any]) -> None:
        """Writes the weights, then the manifest, with what is worth remembering."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / WEIGHTS, ".weights.h5") as other:  # Keras insists on the suffix
            self.save_weights(other)
        write_json(folder / MANIFEST, {"format": FORMAT, "options": self.options, "facts": facts})

    @classmethod
    def load_from(cls, folder: Path, num_ws: int, w_dim: int) -> Encoder:
        """What `save_to` wrote, for a generator of these sizes. Raises FileNotFoundError or ValueError."""
        path = folder / MANIFEST
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; train it with: python -m discoface_tf2.embedding.train")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.get("format") != FORMAT:
                raise ValueError(f"expected the format {FORMAT!r}. Received: {content.get('format')!r}")
            encoder = cls(**content["options"])
            encoder.load_weights(folder / WEIGHTS)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"{folder}: not an encoder ({reason})") from None
        if (encoder.num_ws, encoder.w_dim) != (num_ws, w_dim):
            raise ValueError(
                f"{folder}: trained for another generator: expected {num_ws} styles of {w_dim}. Received: "
                f"{encoder.num_ws} of {encoder.w_dim}"
            )
        encoder.trainable = False
        return encoder
