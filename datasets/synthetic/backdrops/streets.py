"""Streets: facades in perspective, road, sky, cars, passers-by, trees and signs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from datasets.synthetic.backdrops.canvas import Canvas, Place, View, box, pick, plane, rectangles
from datasets.synthetic.backdrops.lens import linear
from datasets.synthetic.backdrops.textures import leaves, noise

_FACADES = linear(
    [(186, 174, 156), (150, 96, 76), (168, 118, 92), (206, 196, 178), (130, 126, 122), (170, 150, 120),
     (196, 186, 182), (120, 84, 70), (176, 168, 140), (100, 104, 110), (214, 200, 170)]
)  # fmt: skip
_PAINTS = linear(
    [(30, 32, 36), (210, 212, 214), (130, 134, 138), (150, 34, 34), (34, 56, 100), (70, 74, 78), (236, 236, 232),
     (60, 80, 70), (200, 170, 40)]
)  # fmt: skip
# Half widths (metres) and heights (share) of a person's outline, without the head.
_PERSON = np.array(
    [(-0.08, 0), (-0.16, 0.5), (-0.24, 0.78), (-0.16, 0.84), (0.16, 0.84), (0.24, 0.78), (0.16, 0.5), (0.08, 0)]
)
_CLOTHES = linear(
    [(40, 44, 56), (120, 110, 100), (150, 50, 46), (60, 80, 110), (200, 196, 188), (30, 30, 32), (90, 70, 50)]
)
_SIGNS = linear([(190, 40, 36), (40, 90, 160), (240, 236, 226), (240, 190, 50), (40, 120, 70), (30, 30, 34)])
_SUN, _SKY = np.array([1.12, 1.0, 0.82]), np.array([0.93, 1.0, 1.09])


class _Street:
    """A street along −z while it is painted: its facades stand at x = ± half its width."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator):
        self.canvas, self.rng = canvas, rng
        self.half = rng.uniform(4.0, 11.0)
        self.kerb = self.half - rng.uniform(1.5, 3.5)
        yaw = np.clip(rng.normal(0, 0.55), -1.4, 1.4)
        eye = np.array([rng.uniform(-0.7, 0.7) * self.half, rng.uniform(1.4, 1.8), 0.0])
        self.view = View(eye, float(yaw), rng.normal(0.05, 0.05), rng.uniform(0.2, 0.45))
        self.sunny = rng.random() < 0.5
        self.sun_side = rng.choice([-1, 1])  # the facade that the sun reaches

    def lit(self, x: float) -> np.ndarray:
        """[3] light at a facade or car on the side of `x`."""
        return 0.55 * _SKY + 1.7 * _SUN * (self.sunny and np.sign(x) == self.sun_side)


def street(canvas: Canvas, rng: np.random.Generator) -> Place:
    """A street of a town, by day."""
    here = _Street(canvas, rng)
    base = _ground_facades_sky(here)
    far_to_near = sorted(_cars(here) + _people(here) + _posts(here), key=lambda thing: thing[0])
    for _, paint in far_to_near:
        paint()
    light = canvas.compose(base)
    for _ in range(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2])):
        light = _tree(here, light)
    sun = np.array([-here.sun_side * rng.uniform(0.5, 1.0), rng.uniform(0.5, 1.2), rng.uniform(-0.8, 0.8)])
    direction = sun @ here.view.rotation
    return Place(
        light=light,
        ambient=rng.uniform(0.42, 0.62) * _SKY,
        key=(rng.uniform(0.4, 0.85) if here.sunny else rng.uniform(0.15, 0.35)) * _SUN**0.5,
        key_direction=direction / np.linalg.norm(direction),
        level=rng.uniform(80, 150),
    )


