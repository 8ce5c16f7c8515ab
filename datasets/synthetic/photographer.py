"""From a seed and a number to a photograph with its labels; each photograph depends on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from datasets.schema import Record
from datasets.synthetic import body as body_module
from datasets.synthetic import camera, glasses, hair
from datasets.synthetic.background import background
from datasets.synthetic.labels import LabelDistribution
from datasets.synthetic.scalp import Scalp
from datasets.synthetic.skin import Complexion
from datasets.synthetic.stand_in import StandIn
from datasets.synthetic.studio import Scene, Studio
from datasets.synthetic.style import Style, draw_style
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer

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
        mean = FaceRenderer(model, 16).shape(np.zeros((1, model.layout.size), np.float32)).numpy()[0]
        self.scalp = Scalp(model, mean)
        self.stand_in = StandIn(model, self.scalp)
        self.studio = Studio(model, image_size, self.stand_in.triangles, self.stand_in.normals())
        self.complexion = Complexion(model, self.scalp)
        self._skin, self._brow = _Albedo(model, self.complexion.skin), _Albedo(model, self.complexion.brow)
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
        parts = [list(indices[start : start + BATCH]) for start in range(0, len(indices), BATCH)]
        with ThreadPoolExecutor(1) as assistant:  # sets up the next scene while TensorFlow draws this one
            scenes = [assistant.submit(self._scene, part) for part in parts[:1]]
            for number, part in enumerate(parts):
                scene = scenes.pop().result()
                scenes += [assistant.submit(self._scene, following) for following in parts[number + 1 : number + 2]]
                yield from self._develop(part, scene)

    def _develop(self, part: Sequence[int], scene: Scene) -> Iterator[Record]:
        pictures, masks, landmarks = self.studio.shoot(scene)
        pictures, masks, landmarks = pictures.numpy(), masks.numpy(), landmarks.numpy()
        for place, index in enumerate(part):
            rng = self._rng(_CAMERA, index)
            yield Record.from_arrays(
                camera.expose(pictures[place], rng),
                mask=masks[place],
                jpeg_quality=int(rng.integers(*camera.JPEG_QUALITY)),
                coefficients=scene.coefficients[place],
                landmarks=landmarks[place],
                subject=index % self.subjects,
                name=f"synthetic-{self.seed}-{index:07d}",
            )

    def _scene(self, part: Sequence[int]) -> Scene:
        """The scene of up to BATCH photographs, padded to BATCH, so that the graph is built once."""
        indices = list(part) + [part[-1]] * (BATCH - len(part))
        coefficients = np.stack([self.coefficients(index) for index in indices])
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
            skin=self._skin.mean(groups["texture"]),
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
            *glasses.frames(shape[self.model.landmarks], style),
            body.vertices,
            body.normals,
            body.colours,
            body.skin,
            background(self.image_size, self._rng(_BACKGROUND, index)),
            self.stand_in.place(shape),
            self.stand_in.colours(self._skin.mean(groups["texture"])),
            hair.coverage(self.stand_in, style.hair),
        )

    def _draw_person(self, subject: int) -> tuple[np.ndarray, Style]:
        rng = self._rng(_PERSON, subject)
        identity = self.distribution.identity(self.model, rng)
        texture = identity[self.model.layout.shape :]
        skin, brow = self._skin.mean(texture), self._brow.mean(texture)
        # How light the brows are among brows on such skin, -1…1; the face model draws them, the hair goes with them.
        usual = self._brow.mean(0 * texture) * skin.mean() / self._skin.mean(0 * texture).mean()
        return identity, draw_style(float(skin.mean()), float(np.clip((brow - usual).mean() / 25, -1, 1)), rng)

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, number))


class _Albedo:
    """Mean colour of some vertices [V] bool of a face model, as a function of its texture coefficients."""

    def __init__(self, model: FaceModel, vertices: np.ndarray):
        self._mean = model.mean_texture[vertices].mean(0)
        self._basis = model.texture_basis[vertices].mean(0)  # [3, T]

    def mean(self, texture: np.ndarray) -> np.ndarray:
        """[3] RGB 0-255."""
        return np.clip(self._mean + self._basis @ texture, 5, 250)
