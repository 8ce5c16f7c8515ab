"""Who is shown: shape, skin and what is known of a person, as the face model has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from datasets.synthetic.labels import LabelDistribution
from renderer.face_model import FaceModel

TRAITS = ("male", "age", "african", "asian", "caucasian", "weight")


@dataclass(frozen=True)
class Traits:
    """What the sliders of a face model said of a person; see TRAITS."""

    male: float  # 0 female … 1 male
    age: float  # years
    african: float  # shares, 1 in sum
    asian: float
    caucasian: float
    weight: float  # 0 light … 1 heavy

    def array(self) -> np.ndarray:
        """[6] float32, in the order of TRAITS."""
        return np.array([getattr(self, name) for name in TRAITS], np.float32)


@dataclass(frozen=True, eq=False)
class Individual:
    """One person of a population."""

    identity: np.ndarray  # [shape + texture] float32
    traits: Traits | None = None
    atlas: np.ndarray | None = None  # [A, A, 3] uint8: the skin, row 0 at v = 1, where the model has texture coordinates


class Population(Protocol):
    """Draws people for a face model."""

    def individual(self, rng: np.random.Generator) -> Individual:
        """A person; depends on `rng` alone."""
        ...


class NormalPopulation:
    """People whose coefficients are normal, of any face model; nothing is known of them."""

    def __init__(self, model: FaceModel, distribution: LabelDistribution):
        self._model, self._distribution = model, distribution

    def individual(self, rng: np.random.Generator) -> Individual:
        """See Population."""
        return Individual(self._distribution.identity(self._model, rng))
