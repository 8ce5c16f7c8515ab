"""People as MakeHuman's sliders describe them: who they are, and how much of each target that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ETHNICITIES = ("african", "asian", "caucasian")
TRAITS = ("male", "age", *ETHNICITIES, "weight", "muscle")
MACRO = "macrodetails"
FOLDERS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "chin", "cheek", "ears", "neck")
YOUNGEST, OLDEST = 18.0, 85.0  # years
# MakeHuman's own ages, in years: its sliders blend child, young and old between these.
_CHILD_AGE, _YOUNG_AGE, _OLD_AGE = 10.0, 25.0, 90.0
_CHILD_SHARE = 0.45  # of the child that its sliders would blend in: at 18 they draw a boy
# Ways that a slider goes: minus, plus. What is in neither is a slider of one way.
_WAYS = (
    ("decr", "incr"), ("in", "out"), ("down", "up"), ("backward", "forward"), ("concave", "convex"),
    ("compress", "uncompress"),
)  # fmt: skip
# How far sliders spread, by the beginnings of the names. At 0.15 people are ordinary, at 0.3 characters, at 0.5 another
# species; ears and the tip of the nose go first.
_SPREAD = 0.2
_SPREADS = {
    "ear-shape": 0.10, "ear": 0.12, "nose-point": 0.12, "nose-hump": 0.14, "nose-base": 0.14, "nose-septumangle": 0.10,
    "nose-flaring": 0.14, "nose-nostrils": 0.14, "nose-volume": 0.14, "nose-greek": 0.14, "nose-compression": 0.10,
    "head-scale": 0.15, "head-angle": 0.10, "head-back": 0.15, "head-age": 0.10, "neck": 0.12, "eye-eyefold": 0.20,
    "eye-push": 0.12, "chin-triangle": 0.12, "chin-prognathism": 0.12, "chin-jaw": 0.15, "mouth-trans": 0.15,
    "mouth-laugh": 0.12, "mouth-dimples": 0.10, "forehead-nubian": 0.15, "eye-corner": 0.16, "eye-epicanthus": 0.16,
}  # fmt: skip
# What moves the head on the neck or the nose and the mouth aside: place and pose are not identity, and faces are
# a little, not much, awry.
_LEFT_OUT = ("head-trans", "measure", "neck-trans", "neck-scale-vert")
_ASIDE = {"nose-trans-in": 0.04, "mouth-trans-in": 0.04}
_ASYMMETRY = 0.10  # of a slider's spread, by which left and right differ


@dataclass(frozen=True, eq=False)
class People:
    """N people. Everything but the local sliders is what a reader of a label wants to know of them."""

    traits: np.ndarray  # [N, 7] by TRAITS: 0 female … 1 male; years; three shares that sum to 1; 0.5 is average (2)
    local: np.ndarray  # [N, L] of the sliders of `Sliders.names`, in their own unit; mostly within ±0.6


class Sliders:
    """The sliders of a wheel's targets.

    Args:
        targets: names of targets as `FOLDER/NAME`, in the order in which weights are wanted.
    """

    def __init__(self, targets: Sequence[str]):
        self.targets = tuple(targets)
        self._number = {name: number for number, name in enumerate(self.targets)}
        pairs: dict[str, list[int | None]] = {}  # local slider -> targets of its two ways
        for target, number in self._number.items():
            folder, name = target.split("/", 1)
            if folder == MACRO or _begins(_without_side(name), _LEFT_OUT):
                continue
            stem, _, way = name.rpartition("-")
            for minus, plus in _WAYS:
                if way in (minus, plus):
                    pairs.setdefault(f"{folder}/{stem}-{minus}", [None, None])[way == plus] = number
                    break
            else:
                pairs[target] = [None, number]
        self.names = tuple(pairs)
        self._pairs = list(pairs.values())
        self._spread = np.array([_spread(name.split("/", 1)[1]) for name in self.names])
        bases = [_without_side(name.split("/", 1)[1]) for name in self.names]
        first = {base: number for number, base in reversed(list(enumerate(bases)))}
        self._twin = np.array([first[base] for base in bases], int)  # left and right share a draw

    def sample(self, count: int, rng: np.random.Generator, traits: np.ndarray | None = None) -> People:
        """`count` adults, half of them women; or people of the given `traits` [count, 7], whose local sliders vary."""
        if traits is None:
            male = np.where(rng.random(count) < 0.5, rng.beta(0.6, 6, count), rng.beta(6, 0.6, count))
            age = YOUNGEST + (OLDEST - YOUNGEST) * rng.beta(1.1, 1.9, count)
            shares = rng.dirichlet([0.45] * len(ETHNICITIES), count)
            build = np.clip(rng.normal(0.5, 0.17, (count, 2)), 0.02, 0.98)
            build[:, 0] = np.clip(build[:, 0] + 0.002 * (age - 40), 0, 1)
            build[:, 1] = np.clip(build[:, 1] + 0.06 * (male - 0.5) - 0.002 * (age - 40), 0, 1)
            traits = np.column_stack([male, age, shares, build])
        shared = np.clip(rng.normal(size=(count, len(self.names))), -2.5, 2.5)
        own = np.clip(rng.normal(size=(count, len(self.names))), -2.5, 2.5)
        local = (shared[:, self._twin] + _ASYMMETRY * own) * self._spread
        years, weight = (traits[:, TRAITS.index("age")] - 40) / 45, traits[:, TRAITS.index("weight")] - 0.5
        for name, change in (("head/head-age-decr", 0.3 * years), ("head/head-fat-decr", 0.5 * weight),
                             ("neck/neck-double-decr", 0.5 * weight + 0.15 * np.maximum(years, 0))):  # fmt: skip
            if name in self.names:
                local[:, self.names.index(name)] += change
        return People(traits, local)

    def weights(self, people: People) -> np.ndarray:
        """[N, number of targets] weights, by which the targets' offsets are to be added to the base mesh."""
        result = np.zeros((len(people.traits), len(self.targets)))
        for name, values in _macro_weights(people.traits).items():
            if name in self._number:
                result[:, self._number[name]] = values
        for number, (minus, plus) in enumerate(self._pairs):
            values = people.local[:, number]
            if minus is not None:
                result[:, minus] = np.maximum(-values, 0)
            if plus is not None:
                result[:, plus] = np.maximum(values, 0)
        return result