def sky(canvas: Canvas, rng: np.random.Generator, height: np.ndarray, clear: bool) -> np.ndarray:
    """[3, M, M] linear light of a sky; height [M, M]: tangent of the angle above the horizon."""
    haze = plane([0.95, 1.0, 1.05]) * rng.uniform(1.2, 2.2)
    zenith = plane([0.22, 0.46, 0.95]) * rng.uniform(1.0, 1.7) if clear else haze * rng.uniform(0.55, 0.9)
    share = 1 - np.exp(-2 * np.maximum(height, 0))
    clouds = np.clip(noise(canvas.x, canvas.y * 1.8, 0.35, rng, 1) - rng.uniform(-0.3, 1.2), 0, 1.5)
    return haze + share * (zenith - haze) + clouds * (haze * (0.9 if clear else 0.25))


def _ground_facades_sky(here: _Street) -> np.ndarray:
    rng, canvas, view = here.rng, here.canvas, here.view
    rays = [np.where(np.abs(ray) < 1e-5, np.float32(1e-5), ray) for ray in view.rays(canvas)]
    eye = view.position.tolist()
    right = rays[0] > 0
    far = (np.where(right, np.float32(here.half), np.float32(-here.half)) - eye[0]) / rays[0]  # to the facades
    down = np.where(rays[1] < 0, -eye[1] / rays[1], np.float32(1e6))  # to the ground
    end = np.where(rays[2] < 0, -rng.uniform(35, 120) / rays[2], np.float32(1e6))  # to the street's end
    far_along = eye[2] + np.clip(far * rays[2], -300, 300)
    height = eye[1] + far * rays[1]
    # Beyond the facades: sky, and more houses that close the street.
    picture = sky(canvas, rng, rays[1] / np.hypot(rays[0], rays[2]), here.sunny)
    closes = rng.uniform(4, 11) + 2.5 * noise(canvas.x, 0 * canvas.y, 0.8, rng, 0)
    ending = (end < far) & (end < down) & (eye[1] + end * rays[1] < closes)
    picture = np.where(ending, plane(0.3 * pick(_FACADES, rng) + 0.3 * _SKY), picture)
    facade, top = _facades(here, far_along, height, right)
    there = (far < end) & (far < down) & (height < top) & (rays[2] < 0.2 + 2 * np.abs(rays[0]))
    mist = np.clip(far * (1 / 160), 0, 0.6)
    picture = np.where(there, facade + mist * (plane(0.7 * _SKY) - facade), picture)
    # Pavements, kerbs, road, its line, and the shadow of one row of houses.
    ground = down < np.minimum(far, end)
    across = np.clip(eye[0] + down * rays[0], -99, 99)
    along = np.clip(down * rays[2], -300, 300)
    sideways = np.abs(across)
    grey = np.where(sideways > here.kerb, np.float32(rng.uniform(0.22, 0.4)), np.float32(rng.uniform(0.08, 0.16)))
    marked = ((sideways < 0.1) & (along % 6 < 3)) | (np.abs(sideways - here.kerb) < 0.08)
    grey = np.where(marked, np.float32(0.5), grey) * (1 + 0.06 * noise(across, along, 0.3, rng, 2))
    sunned = here.sunny & (across * here.sun_side > here.half * rng.uniform(-0.8, 0.8))
    return np.where(ground, grey * np.where(sunned, plane(0.6 * _SKY + 1.5 * _SUN), plane(0.6 * _SKY)), picture)


