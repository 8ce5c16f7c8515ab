"""What a camera does to a picture: focus, vignette, noise, white balance, tone, sharpening. JPEG is the encoding's."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter

JPEG_QUALITY = (80, 98)  # range of the stored files' quality
_SHOULDER = 225.0  # level above which highlights bend towards white instead of clipping


def expose(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[S, S, 3] float RGB 0-255 to uint8, with the small faults that cameras have.

    Faults stay small where they would blur a label: exposure and white balance belong to the lighting's coefficients,
    and nothing moves an edge. Larger pictures are softer and noisier per pixel, since fewer pixels of the sensor are
    averaged in one of theirs.
    """
    size = len(picture)
    scale = (size / 64) ** 0.5
    # Light is the square of the level here, near enough to cameras' 2.2.
    light = np.square(np.clip(picture, 0, 255).astype(np.float32) * np.float32(1 / 255))
    blur = rng.choice([0.0, rng.uniform(0.25, 0.55), rng.uniform(0.5, 0.85)], p=[0.45, 0.48, 0.07]) * scale
    if blur > 0.2:
        light = gaussian_filter(light, (blur, blur, 0), mode="nearest", truncate=3.0)
    light *= np.exp(rng.normal(0, 0.03, 3) + rng.normal(0, 0.04)).astype(np.float32)  # white balance and exposure
    light *= _vignette(size, rng)
    light += _noise(light, rng, scale)
    level = 255 * np.sqrt(np.maximum(light, 0))
    if rng.random() < 0.6:
        level = _sharpen(level, rng.uniform(0.1, 0.5), rng.uniform(0.6, 1.0) * scale)
    return np.clip(np.rint(_tone(level, rng)), 0, 255).astype(np.uint8)


def _vignette(size: int, rng: np.random.Generator) -> np.ndarray:
    """[S, S, 1] float32: light that reaches the sensor, 1 near the middle."""
    strength = rng.choice([0.0, rng.uniform(0, 0.3)])  # lost in the corners
    middle = rng.normal(0, 0.1, 2)  # faces are not in the middle of a photograph
    axis = np.square(np.linspace(-1, 1, size)[:, None] - middle).astype(np.float32)  # [S, 2]
    return (1 - np.float32(strength / 2) * (axis[:, None, :1] + axis[None, :, 1:])).clip(0, 1)


def _noise(light: np.ndarray, rng: np.random.Generator, scale: float) -> np.ndarray:
    """[S, S, 3] float32 to add to `light`: photons' shot noise, and the electronics'.

    Neighbours are alike since a sensor's pixel sees one colour, and the others are interpolated; colours more so.
    """
    size = len(light)
    shared = 0.25 * min(scale / 2, 1.0)  # weight of a neighbour in either direction
    luma = _smooth(rng.standard_normal((size, size, 1), np.float32), [shared, 1, shared])
    chroma = _smooth(rng.standard_normal((size, size, 3), np.float32), [shared, 0.8, 1, 0.8, shared])
    # Of the square root of the light photons blur all levels alike; this is half their standard deviation, 1 = white.
    photons = min(rng.gamma(2.0, 0.8), 4.0) * scale**0.4 / 255
    electronics = rng.uniform(1, 4) * photons**2
    strength = np.sqrt(np.float32(4 * photons**2) * light + np.float32(electronics**2))
    return (np.float32(0.8) * luma + np.float32(0.6) * chroma) * strength


def _smooth(noise: np.ndarray, kernel: list[float]) -> np.ndarray:
    """Noise [S, S, C] correlated in both directions, of the same variance."""
    weights = np.array(kernel, np.float32) / np.linalg.norm(kernel)
    return correlate1d(correlate1d(noise, weights, 0, mode="wrap"), weights, 1, mode="wrap")


def _sharpen(level: np.ndarray, strength: float, radius: float) -> np.ndarray:
    """Unsharp masking, which leaves a faint halo along edges."""
    soft = gaussian_filter(level.mean(-1), radius, mode="nearest", truncate=3.0)
    return level + np.float32(strength) * (level.mean(-1) - soft)[..., None]


def _tone(level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Haze or deep blacks, contrast, saturation, and the highlights' shoulder."""
    lift = rng.uniform(-2, 8)
    level = lift + level * np.float32((255 - lift) / 255)
    contrast = np.float32(rng.normal(0, 0.05) * 255 / (2 * np.pi))
    level = level - contrast * np.sin(np.clip(level, 0, 255) * np.float32(2 * np.pi / 255))  # an S about mid grey
    grey = level.mean(-1, keepdims=True)
    level = grey + (level - grey) * np.float32(np.exp(rng.normal(0, 0.05)))
    over = np.maximum(level - _SHOULDER, 0)
    return np.minimum(level, _SHOULDER) + (255 - _SHOULDER) * (1 - np.exp(over / (_SHOULDER - 255)))
