"""Hair as geometry: a cap of locks over the scalp, and the lengths of them that fall beyond the hairline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.synthetic.scalp import COLUMNS, ROWS, Scalp, spherical
from datasets.synthetic.stand_in import StandIn
from datasets.synthetic.style import LENGTH_AZIMUTHS, HairStyle, Style

FALL_ROWS = 11
_BUN = (8, 10)
_GRID_ROWS = ROWS + FALL_ROWS
VERTICES = COLUMNS * _GRID_ROWS + _BUN[0] * _BUN[1]


@dataclass(frozen=True, eq=False)
class Hair:
    """Hair of one head in the head's own frame. N = VERTICES."""

    vertices: np.ndarray  # [N, 3] decimetres
    normals: np.ndarray  # [N, 3] unit
    tangents: np.ndarray  # [N, 3] unit, along the strands
    occlusion: np.ndarray  # [N] share of the light that comes between the locks


def triangles() -> np.ndarray:
    """[F, 3] int32: both sides of every sheet, as locks are seen from either."""
    grid = np.arange(COLUMNS * _GRID_ROWS).reshape(COLUMNS, _GRID_ROWS)
    bun = COLUMNS * _GRID_ROWS + np.arange(_BUN[0] * _BUN[1]).reshape(_BUN[1], _BUN[0])
    front = np.concatenate([_quads(grid), _quads(bun)])
    return np.concatenate([front, front[:, ::-1]]).astype(np.int32)


def strand_coordinates() -> np.ndarray:
    """[N, 2] float32: place around the head, 0-1 and back, and length from the crown."""
    around = np.abs(np.arange(COLUMNS) / COLUMNS * 2 - 1)  # mirrored at the front, so that it closes without a seam
    grid = np.stack(np.broadcast_arrays(around[:, None], np.arange(_GRID_ROWS) / 14), -1).reshape(-1, 2)
    turn, along = np.meshgrid(np.abs(np.arange(_BUN[1]) / _BUN[1] * 2 - 1), np.arange(_BUN[0]) / 20, indexing="ij")
    return np.concatenate([grid, np.stack([turn, along], -1).reshape(-1, 2)]).astype(np.float32)


def grow(scalp: Scalp, head: np.ndarray, style: Style) -> Hair:
    """The hair of `style` on a head with unposed vertices `head` [V, 3]."""
    hair, rng = style.hair, np.random.default_rng(style.seed)
    noise = _smooth_noise(rng, (COLUMNS, _GRID_ROWS))
    lumps = _lumps(rng, hair)
    first, last = reach(hair, scalp.azimuth)
    rows = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, ROWS)  # [COLUMNS, ROWS], in grid rows
    skin, mean_skin = _along(scalp.roots(head), rows), _along(scalp.mean_roots, rows)
    outward = _along(scalp.outward, rows)
    thickness = _thickness(hair, scalp, rows)
    thickness = thickness * (1 + 0.25 * noise[:, :ROWS]) + lumps[:, :ROWS] * np.minimum(1, 8 * thickness)
    cap = skin + outward * thickness[..., None]
    mean_rim = (mean_skin + outward * thickness[..., None])[:, -1]
    scale = skin.std((0, 1)) / mean_skin.std((0, 1))
    fall = cap[:, -1:] + _fall(scalp, hair, mean_rim, noise[:, ROWS:], lumps[:, ROWS:], rng) * scale
    grid = np.concatenate([cap, fall], 1)  # [COLUMNS, _GRID_ROWS, 3]
    along, across = np.gradient(grid, axis=1), np.roll(grid, -1, 0) - np.roll(grid, 1, 0)
    normals = _unit(_unit(np.cross(across, along) * -1) + 0.35 * _unit(grid - scalp.centre))
    normals *= np.sign((normals * (grid - scalp.centre)).sum(-1, keepdims=True) + 1e-9)
    normals = _unit(normals + 0.35 * rng.normal(size=(COLUMNS, 1, 3)) * (0.3 + 0.7 * (hair.curl > 0.02)))
    occlusion = 0.8 + 0.2 * np.tanh(2 * noise) + 3 * lumps
    occlusion[:, ROWS:] *= np.linspace(1, 0.85, FALL_ROWS)
    bun, bun_normals = _bun(scalp, skin, hair, rng)
    return Hair(
        vertices=np.concatenate([grid.reshape(-1, 3), bun]).astype(np.float32),
        normals=np.concatenate([normals.reshape(-1, 3), bun_normals]).astype(np.float32),
        tangents=np.concatenate([_unit(along).reshape(-1, 3), np.roll(bun_normals, 1, 1)]).astype(np.float32),
        occlusion=np.concatenate([occlusion.reshape(-1), np.ones(len(bun))]).clip(0.35, 1.15).astype(np.float32),
    )


