"""Who is shown: shape, skin and what is known of a person, as the face model has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from datasets.synthetic.labels import LabelDistribution
from renderer.face_model import FaceModel
from renderer.makehuman import people
from renderer.makehuman.complexion import Complexion
from renderer.makehuman.population import Population as SliderPopulation

TRAITS = people.TRAITS


@dataclass(frozen=True)
class Traits:
    """What the sliders of a face model said of a person; the fields are TRAITS."""

    male: float  # 0 female … 1 male
    age: float  # years
    african: float  # shares, 1 in sum
    asian: float
    caucasian: float
    weight: float  # 0 light … 1 heavy
    muscle: float  # 0-1

    def array(self) -> np.ndarray:
        """[7] float32, in the order of TRAITS."""
        return np.array([getattr(self, name) for name in TRAITS], np.float32)


@dataclass(frozen=True, eq=False)
class Individual:
    """One person of a population. Colours are albedo, RGB 0-255; None where they are not known."""

    identity: np.ndarray  # [shape + texture] float32
    traits: Traits | None = None
    atlas: np.ndarray | None = None  # [A, A, 3] uint8: the skin, row 0 at v = 1, of a model with an atlas
    hair: np.ndarray | None = None  # [3]
    brow: np.ndarray | None = None  # [3]
    iris: np.ndarray | None = None  # [3]


class Population(Protocol):
    """Draws people for a face model."""

    atlas_size: int  # texels along a side of their atlases; 0 if they have none

    def individual(self, rng: np.random.Generator) -> Individual:
        """A person; depends on `rng` alone."""
        ...


class NormalPopulation:
    """People whose coefficients are normal, of any face model; nothing else is known of them."""

    atlas_size = 0

    def __init__(self, model: FaceModel, distribution: LabelDistribution):
        self._model, self._distribution = model, distribution

    def individual(self, rng: np.random.Generator) -> Individual:
        """See Population."""
        return Individual(self._distribution.identity(self._model, rng))


class MakeHumanPopulation:
    """People sampled from MakeHuman's sliders.

    Args:
        model: imported from MakeHuman.
        image_size: pixels of the images; the skin's atlas has twice as many texels, within 128…512.
        skins: folder of free skins; None takes those that the model was made of.
        painted_brows: False where brows are worn as parts: the skin then has but a shadow of them.

    Raises:
        ValueError: the model has no sliders.
    """

    def __init__(self, model: FaceModel, image_size: int, skins: Path | None, painted_brows: bool):
        self.atlas_size = int(np.clip(1 << round(np.log2(2 * image_size)), 128, 512))
        self._people, self._painted_brows = SliderPopulation(model, self.atlas_size, skins), painted_brows

    def individual(self, rng: np.random.Generator) -> Individual:
        """See Population. The coefficients are those of the skin with its brows."""
        person = self._people.sample(rng)
        complexion: Complexion = person.complexion
        atlas = person.albedo if self._painted_brows else person.under_brows
        return Individual(
            identity=np.concatenate([person.shape, person.texture]).astype(np.float32),
            traits=Traits(*(float(value) for value in person.traits)),
            atlas=np.rint(atlas).astype(np.uint8),
            hair=complexion.hair,
            brow=complexion.brow,
            iris=complexion.iris,
        )
