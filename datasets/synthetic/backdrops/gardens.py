"""Gardens, parks, woods and open country."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.backdrops.canvas import Canvas, Place, plane
from datasets.synthetic.backdrops.lens import linear
from datasets.synthetic.backdrops.streets import sky
from datasets.synthetic.backdrops.textures import leaves, noise

_GREENS = linear(
    [(106, 126, 70), (88, 110, 64), (128, 140, 80), (74, 96, 66), (120, 126, 90), (142, 136, 78), (98, 116, 92)]
)
_AUTUMN = linear([(176, 118, 66), (156, 92, 60), (186, 152, 84)])
_FLOWERS = linear([(230, 90, 110), (240, 220, 90), (240, 240, 240), (150, 90, 190), (220, 60, 50)])
_SAND, _PATH = linear((214, 196, 164)), linear((186, 172, 150))
_HAZE = np.array([0.62, 0.75, 0.85])


class _Garden:
    """Layers of a garden while they are painted, from the sky to what is near."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator):
        self.canvas, self.rng = canvas, rng
        self.sunny = bool(rng.random() < 0.6)
        self.sun = rng.uniform(-1, 1)  # which side it stands on
        self.greens = _AUTUMN if rng.random() < 0.08 else _GREENS

    def green(self, grass: bool = False) -> np.ndarray:
        """[3] linear colour of a plant, or of grass, which knows no autumn."""
        greens = _GREENS if grass else self.greens
        return greens[self.rng.integers(len(greens))] * np.exp(self.rng.normal(0, 0.12, 3))

    def foliage(
        self, light: np.ndarray, inside: np.ndarray, *, size: float, dense: float, haze: float = 0.0, dim: float = 1.0
    ) -> np.ndarray:
        """Leaves of `size` where `inside` [M, M] is large; `light` [3, M, M] shows through below `dense`."""
        canvas, rng = self.canvas, self.rng
        leaf = leaves(canvas.x, canvas.y, size, rng)
        clumps = noise(canvas.x, canvas.y, 0.12 / size, rng, 1)
        there = inside + 0.3 * clumps + 0.5 * leaf > dense
        lit = np.clip(0.45 * clumps + (0.75 + 0.35 * self.sun * canvas.x + 0.25 * canvas.y), 0.12, 2)
        bright = (0.12 + (1.5 if self.sunny else 0.9) * leaf * np.sqrt(leaf)) * lit
        # Where the sun shines through them, leaves are yellower.
        shine = np.clip(leaf - 0.6, 0, 1) * bright
        colour = self.green() * dim * (1 - haze)
        shown = plane(colour) * bright + (plane(colour * [0.3, 0.1, -0.1]) * shine + plane(haze * _HAZE))
        return np.where(there, shown, light)


def garden(canvas: Canvas, rng: np.random.Generator) -> Place:
    """A lawn or a path with bushes, trees and sky."""
    here, x, y = _Garden(canvas, rng), canvas.x, canvas.y
    horizon = rng.uniform(-0.55, 0.35)
    light = sky(canvas, rng, 0.5 * (y - horizon) + 0 * x, bool(rng.random() < 0.6))
    line = horizon + 0.06 * noise(x, 0 * y[:1], 0.4, rng, 0)  # [1, M]
    if rng.random() < 0.25:
        light = _house(here, light, horizon)
    for distance in np.linspace(1, 0, int(rng.integers(1, 4))).tolist():  # trees, the far ones hazy and small
        top = line + rng.uniform(0.1, 0.9) + 0.25 * noise(x, 0 * y[:1], rng.uniform(0.3, 0.8), rng, 1)
        inside = np.minimum(2.5 * (top - y), 0.9)
        light = here.foliage(light, inside, size=0.085 - 0.05 * distance, dense=0.2, haze=0.3 * distance, dim=0.75)
    for _ in range(rng.choice([0, 1, 3], p=[0.4, 0.3, 0.3])):
        light = _trunk(here, light, horizon)
    light = _lawn(here, light, line)
    for _ in range(rng.choice([0, 1, 2], p=[0.4, 0.4, 0.2])):  # bushes
        middle, radius = (rng.uniform(-1.2, 1.2), horizon - rng.uniform(0.0, 0.4)), rng.uniform(0.2, 0.6)
        inside = 2.4 - np.hypot(x - middle[0], (y - middle[1]) * 1.4) * (2 / radius)
        light = here.foliage(light, np.clip(inside, -2, 0.8), size=rng.uniform(0.05, 0.1), dense=0.25)
    if rng.random() < 0.4:  # a branch across the upper corner
        side, reach = float(rng.choice([-1, 1])), rng.uniform(0.6, 1.6)
        inside = 1.5 * (reach - np.hypot((x - 1.2 * side) * 0.9, y - 1.3))
        light = here.foliage(light, np.minimum(inside, 0.35), size=rng.uniform(0.1, 0.18), dense=0.3, dim=0.9)
    return _place(here, light)


