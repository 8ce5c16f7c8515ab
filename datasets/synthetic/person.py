"""One person as the scene needs them: identity, style, and which parts they wear."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datasets.synthetic.looks import HairLook, draw_look
from datasets.synthetic.population import Individual
from datasets.synthetic.style import HairStyle, Style

_BARE_CHANCE = {"men": 0.13, "women": 0.012}  # shaven, or bald as men become
_LASHES = np.array([22.0, 18.0, 16.0])


@dataclass(frozen=True, eq=False)
class Worn:
    """The parts that a person wears."""

    look: HairLook | None
    brow: str
    lash: str
    iris: str  # the name of its picture
    colours: np.ndarray  # [3, 2, 3] of hair, brows and lashes at roots and tips, RGB 0-255
    finish: np.ndarray  # [5], the scene's sheet_look


@dataclass(frozen=True, eq=False)
class Person:
    """Everything fixed about a person."""

    individual: Individual
    style: Style
    skin: np.ndarray  # [3] mean albedo of the face, RGB 0-255
    worn: Worn | None  # None without parts: hair is the style's


def wear(
    style: Style,
    individual: Individual,
    skin: np.ndarray,
    names: tuple[list[str], list[str], list[str], list[str]],
    rng: np.random.Generator,
) -> tuple[Style, Worn]:
    """What a person wears of the parts with `names` of hair, brows, lashes and irises; and the style that goes with it.

    Args:
        style: with the colour of the hair.
        individual: who it is.
        skin: [3] mean albedo.
        names: what there is.
        rng: draws it.
    """
    hair, brows, lashes, irises = names
    traits = individual.traits
    male = float(rng.random() < 0.5) if traits is None else traits.male
    age = 35.0 if traits is None else traits.age
    bare = male * _BARE_CHANCE["men"] * (0.5 + age / 50) + (1 - male) * _BARE_CHANCE["women"]
    look = None if rng.random() < bare else draw_look(male, frozenset(hair), rng)
    scalp = _bare_scalp(male, age, rng) if look is None else HairStyle("parts", 0.0, 0.0, density=0.42, recede=0.05)
    style = replace(style, hair=scalp)
    colour = style.hair_colour
    light = float(np.clip((colour.mean() - 60) / 100, 0, 1))
    root = colour * rng.uniform(0.68, 0.95)
    tip = colour * rng.uniform(1.0, 1.12 + 0.18 * light) + rng.choice([0, 0, 0, 18]) * np.array([1.0, 0.8, 0.5])
    brow = np.minimum(colour * rng.uniform(0.5, 0.8), 105) * 0.9
    brow = brow if individual.brow is None else 0.85 * individual.brow
    thin = rng.uniform(0.25, 0.55) if male > 0.5 else rng.uniform(0.4, 0.9)
    finish = np.array(
        [rng.uniform(0.01, 0.06), 0.45 + style.gloss, rng.uniform(0.75, 1.15), rng.uniform(0.7, 1.0), thin]
    )
    worn = Worn(
        look=look,
        brow=brows[rng.integers(len(brows))],
        lash=lashes[rng.integers(len(lashes))],
        iris=_iris(irises, float(skin.mean()), rng) if individual.iris is None else irises[rng.integers(len(irises))],
        colours=np.clip(np.stack([[root, tip], [brow, brow], [_LASHES, _LASHES]]), 6, 240),
        finish=finish,
    )
    return style, worn


def _bare_scalp(male: float, age: float, rng: np.random.Generator) -> HairStyle:
    """A shaven head, or one that age has bared."""
    density = rng.uniform(0.2, 0.75)
    if male > 0.5 and rng.random() < np.clip((age - 25) / 40, 0.1, 0.8):
        return HairStyle("bald", 0.0, 0.0, bald=rng.uniform(0.6, 0.9), density=density, recede=rng.uniform(0, 0.2))
    return HairStyle("shaved", 0.0, 0.0, density=density, recede=rng.uniform(0, 0.3) if male > 0.5 else 0.0)


def _iris(irises: list[str], lightness: float, rng: np.random.Generator) -> str:
    """Dark skin nearly always has brown eyes."""
    others = [name for name in irises if name != "brown"]
    brown = np.interp(lightness, [70, 120, 190], [0.985, 0.9, 0.42])
    if "brown" in irises and (not others or rng.random() < brown):
        return "brown"
    often = np.array(
        [{"brownlight": 3.0, "blue": 1.6, "grey": 1.5, "lightblue": 0.8}.get(name, 0.5) for name in others]
    )
    return others[rng.choice(len(others), p=often / often.sum())]
