"""Rooms by day and by lamplight: walls, floor and ceiling, windows, lamps, and the light that falls in."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.backdrops.canvas import Canvas, Place, pick, plane, rectangles
from datasets.synthetic.backdrops.interior import CLOTHS, FLOORS, FURNITURE, WALLS, Interior
from datasets.synthetic.backdrops.lens import linear
from datasets.synthetic.backdrops.textures import noise

_DAY, _WARM = np.array([0.93, 1.0, 1.08]), np.array([1.25, 0.98, 0.66])  # colours of windows' and of lamps' light


def room(canvas: Canvas, rng: np.random.Generator) -> Place:
    """A room of a flat or an office, by day or by lamplight."""
    here = Interior(canvas, rng)
    order = rng.permutation(4)
    for number in order[: rng.integers(1, 3)]:
        _window(here, int(number))
    for number in range(4):
        for furnish in rng.permutation(np.array(FURNITURE, object))[: rng.integers(2, 5)]:
            furnish(here, number)
    _lamps(here)
    base, shade = _walls_and_light(here)
    light = canvas.compose(base, shade)
    place, power, _ = max(
        here.lights, key=lambda lamp: lamp[1].sum() / (1 + np.sum((lamp[0] - here.view.position) ** 2))
    )
    strength = rng.uniform(0.25, 0.8)
    return Place(
        light=light,
        ambient=rng.uniform(0.35, 0.6) * _tint(shade.mean((1, 2))),
        key=strength * _tint(power),
        key_direction=here.view.towards(place),
        level=rng.uniform(52, 120) if here.night else rng.uniform(80, 150),
    )


def _walls_and_light(here: Interior) -> tuple[np.ndarray, np.ndarray]:
    """Walls, floor and ceiling [M, M, 3], lit, and the light that reaches them [M, M, 3]."""
    rng, view = here.rng, here.view
    rays = view.rays(here.canvas)
    far = [
        np.where(ray > 0, np.float32(high - eye), np.float32(eye - low)) / np.maximum(np.abs(ray), 1e-6)
        for ray, low, high, eye in zip(rays, here.low, here.high, view.position.tolist(), strict=True)
    ]
    distance = np.minimum(np.minimum(far[0], far[1]), far[2])
    x, y, z = (eye + distance * ray for eye, ray in zip(view.position.tolist(), rays, strict=True))
    on_x, on_y = distance == far[0], distance == far[1]
    wall = pick(WALLS, rng)
    accent = pick(WALLS, rng) if rng.random() < 0.35 else wall
    colour = np.where(on_x & (x > 0), plane(accent), plane(wall))
    if rng.random() < 0.25:  # panelling, or paint to the height of the shoulders
        dado = wall * rng.uniform(0.35, 0.8) if rng.random() < 0.6 else here.wood
        colour = np.where(y < rng.uniform(0.8, 1.3), plane(dado), colour)
    along = np.where(on_x, z, x)
    if rng.random() < 0.2:  # wallpaper
        colour = np.where((along / rng.uniform(0.15, 0.5)) % 1 < 0.5, rng.uniform(0.7, 0.95) * colour, colour)
    skirting = linear((225, 222, 216)) if rng.random() < 0.6 else here.wood
    colour = np.where(y < 0.1, plane(skirting), colour)
    ground = plane(pick(FLOORS, rng))
    if rng.random() < 0.7:  # boards
        ground = ground * (1 + 0.16 * np.sin(40 * np.floor(x / 0.14 + 9)))
    if rng.random() < 0.5:  # a rug
        rug = (np.abs(x) < 0.6 * float(here.half[0])) & (np.abs(z) < 0.5 * float(here.half[2]))
        ground = np.where(rug, plane(here.cloth), ground)
    colour = np.where(on_y & (y < float(here.half[1])), ground, colour)
    colour = np.where(on_y & (y > float(here.half[1])), plane(linear((236, 234, 230)) * rng.uniform(0.8, 1.0)), colour)
    # Corners see less light than the middle of a wall.
    depth = [
        float(half) - np.abs(value - middle)
        for half, value, middle in zip(here.half, (x, y, z), (0, float(here.half[1]), 0), strict=True)
    ]
    near = np.minimum(np.where(on_x, depth[2], depth[0]), np.where(on_y, depth[2], depth[1]))
    light = np.full((3, *x.shape), 0.16, np.float32)
    for place, power, facing in here.lights:
        to = [at - value for at, value in zip(place.tolist(), (x, y, z), strict=True)]
        square = to[0] ** 2 + to[1] ** 2 + to[2] ** 2 + 0.15
        root = np.sqrt(square)
        falls = (0.25 + 0.75 * np.abs(np.where(on_x, to[0], np.where(on_y, to[1], to[2]))) / root) / (square + 0.35)
        if facing is not None:
            a, _, c = facing.tolist()
            falls = falls * np.clip(-(to[0] * a + to[2] * c) / root, 0.06, 1)
        light += falls * plane(power)
    light *= (1 - 0.38 * np.exp(near * (-1 / 0.35))) * (1 + 0.03 * noise(along, y, 0.7, rng, 1))
    return colour * light, light


def _window(here: Interior, number: int) -> None:
    rng = here.rng
    corner, along, length = here.wall(number)
    width = min(rng.uniform(0.9, 2.6), length - 0.4)
    start = here.space(number, width + 0.5)
    if start is None:
        return
    start += 0.25
    bottom, top = rng.choice([0.05, rng.uniform(0.6, 1.0)], p=[0.2, 0.8]), 2 * here.half[1] - rng.uniform(0.15, 0.5)
    height, up = top - bottom, np.array([0.0, 1.0, 0.0])
    frame = linear((235, 234, 230)) if rng.random() < 0.7 else here.wood
    here.on_wall(number, (start - 0.07, bottom - 0.07, width + 0.14, height + 0.14), frame)
    panes = int(rng.integers(1, 4)) if width > 1.2 else int(rng.integers(1, 3))
    bars, gap = int(rng.integers(1, 3)), 0.05
    bright = rng.uniform(2.5, 7) if not here.night else rng.uniform(0.01, 0.06)
    sky, land = bright * _DAY, bright * linear([(120, 140, 110), (150, 140, 130), (190, 200, 205)])[rng.integers(3)]
    horizon = rng.uniform(0.0, 0.5)
    each = np.array([(width - gap * (panes - 1)) / panes, (height - gap * (bars - 1)) / bars])
    for row in range(bars):
        low = bottom + row * (each[1] + gap)
        edge = np.clip(bottom + horizon * height, low, low + each[1])
        lefts = start + np.arange(panes) * (each[0] + gap)
        for part_low, part_high, colour in ((low, edge, land), (edge, low + each[1], sky)):
            if part_high > part_low + 1e-3:
                here.on_wall(number, [(x, part_low, each[0], part_high - part_low) for x in lefts], colour, glow=True)
    inward = np.array([-along[2], 0.0, along[0]])
    if not here.night:
        middle = corner + along * (start + width / 2) + up * (bottom + height / 2) - 0.2 * inward
        here.lights.append((middle, rng.uniform(1.2, 2.6) * width * height * _DAY, inward))
        if rng.random() < 0.3:  # the sun on the floor
            slant = along * rng.uniform(-0.8, 0.8) + inward * rng.uniform(0.5, 1.2)
            foot = corner + along * start + slant + [0, 0.01, 0]
            patch = rectangles(foot, along * width, slant * rng.uniform(0.6, 1.2))
            here.canvas.shapes(here.view, patch, 2.6 * np.array([1.1, 1.0, 0.8]) * pick(FLOORS, rng))
    if rng.random() < 0.6:  # curtains: folds of light and shade
        colour, wide = (linear((225, 220, 212)) if rng.random() < 0.5 else pick(CLOTHS, rng)), rng.uniform(0.2, 0.5)
        folds = np.arange(5)
        for left in (start - 0.2, start + width - wide + 0.2):
            rects = [(left + k * wide / 5, 0.05, wide / 5, 2 * here.half[1] - 0.2) for k in folds]
            shades = np.array([0.75, 1.1, 0.65, 1.0, 0.7]) * (1.3 if not here.night else 0.8)
            here.on_wall(number, rects, colour * shades[:, None])


def _lamps(here: Interior) -> None:
    """Hanging and standing lamps; at night they are on, and one light is where no window is seen too."""
    rng, up = here.rng, np.array([0.0, 1.0, 0.0])
    here.lights.append((here.view.position + rng.normal(0, [1, 0, 1]) + up, rng.uniform(0.2, 0.9) * _DAY, None))
    for _ in range(rng.integers(1, 4) if here.night else rng.integers(0, 2)):
        on = here.night or rng.random() < 0.5
        hangs = rng.random() < 0.5
        at = rng.uniform(-0.8, 0.8, 3) * here.half
        at[1] = 2 * here.half[1] - rng.uniform(0.3, 0.9) if hangs else rng.uniform(1.1, 1.7)
        colour = rng.uniform(4, 14) * _WARM if on else linear((220, 214, 200))
        right = here.view.rotation[:, 0]
        pole = rectangles(at - 0.012 * right, 0.024 * right, up * (2.0 if hangs else -at[1]))
        width, height = rng.uniform(0.12, 0.28), rng.uniform(0.12, 0.3)
        shade = np.array(
            [-width * right - height * up, width * right - height * up, 0.6 * width * right, -0.6 * width * right]
        )
        here.canvas.shapes(here.view, pole, linear((40, 36, 34)))
        here.canvas.shapes(here.view, (at + shade)[None], colour, glow=on)
        if on:
            here.lights.append((at, rng.uniform(0.8, 2.2) * _WARM, None))


def _tint(colour: np.ndarray) -> np.ndarray:
    """A light's colour, green about 1; half as strong as it is, since cameras balance it away."""
    return np.sqrt(colour / colour.mean())
