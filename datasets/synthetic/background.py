"""What is behind a person, out of focus, and the light that falls on the person there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from datasets.synthetic.backdrops import gardens, lens, rooms, streets, walls
from datasets.synthetic.backdrops.canvas import MARGIN, Canvas, Place

_KINDS: dict[str, tuple[float, Callable[[Canvas, np.random.Generator], Place]]] = {  # chance, painter
    "room": (0.30, rooms.room),
    "street": (0.13, streets.street),
    "garden": (0.13, gardens.garden),
    "hedge": (0.09, gardens.hedge),
    "country": (0.05, gardens.country),
    "wall": (0.15, walls.wall),
    "studio": (0.10, walls.studio),
    "night": (0.05, walls.night),
}
# Pixels of the canvases, which Fourier transforms like, and the picture cut out of each. Places are painted about as
# large as the picture, and never larger than the last: they are out of focus.
_CANVASES = tuple((side, round(side / MARGIN)) for side in (96, 160, 216, 320))


@dataclass(frozen=True, eq=False)
class Backdrop:
    """A background and its light, so that a person can be lit as the place is.

    Directions are the renderer's: x to the picture's right, y up, z to the camera. Light is in multiples of full
    daylight on white, as in `LabelDistribution`: about what `ambient` and `key_light` give there.
    """

    image: np.ndarray  # [S, S, 3] float32, RGB 0-255
    kind: str  # one of KINDS
    ambient: np.ndarray  # [3] RGB of the even light
    key: np.ndarray  # [3] RGB of the main light, on a surface that faces it
    key_direction: np.ndarray  # [3] unit, to the main light; behind the person (z < 0) where a window is in the picture

    @property
    def key_azimuth(self) -> float:
        """Radians from the camera's side to where the main light comes from, positive to the picture's right."""
        return float(np.arctan2(self.key_direction[0], self.key_direction[2]))


KINDS = tuple(_KINDS)


def backdrop(size: int, rng: np.random.Generator, kind: str | None = None) -> Backdrop:
    """A place of `size` pixels, of a random kind unless one of KINDS is given.

    The same generator state gives the same place at every size. Raises ValueError for an unknown kind.
    """
    chances = np.array([chance for chance, _ in _KINDS.values()])
    drawn = KINDS[rng.choice(len(KINDS), p=chances / chances.sum())]
    if kind is not None and kind not in _KINDS:
        raise ValueError(f"backdrop: expected one of {', '.join(KINDS)}. Received: {kind!r}")
    kind = kind or drawn
    side, inner = next((both for both in _CANVASES if both[1] >= 0.9 * size), _CANVASES[-1])
    place = _KINDS[kind][1](Canvas(side), rng)
    radius = float(np.exp(rng.uniform(*np.log(place.blur))))
    light = lens.defocus(place.light, radius, inner, place.blades)
    cut = slice((side - inner) // 2, (side + inner) // 2)
    image = lens.develop(light[:, cut, cut], size, place.level)
    return Backdrop(image, kind, place.ambient, place.key, place.key_direction)


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """[size, size, 3] float32, RGB 0-255: the picture of `backdrop`."""
    return backdrop(size, rng).image
