"""Rooms' furniture: boxes and rectangles at the walls of an interior."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from datasets.synthetic.backdrops.canvas import Canvas, View, box, pick, rectangles
from datasets.synthetic.backdrops.lens import linear

WALLS = linear(
    [(232, 228, 220), (222, 214, 200), (205, 200, 192), (196, 204, 208), (170, 186, 196), (214, 200, 170),
     (150, 160, 150), (120, 134, 146), (186, 150, 130), (96, 104, 116), (226, 220, 226), (176, 178, 150)]
)  # fmt: skip
FLOORS = linear([(150, 110, 74), (112, 78, 52), (186, 150, 110), (168, 160, 150), (90, 74, 62), (130, 128, 124)])
_WOODS = linear([(120, 82, 52), (82, 54, 36), (178, 140, 96), (225, 220, 212), (60, 50, 46), (150, 104, 64)])
CLOTHS = linear([(120, 130, 140), (70, 82, 100), (160, 150, 134), (130, 70, 60), (84, 100, 84), (200, 190, 176)])
_BOOKS = linear(
    [(150, 50, 44), (40, 66, 110), (220, 206, 176), (50, 90, 70), (190, 140, 60), (36, 36, 42), (230, 230, 226),
     (110, 50, 90), (90, 130, 160)]
)  # fmt: skip


class Interior:
    """A box of a room while it is painted; the origin is on the floor, in the middle."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator):
        self.canvas, self.rng = canvas, rng
        self.half = np.array([rng.uniform(1.7, 4.0), rng.uniform(1.2, 1.65), rng.uniform(2.0, 4.5)])
        self.low, self.high = self.half * [-1, 0, -1], self.half * [1, 2, 1]
        eye = np.array([rng.uniform(-0.6, 0.6), 0, rng.uniform(0.0, 0.75)]) * self.half + [0, rng.uniform(1.3, 1.65), 0]
        yaw = rng.choice([rng.normal(0, 0.3), rng.uniform(-np.pi, np.pi)], p=[0.6, 0.4])
        self.view = View(eye, yaw, rng.normal(0.0, 0.05), rng.uniform(0.32, 0.62))
        self.wood, self.cloth = pick(_WOODS, rng), pick(CLOTHS, rng)
        self.lights: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []  # place, power, facing
        self.night = rng.random() < 0.3
        self.taken: dict[int, list[tuple[float, float]]] = {wall: [] for wall in range(4)}

    def wall(self, number: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Left lower corner, unit vector to the right and length of wall 0-3, as seen from inside."""
        along = np.array([(1, 0, 0), (0, 0, 1), (-1, 0, 0), (0, 0, -1)][number], float)
        corner = np.array([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)][number]) * self.half
        return corner, along, float(2 * self.half[0 if number % 2 == 0 else 2])

    def space(self, number: int, width: float) -> float | None:
        """Where on a wall there are `width` metres free, and takes them; None when there are not."""
        length = self.wall(number)[2]
        for _ in range(4):
            start = self.rng.uniform(0.1, max(length - width - 0.1, 0.11))
            clear = all(start + width < a or start > b for a, b in self.taken[number])
            if clear and start + width < length:
                self.taken[number].append((start - 0.1, start + width + 0.1))
                return start
        return None

    def on_wall(self, number: int, rects: ArrayLike, colours: np.ndarray, glow: bool = False) -> None:
        """Paints rectangles (left, bottom, width, height) [K, 4] of a wall."""
        corner, along, _ = self.wall(number)
        places = np.asarray(rects, float).reshape(-1, 4)
        up = np.array([0.0, 1.0, 0.0])
        corners = corner + places[:, :1] * along + places[:, 1:2] * up
        self.canvas.shapes(self.view, rectangles(corners, places[:, 2:3] * along, places[:, 3:] * up), colours, glow)

    def block(self, number: int, start: float, width: float, bottom: float, height: float, depth: float,
              colour: np.ndarray) -> None:  # fmt: skip
        """Paints a box that stands at a wall."""
        corner, along, _ = self.wall(number)
        inward = np.array([-along[2], 0, along[0]])
        ends = [corner + along * start + [0, bottom, 0], corner + along * (start + width) + inward * depth]
        ends[1] = ends[1] + [0, bottom + height, 0]
        faces, normals = box(np.minimum(*ends), np.maximum(*ends), self.view.position)
        shades = 0.8 + 0.35 * normals[:, 1:2] - 0.15 * np.abs(normals[:, :1])
        self.canvas.shapes(self.view, faces, colour * shades)


def _pictures(here: Interior, number: int) -> None:
    rng = here.rng
    for _ in range(rng.integers(1, 4)):
        width, height = rng.uniform(0.3, 0.9, 2)
        start = here.space(number, width)
        if start is None:
            return
        bottom = rng.uniform(1.2, 1.7) - 0.3 * height
        frame = here.wood if rng.random() < 0.5 else linear((30, 28, 28))
        first, second = pick(_BOOKS, rng), pick(WALLS, rng) * rng.uniform(0.3, 1)
        mat = 0.12 * min(width, height)
        here.on_wall(
            number,
            [
                (start - 0.04, bottom - 0.04, width + 0.08, height + 0.08),
                (start, bottom, width, height),
                (start + mat, bottom + mat, width - 2 * mat, height - 2 * mat),
                (start + mat, bottom + mat, width - 2 * mat, (height - 2 * mat) * rng.uniform(0.2, 0.6)),
            ],
            np.stack([frame, linear((235, 232, 224)), second, first]),
        )


def _bookcase(here: Interior, number: int) -> None:
    rng = here.rng
    width, bottom = rng.uniform(0.8, 2.2), rng.choice([0.0, 1.2])
    height = rng.uniform(0.7, 1.1) if bottom else rng.uniform(1.2, 2.2)
    start = here.space(number, width)
    if start is None:
        return
    if rng.random() < 0.7 or bottom == 0:
        here.block(number, start, width, bottom, height, 0.25, 0.5 * here.wood)
    rows = int(height / 0.36)
    corner, along, _ = here.wall(number)
    inward = np.array([-along[2], 0, along[0]])
    left, colours, rects = start + 0.04, [], []
    for row in range(rows):
        floor, x = bottom + 0.05 + row * 0.36, left
        rects.append((left - 0.04, floor - 0.03, width, 0.03))
        colours.append(here.wood)
        while x < start + width - 0.1:
            wide, high = rng.uniform(0.04, 0.14), rng.uniform(0.18, 0.31)
            if rng.random() < 0.8:
                rects.append((x, floor, min(wide, start + width - 0.04 - x), high))
                colours.append(_BOOKS[rng.integers(len(_BOOKS))] * rng.uniform(0.4, 1.0))
            x += wide
    placed, up = np.array(rects), np.array([0.0, 1.0, 0.0])
    corners = corner + placed[:, :1] * along + placed[:, 1:2] * up + 0.24 * inward
    quads = rectangles(corners, placed[:, 2:3] * along, placed[:, 3:] * up)
    here.canvas.shapes(here.view, quads, np.array(colours))


def _sideboard(here: Interior, number: int) -> None:
    rng = here.rng
    width, height, depth = rng.uniform(0.7, 1.8), rng.uniform(0.6, 1.1), rng.uniform(0.35, 0.55)
    start = here.space(number, width)
    if start is None:
        return
    here.block(number, start, width, 0, height, depth, here.wood)
    for _ in range(rng.integers(1, 4)):  # vases, boxes, a set of books
        wide, high = rng.uniform(0.08, 0.3), rng.uniform(0.1, 0.4)
        at = start + rng.uniform(0, width - wide)
        here.block(number, at, wide, height, high, 0.2, pick(_BOOKS, rng))
    if rng.random() < 0.3:
        here.block(number, start + 0.1 * width, 0.8 * width, height + 0.1, 0.45 * width, 0.05, linear((22, 22, 26)))


def _sofa(here: Interior, number: int) -> None:
    rng, colour = here.rng, here.cloth
    width = rng.uniform(1.4, 2.2)
    start = here.space(number, width)
    if start is None:
        return
    here.block(number, start, width, 0.4, 0.5, 0.25, 0.85 * colour)
    here.block(number, start, width, 0.1, 0.35, 0.9, colour)
    for left in (start, start + width - 0.2):
        here.block(number, left, 0.2, 0.1, 0.55, 0.9, 0.9 * colour)
    for _ in range(rng.integers(0, 4)):
        at = start + rng.uniform(0.2, width - 0.6)
        here.block(number, at, 0.4, 0.45, 0.38, 0.4, pick(CLOTHS, rng))


def _door(here: Interior, number: int) -> None:
    rng = here.rng
    start = here.space(number, 1.1)
    if start is None:
        return
    colour = linear((232, 230, 224)) if rng.random() < 0.5 else here.wood
    if rng.random() < 0.3:  # open: a dim corridor
        colours = np.stack([colour, pick(WALLS, rng) * 0.25, pick(WALLS, rng) * 0.4])
        rects = [(start, 0.0, 1.1, 2.15), (start + 0.1, 0.0, 0.9, 2.05), (start + 0.1, 0.0, 0.3, 2.05)]
    else:
        colours = np.stack([0.7 * colour, colour, 0.75 * colour, 0.75 * colour])
        rects = [(start, 0.0, 1.1, 2.15), (start + 0.1, 0.0, 0.9, 2.05), (start + 0.25, 1.15, 0.6, 0.75),
                 (start + 0.25, 0.2, 0.6, 0.75)]  # fmt: skip
    here.on_wall(number, rects, colours)


def _plant(here: Interior, number: int) -> None:
    rng = here.rng
    start = here.space(number, 0.7)
    if start is None:
        return
    corner, along, _ = here.wall(number)
    foot = corner + along * (start + 0.35) + np.array([-along[2], 0, along[0]]) * 0.4
    here.block(number, start + 0.2, 0.3, 0, 0.3, 0.5, pick(_BOOKS, rng))
    count = int(rng.integers(14, 30))
    spread = rng.normal(0, 1, (count, 3)) * [0.28, 0.3, 0.28] + [0, rng.uniform(0.7, 1.3), 0]
    flat, depth = here.view.project(foot + spread)
    ahead = depth > 0.5
    if ahead.any():
        sizes = (rng.uniform(0.05, 0.14, (count, 2)) / (depth * here.view.zoom)[:, None])[ahead]
        greens = linear((70, 104, 52)) * rng.uniform(0.4, 1.5, (count, 1))
        here.canvas.ellipses(np.clip(flat[ahead], -9, 9), sizes, greens[ahead])


FURNITURE: tuple[Callable[[Interior, int], None], ...] = (
    _pictures,
    _pictures,
    _bookcase,
    _sideboard,
    _sofa,
    _door,
    _plant,
)
