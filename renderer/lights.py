"""Lights by name or by direction and colour, as the 27 lighting coefficients of a layout.

A distant light from the unit direction d, of strength s, lights a matt surface of unit normal n by s · max(0, n · d).
Over the sphere the clamped cosine is the sum of A_l Y_lm(d) Y_lm(n) with A = (π, 2π/3, π/4, 0, …) for l = 0, 1, 2, 3
(Ramamoorthi and Hanrahan, "An efficient representation for irradiance environment maps", 2001). The nine terms up to
l = 2 that `renderer.lighting` has are off by at most 3/32 of the strength (at grazing angles, n · d = 0), and overshoot
by 1/16 where the surface faces the light.

The basis of `renderer.lighting` is a_l Y_lm with a = (π, 2π/√3, 2π/√8) and signs, so the coefficient of each term is
A_l / a_l² times the basis at d: 1/π for the first term, 1/(2π) for the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from PIL import ImageColor

from renderer.lighting import AMBIENT, harmonics

WORST_ERROR = 3 / 32  # of a light of strength 1: the nine terms against the clamped cosine
DEFAULT_AMBIENT = 0.4  # beside named lights, when no ambient light is named
DEFAULT_STRENGTH = 0.6  # of a light without =STRENGTH: with the default ambient light the texture's own colour
_TERM_SCALE = np.array([1 / math.pi] + [1 / (2 * math.pi)] * 8)  # A_l / a_l²
_SIDE, _FRONT = math.sin(math.radians(60)), math.cos(math.radians(60))
_CORNER = _SIDE / math.sqrt(2)

# Unit directions towards the light: x to the picture's right, y up, z to the camera. All but `front` and `back` are
# 60 degrees off the camera's axis, so that a face that looks into the camera is lit on one side and shaded, not cut.
DIRECTIONS: dict[str, tuple[float, float, float]] = {
    "front": (0.0, 0.0, 1.0),
    "left": (-_SIDE, 0.0, _FRONT),
    "right": (_SIDE, 0.0, _FRONT),
    "top": (0.0, _SIDE, _FRONT),
    "bottom": (0.0, -_SIDE, _FRONT),
    "top-left": (-_CORNER, _CORNER, _FRONT),
    "top-right": (_CORNER, _CORNER, _FRONT),
    "bottom-left": (-_CORNER, -_CORNER, _FRONT),
    "bottom-right": (_CORNER, -_CORNER, _FRONT),
    "back": (0.0, 0.0, -1.0),
}
NAMES = ("ambient", *DIRECTIONS)


@dataclass(frozen=True)
class Light:
    """A distant light. It stays where it is in the picture when the head turns.

    Raises:
        ValueError: on a direction without length, a negative strength or colour, or numbers that are not finite.
    """

    direction: tuple[float, float, float]  # towards the light, of any length: x right, y up, z to the camera
    strength: float = 1.0  # 1 shows the texture's own colour where the surface faces the light (and 1/16 more)
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)  # RGB factors of the strength

    def __post_init__(self) -> None:
        numbers = (*self.direction, self.strength, *self.colour)
        if len(self.direction) != 3 or len(self.colour) != 3 or not all(map(math.isfinite, numbers)):
            raise ValueError(f"light: expected finite numbers, 3 of a direction and 3 of a colour. Received: {self}")
        if not any(self.direction):
            raise ValueError("light: a direction should have a length. Received: 0, 0, 0")
        if self.strength < 0 or min(self.colour) < 0:
            raise ValueError(f"light: strength and colour should not be negative. Received: {self}")


@dataclass(frozen=True)
class LightSetup:
    """Lights that are added, and the even light between them."""

    lights: tuple[Light, ...] = ()
    ambient: tuple[float, float, float] = (DEFAULT_AMBIENT,) * 3  # RGB; 1 alone shows the texture as it is

    @classmethod
    def parse(cls, *texts: str) -> LightSetup:
        """The setup of texts such as `left=0.6`, `top=0.5@#ffd0a0,ambient=0.3` or `(-1 0.5 1)=0.7@orange`.

        Lights are separated by commas and added; each is NAME or (X Y Z), then perhaps =STRENGTH (default 0.6),
        then perhaps @COLOUR, a name or #RRGGBB. Without `ambient` the even light is DEFAULT_AMBIENT.

        Raises:
            ValueError: one line on what is wrong, with the known names.
        """
        lights: list[Light] = []
        ambient: np.ndarray | None = None
        for item in (item for text in texts for item in _items(text)):
            name, strength, colour = _parse_item(item)
            if isinstance(name, str) and name == "ambient":
                added = Light((0.0, 0.0, 1.0), strength, colour)  # checks the numbers
                ambient = (0.0 if ambient is None else ambient) + added.strength * np.asarray(added.colour)
            else:
                lights.append(Light(DIRECTIONS[name] if isinstance(name, str) else name, strength, colour))
        if not lights and ambient is None:
            raise ValueError(f"light: expected one of {', '.join(NAMES)} or (X Y Z). Received: nothing")
        if ambient is None:
            return cls(tuple(lights))
        return cls(tuple(lights), (float(ambient[0]), float(ambient[1]), float(ambient[2])))

    def coefficients(self) -> np.ndarray:
        """[27] float32 for a layout's `lighting`, channel-major: 9 terms of red, then green, then blue."""
        gamma = np.zeros([3, 9])
        gamma[:, 0] = np.asarray(self.ambient) / float(_basis((0.0, 0.0, 1.0))[0]) - AMBIENT
        for light in self.lights:
            gamma += np.outer(light.strength * np.asarray(light.colour), _TERM_SCALE * _basis(light.direction))
        return gamma.reshape(-1).astype(np.float32)