def _macro_weights(traits: np.ndarray) -> dict[str, np.ndarray]:
    """Weights [N] of the macro targets by name: products of shares, as MakeHuman blends them."""
    male, age, african, asian, caucasian, weight, muscle = traits.T
    sexes = {"female": 1 - male, "male": male}
    child = np.clip((_YOUNG_AGE - age) / (_YOUNG_AGE - _CHILD_AGE), 0, 1) * _CHILD_SHARE
    old = np.clip((age - _YOUNG_AGE) / (_OLD_AGE - _YOUNG_AGE), 0, 1)
    ages = {"child": child, "young": 1 - child - old, "old": old}
    races = {"african": african, "asian": asian, "caucasian": caucasian}
    builds = {
        what: {f"min{what}": np.clip(1 - 2 * x, 0, 1), f"average{what}": 1 - np.abs(2 * x - 1),
               f"max{what}": np.clip(2 * x - 1, 0, 1)}
        for what, x in (("muscle", muscle), ("weight", weight))
    }  # fmt: skip
    result = {}
    for sex, a in sexes.items():
        for years, b in ages.items():
            for race, c in races.items():
                result[f"{MACRO}/{race}-{sex}-{years}"] = a * b * c
            for strong, c in builds["muscle"].items():
                for heavy, d in builds["weight"].items():
                    result[f"{MACRO}/universal-{sex}-{years}-{strong}-{heavy}"] = a * b * c * d
    return result


def macro_targets() -> list[str]:
    """Names `macrodetails/NAME` of the macro targets of adults."""
    return list(_macro_weights(np.full((1, len(TRAITS)), 0.5)))


def _spread(name: str) -> float:
    plain = _without_side(name)
    if plain in _ASIDE:
        return _ASIDE[plain]
    return next((spread for start, spread in _SPREADS.items() if plain.startswith(start)), _SPREAD)


def _begins(name: str, starts: Sequence[str]) -> bool:
    return any(name.startswith(start) for start in starts)


def _without_side(name: str) -> str:
    return name[2:] if name[:2] in ("l-", "r-") else name
