"""How the labels of synthetic photographs are distributed; docs/datasets.md says the same in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from datasets.synthetic.background import Backdrop
from datasets.synthetic.expressions import ExpressionDistribution
from datasets.synthetic.lamps import Lamps
from renderer.face_model import FaceModel


class Mood(NamedTuple):
    """A way to be lit. Intensities are multiples of full daylight on white, angles degrees."""

    share: float  # of the images
    ambient: tuple[float, float]  # even light
    key: tuple[float, float]  # the main lamp
    azimuth: tuple[float, float]  # how far to one side it stands
    fill: tuple[float, float]  # a lamp of the other side, as a share of the key light


MOODS: Mapping[str, Mood] = {
    "portrait": Mood(0.70, ambient=(0.28, 0.52), key=(0.35, 0.75), azimuth=(5, 60), fill=(0.10, 0.50)),
    "even": Mood(0.20, ambient=(0.55, 0.80), key=(0.05, 0.30), azimuth=(0, 90), fill=(0.0, 0.60)),
    "dramatic": Mood(0.10, ambient=(0.12, 0.32), key=(0.60, 1.00), azimuth=(30, 95), fill=(0.0, 0.15)),
}


@dataclass(frozen=True)
class LabelDistribution:
    """The distribution of coefficients. Angles in degrees, intensities as multiples of full daylight on white."""

    identity_limit: float = 2.5  # standard deviations at which shape and texture are clipped
    identity_common: float = 0.2  # share of the variance of identity that comes from a few common directions
    identity_rank: int = 3  # how many common directions
    yaw_std: float = 20.0
    yaw_limit: float = 50.0
    pitch_std: float = 8.0
    pitch_limit: float = 25.0
    roll_std: float = 4.0
    roll_limit: float = 15.0
    sky_slope: tuple[float, float] = (0.05, 0.4)  # how much more of the even light comes from above
    rim_light: tuple[float, float, float] = (0.25, 0.1, 0.35)  # probability and intensities of a lamp from behind
    exposure_mean: float = 0.93  # mean shade of the surfaces that face the camera
    exposure_std: float = 0.12  # of its logarithm
    warmth_mean: float = 0.03  # half the logarithm of a light's red:blue ratio
    warmth_std: float = 0.065
    moods: Mapping[str, Mood] = field(default_factory=lambda: MOODS)
    expressions: ExpressionDistribution = field(default_factory=ExpressionDistribution)

    def identity(self, model: FaceModel, rng: np.random.Generator) -> np.ndarray:
        """[shape + texture] float32: standard normal times the model's standard deviations, clipped."""
        std = np.concatenate([model.shape_std, model.texture_std])
        directions = np.random.default_rng(0).normal(size=(self.identity_rank, len(std)))  # fixed: part of the law
        directions /= np.linalg.norm(directions, axis=0)
        common = rng.normal(size=self.identity_rank) @ directions
        own = rng.normal(size=len(std))
        drawn = math.sqrt(self.identity_common) * common + math.sqrt(1 - self.identity_common) * own
        return (np.clip(drawn, -self.identity_limit, self.identity_limit) * std).astype(np.float32)

    def angles(self, rng: np.random.Generator) -> np.ndarray:
        """[3] float32 radians: pitch, yaw and roll, normal and redrawn within the limits."""
        stds = (self.pitch_std, self.yaw_std, self.roll_std)
        limits = (self.pitch_limit, self.yaw_limit, self.roll_limit)
        return np.radians([_normal_within(rng, s, limit) for s, limit in zip(stds, limits, strict=True)]).astype(
            np.float32
        )

    def lamps(self, rng: np.random.Generator, place: Backdrop | None = None) -> Lamps:
        """A sky, a key lamp, a lamp that fills the other side, and now and then one from behind.

        With a `place` the key light comes from its bright side, and the sky has half of its tint.
        """
        moods = list(self.moods.values())
        chances = np.array([mood.share for mood in moods])
        mood = moods[rng.choice(len(moods), p=chances / chances.sum())]
        ambient = rng.uniform(*mood.ambient) * self._colour(rng, 0.6)  # [3]
        side = math.copysign(1.0, rng.normal() if place is None else place.key_direction[0])
        key, behind = rng.uniform(*mood.key), rng.random() < self.rim_light[0]
        strengths = (key, key * rng.uniform(*mood.fill), behind * rng.uniform(*self.rim_light[1:]))
        directions = [
            _direction(side * rng.uniform(*mood.azimuth), rng.normal(22, 13)),
            _direction(-side * rng.uniform(15, 65), rng.normal(10, 12)),
            _direction(rng.choice([-1, 1]) * rng.uniform(110, 150), rng.normal(25, 15)),
        ]
        colours = np.array([strength * self._colour(rng, 1.0) for strength in strengths])
        if place is not None:
            ambient = ambient * np.sqrt(place.ambient / place.ambient.mean())
        # The camera's exposure: the surfaces that face it get a sensible mean shade.
        exposure = self.exposure_mean * math.exp(self.exposure_std * np.clip(rng.normal(), -2, 2))
        lamps = Lamps(ambient, rng.uniform(*self.sky_slope), np.array(directions), colours)
        return lamps.scaled(exposure / lamps.irradiance(_FACING).mean())

    def lighting(self, rng: np.random.Generator) -> np.ndarray:
        """[27] float32: the harmonics closest to `lamps`, in the renderer's scaling."""
        return self.lamps(rng).coefficients()

    def _colour(self, rng: np.random.Generator, strength: float) -> np.ndarray:
        """[3] RGB of a light between candle and sky, green about 1."""
        warmth = self.warmth_mean + self.warmth_std * strength * np.clip(rng.normal(), -2, 2)
        tint = 0.25 * self.warmth_std * strength * np.clip(rng.normal(), -2, 2)
        return np.exp([warmth, tint, -warmth])

    def image(
        self, model: FaceModel, identity: np.ndarray, rng: np.random.Generator, place: Backdrop | None = None
    ) -> tuple[np.ndarray, Lamps]:
        """[size] float32, a whole coefficient vector of a person with the given `identity` (translation 0), and the
        light, at a `place` if there is one, that its harmonics stand for."""
        angles, lamps = self.angles(rng), self.lamps(rng, place)
        expression = self.expressions.sample(model, rng, angles)
        parts = [identity, expression, angles, lamps.coefficients(), np.zeros(3)]
        return np.concatenate(parts).astype(np.float32), lamps


def _direction(azimuth: float, height: float) -> np.ndarray:
    """[3] unit: where a light comes from; degrees from the front to the picture's right, and upwards."""
    a, h = math.radians(azimuth), math.radians(min(max(height, -35), 75))
    return np.array([math.sin(a) * math.cos(h), math.sin(h), math.cos(a) * math.cos(h)])


def _normal_within(rng: np.random.Generator, std: float, limit: float) -> float:
    while abs(drawn := rng.normal(0, std)) > limit:
        pass
    return drawn


def _facing_normals() -> np.ndarray:
    """[9, 3] unit normals spread about the direction to the camera."""
    x, y = np.meshgrid([-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5])
    return np.stack([x, y, np.sqrt(1 - x * x - y * y)], -1).reshape(-1, 3)


_FACING = _facing_normals()