def hedge(canvas: Canvas, rng: np.random.Generator) -> Place:
    """Leaves all over, near or far, with sky or sun between them."""
    here = _Garden(canvas, rng)
    through = rng.random() < 0.6
    back = np.array([1.0, 1.06, 0.95]) * rng.uniform(1.0, 3.5) if through else 0.05 * here.green()
    light = np.broadcast_to(plane(back), (3, canvas.side, canvas.side))
    slope = rng.uniform(-0.4, 0.2) * canvas.y + 0.3 * noise(canvas.x, canvas.y, 0.3, rng, 0)
    for layer in range(rng.integers(2, 4)):
        size, inside = rng.uniform(0.05, 0.12) * (1 + 0.6 * layer), slope + rng.uniform(0.15, 0.6) - 0.2 * layer
        haze = 0.06 * (layer == 0) * through
        light = here.foliage(light, inside, size=size, dense=0.25, haze=haze, dim=0.55 + 0.3 * layer)
    for _ in range(rng.choice([0, 2], p=[0.6, 0.4])):
        light = _trunk(here, light, -1.5)
    if rng.random() < 0.3:
        light = _flowers(here, light, True)
    return _place(here, light, blur=(0.02, 0.07))


def country(canvas: Canvas, rng: np.random.Generator) -> Place:
    """Sky over hills, fields, sand or the sea."""
    here = _Garden(canvas, rng)
    horizon, x, y = rng.uniform(-0.5, 0.4), canvas.x, canvas.y
    light = sky(canvas, rng, 0.5 * (y - horizon) + 0 * x, bool(rng.random() < 0.7))
    if rng.random() < 0.5:
        for share in (0.75, 0.5, 0.25)[: rng.integers(1, 4)]:
            ridge = (
                horizon + rng.uniform(0.0, 0.35) * share + 0.12 * noise(x, 0 * y[:1], rng.uniform(0.15, 0.4), rng, 0)
            )
            hill = 0.5 * here.green() * (1 - share) + share * _HAZE * [0.9, 0.95, 1.0]
            light = np.where(y < ridge, plane(hill), light)
    below = np.maximum(horizon - y, 0.01)  # [M, 1]
    stripes = noise(x * (0.018 / below), 0.36 / below, 0.5, rng, 2)
    kind = rng.choice(4)
    if kind == 0:  # the sea
        water = plane(np.array([0.13, 0.28, 0.36]) * rng.uniform(0.8, 1.8)) * (1 + 0.25 * stripes)
        ground = water + 0.4 * np.exp(-((below / 0.2) ** 2))
        ground = np.where(y < horizon - rng.uniform(0.3, 1.2), plane(_SAND) * (1 + 0.08 * stripes), ground)
    else:
        colour = plane((1.2 * here.green(grass=True), linear((206, 184, 120)), linear((170, 140, 110)))[kind - 1])
        ground = colour * (1 + 0.2 * stripes)
        ground = ground + 0.4 * np.exp(-below / 0.25) * (plane(_HAZE) - ground)
    light = np.where(y < horizon, ground * (1.6 if here.sunny else 1.1), light)
    return _place(here, light, level=(105, 165))


