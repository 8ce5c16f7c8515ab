"""New people of an imported MakeHuman head: sliders in, coefficients, traits and albedo out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from renderer.face_model import FaceModel
from renderer.makehuman.complexion import Complexion
from renderer.makehuman.head import REGIONS
from renderer.makehuman.people import People, Sliders
from renderer.makehuman.skin import SkinPainter, Skins
from renderer.makehuman.surface import Surface, build_surface

MASKS = ("lips", "ears", "eyelids")  # the channels of the model's extra array `masks`
# How much a texel counts, by its region, when albedo is fitted: what is small but looked at counts more.
_WEIGHT = {"skin": 1.0, "lips": 2.0, "ear": 0.5, "scalp": 0.05, "neck": 0.2, "eye": 6.0, "mouth": 0.1, "sockets": 0.05,
           "teeth": 0.5, "tongue": 0.1, "lashes": 0.0, "unused": 0.0}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Person:
    """One person. S shape and T texture components."""

    traits: np.ndarray  # [7] by renderer.makehuman.people.TRAITS
    shape: np.ndarray  # [S] float32
    texture: np.ndarray  # [T] float32, fitted to `albedo`
    complexion: Complexion
    albedo: np.ndarray  # [A, A, 3] float32, RGB 0-255, over the atlas
    under_brows: np.ndarray  # the same where brows are worn as parts: a shadow of those that are painted


def is_makehuman(model: FaceModel) -> bool:
    """Whether a face model knows the sliders that people are sampled from."""
    return "weights_to_shape" in model.extras


def model_surface(model: FaceModel, size: int) -> Surface:
    """The surface of an imported model over an atlas of `size` texels."""
    masks = {name: model.extras["masks"][..., number] / np.float32(255) for number, name in enumerate(MASKS)}
    return build_surface(size, model.mean_shape, model.triangles, model.uv, model.region,
                         model.mean_shape[model.landmarks], masks)  # fmt: skip


def model_skins(model: FaceModel, size: int) -> Skins | None:
    """The skins that a model was made of, over an atlas of `size` texels; None if it was made of none."""
    names, stored = model.manifest.get("skins"), model.extras.get("skins")
    if stored is None or not isinstance(names, list) or len(names) != len(stored):
        return None
    return Skins.restored(names, stored, size)


def texel_weights(surface: Surface) -> np.ndarray:
    """[A, A] float32: how much each texel counts when albedo is compared."""
    return surface.area * np.array([_WEIGHT[name] for name in REGIONS], np.float32)[surface.region]


class Population:
    """The people of a model.

    Args:
        model: imported from MakeHuman.
        size: texels along a side of the albedo.
        skins: folder of free skins; None takes those that the model was made of, in its own resolution, and paints
            skin from components if it was made of none.

    Raises:
        ValueError: the model has no sliders.
    """

    _FIT_SIZE = 128

    def __init__(self, model: FaceModel, size: int = 256, skins: Path | None = None):
        if not is_makehuman(model) or model.texture_map is None:
            raise ValueError(f"face model {model.name!r} has no sliders: expected one imported from MakeHuman")
        self.model, self.size = model, size
        names = model.manifest.get("targets")
        self.sliders = Sliders([str(name) for name in names] if isinstance(names, list) else [])
        surface = model_surface(model, size)
        self.painter = SkinPainter(surface, model_skins(model, size) if skins is None else Skins.read(skins, surface))

    def person(self, *seed: int) -> Person:
        """The person of a seed (any whole numbers); the same for the same model, size and skins."""
        return self.sample(np.random.default_rng(seed))

    def sample(self, rng: np.random.Generator) -> Person:
        """A person; depends on `rng` alone."""
        people = self.sliders.sample(1, rng)
        return self.make(people.traits[0], people.local, rng)

    def make(self, traits: np.ndarray, local: np.ndarray, rng: np.random.Generator) -> Person:
        """The person of `traits` [7] and local sliders [1, L]; `rng` draws the colours."""
        weights = self.sliders.weights(People(traits[None], local))[0]
        extras = self.model.extras
        shape = (weights @ extras["weights_to_shape"] + extras["weights_offset"]).astype(np.float32)
        complexion = Complexion.sample(traits, rng)
        albedo, under_brows = self.painter.paint_twice(complexion, traits)
        return Person(traits, shape, self.fit_texture(albedo), complexion, albedo, under_brows)

    def fit_texture(self, albedo: np.ndarray) -> np.ndarray:
        """[T] float32: the texture coefficients that come nearest to `albedo` [A, A, 3], by weighted least squares."""
        factor = max(1, self.size // self._FIT_SIZE)
        side = self.size // factor
        small = albedo.reshape(side, factor, side, factor, 3).mean((1, 3))
        mean, projection = self._fit
        return (projection @ (small - mean).reshape(-1)).astype(np.float32)

    @cached_property
    def _fit(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean [a, a, 3] and the matrix [T, a·a·3] of the fit."""
        assert self.model.texture_map is not None
        level = self.model.texture_map.halved(min(self.size, self._FIT_SIZE))
        weights = np.repeat(texel_weights(model_surface(self.model, level.size)).reshape(-1), 3)
        basis = level.basis.reshape(-1, level.components).astype(np.float64)
        weighted = basis * weights[:, None]
        ridge = 1e-6 * np.trace(weighted.T @ basis) / level.components
        matrix = np.linalg.solve(weighted.T @ basis + ridge * np.eye(level.components), weighted.T)
        return level.mean, matrix.astype(np.float32)
