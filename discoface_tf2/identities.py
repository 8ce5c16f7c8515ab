"""The people of a seed and their images with every label, for data sets (`generate_dataset.py`).

Batches have one size, and their places are fixed by the numbers of the people alone: the last bit of a sum may hang on
where in a batch an image is, and the bytes of a data set must not hang on who makes which part of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from discoface_tf2.generation import GenerationOptions, generate, to_uint8
from discoface_tf2.model import Model
from discoface_tf2.perception import CLASSES, Perception
from renderer import FaceRenderer
from renderer.face_model import FaceModel
from renderer.landmarks import FIVE_OF_68

_SKIN, _HAIR = CLASSES.index("skin"), CLASSES.index("hair")


class Identities:
    """Person k of a seed: one identity and one noise (`Model.sample`), k the same as in generate_images.py.

    Args:
        model: with its face model at hand.
        options: `variations` images per person, which differ in `factor`; its seed and truncation.
        batch_size: images at a time.
        perception: knows how near two people are, and where hair is.
        masks: whether `images` says where background, skin and hair are.

    Raises:
        FileNotFoundError or ValueError with one line: the face model is missing, or another's.
    """

    def __init__(
        self,
        model: Model,
        options: GenerationOptions,
        batch_size: int,
        perception: Perception | None = None,
        masks: bool = False,
    ) -> None:
        self.face_model: FaceModel = model.face_model
        self.resolution = model.resolution
        self.model, self._options, self._batch, self._perception = model, options, batch_size, perception
        self._renderer = FaceRenderer(self.face_model, self.resolution)
        self._embed = None if perception is None else tf.function(perception.identity.__call__)
        self._label = tf.function(self._labels_and_masks if masks else self._landmarks)

    def candidates(self, numbers: range, embed: bool) -> tuple[np.ndarray, np.ndarray]:
        """People's identity coefficients [N, S + T] and, with `embed`, the identity network's unit vectors [N, E].

        These are of an image at rest, from the front, in plain light. Without, E is 0.
        """
        people = self.model.sample(len(numbers), seed=self._options.seed, start=numbers.start)
        if not embed:
            return people.identity, np.zeros([len(people), 0], np.float32)
        assert self._embed is not None
        plain = people.at_rest()
        images = self.model.generate(plain, truncation=self._options.truncation, batch_size=self._batch)
        parts = [self._padded(self._embed, _floats(images[start : start + self._batch]))
                 for start in range(0, len(images), self._batch)]  # fmt: skip
        return people.identity, np.concatenate(parts)

    def images(self, people: Sequence[int]) -> Iterator[Mapping[str, np.ndarray]]:
        """Batches of the images of some people, in their order; an image a row of each array.

        `person` and `image` [B] its numbers, `pixels` [B, R, R, 3] uint8, `coefficients` [B, λ], `noise`
        [B, noise_dim], `landmarks` [B, 68, 2] pixels, y down from the top left corner; with masks `classes`
        [B, R, R] uint8: 0 background, 1 skin, 2 hair. Skin is where the mesh is, unless hair hides it, and where the
        parsing network sees ears or neck.
        """
        each = self._options.variations
        wanted = [person * each + image for person in people for image in range(each)]
        made = generate(
            self._options, self.model.faces, self.model.sampler, batch_size=self._batch, indices=wanted
        )  # fmt: skip
        for batch in made:
            pixels = to_uint8(batch.images)
            labels = self._padded(self._label, batch.coefficients, _floats(pixels))
            yield {
                "person": batch.subjects,
                "image": batch.indices % each,
                "pixels": pixels,
                "coefficients": batch.coefficients,
                "noise": batch.noise,
                **labels,
            }

    def _landmarks(self, coefficients: tf.Tensor, images: tf.Tensor) -> dict[str, tf.Tensor]:
        points = self._renderer.landmarks(coefficients) * (1.0, -1.0) + (0.0, float(self.resolution))
        return {"landmarks": points}

    def _labels_and_masks(self, coefficients: tf.Tensor, images: tf.Tensor) -> dict[str, tf.Tensor]:
        assert self._perception is not None
        found = self._landmarks(coefficients, images)
        five = tf.einsum("ij,bjd->bid", FIVE_OF_68, found["landmarks"]) / self.resolution
        seen = tf.argmax(self._perception.parsing(images, landmarks=five), -1)  # [B, R, R]
        mesh = self._renderer.rasterize(self._renderer.vertices(coefficients)).foreground_mask[..., 0] > 0
        classes = tf.where(mesh & (seen != _HAIR), tf.constant(_SKIN, seen.dtype), seen)
        return {**found, "classes": tf.cast(classes, tf.uint8)}

    def _padded(self, function: tf.types.experimental.PolymorphicFunction, *arrays: np.ndarray) -> Any:
        """The function's results for the rows of `arrays`, called with a full batch always."""
        count = len(arrays[0])
        rows = np.minimum(np.arange(self._batch), count - 1)
        results = function(*(tf.constant(array[rows]) for array in arrays))
        return tf.nest.map_structure(lambda tensor: tensor.numpy()[:count], results)


def _floats(images: np.ndarray) -> np.ndarray:
    """uint8 → [-1, 1], as networks see images."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)
