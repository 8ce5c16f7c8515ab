"""Plain walls, backdrops of a studio, and lights at night."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.backdrops.canvas import Canvas, Place, pick, plane
from datasets.synthetic.backdrops.lens import linear
from datasets.synthetic.backdrops.textures import noise

_PAINTS = linear(
    [(226, 222, 214), (206, 200, 190), (180, 178, 174), (150, 154, 158), (196, 204, 210), (214, 198, 168),
     (160, 120, 96), (110, 120, 112), (84, 92, 104), (60, 60, 64), (186, 176, 190), (140, 150, 120), (120, 60, 50),
     (236, 234, 230)]
)  # fmt: skip
_STUDIO = linear(
    [(110, 112, 116), (60, 62, 68), (26, 26, 30), (232, 232, 232), (70, 88, 112), (104, 88, 76), (78, 86, 76)]
)
_BRICKS = linear([(150, 84, 66), (170, 110, 84), (204, 198, 190), (120, 76, 62)])
_BULBS = np.array(
    [(1.0, 0.72, 0.38), (1.0, 0.85, 0.6), (1.0, 0.16, 0.1), (0.3, 1.0, 0.5), (0.5, 0.7, 1.0), (1.0, 1.0, 0.95),
     (1.0, 0.4, 0.7)]
)  # fmt: skip

_THIN = 0.03  # image-plane units: a pixel of the smallest canvas, below which lines would come and go


def wall(canvas: Canvas, rng: np.random.Generator) -> Place:
    """Plaster, concrete, bricks, boards, tiles or a curtain, near behind the person, lit from one side."""
    turn, x = rng.normal(0, 0.35), canvas.x
    depth = 1 / np.maximum(1 + 0.45 * np.tan(turn) * x, 0.3)  # a wall that is not square to the camera
    u, v = x * depth + 0 * canvas.y, canvas.y * depth
    kind = rng.choice(6, p=[0.46, 0.14, 0.14, 0.1, 0.08, 0.08])
    grain = 1 + rng.uniform(0.01, 0.06) * noise(u, v, rng.uniform(0.4, 2), rng, 2) + 0.04 * noise(u, v, 0.3, rng, 0)
    colour = plane(pick(_PAINTS, rng)) * grain
    if kind == 1:  # concrete, or stained plaster
        stain = noise(u, v * 0.5, rng.uniform(0.3, 0.8), rng, 1)
        colour = colour * np.exp(rng.uniform(0.08, 0.22) * stain)
    elif kind == 2:
        colour = _bricks(u, v, rng) * grain
    elif kind == 3:  # boards
        board = rng.uniform(0.12, 0.35)
        across = (u if rng.random() < 0.6 else v) / board
        tone = 1 + 0.15 * np.sin(37.0 * np.floor(across))
        colour = colour * np.where(across % 1 < max(0.07, _THIN / board), 0.55, tone)
    elif kind == 4:  # tiles
        each = rng.uniform(0.15, 0.5)
        wide = max(0.06, _THIN / each)
        joint = (u / each % 1 < wide) | (v / each % 1 < wide)
        colour = np.where(joint, plane(linear((150, 148, 144))), colour)
    elif kind == 5:
        folds = np.sin((u + 0.03 * np.sin(3 * v)) * rng.uniform(9, 22) + 1.5 * np.sin(4.0 * u))
        colour = colour * (1 + 0.35 * folds)
    return _lit_wall(canvas, rng, colour, spot=False)


def studio(canvas: Canvas, rng: np.random.Generator) -> Place:
    """Paper or painted cloth, with a spot of light behind the person or a fall-off to the corners."""
    mottled = rng.choice([0.0, rng.uniform(0.05, 0.3)])
    clouds = noise(canvas.x, canvas.y, rng.uniform(0.25, 0.5), rng, 1)
    colour = plane(pick(_STUDIO, rng)) * np.exp(float(mottled) * clouds)
    if rng.random() < 0.2:  # where paper bends to the floor
        bend = 1 / (1 + np.exp(-(canvas.y + rng.uniform(0.7, 1.2)) / 0.12))
        colour = colour * (1.25 - 0.25 * bend)
    return _lit_wall(canvas, rng, colour, spot=bool(rng.random() < 0.7))


def night(canvas: Canvas, rng: np.random.Generator) -> Place:
    """Lamps, windows and cars' lights of a town at night, as large discs."""
    horizon = rng.uniform(-0.5, 0.2)
    glow = np.exp(-(((canvas.y - horizon) / rng.uniform(0.4, 0.9)) ** 2))
    haze = np.array([0.03, 0.022, 0.015]) if rng.random() < 0.6 else np.array([0.012, 0.018, 0.035])
    light = plane(haze) * (0.3 + glow * (1 + 0.4 * noise(canvas.x, canvas.y, 0.5, rng, 1)))
    kinds = _BULBS[rng.choice(len(_BULBS), 3, p=[0.3, 0.24, 0.14, 0.06, 0.08, 0.12, 0.06])]
    for row in range(rng.integers(2, 5)):  # rows of lamps run to a vanishing point
        count = int(rng.integers(3, 14))
        start, end = rng.uniform(-1.4, 1.4, 2), np.array([rng.uniform(-0.7, 0.7), horizon])
        share = np.sort(rng.random(count))[:, None] ** 0.7
        places = start * (1 - share) + end * share + rng.normal(0, 0.04, (count, 2))
        _bulbs(canvas, rng, places, kinds[row % 3] * rng.uniform(2, 12) * (1.2 - share))
    others = rng.normal([0, horizon], [0.9, 0.35], (int(rng.integers(5, 30)), 2))
    _bulbs(canvas, rng, others, kinds[0] * rng.uniform(1, 6))
    light = canvas.compose(light)
    side = rng.uniform(-1, 1)
    direction = np.array([side, rng.uniform(0.2, 0.8), rng.uniform(0.2, 1.0)])
    warm = kinds[0] / kinds[0].mean()
    return Place(
        light=light,
        ambient=rng.uniform(0.28, 0.42) * warm**0.3,
        key=rng.uniform(0.4, 0.85) * np.array([1.06, 1.0, 0.92]),
        key_direction=direction / np.linalg.norm(direction),
        level=rng.uniform(20, 58),
        blur=(0.025, 0.075),
        blades=int(rng.choice([0, 6, 7, 8], p=[0.6, 0.15, 0.15, 0.1])),
    )