# What `renderer.render` uses without --light: from above and a little left, as photographers set their main light.
DEFAULT_SETUP = LightSetup((Light((-0.45, 0.45, 0.8), 0.72),), (0.36,) * 3)


def directional_light(
    direction: Sequence[float], ambient: float = 0.36, strength: float = 0.72, colour: Sequence[float] = (1.0, 1.0, 1.0)
) -> np.ndarray:
    """[27] lighting coefficients, channel-major, closest to `colour` · (ambient + strength · max(0, n · direction))."""
    x, y, z = (float(v) for v in direction)
    red, green, blue = (float(v) for v in colour)
    light = Light((x, y, z), strength, (red, green, blue))
    return LightSetup((light,), (ambient * red, ambient * green, ambient * blue)).coefficients()


def _basis(direction: Sequence[float]) -> np.ndarray:
    """[9] the renderer's harmonics at a direction of any length but 0."""
    scaled = np.asarray(direction, np.float64) / np.abs(direction).max()  # its squares neither overflow nor vanish
    return harmonics(tf.constant(scaled / np.linalg.norm(scaled), tf.float64)).numpy()


def _items(text: str) -> Iterator[str]:
    """The parts between commas that are not within parentheses."""
    for item in re.split(r",(?![^()]*\))", text):
        if item.strip():
            yield item.strip()


def _parse_item(item: str) -> tuple[str | tuple[float, float, float], float, tuple[float, float, float]]:
    """One light: name or direction, strength, colour."""
    rest, _, colour_text = item.partition("@")
    name, equals, strength_text = rest.partition("=")
    name = name.strip()
    try:
        strength = float(strength_text) if equals else DEFAULT_STRENGTH
    except ValueError:
        raise ValueError(f"light {item!r}: expected a number after '='. Received: {strength_text.strip()!r}") from None
    colour = parse_colour(colour_text) if "@" in item else (1.0, 1.0, 1.0)
    if name.startswith("(") and name.endswith(")"):
        try:
            x, y, z = (float(v) for v in name[1:-1].replace(",", " ").split())
        except ValueError:
            raise ValueError(f"light {item!r}: expected three numbers (X Y Z). Received: {name!r}") from None
        return (x, y, z), strength, colour
    if name not in NAMES:
        raise ValueError(f"light {item!r}: expected one of {', '.join(NAMES)} or (X Y Z). Received: {name!r}")
    return name, strength, colour


def parse_colour(text: str) -> tuple[float, float, float]:
    """RGB in [0, 1] of a colour's name or #RRGGBB. Raises ValueError for anything else."""
    try:
        red, green, blue = ImageColor.getrgb(text.strip())[:3]
    except ValueError:
        raise ValueError(f"colour: expected a name such as orange, or #RRGGBB. Received: {text.strip()!r}") from None
    return red / 255, green / 255, blue / 255
