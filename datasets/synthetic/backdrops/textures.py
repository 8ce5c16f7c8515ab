"""Tiling noise and leaves, made once per process and sampled at any place and scale."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

_SIDE = 256  # of a tile, texels
_LEAVES = 1400  # on a tile


@lru_cache(maxsize=1)
def _noise_tiles() -> np.ndarray:
    """[3, _SIDE, _SIDE] float32 of unit variance: fractal noise, from smooth (0) to fine (2)."""
    spectrum = np.fft.rfft2(np.random.default_rng(11).normal(size=(3, _SIDE, _SIDE)))
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)) * _SIDE
    falloff = np.array([2.2, 1.6, 1.0])[:, None, None]
    tiles = np.fft.irfft2(spectrum * (frequency >= 1) / np.maximum(frequency, 1) ** falloff, (_SIDE, _SIDE))
    return (tiles / tiles.std((1, 2), keepdims=True)).astype(np.float32)


@lru_cache(maxsize=1)
def _leaf_tile() -> np.ndarray:
    """[_SIDE, _SIDE] float32: brightness 0-1 of overlapping leaves, later ones nearer and lighter."""
    rng = np.random.default_rng(12)
    tile = Image.new("F", (_SIDE, _SIDE), 0.06)
    draw = ImageDraw.Draw(tile)
    middle, turn = rng.uniform(0, _SIDE, (_LEAVES, 2)), rng.uniform(0, np.pi, _LEAVES)
    length, around = rng.uniform(5, 13, _LEAVES), np.linspace(0, 2 * np.pi, 9)[:-1]
    outline = np.stack([np.cos(around), 0.45 * np.sin(around)], -1)  # [8, 2]
    rotation = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], -1).reshape(-1, 2, 2)
    leaves = np.einsum("nij,kj->nki", rotation, outline) * length[:, None, None] + middle[:, None]
    order = np.linspace(0.1, 1, _LEAVES)
    shade = np.clip(order * rng.uniform(0.45, 1.0, _LEAVES) + (rng.random(_LEAVES) < 0.04) * 0.6, 0, 1.3)
    for leaf, value in zip(leaves, shade, strict=True):
        for across in (0, -_SIDE, _SIDE):
            for down in (0, -_SIDE, _SIDE):
                moved = leaf + np.array([across, down])
                if (moved.max(0) > 0).all() and (moved.min(0) < _SIDE).all():
                    draw.polygon([tuple(point) for point in moved.tolist()], fill=float(value))
    return np.asarray(tile)


def noise(x: np.ndarray, y: np.ndarray, frequency: float, rng: np.random.Generator, fineness: int = 1) -> np.ndarray:
    """Fractal noise of unit variance at image-plane coordinates x and y, which broadcast against each other.

    frequency: of its coarsest waves, per unit of x. fineness: 0 smooth … 2 fine.
    """
    return _sample(_noise_tiles()[fineness], x, y, frequency / 2, rng)


def leaves(x: np.ndarray, y: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Brightness of leaves, 0-1.3, at coordinates x and y; a leaf is about `size` units of x long."""
    return _sample(_leaf_tile(), x, y, 18 / _SIDE / size, rng)


def _sample(tile: np.ndarray, x: np.ndarray, y: np.ndarray, frequency: float, rng: np.random.Generator) -> np.ndarray:
    start = rng.uniform(0, _SIDE, 2)
    column = (x * (frequency * _SIDE) + (start[0] + 64 * _SIDE)).astype(np.int32) % _SIDE
    row = (y * (frequency * _SIDE) + (start[1] + 64 * _SIDE)).astype(np.int32) % _SIDE
    return tile[row, column]
