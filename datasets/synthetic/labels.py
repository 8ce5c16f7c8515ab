"""How the labels of synthetic photographs are distributed; docs/datasets.md says the same in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from datasets.synthetic.background import Backdrop
from datasets.synthetic.lamps import MAXIMUM, Lamps
from renderer.face_model import FaceModel

# A combination gives, for the actions whose names begin with the key, the range of their activation in units of one
# full action. Left and right halves of an action share the drawn activation, up to the asymmetry.
_Combination = Mapping[str, tuple[float, float]]
COMBINATIONS: Mapping[str, tuple[float, _Combination]] = {  # name: (probability, activations)
    "neutral": (0.20, {}),
    "smile": (0.18, {"smile": (0.3, 1.0), "squint": (0.0, 0.4)}),
    "laugh": (0.11, {"smile": (0.6, 1.1), "jaw_open": (0.2, 0.6), "upper_lip_raise": (0.1, 0.5), "squint": (0.1, 0.6)}),
    "talk": (
        0.13,
        {"jaw_open": (0.1, 0.5), "lower_lip_down": (0.0, 0.5), "mouth_stretch": (0, 0.4), "pucker": (0, 0.4)},
    ),
    "surprise": (0.08, {"brow_raise": (0.4, 1.1), "eye_wide": (0.3, 1.0), "jaw_open": (0.2, 0.9)}),
    "anger": (
        0.06,
        {"brow_lower": (0.4, 1.1), "nose_wrinkle": (0.0, 0.5), "lips_press": (0.1, 0.8), "squint": (0, 0.4)},
    ),
    "sad": (0.06, {"frown": (0.4, 1.0), "brow_inner_up": (0.3, 1.0), "chin_raise": (0.0, 0.7)}),
    "disgust": (0.03, {"nose_wrinkle": (0.4, 1.0), "upper_lip_raise": (0.3, 1.0), "brow_lower": (0.1, 0.6)}),
    "pucker": (0.04, {"pucker": (0.5, 1.1)}),
    "puffed": (0.02, {"cheek_puff": (0.4, 1.0), "lips_press": (0.0, 0.6)}),
    "blink": (0.04, {"blink": (0.5, 1.0)}),
    "wink": (0.02, {"blink": (0.7, 1.0), "smile": (0.0, 0.6)}),
    "yawn": (0.03, {"jaw_open": (0.7, 1.1), "blink": (0.2, 0.9), "brow_raise": (0.0, 0.5)}),
}
_GAZE = ("look_left_right", "look_up_down")
# Other kits' names (ARKit's, which ICT-FaceKit has), without the side, for the actions above.
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "jawOpen": ("jaw_open",), "mouthSmile": ("smile",), "eyeSquint": ("squint",), "cheekSquint": ("squint",),
    "mouthUpperUp": ("upper_lip_raise",), "mouthLowerDown": ("lower_lip_down",), "mouthStretch": ("mouth_stretch",),
    "mouthPucker": ("pucker",), "browOuterUp": ("brow_raise",), "browInnerUp": ("brow_raise", "brow_inner_up"),
    "eyeWide": ("eye_wide",), "browDown": ("brow_lower",), "noseSneer": ("nose_wrinkle",), "eyeBlink": ("blink",),
    "mouthPress": ("lips_press",), "mouthFrown": ("frown",), "mouthShrugLower": ("chin_raise",),
    "cheekPuff": ("cheek_puff",),
}  # fmt: skip
# Where the eyes look, by the kits that have one action a direction and eye: (right, left, up, down) of the picture.
_LOOKS = (
    (("eyeLookOut", "_left"), ("eyeLookIn", "_right")), (("eyeLookIn", "_left"), ("eyeLookOut", "_right")),
    (("eyeLookUp", "_left"), ("eyeLookUp", "_right")), (("eyeLookDown", "_left"), ("eyeLookDown", "_right")),
)  # fmt: skip
_NEVER_BY_CHANCE = ("tongueOut",)  # what nobody does a little of


@dataclass(frozen=True)
class LabelDistribution:
    """The distribution of coefficients. Angles in degrees, intensities as multiples of full daylight on white."""

    identity_limit: float = 2.5  # standard deviations at which shape and texture are clipped
    identity_common: float = 0.2  # share of the variance of identity that comes from a few common directions
    identity_rank: int = 3  # how many common directions
    expression_noise: float = 0.06  # of a full action (or of a standard deviation), added to every action
    expression_asymmetry: float = 0.25  # largest relative difference of left and right, for most photographs
    expression_one_sided: float = 0.08  # probability that only one side acts
    gaze_std: float = 0.35  # of a full turn of the eyes
    yaw_std: float = 20.0
    yaw_limit: float = 50.0
    pitch_std: float = 8.0
    pitch_limit: float = 25.0
    roll_std: float = 4.0
    roll_limit: float = 15.0
    ambient: tuple[float, float] = (0.28, 0.62)  # even light
    sky_slope: tuple[float, float] = (0.05, 0.4)  # how much more of it comes from above
    key_light: tuple[float, float] = (0.25, 0.85)  # intensity of the first directional light
    fill_light: tuple[float, float] = (0.0, 0.35)  # and of the second and third, when there are any
    exposure_mean: float = 0.93  # mean shade of the surfaces that face the camera
    exposure_std: float = 0.12  # of its logarithm
    warmth_mean: float = 0.03  # half the logarithm of a light's red:blue ratio
    warmth_std: float = 0.065
    combinations: Mapping[str, tuple[float, _Combination]] = field(default_factory=lambda: COMBINATIONS)

    def identity(self, model: FaceModel, rng: np.random.Generator) -> np.ndarray:
        """[shape + texture] float32: standard normal times the model's standard deviations, clipped."""
        std = np.concatenate([model.shape_std, model.texture_std])
        directions = np.random.default_rng(0).normal(size=(self.identity_rank, len(std)))  # fixed: part of the law
        directions /= np.linalg.norm(directions, axis=0)
        common = rng.normal(size=self.identity_rank) @ directions
        own = rng.normal(size=len(std))
        drawn = math.sqrt(self.identity_common) * common + math.sqrt(1 - self.identity_common) * own
        return (np.clip(drawn, -self.identity_limit, self.identity_limit) * std).astype(np.float32)

    def expression(self, model: FaceModel, rng: np.random.Generator) -> np.ndarray:
        """[expression] float32: one of the combinations by the names of the actions, else normal."""
        names, size = [_house_names(name) for name in model.expression_names], model.layout.expression
        if not any(_is(name, _ACTIONS) for name in names):
            drawn = np.clip(rng.normal(size=size), -3, 3) * model.expression_std
            return np.where(model.one_way_expressions, np.abs(drawn), drawn).astype(np.float32)
        chances = np.array([chance for chance, _ in self.combinations.values()])
        kind = list(self.combinations)[rng.choice(len(chances), p=chances / chances.sum())]
        tilt = rng.uniform(-self.expression_asymmetry, self.expression_asymmetry)
        one_sided = kind == "wink" or rng.random() < self.expression_one_sided
        sides = {"left": 1 + tilt, "right": 1 - tilt}
        if one_sided:
            sides["left" if rng.random() < 0.5 else "right"] = 0.1
        drawn = np.clip(rng.normal(size=size), -2.5, 2.5) * self.expression_noise
        for action, (low, high) in self.combinations[kind][1].items():
            strength = rng.uniform(low, high)
            for place, name in enumerate(names):
                if _is(name, (action,)):
                    drawn[place] += strength * next((sides[side] for side in sides if side in name[0]), 1.0)
        for place, name in enumerate(names):
            if name[0] in _GAZE:
                drawn[place] += self.gaze_std * np.clip(rng.normal(), -2.5, 2.5)
        if model.manifest.get("activations") == "one-way":
            return self._one_way(model, drawn, rng).astype(np.float32)
        one_way = np.array([_is(name, _ONE_WAY) for name in names])
        return np.where(one_way, np.abs(drawn), drawn).astype(np.float32)

    def _one_way(self, model: FaceModel, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Activations for a kit whose actions have no negative; each direction of the eyes is one, for example."""
        drawn = np.clip(np.abs(drawn), 0, 1)
        number = {name: place for place, name in enumerate(model.expression_names)}
        across, up = self.gaze_std * np.clip(rng.normal(size=2), -2.5, 2.5)
        parted = {_parted(name): place for name, place in number.items()}
        for strength, pair in zip((across, -across, up, -up), _LOOKS, strict=True):
            for look in pair:
                if look in parted:
                    drawn[parted[look]] = np.clip(strength, 0, 1)
        for name in _NEVER_BY_CHANCE:
            if name in number:
                drawn[number[name]] = 0
        if {"mouthClose", "jawOpen"} <= set(number):  # what closes the lips over an open jaw, and needs one
            drawn[number["mouthClose"]] = min(drawn[number["mouthClose"]], drawn[number["jawOpen"]])
        return drawn

    def angles(self, rng: np.random.Generator) -> np.ndarray:
        """[3] float32 radians: pitch, yaw and roll, normal and redrawn within the limits."""
        stds = (self.pitch_std, self.yaw_std, self.roll_std)
        limits = (self.pitch_limit, self.yaw_limit, self.roll_limit)
        return np.radians([_normal_within(rng, s, limit) for s, limit in zip(stds, limits, strict=True)]).astype(
            np.float32
        )

    def lamps(self, rng: np.random.Generator, place: Backdrop | None = None) -> Lamps:
        """A sky and one to three lamps, the first of them the key light.

        With a `place` the key light comes from its bright side, and the sky has half of its tint.
        """
        ambient = rng.uniform(*self.ambient) * self._colour(rng, 0.6)  # [3]
        directions, colours = np.tile([0.0, 0.0, 1.0], (MAXIMUM, 1)), np.zeros((MAXIMUM, 3))
        for number in range(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2])):
            strength = rng.uniform(*(self.key_light if number == 0 else self.fill_light))
            colours[number] = strength * self._colour(rng, 1.0)
            directions[number] = _direction(rng, number == 0)
        if place is not None:
            ambient = ambient * np.sqrt(place.ambient / place.ambient.mean())
            directions[0, 0] = np.copysign(directions[0, 0], place.key_direction[0])
        # The camera's exposure: the surfaces that face it get a sensible mean shade.
        exposure = self.exposure_mean * math.exp(self.exposure_std * np.clip(rng.normal(), -2, 2))
        lamps = Lamps(ambient, rng.uniform(*self.sky_slope), directions, colours)
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
        expression, angles, lamps = self.expression(model, rng), self.angles(rng), self.lamps(rng, place)
        parts = [identity, expression, angles, lamps.coefficients(), np.zeros(3)]
        return np.concatenate(parts).astype(np.float32), lamps


def _house_names(name: str) -> tuple[str, ...]:
    """What an expression is called here; a name that is not another kit's is kept."""
    stem, side = _parted(name)
    return tuple(action + side for action in _OTHER_NAMES[stem]) if stem in _OTHER_NAMES else (name,)


def _parted(name: str) -> tuple[str, str]:
    """`mouthSmile_L` and `mouthSmileLeft` are (`mouthSmile`, `_left`); a name without a side keeps it all."""
    match = re.fullmatch(r"(.+?)(?:_([LR])|(Left|Right))", name)
    return (match[1], "_left" if (match[2] or match[3])[0] == "L" else "_right") if match else (name, "")


def _is(names: tuple[str, ...], actions: Iterable[str]) -> bool:
    return any(name.startswith(action) for name in names for action in actions)


_ACTIONS = {action for _, activations in COMBINATIONS.values() for action in activations}
_ONE_WAY = ("jaw_open", "blink")  # their negatives would push the jaw through the teeth and the lids into the skull


def _direction(rng: np.random.Generator, key: bool) -> np.ndarray:
    """[3] unit: where a light comes from; the key light mostly from above and in front, others from anywhere."""
    azimuth = np.radians(np.clip(rng.normal(0, 50 if key else 80), -130, 130))
    height = np.radians(np.clip(rng.normal(28 if key else 10, 22), -35, 80))
    return np.array([math.sin(azimuth) * math.cos(height), math.sin(height), math.cos(azimuth) * math.cos(height)])


def _normal_within(rng: np.random.Generator, std: float, limit: float) -> float:
    while abs(drawn := rng.normal(0, std)) > limit:
        pass
    return drawn


def _facing_normals() -> np.ndarray:
    """[9, 3] unit normals spread about the direction to the camera."""
    x, y = np.meshgrid([-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5])
    return np.stack([x, y, np.sqrt(1 - x * x - y * y)], -1).reshape(-1, 3)


_FACING = _facing_normals()
