"""What is behind a person: walls, windows, rooms, lights out of focus, foliage, sky."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

_SIZE = 48  # backgrounds are out of focus, so they are made small and enlarged
# Colours of walls, cloth, wood, leaves, sky and concrete, RGB 0-255.
_PALETTE = np.array(
    [(222, 216, 206), (186, 178, 168), (150, 148, 146), (96, 92, 90), (48, 46, 48), (20, 20, 24), (168, 186, 200),
     (120, 156, 196), (70, 96, 130), (92, 116, 74), (60, 82, 48), (126, 142, 92), (150, 116, 84), (106, 74, 50),
     (190, 150, 110), (176, 96, 76), (120, 50, 46), (210, 190, 150), (226, 226, 230), (84, 110, 110)], float
)  # fmt: skip


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """[size, size, 3] float32, RGB 0-255."""
    kind = _KINDS[rng.choice(len(_KINDS), p=_CHANCES)]
    picture = kind(rng)
    blur = rng.uniform(0.6, 3.0) if kind is not _bokeh else rng.uniform(0.3, 1.0)
    picture = gaussian_filter(picture, (blur, blur, 0), mode="nearest")
    picture *= np.exp(rng.normal(0, 0.18))
    if size != _SIZE:
        picture = zoom(picture, (size / _SIZE, size / _SIZE, 1), order=1, mode="nearest", grid_mode=True)
    return np.clip(picture, 0, 255).astype(np.float32)


def _colour(rng: np.random.Generator, spread: float = 12.0) -> np.ndarray:
    return _PALETTE[rng.integers(len(_PALETTE))] + rng.normal(0, spread, 3) * 0.5 + rng.normal(0, spread)


def _noise(rng: np.random.Generator, *sigmas: float) -> np.ndarray:
    """[_SIZE, _SIZE] smooth noise, of unit variance."""
    total = np.zeros((_SIZE, _SIZE))
    for sigma in sigmas:
        layer = gaussian_filter(rng.normal(size=(_SIZE, _SIZE)), sigma, mode="wrap")
        total += layer / (layer.std() + 1e-6) * sigma**0.5
    return total / (total.std() + 1e-6)


def _gradient(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : _SIZE * 1j, -1 : 1 : _SIZE * 1j]
    share = np.clip(0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)) + 0.1 * _noise(rng, 8), 0, 1)[..., None]
    first = _colour(rng)
    second = first * rng.uniform(0.5, 1.1) if rng.random() < 0.7 else _colour(rng)
    return first * (1 - share) + second * share


def _cloudy(rng: np.random.Generator) -> np.ndarray:
    share = 1 / (1 + np.exp(-1.5 * _noise(rng, 3, 9)))[..., None]
    return _colour(rng) * share + _colour(rng) * (1 - share)


def _bokeh(rng: np.random.Generator) -> np.ndarray:
    picture = _gradient(rng) * rng.uniform(0.25, 0.7)
    y, x = np.mgrid[:_SIZE, :_SIZE]
    for _ in range(rng.integers(8, 30)):
        cx, cy = rng.uniform(0, _SIZE, 2)
        radius = rng.uniform(1.5, 6)
        disc = np.clip(radius - np.hypot(x - cx, y - cy), 0, 1)[..., None] * rng.uniform(0.15, 0.7)
        picture = picture * (1 - disc) + np.clip(_colour(rng, 25) * 1.3 + 30, 0, 255) * disc
    return picture


def _foliage(rng: np.random.Generator) -> np.ndarray:
    leaves, shade = _noise(rng, 0.8, 2.0, 5.0), _noise(rng, 4.0, 9.0)
    green = np.array([98, 112, 70]) * np.exp(rng.normal(0, 0.12, 3))
    picture = green * np.exp(0.45 * leaves + 0.4 * shade)[..., None]
    sky = np.clip(_noise(rng, 2.5, 7.0) - rng.uniform(0.4, 2.0), 0, 1)[..., None]
    return picture * (1 - sky) + np.array([222, 232, 238]) * sky


def _rectangles(rng: np.random.Generator) -> np.ndarray:
    picture = _gradient(rng)
    for _ in range(rng.integers(3, 12)):
        x0, y0 = rng.integers(-8, _SIZE, 2)
        wide, high = rng.integers(4, 30, 2)
        shade = 1 + 0.15 * rng.normal()
        picture[max(0, y0) : y0 + high, max(0, x0) : x0 + wide] = _colour(rng) * shade
    return picture * (1 + 0.05 * _noise(rng, 6)[..., None])


def _window(rng: np.random.Generator) -> np.ndarray:
    picture = _gradient(rng) * rng.uniform(0.4, 0.9)
    x0, y0 = int(rng.integers(-10, 34)), int(rng.integers(-10, 14))
    wide, high = int(rng.integers(14, 32)), int(rng.integers(20, 48))
    light = np.array([238, 240, 244]) * rng.uniform(0.8, 1.0)
    view = light * (1 - 0.3 * np.clip(_noise(rng, 4), 0, 1))[..., None]
    rows, columns = slice(max(0, y0), y0 + high), slice(max(0, x0), x0 + wide)
    picture[rows, columns] = view[rows, columns]
    bar = max(0, x0 + wide // 2)
    picture[rows, bar : bar + 2] *= 0.55
    return picture


def _outdoors(rng: np.random.Generator) -> np.ndarray:
    horizon = rng.uniform(8, 40) + 3 * _noise(rng, 6)[0]
    y = np.arange(_SIZE)[:, None]
    sky_top = np.array([108, 150, 204]) * np.exp(rng.normal(0, 0.15)) + rng.normal(0, 8, 3)
    sky = sky_top + (np.array([226, 230, 232]) - sky_top) * (y / _SIZE)[..., None] * rng.uniform(0.3, 1.0)
    sky = np.broadcast_to(sky, (_SIZE, _SIZE, 3)) + 14 * np.clip(_noise(rng, 2.5, 6), 0, 2)[..., None]
    land = _colour(rng) * np.exp(0.25 * _noise(rng, 1.2, 4.0))[..., None]
    return np.where((y > horizon)[..., None], land, sky)


_KINDS = (_gradient, _cloudy, _bokeh, _foliage, _rectangles, _window, _outdoors)
_CHANCES = (0.24, 0.16, 0.12, 0.15, 0.14, 0.08, 0.11)
