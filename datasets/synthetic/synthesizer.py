"""From a seed and a number to a synthetic image with its labels; each image depends on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from datasets.schema import Record
from datasets.synthetic import body as body_module
from datasets.synthetic import camera, glasses, hair
from datasets.synthetic.background import Backdrop, backdrop
from datasets.synthetic.labels import LabelDistribution
from datasets.synthetic.lamps import Lamps
from datasets.synthetic.parts import FittedParts
from datasets.synthetic.person import Person, wear
from datasets.synthetic.population import NormalPopulation, Population
from datasets.synthetic.scalp import Scalp
from datasets.synthetic.scene import SHEET_VALUES, Lit, Scene
from datasets.synthetic.scene_renderer import SceneRenderer
from datasets.synthetic.skin import Complexion
from datasets.synthetic.stand_in import StandIn
from datasets.synthetic.style import Style, draw_style
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer
from renderer.makehuman.assets import Assets

_PERSON, _LABELS, _CLOTHES, _BACKGROUND, _CAMERA = range(5)  # what a random stream is for
_BATCH, _BATCH_PIXELS = 32, 1 << 20  # images rendered at a time, and their pixels, for the memory's sake
_KEPT, _KEPT_BYTES = 4096, 1 << 29  # persons, and bytes of their skins


class _Label(NamedTuple):
    coefficients: np.ndarray  # [size] float32
    lamps: Lamps
    place: Backdrop


class Synthesizer:
    """Synthetic images of a population.

    Args:
        model: the face model.
        image_size: pixels of the images.
        seed: of everything.
        subjects: number of persons; image i shows person i modulo `subjects`.
        distribution: of the labels.
        assets: parts of MakeHuman's that people wear, or None.
        population: who is drawn; None: people of normal coefficients.
    """

    def __init__(
        self,
        model: FaceModel,
        image_size: int,
        *,
        seed: int,
        subjects: int,
        distribution: LabelDistribution | None = None,
        assets: Assets | None = None,
        population: Population | None = None,
    ):
        if subjects < 1:
            raise ValueError(f"synthetic images need at least 1 subject. Received: {subjects}")
        self.model, self.image_size, self.seed, self.subjects = model, image_size, seed, subjects
        self.distribution = distribution or LabelDistribution()
        self.population = population or NormalPopulation(model, self.distribution)
        mean = FaceRenderer(model, 16).shape(np.zeros((1, model.layout.size), np.float32)).numpy()[0]
        self.scalp = Scalp(model, mean)
        self.stand_in = StandIn(model, self.scalp)
        self.parts = None if assets is None else FittedParts(assets, model, mean, image_size)
        self.complexion = Complexion(model, self.scalp)
        self._skin, self._brow = _Albedo(model, self.complexion.skin), _Albedo(model, self.complexion.brow)
        self.batch = batch_size(image_size)
        atlas_bytes = 3 * self.population.atlas_size**2
        # A person comes again after `subjects` images, and painting one is dear: as many are kept as memory allows.
        kept = min(_KEPT, _KEPT_BYTES // max(atlas_bytes, 1))
        self._person = lru_cache(maxsize=max(2 * self.batch, kept))(self._draw_person)
        self.renderer = SceneRenderer(
            model,
            image_size,
            self.stand_in.triangles,
            self.stand_in.normals(),
            eyes=self.parts.eye_part if self.parts else None,
            sheets=self.parts.sheets if self.parts else None,
            textured=atlas_bytes > 0,
        )

    def coefficients(self, index: int) -> np.ndarray:
        """[size] float32: the label of image `index`."""
        return self._label(index).coefficients

    def style(self, subject: int) -> Style:
        """Hair, beard, freckles of a person."""
        return self.person(subject).style

    def person(self, subject: int) -> Person:
        """Everything about person `subject`."""
        return self._person(subject)

    def records(self, indices: Sequence[int]) -> Iterator[Record]:
        """The images of the numbers `indices`, in that order; rendered `batch` at a time."""
        parts = [list(indices[start : start + self.batch]) for start in range(0, len(indices), self.batch)]
        with ThreadPoolExecutor(1) as assistant:  # sets up the next scene while TensorFlow renders this one
            scenes = [assistant.submit(self._scene, part) for part in parts[:1]]
            for number, part in enumerate(parts):
                scene = scenes.pop().result()
                scenes += [assistant.submit(self._scene, following) for following in parts[number + 1 : number + 2]]
                yield from self._finish(part, scene)

    def _finish(self, part: Sequence[int], scene: Scene) -> Iterator[Record]:
        pictures, masks, landmarks = (value.numpy() for value in self.renderer(scene))
        for place, index in enumerate(part):
            rng, traits = self._rng(_CAMERA, index), self.person(index % self.subjects).individual.traits
            yield Record.from_arrays(
                camera.expose(pictures[place], rng),
                mask=masks[place],
                jpeg_quality=int(rng.integers(*camera.JPEG_QUALITY)),
                coefficients=scene.coefficients[place],
                landmarks=landmarks[place],
                subject=index % self.subjects,
                name=f"synthetic-{self.seed}-{index:07d}",
                traits=None if traits is None else traits.array(),
            )

    def _scene(self, part: Sequence[int]) -> Scene:
        """The scene of up to `batch` images, padded to `batch`, so that the graph is built once."""
        indices = list(part) + [part[-1]] * (self.batch - len(part))
        labels = [self._label(index) for index in indices]
        coefficients = np.stack([label.coefficients for label in labels])
        shapes = self.renderer.shapes(coefficients).numpy()
        drawn = [self._one(*each) for each in zip(indices, labels, shapes, strict=True)]
        columns = {key: _stacked([one[key] for one in drawn]) for key in drawn[0]}
        lamps = [(m.lamps.ambient, m.lamps.slope, m.lamps.directions, m.lamps.colours) for m in labels]
        light = Lit(*(np.stack(column).astype(np.float32) for column in zip(*lamps, strict=True)))
        return Scene(coefficients=coefficients, shape=shapes, light=light, **columns)

    def _one(self, index: int, label: _Label, shape: np.ndarray) -> dict[str, np.ndarray]:
        """The other fields of a Scene, for one image."""
        person = self.person(index % self.subjects)
        style, angles = person.style, self.model.layout.split(label.coefficients)["angles"].astype(float)
        body = body_module.dress(
            chin=shape[self.model.landmarks[8]],
            width=self.scalp.width,
            rotation=body_module.turn(angles),
            angles=angles,
            skin=person.skin,
            rng=self._rng(_CLOTHES, index),
        )
        frame, frame_colour = glasses.frames(shape[self.model.landmarks], style)
        atlas = person.individual.atlas
        return {
            "detail": self.complexion.detail(style) if atlas is None else np.ones((len(shape), 3), np.float32),
            "beard": self.complexion.beard(style),
            "roots": hair.coverage(self.scalp, style.hair),
            "atlas": np.ones((1, 1, 3), np.uint8) if atlas is None else atlas,
            **self._grown_hair(person, shape),
            "glasses": frame,
            "glasses_colour": frame_colour,
            "body": body.vertices,
            "body_normals": body.normals,
            "body_colours": body.colours,
            "body_skin": body.skin,
            "background": label.place.image,
            "stand_in": self.stand_in.place(shape),
            "stand_in_colours": self.stand_in.colours(person.skin),
            "stand_in_roots": hair.coverage(self.stand_in, style.hair),
            **self._worn_parts(person, shape),
        }

    def _grown_hair(self, person: Person, shape: np.ndarray) -> dict[str, np.ndarray]:
        """Procedural hair; of who wears parts, nothing but the colours."""
        style = person.style
        rng = np.random.default_rng(style.seed)
        curly = float(np.clip((style.hair.curl - 0.015) / 0.02, 0, 1))
        fields = {
            "colours": np.stack([style.hair_colour, style.beard_colour]),
            "look": np.array([style.strands, style.gloss, curly, *rng.random(2)]),
        }
        if person.worn is not None:
            point = np.repeat(self.scalp.centre[None], hair.VERTICES, 0)
            up = np.tile([0.0, 1.0, 0.0], (hair.VERTICES, 1))
            none = {"hair": point, "hair_normals": up, "hair_tangents": up, "hair_occlusion": up[:, 1]}
            return {**fields, **none}
        grown = hair.grow(self.scalp, shape, style)
        return {
            **fields,
            "hair": grown.vertices,
            "hair_normals": grown.normals,
            "hair_tangents": grown.tangents,
            "hair_occlusion": grown.occlusion,
        }

    def _worn_parts(self, person: Person, shape: np.ndarray) -> dict[str, np.ndarray]:
        """Eyes and sheets."""
        if self.parts is None or person.worn is None:
            nothing = np.zeros((0, 3))
            return {
                "eyes": nothing,
                "eye_normals": nothing,
                "iris": np.ones((1, 1, 3)),
                "sheets": nothing,
                "sheet_values": np.zeros((0, SHEET_VALUES)),
                "pictures": np.zeros(3, np.int32),
                "sheet_colours": np.zeros((3, 2, 3)),
                "sheet_look": np.zeros(5),
            }
        worn = person.worn
        eyes, normals = self.parts.eyes_of(shape)
        sheets, values, pictures = self.parts.sheets_of(shape, worn.look, worn.brow, worn.lash)
        return {
            "eyes": eyes,
            "eye_normals": normals,
            "iris": self.parts.irises[worn.iris].coloured(person.individual.iris),
            "sheets": sheets,
            "sheet_values": values,
            "pictures": pictures,
            "sheet_colours": worn.colours,
            "sheet_look": worn.finish,
        }

    def _label(self, index: int) -> _Label:
        identity = self.person(index % self.subjects).individual.identity
        place = backdrop(self.image_size, self._rng(_BACKGROUND, index))
        return _Label(*self.distribution.image(self.model, identity, self._rng(_LABELS, index), place), place)

    def _draw_person(self, subject: int) -> Person:
        rng = self._rng(_PERSON, subject)
        individual = self.population.individual(rng)
        texture = individual.identity[self.model.layout.shape :]
        skin, brow = self._skin.mean(texture), self._brow.mean(texture)
        # How light the brows are among brows on such skin, -1…1; the face model draws them, the hair goes with them.
        usual = self._brow.mean(0 * texture) * skin.mean() / self._skin.mean(0 * texture).mean()
        if individual.atlas is not None:
            skin, usual = self._skin_of(individual.atlas), brow
        brows = float(np.clip((brow - usual).mean() / 25, -1, 1))
        style = draw_style(float(skin.mean()), brows, rng, individual.traits, individual.hair)
        worn = None
        if self.parts is not None:
            parts = self.parts
            names = (list(parts.hair), list(parts.brows), list(parts.lashes), list(parts.irises))
            style, worn = wear(style, individual, skin, names, rng)
        return Person(individual, style, skin, worn)

    def _skin_of(self, atlas: np.ndarray) -> np.ndarray:
        """[3] mean colour of the face in an atlas."""
        uv = self.model.uv[self.model.landmarks[[1, 2, 3, 13, 14, 15, 28, 29, 30]]]
        side = len(atlas)
        row, column = ((1 - uv[:, 1]) * side).astype(int), (uv[:, 0] * side).astype(int)
        return atlas[row.clip(0, side - 1), column.clip(0, side - 1)].astype(float).mean(0)

    def _rng(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, number))


def batch_size(image_size: int) -> int:
    """How many images of `image_size` pixels are rendered at a time; at 512, 32 would take more than 20 GiB."""
    return int(np.clip(_BATCH_PIXELS // image_size**2, 1, _BATCH))


def _stacked(values: list[np.ndarray]) -> np.ndarray:
    """One array of a batch: bytes stay bytes, other whole numbers become int32, the rest float32."""
    kinds = {"u": np.uint8, "i": np.int32}
    result = np.empty((len(values), *values[0].shape), kinds.get(values[0].dtype.kind, np.float32))
    for row, value in zip(result, values, strict=True):
        row[...] = value
    return result


class _Albedo:
    """Mean colour of some vertices [V] bool of a face model, as a function of its texture coefficients."""

    def __init__(self, model: FaceModel, vertices: np.ndarray):
        self._mean = model.mean_texture[vertices].mean(0)
        self._basis = model.texture_basis[vertices].mean(0)  # [3, T]

    def mean(self, texture: np.ndarray) -> np.ndarray:
        """[3] RGB 0-255."""
        return np.clip(self._mean + self._basis @ texture, 5, 250)
