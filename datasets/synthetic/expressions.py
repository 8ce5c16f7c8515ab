"""Which expressions synthetic people have: as in portraits, most smile or rest, some speak."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from renderer.face_model import FaceModel

# A combination gives the range of the activation of actions, in units of one full action; what is sampled below 0 is 0,
# so that a range which begins there is left out now and then. Left and right halves of an action share the sampled
# activation, up to the asymmetry.
_Combination = Mapping[str, tuple[float, float]]
COMBINATIONS: Mapping[str, tuple[float, _Combination]] = {  # name: (probability, activations)
    # 40 % smile
    "smile": (
        0.15,
        {"smile": (0.3, 0.85), "cheek_raise": (0.1, 0.8), "squint": (-0.2, 0.2), "dimple": (-0.3, 0.5),
         "brow_raise": (-0.05, 0.5), "eye_wide": (-0.1, 0.2)},
    ),
    "toothy smile": (
        0.15,
        {"smile": (0.5, 1.0), "upper_lip_raise": (0.35, 0.9), "lower_lip_down": (0.1, 0.8), "jaw_open": (0.03, 0.16),
         "cheek_raise": (0.2, 0.9), "squint": (-0.05, 0.25), "mouth_stretch": (-0.3, 0.4), "brow_raise": (-0.05, 0.5),
         "eye_wide": (-0.1, 0.2)},
    ),
    "laugh": (
        0.08,
        {"smile": (0.6, 1.0), "jaw_open": (0.12, 0.4), "upper_lip_raise": (0.35, 0.9), "lower_lip_down": (0.1, 0.8),
         "cheek_raise": (0.3, 1.0), "squint": (0.0, 0.45), "nose_wrinkle": (-0.3, 0.3), "brow_raise": (-0.05, 0.5)},
    ),
    "smirk": (0.02, {"smile": (0.3, 0.8), "dimple": (0.0, 0.8), "brow_raise": (-0.1, 0.3)}),
    # 30 % are near rest
    "rest": (
        0.22,
        {"smile": (0.0, 0.22), "brow_raise": (-0.05, 0.4), "lips_press": (-0.2, 0.2), "eye_wide": (-0.05, 0.25)},
    ),
    "serious": (
        0.04,
        {"lips_press": (0.0, 0.5), "brow_lower": (0.0, 0.3), "frown": (-0.2, 0.2), "dimple": (-0.2, 0.4)},
    ),
    "lids half closed": (0.02, {"blink": (0.15, 0.5), "smile": (0.0, 0.3)}),
    "eyes closed": (0.02, {"blink": (0.8, 1.0), "smile": (0.0, 0.3)}),
    # 15 % speak
    "open vowel": (
        0.06,
        {"jaw_open": (0.06, 0.32), "lower_lip_down": (0.0, 0.5), "upper_lip_raise": (-0.1, 0.3),
         "mouth_stretch": (-0.1, 0.5), "smile": (-0.2, 0.3), "brow_raise": (-0.2, 0.4)},
    ),
    "round vowel": (
        0.04,
        {"jaw_open": (0.02, 0.22), "funnel": (0.1, 0.7), "pucker": (-0.1, 0.6), "upper_lip_shrug": (-0.2, 0.6),
         "brow_inner_up": (-0.4, 0.4)},
    ),
    "consonant": (
        0.05,
        {"jaw_open": (0.06, 0.30), "lips_close": (0.05, 0.30), "lower_lip_roll": (-0.3, 0.9),
         "upper_lip_roll": (-0.3, 0.9), "lips_press": (-0.2, 0.5), "jaw_forward": (-0.4, 0.7),
         "chin_raise": (-0.4, 0.4)},
    ),
    # 15 % are anything else
    "surprise": (0.02, {"brow_raise": (0.4, 1.0), "eye_wide": (0.3, 1.0), "jaw_open": (0.05, 0.5)}),
    "anger": (0.02, {"brow_lower": (0.4, 1.0), "nose_wrinkle": (0, 0.6), "lips_press": (0, 0.8), "squint": (0, 0.4)}),
    "sadness": (0.02, {"frown": (0.3, 1.0), "brow_inner_up": (0.3, 1.0), "chin_raise": (0.0, 0.8)}),
    "disgust": (0.015, {"nose_wrinkle": (0.4, 1.0), "upper_lip_raise": (0.3, 1.0), "brow_lower": (0.1, 0.6)}),
    "wink": (0.015, {"blink": (0.8, 1.0), "smile": (0.0, 0.7), "cheek_raise": (0.0, 0.6)}),
    "puffed cheeks": (0.01, {"cheek_puff": (0.4, 1.0), "lips_press": (0.0, 0.6)}),
    "kiss": (0.01, {"pucker": (0.5, 1.0), "funnel": (-0.3, 0.3), "blink": (-1.0, 1.0)}),
    "screwed up eyes": (0.01, {"squint": (0.5, 1.0), "cheek_raise": (0.2, 0.9), "brow_lower": (0.0, 0.5)}),
    "yawn": (0.01, {"jaw_open": (0.6, 1.0), "blink": (0.2, 0.9), "brow_raise": (-0.2, 0.4)}),
    "mouth aside": (0.01, {"jaw_shift": (-1.0, 1.0), "mouth_shift": (-1.0, 1.0)}),
    "grimace": (  # every action, each in about a third of them
        0.01,
        dict.fromkeys(
            ("smile", "frown", "squint", "cheek_raise", "dimple", "brow_raise", "brow_inner_up", "brow_lower",
             "eye_wide", "nose_wrinkle", "upper_lip_raise", "lower_lip_down", "mouth_stretch", "pucker", "funnel",
             "lips_press", "chin_raise", "upper_lip_shrug", "lower_lip_roll", "upper_lip_roll", "jaw_open",
             "jaw_forward", "lips_close", "cheek_puff"), (-1.2, 0.7),
        ) | {"jaw_shift": (-0.7, 0.7), "mouth_shift": (-0.7, 0.7)},
    ),
}  # fmt: skip
_ONE_SIDED = ("smirk", "wink")
# The actions above that ARKit's names, which ICT-FaceKit and MakeHuman's head have, stand for; without the side.
_ARKIT: Mapping[str, tuple[str, ...]] = {
    "jawOpen": ("jaw_open",), "jawForward": ("jaw_forward",), "jaw": ("jaw_shift",), "mouth": ("mouth_shift",),
    "mouthSmile": ("smile",), "mouthDimple": ("dimple",), "mouthFrown": ("frown",), "mouthStretch": ("mouth_stretch",),
    "mouthUpperUp": ("upper_lip_raise",), "mouthLowerDown": ("lower_lip_down",), "mouthPucker": ("pucker",),
    "mouthFunnel": ("funnel",), "mouthPress": ("lips_press",), "mouthClose": ("lips_close",),
    "mouthShrugLower": ("chin_raise",), "mouthShrugUpper": ("upper_lip_shrug",), "mouthRollLower": ("lower_lip_roll",),
    "mouthRollUpper": ("upper_lip_roll",), "cheekPuff": ("cheek_puff",), "cheekSquint": ("cheek_raise",),
    "eyeSquint": ("squint",), "eyeWide": ("eye_wide",), "eyeBlink": ("blink",), "browOuterUp": ("brow_raise",),
    "browInnerUp": ("brow_raise", "brow_inner_up"), "browDown": ("brow_lower",), "noseSneer": ("nose_wrinkle",),
    "eyeLookOut": ("look_out",), "eyeLookIn": ("look_in",), "eyeLookUp": ("look_up",), "eyeLookDown": ("look_down",),
}  # fmt: skip
ACTIONS = frozenset(action for _, activations in COMBINATIONS.values() for action in activations)
_SIGNED = ("jaw_shift", "mouth_shift")  # to the picture's right, the person's left; negative to the other side
_ONE_WAY = ("jaw_open", "blink")  # their negatives would push the jaw through the teeth and the lids into the skull
_FULL_TURN = np.radians([22.5, 15.0])  # of the eyes, across and up, in both kits within a quarter


class _Unit(NamedTuple):
    """An expression component of a face model."""

    actions: tuple[str, ...]
    side: str  # left, right, or empty for both


@dataclass(frozen=True)
class ExpressionDistribution:
    """The distribution of expression coefficients, which are activations where the model's names are known."""

    noise: float = 0.03  # of a full action, added to every action; one-way actions keep the positive half
    asymmetry: float = 0.08  # standard deviation of half the relative difference of left and right, cut at 2.5
    one_sided: float = 0.02  # probability that only one side acts, beside smirks and winks
    at_camera: float = 0.8  # probability that the eyes look at the camera, as far as they turn
    gaze_error: float = 0.08  # standard deviation, full turns, of eyes that do
    gaze_std: float = 0.35  # and of those that look elsewhere
    combinations: Mapping[str, tuple[float, _Combination]] = field(default_factory=lambda: COMBINATIONS)

    def sample(self, model: FaceModel, rng: np.random.Generator, angles: np.ndarray | None = None) -> np.ndarray:
        """[expression] float32: one of the combinations by the names of the actions, else normal.

        Args:
            model: the face model.
            rng: samples everything.
            angles: [3] pitch, yaw and roll of the head, radians, by which the eyes find the camera; None: it faces it.
        """
        units, size = _units(model.expression_names), model.layout.expression
        if not any(ACTIONS.intersection(unit.actions) for unit in units):
            values = np.clip(rng.normal(size=size), -3, 3) * model.expression_std
            return np.where(model.one_way_expressions, np.abs(values), values).astype(np.float32)
        one_way = model.manifest.get("activations") == "one-way"
        strengths, sides = self._strengths(rng)
        looks = self._looks(rng, angles)
        values = self.noise * np.clip(rng.normal(size=size), -2.5, 2.5)
        for place, (actions, side) in enumerate(units):
            for action in actions:
                if action in looks:
                    values[place] = looks[action] * (-1 if action in ("look_out", "look_in") and side == "right" else 1)
                elif action in _SIGNED:
                    values[place] += strengths.get(action, 0.0) * {"left": 1, "right": -1, "": 1}[side]
                else:
                    values[place] += max(strengths.get(action, 0.0), 0.0) * sides.get(side, 1.0)
                if action in _ONE_WAY:
                    values[place] = max(values[place], 0.0)
        return (self._kept(model, values) if one_way else values).astype(np.float32)

    def _strengths(self, rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
        """Activations of actions, and factors of the sides."""
        chances = np.array([chance for chance, _ in self.combinations.values()])
        kind = list(self.combinations)[rng.choice(len(chances), p=chances / chances.sum())]
        tilt = self.asymmetry * np.clip(rng.normal(), -2.5, 2.5)
        sides = {"left": 1 + tilt, "right": 1 - tilt}
        one_sided, left = rng.random() < self.one_sided or kind in _ONE_SIDED, rng.random() < 0.5
        if one_sided:
            sides["left" if left else "right"] = 0.1
        return {action: rng.uniform(*limits) for action, limits in self.combinations[kind][1].items()}, sides

    def _looks(self, rng: np.random.Generator, angles: np.ndarray | None) -> dict[str, float]:
        """Where the eyes look, in full turns; out and in are the left eye's."""
        across, up = self.gaze_std * np.clip(rng.normal(size=2), -2.5, 2.5)
        error = self.gaze_error * np.clip(rng.normal(size=2), -2.5, 2.5)
        if rng.random() < self.at_camera:
            pitch, yaw = (0.0, 0.0) if angles is None else angles[:2]
            across, up = np.clip(np.array([-yaw, pitch]) / _FULL_TURN, -0.9, 0.9) + error
        return {"look_out": across, "look_in": -across, "look_up": up, "look_down": -up}

    def _kept(self, model: FaceModel, values: np.ndarray) -> np.ndarray:
        """Activations between none and full; no tongue, and no lips closed further than the jaw is open."""
        values, number = np.clip(values, 0, 1), {name: place for place, name in enumerate(model.expression_names)}
        if "tongueOut" in number:
            values[number["tongueOut"]] = 0
        if {"mouthClose", "jawOpen"} <= set(number):  # what closes the lips over an open jaw, and needs one
            values[number["mouthClose"]] = min(values[number["mouthClose"]], values[number["jawOpen"]])
        return values


@lru_cache(maxsize=16)
def _units(names: tuple[str, ...]) -> tuple[_Unit, ...]:
    """The actions of each component; none for a name that is not ARKit's."""
    result = []
    for name in names:
        match = re.fullmatch(r"(.+?)(?:_([LR])|(Left|Right))", name)
        stem, side = (match[1], (match[2] or match[3])[0].lower()) if match else (name, "")
        result.append(_Unit(_ARKIT.get(stem, ()), {"l": "left", "r": "right", "": ""}[side]))
    return tuple(result)