def _bulbs(canvas: Canvas, rng: np.random.Generator, places: np.ndarray, colours: np.ndarray) -> None:
    sizes = np.repeat(rng.uniform(0.028, 0.042, (len(places), 1)), 2, 1)
    colours = np.broadcast_to(colours, (len(places), 3)) * np.exp(rng.normal(0, 0.5, (len(places), 1)))
    canvas.ellipses(places, sizes, colours, glow=True)


def _bricks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    high = rng.uniform(0.08, 0.16)
    row = v / high + 100
    column = u / (3 * high) + 0.5 * (np.floor(row) % 2) + 100
    tone = rng.random(1024).astype(np.float32)[(row.astype(np.int32) * 31 + column.astype(np.int32) * 17) % 1024]
    wide = max(0.14, _THIN / high)
    mortar = (row % 1 < wide) | (column % 1 < wide / 3)
    joint = plane(linear((176, 170, 160)) * rng.uniform(0.4, 1.0))
    return np.where(mortar, joint, plane(pick(_BRICKS, rng)) * (0.7 + 0.6 * tone))


def _lit_wall(canvas: Canvas, rng: np.random.Generator, colour: np.ndarray, spot: bool) -> Place:
    """Light from one side or above, brightest where the lamp is near, and now and then the person's shadow."""
    x, y = canvas.x, canvas.y
    lamp = (rng.normal(0, 1.2), rng.uniform(-0.3, 1.6), rng.uniform(0.7, 2.5))
    if spot:
        middle, wide = rng.normal(0, 0.3, 2).tolist(), rng.uniform(0.6, 1.4)
        fall = rng.uniform(0.25, 0.7) + np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / wide**2)
    else:
        square = (x - lamp[0]) ** 2 + (y - lamp[1]) ** 2 + lamp[2] ** 2
        fall = rng.uniform(0.15, 0.6) + lamp[2] ** 3 / (square * np.sqrt(square))
    if rng.random() < 0.25:  # soft shadow of head and shoulders, away from the lamp
        away, soft, deep = rng.uniform(0.1, 0.3), rng.uniform(0.15, 0.5), rng.uniform(0.15, 0.5)
        left, low = x + away * lamp[0], y + away * lamp[1] - 0.1
        for high, half in ((0.0, 0.55), (-1.7, 1.15)):
            far = np.hypot(left, 0.85 * (low - high)) - half
            fall = fall * (1 - deep / (1 + np.exp(np.clip(far * (4 / soft), -20, 20))))
    warm = np.exp(np.array([1.0, 0.0, -1.0]) * rng.normal(0.02, 0.07))
    direction = np.array([lamp[0], lamp[1], max(lamp[2], 0.6)])
    return Place(
        light=(colour * fall * plane(warm)).astype(np.float32),
        ambient=rng.uniform(0.28, 0.6) * (0.8 + 0.2 * colour.mean((1, 2)) / colour.mean()),
        key=rng.uniform(0.3, 0.85) * warm,
        key_direction=direction / np.linalg.norm(direction),
        level=float(np.clip(np.exp(rng.normal(0, 0.2)) * 255 * float(colour.mean()) ** (1 / 2.2), 22, 205)),
        blur=(0.01, 0.04),
    )
