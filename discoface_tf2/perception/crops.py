"""The reconstruction network of a perception folder, for the crops of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from discoface_tf2.perception.perception import Perception
from discoface_tf2.perception.pretrained import RNet
from renderer.face_model import FaceModel


class CropReconstruction:
    """Crops of photographs, one at a time → coefficients.

    framing says which crop the network wants: the generator's, which leaves no translation, or that of the
    reconstruction camera, in which a published network sees a translation too. image_size: pixels of the crop's side.

    Args:
        folder: of `train_perception.py`, or of `import_weights`.
        face_model: that the coefficients are for.

    Raises:
        FileNotFoundError or ValueError, with one line: no such folder, a damaged one, or one for another face model.
    """

    def __init__(self, folder: str | Path, face_model: FaceModel):
        perception = Perception.load(folder)
        perception.require_face_model(face_model, folder)
        network = perception.reconstruction
        self.image_size: int = network.image_size
        self.framing: Literal["generator", "reconstruction"]
        if isinstance(network, RNet):
            self.framing, answer = "reconstruction", network.from_crops
        else:
            self.framing, answer = "generator", network.__call__
        crop = tf.TensorSpec([1, self.image_size, self.image_size, 3], tf.float32)
        self._answer = tf.function(answer, input_signature=[crop])

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """Crop [S, S, 3] uint8 RGB → coefficients [layout.size] float32."""
        images = tf.constant(crop[None], tf.float32) / 127.5 - 1.0
        return self._answer(images).numpy()[0]