def reach(hair: HairStyle, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last grid row [N] that carry hair at `azimuth` [N] radians; 0 is the crown, ROWS - 1 the hairline."""
    angle = np.abs(np.degrees(azimuth))
    temple = np.exp(-(((angle - 34) / 16) ** 2)) + 0.55 * np.exp(-((angle / 22) ** 2))
    last = (ROWS - 1) * (1 - hair.recede * np.minimum(temple, 1.1))
    peak, slow, fast = hair.uneven
    front = np.clip(1.6 - angle / 40, 0, 1)
    last = last + front * (peak * np.exp(-((angle / 9) ** 2)) + slow * np.cos(4 * azimuth + 40 * slow))
    last = np.minimum(last + front * fast * np.cos(11 * azimuth + 40 * fast), ROWS - 0.5)
    back = 1 - 0.55 * np.clip((angle - 90) / 90, 0, 1)  # baldness reaches less far down the back
    first = (ROWS - 1) * hair.bald * back * np.where(angle < 50, 1.15, 1.0)
    return np.minimum(first, last - 0.01), last


def coverage(scalp: Scalp | StandIn, hair: HairStyle) -> np.ndarray:
    """[V] 0-1: how far the skin of each vertex, of the head or what stands in for it, is hidden under hair's roots."""
    first, last = reach(hair, scalp.vertex_azimuth)
    row = scalp.vertex_polar / scalp.vertex_hairline * (ROWS - 0.65) - 0.35
    bare = _smoothstep(first - 1.5, first + 0.3, row) if hair.bald else 1.0
    return hair.density * bare * (1 - _smoothstep(last - 0.8, last + 0.25, row))


def _thickness(hair: HairStyle, scalp: Scalp, rows: np.ndarray) -> np.ndarray:
    """[COLUMNS, ROWS] decimetres over the skin."""
    angle = np.abs(np.degrees(scalp.azimuth))[:, None]
    share = np.linspace(0, 1, ROWS)
    lower = _smoothstep(40, 80, np.degrees(scalp.hairline)[:, None] * rows / (ROWS - 1)) * _smoothstep(20, 70, angle)
    thickness = hair.top * (1 - lower) + hair.side * lower
    lengths = np.interp(angle[:, 0], LENGTH_AZIMUTHS, hair.lengths)
    edge = np.clip(0.15 + 2 * lengths, 0, 0.75)[:, None]  # locks that fall on start above the skin
    taper = 1 - (1 - edge) * share**5
    if hair.bald:
        taper = taper * _smoothstep(0, 0.35, share)
    return np.where(hair.density < 0.8, 0.5, 1) * thickness * taper + 0.012 * (share < 1) - 0.02 * (hair.top == 0)


def _fall(
    scalp: Scalp, hair: HairStyle, rim: np.ndarray, noise: np.ndarray, lumps: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """[COLUMNS, FALL_ROWS, 3] from the rim [COLUMNS, 3] of the cap, on the mean head."""
    degrees = np.degrees(scalp.azimuth)
    lengths = np.interp(np.abs(degrees), LENGTH_AZIMUTHS, hair.lengths)
    front = np.clip(1 - np.abs(degrees) / 75, 0, 1)
    lengths = lengths * (1 + hair.slant * np.clip(degrees / 45, -1, 1) * np.minimum(1, 3 * front))
    if hair.parting is not None:  # nothing falls over the face at the parting itself
        lengths = lengths * np.clip(np.abs(degrees - hair.parting) / 30, 0.15, 1)
    lengths = np.maximum(lengths * (1 + hair.jag * rng.uniform(-1, 1, COLUMNS)), 1e-4)
    share = np.arange(1, FALL_ROWS + 1) / FALL_ROWS
    height = rim[:, 1, None] - lengths[:, None] * share  # [COLUMNS, FALL_ROWS]
    azimuth = np.repeat(scalp.azimuth[:, None], FALL_ROWS, 1)
    if hair.parting is not None:
        azimuth += np.radians(hair.sweep) * np.sign(degrees - hair.parting)[:, None] * front[:, None] * share
    level = np.interp(height, scalp.heights[::-1], np.arange(len(scalp.heights))[::-1])
    skin = _bilinear(scalp.outline, (azimuth / np.pi + 1) / 2 * COLUMNS, level)
    start = np.hypot(rim[:, 0] - scalp.centre[0], rim[:, 2] - scalp.centre[2])
    clear = np.maximum.accumulate(np.concatenate([start[:, None], skin + 0.05], 1), 1)[:, 1:]
    falls = np.clip(lengths / 0.1, 0, 1)[:, None]  # hair that ends at the hairline stays on the skin
    distance = start[:, None] + falls * (clear - start[:, None] + lumps)
    distance = distance * (1 - 0.1 * np.maximum(0, share - 0.5) * (lengths > 0.6)[:, None])
    phase = 2 * np.pi * (height / 0.42 + 0.35 * noise)
    amount = hair.wave * np.minimum(1, lengths / 0.5)[:, None] * share
    distance = distance + amount * np.sin(phase) + 0.03 * noise * np.minimum(1, 4 * lengths)[:, None]
    azimuth = azimuth + amount * np.cos(phase) + 0.02 * noise * share
    around = spherical(azimuth, np.full_like(azimuth, np.pi / 2)) * distance[..., None]
    points = around + np.array([scalp.centre[0], 0.0, scalp.centre[2]])
    points[..., 1] = height
    return (points - rim[:, None]) * np.clip(lengths / 0.02, 0, 1)[:, None, None]


def _bun(scalp: Scalp, skin: np.ndarray, hair: HairStyle, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and normals [_BUN, 3] of a knot at the back of the head; a point inside the head when there is none."""
    around, along = np.meshgrid(
        np.arange(_BUN[1]) / _BUN[1] * 2 * np.pi, (np.arange(_BUN[0]) + 0.5) / _BUN[0] * np.pi, indexing="ij"
    )
    ball = spherical(around, along).reshape(-1, 3)
    if not hair.bun:
        return np.repeat(scalp.centre[None], len(ball), 0), ball
    place = skin[0, int(rng.integers(2, 7))] + np.array([0.0, 0.12, -0.12])
    return place + rng.uniform(0.24, 0.34) * ball * np.array([1.0, 0.9, 0.8]), ball


def _lumps(rng: np.random.Generator, hair: HairStyle) -> np.ndarray:
    return hair.curl * rng.normal(size=(COLUMNS, _GRID_ROWS)).clip(-2, 2)


def _along(grid: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`grid` [COLUMNS, ROWS, 3] read at fractional `rows` [COLUMNS, n]."""
    low = np.clip(np.floor(rows).astype(int), 0, ROWS - 2)
    share = np.clip(rows - low, 0, 1.5)[..., None]  # a little beyond the last row, too
    column = np.arange(COLUMNS)[:, None]
    return grid[column, low] * (1 - share) + grid[column, low + 1] * share


def _bilinear(table: np.ndarray, column: np.ndarray, level: np.ndarray) -> np.ndarray:
    """`table` [COLUMNS, L] at fractional columns, which wrap round, and levels."""
    c, r = np.floor(column).astype(int), np.clip(np.floor(level).astype(int), 0, table.shape[1] - 2)
    x, y = column - c, np.clip(level - r, 0, 1)
    low = table[c % COLUMNS, r] * (1 - y) + table[c % COLUMNS, r + 1] * y
    high = table[(c + 1) % COLUMNS, r] * (1 - y) + table[(c + 1) % COLUMNS, r + 1] * y
    return low * (1 - x) + high * x


def _quads(grid: np.ndarray) -> np.ndarray:
    """Triangles of a grid [columns, rows] of vertex numbers that closes around its columns."""
    a, b = grid[:, :-1], grid[:, 1:]
    c, d = np.roll(grid, -1, 0)[:, :-1], np.roll(grid, -1, 0)[:, 1:]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([c, b, d], -1).reshape(-1, 3)])


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Noise about -1…1 that differs from lock to lock and changes slowly along them."""
    coarse = rng.normal(size=(shape[0], 5))
    coarse = 0.5 * coarse + 0.35 * (np.roll(coarse, 1, 0) + np.roll(coarse, -1, 0))
    place = np.linspace(0, 3.999, shape[1])
    low = place.astype(int)
    return coarse[:, low] * (1 - place + low) + coarse[:, low + 1] * (place - low)


def _smoothstep(low: np.ndarray | float, high: np.ndarray | float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