def _lawn(here: _Garden, light: np.ndarray, line: np.ndarray) -> np.ndarray:
    canvas, rng = here.canvas, here.rng
    drop = np.maximum(line - canvas.y, 0.02)
    near = 0.3 / drop
    grass = noise(canvas.x * near, near, 0.6, rng, 2)
    dapple = np.clip(noise(canvas.x * near * 0.33, near * 0.5, 0.5, rng, 1) * 2 + rng.uniform(-1.5, 1.5), 0, 1)
    lit = 0.55 + (1.1 if here.sunny else 0.3) * dapple
    ground = plane(1.15 * here.green(grass=True)) * ((1 + 0.18 * grass) * lit)
    if rng.random() < 0.4:
        middle, wide = rng.uniform(-0.6, 0.6), rng.uniform(0.25, 0.8)
        path = np.abs(canvas.x - middle * (1 - drop)) < wide * drop + 0.02
        ground = np.where(path, plane(_PATH) * lit, ground)
    below = canvas.y < line
    light = np.where(below, ground, light)
    return _flowers(here, light, below) if rng.random() < 0.3 else light


def _flowers(here: _Garden, light: np.ndarray, where: np.ndarray | bool) -> np.ndarray:
    canvas, rng = here.canvas, here.rng
    dots = leaves(canvas.x, canvas.y, rng.uniform(0.05, 0.1), rng) > 0.93
    patch = noise(canvas.x, canvas.y, 0.6, rng, 1) > rng.uniform(-0.2, 0.8)
    colour = _FLOWERS[rng.integers(len(_FLOWERS))] * rng.uniform(0.8, 1.5)
    return np.where(dots & patch & where, plane(colour), light)


def _trunk(here: _Garden, light: np.ndarray, foot: float) -> np.ndarray:
    canvas, rng = here.canvas, here.rng
    width, middle = rng.uniform(0.03, 0.16), rng.uniform(-1.2, 1.2)
    lean = middle + rng.normal(0, 0.08) * canvas.y + 0.03 * noise(0 * canvas.x[:, :1], canvas.y, 0.4, rng, 0)
    across = (canvas.x - lean) / (width * (1 - 0.12 * canvas.y))
    bark = linear((112, 94, 76)) * np.exp(rng.normal(0, 0.25)) if rng.random() < 0.85 else linear((210, 206, 198))
    rounded = np.clip(0.55 + 0.5 * here.sun * across, 0.1, 1.1)
    rounded *= 1 + 0.15 * noise(canvas.x * 3, canvas.y, 1.2, rng, 2)
    there = (np.abs(across) < 1) & (canvas.y > foot - 0.1)
    return np.where(there, plane(bark * (1.3 if here.sunny else 0.8)) * rounded, light)


def _house(here: _Garden, light: np.ndarray, horizon: float) -> np.ndarray:
    canvas, rng = here.canvas, here.rng
    left, right = rng.uniform(-1.8, 0.2), rng.uniform(-0.2, 1.8)
    top, pitch = horizon + rng.uniform(0.35, 0.8), rng.uniform(0.3, 0.8)
    wall = linear((214, 204, 188)) * rng.uniform(0.4, 1.1) * (1.2 if here.sunny else 0.7)
    u, v = (canvas.x - left) / 0.32 % 1, (canvas.y - horizon) / 0.4 % 1
    pane = (u > 0.35) & (u < 0.7) & (v > 0.35) & (v < 0.8)
    inside = (canvas.x > left) & (canvas.x < right)
    light = np.where(inside & (canvas.y < top), np.where(pane, np.float32(0.09), plane(wall)), light)
    slope = top + 0.05 + pitch * np.minimum(canvas.x - left, right - canvas.x)
    roof = inside & (canvas.y >= top) & (canvas.y < slope)
    return np.where(roof, plane(linear((130, 74, 58)) * rng.uniform(0.5, 1.2)), light)


def _place(
    here: _Garden,
    light: np.ndarray,
    blur: tuple[float, float] = (0.016, 0.06),
    level: tuple[float, float] = (75, 145),
) -> Place:
    rng = here.rng
    direction = np.array([here.sun, rng.uniform(0.4, 1.2), rng.uniform(-0.7, 0.7)])
    ambient = np.array([0.97, 1.02, 1.0]) if here.sunny else np.array([0.97, 1.0, 1.04])
    return Place(
        light=light.astype(np.float32),
        ambient=rng.uniform(0.4, 0.62) * ambient,
        key=(rng.uniform(0.4, 0.85) if here.sunny else rng.uniform(0.12, 0.35)) * np.array([1.05, 1.0, 0.92]),
        key_direction=direction / np.linalg.norm(direction),
        level=rng.uniform(*level),
        blur=blur,
    )
