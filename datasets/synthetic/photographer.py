"""From a seed and a number to a photograph with its labels; each photograph depends on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from datasets.schema import Record
from datasets.synthetic import body as body_module
from datasets.synthetic import camera, hair
from datasets.synthetic.background import background
from datasets.synthetic.labels import LabelDistribution
from datasets.synthetic.scalp import Scalp
from datasets.synthetic.skin import Complexion
from datasets.synthetic.studio import Scene, Studio
from datasets.synthetic.style import Style, draw_style
from renderer.face_model import FaceModel

_PERSON, _LABELS, _CLOTHES, _BACKGROUND, _CAMERA = range(5)  # what a random stream is for
BATCH = 32


class Photographer:
    """Synthetic photographs of a population.

    Args:
        model: the face model.
        image_size: pixels of the photographs.
        seed: of everything.
        subjects: number of persons; photograph i shows person i modulo `subjects`.
        distribution: of the labels.
    """

    def __init__(
        self,
        model: FaceModel,
        image_size: int,
        *,
        seed: int,
        subjects: int,
        distribution: LabelDistribution | None = None,
    ):
        if subjects < 1:
            raise ValueError(f"synthetic photographs need at least 1 subject. Received: {subjects}")
        self.model, self.image_size, self.seed, self.subjects = model, image_size, seed, subjects
        self.distribution = distribution or LabelDistribution()
        self.studio = Studio(model, image_size)
        mean = self.studio.shapes(np.zeros((1, model.layout.size), np.float32)).numpy()[0]
        self.scalp = Scalp(model, mean)
        self.complexion = Complexion(model, self.scalp)
        self._person = lru_cache(maxsize=4096)(self._draw_person)

    def coefficients(self, index: int) -> np.ndarray:
        """[size] float32: the label of photograph `index`."""
        identity, _ = self._person(index % self.subjects)
        return self.distribution.photograph(self.model, identity, self._rng(_LABELS, index))

    def style(self, subject: int) -> Style:
        """Hair, beard, freckles of a person."""
        return self._person(subject)[1]

    def records(self, indices: Sequence[int]) -> Iterator[Record]:
        """The photographs of the numbers `indices`, in that order; drawn `BATCH` at a time."""
        for start in range(0, len(indices), BATCH):
            part = list(indices[start : start + BATCH])
            coefficients = np.stack([self.coefficients(index) for index in part])
            padded = part + [part[-1]] * (BATCH - len(part))  # one shape, so that the graph is built once
            pictures, masks, landmarks = self.studio.shoot(self._scene(padded, coefficients))
            pictures, masks, landmarks = pictures.numpy(), masks.numpy(), landmarks.numpy()
            for place, index in enumerate(part):
                rng = self._rng(_CAMERA, index)
                yield Record.from_arrays(
                    camera.expose(pictures[place], rng),
                    mask=masks[place],
                    jpeg_quality=int(rng.integers(*camera.JPEG_QUALITY)),
                    coefficients=coefficients[place],
                    landmarks=landmarks[place],
                    subject=index % self.subjects,
                    name=f"synthetic-{self.seed}-{index:07d}",
                )

    def _scene(self, indices: Sequence[int], coefficients: np.ndarray) -> Scene:
        """`indices` padded to BATCH; `coefficients` of the first of them."""
        padding = len(indices) - len(coefficients)
        coefficients = np.concatenate([coefficients, np.repeat(coefficients[-1:], padding, 0)])
        shapes = self.studio.shapes(coefficients).numpy()
        drawn = [self._one(index, c, shape) for index, c, shape in zip(indices, coefficients, shapes, strict=True)]
        columns = [np.stack(column).astype(np.float32) for column in zip(*drawn, strict=True)]
        return Scene(coefficients, shapes, *columns)

    def _one(self, index: int, coefficients: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, ...]:
        """The columns of a Scene after the first two, for one photograph."""
        style, groups = self.style(index % self.subjects), self.model.layout.split(coefficients)
        grown = hair.grow(self.scalp, shape, style)
        angles = groups["angles"].astype(float)
        body = body_module.dress(
            chin=shape[self.model.landmarks[8]],
            width=self.scalp.width,
            rotation=body_module.turn(angles),
            angles=angles,
            skin=self._skin_colour(groups["texture"]),
            rng=self._rng(_CLOTHES, index),
        )
        rng = np.random.default_rng(style.seed)
        curly = float(np.clip((style.hair.curl - 0.015) / 0.02, 0, 1))
        return (
            self.complexion.detail(style),
            self.complexion.beard(style),
            hair.coverage(self.scalp, style.hair),
            grown.vertices,
            grown.normals,
            grown.tangents,
            grown.occlusion,
            np.stack([style.hair_colour, style.beard_colour]),
            np.array([style.strands, style.gloss, curly, *rng.random(2)]),
            body.vertices,
            body.normals,
            body.colours,
            body.skin,
            background(self.image_size, self._rng(_BACKGROUND, index)),
        )

    def _draw_person(self, subject: int) -> tuple[np.ndarray, Style]:
        rng = self._rng(_PERSON, subject)
        identity = self.distribution.identity(self.model, rng)
        colour = self._skin_colour(identity[self.model.layout.shape :])
        return identity, draw_style(float(colour.mean()), rng)

    def _skin_colour(self, texture: np.ndarray) -> np.ndarray:
        """[3] mean albedo of a person's skin, RGB 0-255."""
        skin = self.complexion.skin
        if not hasattr(self, "_mean_skin"):
            self._mean_skin = self.model.mean_texture[skin].mean(0), self.model.texture_basis[skin].mean(0)
        return np.clip(self._mean_skin[0] + self._mean_skin[1] @ texture, 5, 250)

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, number))