def _facades(here: _Street, along: np.ndarray, height: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lit houses [3, M, M] at places of the facades (metres), and how high each is [M, M]."""
    rng, canvas = here.rng, here.canvas
    along = 400 - along
    house = (along * (1 / rng.uniform(7, 18))).astype(np.int32) % 64 + 64 * right
    tops, storeys, gaps = rng.uniform([6, 2.8, 1.6], [19, 4.0, 3.2], (128, 3)).astype(np.float32).T
    row, column = height / storeys[house], along / gaps[house]
    number, place = row.astype(np.int32), column.astype(np.int32)
    in_row, in_column = row - number, column - place
    shop = number == 0
    opening = (in_row > 0.3) & (in_row < rng.uniform(0.72, 0.9)) & (in_column > 0.25)
    opening &= in_column < rng.uniform(0.6, 0.85)
    if rng.random() < 0.8:
        opening |= shop & (in_row < 0.78) & (in_column > 0.08)
    tones = _FACADES[rng.integers(len(_FACADES), size=128)] * np.exp(rng.normal(0, 0.2, (128, 1)))
    dice = rng.random(4096).astype(np.float32)[(number * 57 + place * 131 + house * 17) % 4096]
    pane = np.where(dice < 0.15, 0.7, 0.04 + 0.35 * (dice > 0.55) * dice * rng.uniform(0.2, 1.0))  # lit, or sky in it
    texture = 1 + 0.1 * noise(canvas.x, canvas.y, 2.0, rng, 2)
    texture = np.where(in_row > 0.95, 1.25, texture)  # ledges
    if rng.random() < 0.6:
        texture = np.where(shop, texture * (0.45 + 0.8 * dice), texture)
    walls = tones.astype(np.float32).T.copy()[:, house] * texture
    if rng.random() < 0.7:
        signs = 0.7 * _SIGNS[rng.integers(len(_SIGNS), size=128)].T + 0.05
        walls = np.where(shop & (in_row > 0.8), signs[:, house], walls)
    walls = np.where(opening, pane.astype(np.float32), walls)
    return walls * np.where(right, plane(here.lit(1)), plane(here.lit(-1))), tops[house]


_Things = list[tuple[float, Callable[[], None]]]  # how far along the street, and what paints it


def _cars(here: _Street) -> _Things:
    rng = here.rng
    places = [(side * (here.kerb - 1.0), -z) for side in (-1, 1) for z in np.arange(7, 34, 6.5) + rng.uniform(0, 4)]
    places = [place for place in places if rng.random() < 0.5]
    places.append((rng.uniform(-0.5, 0.5) * here.kerb, -rng.uniform(10, 40)))
    return [(z, partial(_car, here, x, z)) for x, z in places]


def _car(here: _Street, x: float, z: float) -> None:
    rng = here.rng
    paint, shine = pick(_PAINTS, rng), here.lit(x)
    long, high = rng.uniform(1.9, 2.3), rng.uniform(0.75, 0.95)
    tall = rng.uniform(1.35, 1.9)
    parts = (
        ((x - 0.8, 0.0, z - long), (x + 0.8, 0.35, z + long), linear((14, 14, 16))),
        ((x - 0.88, 0.3, z - long), (x + 0.88, high, z + long), paint),
        ((x - 0.74, high, z - 0.65 * long), (x + 0.74, tall - 0.08, z + 0.55 * long), linear((44, 52, 60))),
        ((x - 0.7, tall - 0.08, z - 0.6 * long), (x + 0.7, tall, z + 0.5 * long), paint),
    )
    for low, top, colour in parts:
        faces, normals = box(np.array(low), np.array(top), here.view.position)
        here.canvas.shapes(here.view, faces, colour * shine * (0.65 + 0.6 * normals[:, 1:2]) + 0.015)
    back = rng.random() < 0.5
    lamp = 1.2 * linear((255, 60, 40)) if back else rng.choice([1.0, 8.0]) * np.array([1.0, 0.95, 0.8])
    corners = np.array([[x - 0.8, 0.62, z + long + 0.01], [x + 0.5, 0.62, z + long + 0.01]])
    here.canvas.shapes(here.view, rectangles(corners, np.array([0.3, 0, 0]), np.array([0, 0.14, 0])), lamp)


def _people(here: _Street) -> _Things:
    rng = here.rng
    count = int(rng.choice([0, 1, 3, 6], p=[0.35, 0.3, 0.25, 0.1]))
    return [(z, partial(_passer_by, here, z)) for z in -rng.uniform(4, 30, count)]


def _passer_by(here: _Street, z: float) -> None:
    rng, right = here.rng, here.view.rotation[:, 0]
    x = rng.choice([-1, 1]) * rng.uniform(here.kerb, here.half - 0.4)
    foot, tall, shine = np.array([x, 0.0, z]), rng.uniform(1.5, 1.9), here.lit(x)
    colours = [pick(_CLOTHES, rng) * shine for _ in range(2)]
    for share, colour in zip((1.0, 0.5), colours, strict=True):
        body = foot + _PERSON[:, :1] * right + _PERSON[:, 1:] * [0, share * tall, 0]
        here.canvas.shapes(here.view, body[None], colour)
    flat, depth = here.view.project(foot + np.array([0, 0.92 * tall, 0]))
    if depth > 1:
        size = np.array([[0.09, 0.12]]) / (depth * here.view.zoom)
        here.canvas.ellipses(flat[None], size, linear((190, 140, 112)) * rng.uniform(0.3, 1.1) * shine)
        here.canvas.ellipses(flat[None] + size * [0, 0.5], size * [1.1, 0.7], linear((50, 38, 30)) * shine)


def _posts(here: _Street) -> _Things:
    """Lamp posts, traffic signs, signs over shops."""
    rng = here.rng
    things = [(z, partial(_post, here, z)) for z in -rng.uniform(5, 35, rng.integers(1, 4))]
    return things + [(z, partial(_sign, here, z)) for z in -rng.uniform(5, 30, rng.integers(0, 4))]


def _post(here: _Street, z: float) -> None:
    rng, right, up = here.rng, here.view.rotation[:, 0], np.array([0.0, 1.0, 0.0])
    x = rng.choice([-1, 1]) * (here.kerb + 0.3)
    foot, tall = np.array([x, 0.0, z]), rng.uniform(2.3, 5.5)
    pole = rectangles(foot - 0.05 * right, 0.1 * right, tall * up)
    here.canvas.shapes(here.view, pole, linear((70, 72, 74)) * here.lit(x))
    flat, depth = here.view.project(foot + tall * up)
    if depth > 1 and tall < 3.5:
        size = np.full((1, 2), 0.33 / (depth * here.view.zoom))
        here.canvas.ellipses(flat[None], size, 0.7 * pick(_SIGNS, rng) * here.lit(x))
        here.canvas.ellipses(flat[None], 0.65 * size, linear((236, 234, 230)) * here.lit(x))


def _sign(here: _Street, z: float) -> None:
    rng = here.rng
    side = rng.choice([-1, 1])
    at = np.array([side * here.half, rng.uniform(2.6, 3.4), z])
    wide, high = -side * rng.uniform(0.6, 1.1), rng.uniform(0.5, 1.0)
    sign = rectangles(at, np.array([wide, 0, 0]), np.array([0, high, 0]))
    strength = 2.0 if rng.random() < 0.3 else 0.7 * here.lit(side)
    here.canvas.shapes(here.view, sign, pick(_SIGNS, rng) * strength + 0.02)


def _tree(here: _Street, light: np.ndarray) -> np.ndarray:
    """A tree at the kerb painted over `light` [3, M, M]."""
    rng, canvas = here.rng, here.canvas
    x, z = rng.choice([-1, 1]) * (here.kerb + 0.4), -rng.uniform(5, 22)
    (top, foot), depth = here.view.project(np.array([[x, rng.uniform(4, 6), z], [x, 0, z]]))
    if depth.min() < 2:
        return light
    scale, shine, top, foot = 1 / (float(depth[0]) * here.view.zoom), here.lit(x), top.tolist(), foot.tolist()
    width = 0.13 * scale
    trunk = np.abs(canvas.x - foot[0] - 0.3 * width * noise(0 * canvas.x, canvas.y, 1.0, rng, 0)) < width
    trunk = trunk & (canvas.y > foot[1]) & (canvas.y < top[1])
    light = np.where(trunk, plane(linear((74, 60, 48)) * shine), light)
    radius = rng.uniform(1.6, 2.8) * scale
    far = np.hypot(canvas.x - top[0], (canvas.y - top[1]) * 1.2) / radius
    leaf = leaves(canvas.x, canvas.y, 0.24 * scale, rng)
    crown = (far + 0.28 * noise(canvas.x, canvas.y, 0.8 / radius, rng, 1) < 0.95) & (leaf > 0.12)
    green = linear((96, 122, 58)) * np.exp(rng.normal(0, 0.15, 3))
    bright = 0.25 + leaf * np.clip(0.7 + 0.6 * (canvas.y - top[1]) / radius, 0.3, 1.3)
    return np.where(crown, plane(green * shine) * bright, light)
