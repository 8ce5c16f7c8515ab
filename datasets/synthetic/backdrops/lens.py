"""Defocus and exposure: from linear light to the pixels of a picture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import fft, ndimage

_RADII = 24  # steps of the defocus radius between its limits, equal in the logarithm
_SMALLEST, _LARGEST = 0.006, 0.12  # share of the picture's side
_SHOULDER = 0.75  # linear light above which highlights bend towards white
_TABLE = (255 * np.linspace(0, 1, 4097) ** (2 / 2.2)).astype(np.float32)  # of the root of linear light


def linear(colour: object) -> np.ndarray:
    """RGB 0-255 to linear light 0-1, float32."""
    return ((np.clip(np.asarray(colour, float), 0, None) / 255) ** 2.2).astype(np.float32)


def defocus(light: np.ndarray, radius: float, side: int, blades: int = 0) -> np.ndarray:
    """[3, M, M] linear light seen through an aperture: a disc of `radius` · `side` pixels, or a polygon of `blades`.

    Periodic: what is nearer to the border than the radius is wrong.
    """
    step = np.clip(np.log(radius / _SMALLEST) / np.log(_LARGEST / _SMALLEST), 0, 1)
    kernel = _kernel(light.shape[-1], side, round(float(step) * (_RADII - 1)), blades)
    return np.maximum(fft.irfft2(fft.rfft2(light) * kernel, light.shape[1:]), 0)


@lru_cache(maxsize=512)
def _kernel(length: int, side: int, step: int, blades: int) -> np.ndarray:
    """[length, length // 2 + 1] complex64: spectrum of the aperture."""
    radius = side * _SMALLEST * (_LARGEST / _SMALLEST) ** (step / (_RADII - 1))
    fine = 3  # samples across a pixel
    reach = int(radius) + 2
    axis = (np.arange((2 * reach + 1) * fine) + 0.5) / fine - reach - 0.5
    far = np.hypot(axis[:, None], axis)
    if blades:
        angle = np.arctan2(axis[:, None], axis) % (2 * np.pi / blades) - np.pi / blades
        far = far * np.cos(angle) / np.cos(np.pi / blades) ** 0.5
    inside = (far < radius) * (1 + 0.35 * (far / radius) ** 4)  # lenses leave the rim a little brighter
    small = inside.reshape(2 * reach + 1, fine, 2 * reach + 1, fine).mean((1, 3))
    small = ndimage.gaussian_filter(small, 0.5)
    kernel = np.zeros((length, length))
    kernel[: len(small), : len(small)] = small / small.sum()
    return fft.rfft2(np.roll(kernel, (-reach, -reach), (0, 1))).astype(np.complex64)


def develop(light: np.ndarray, size: int, level: float) -> np.ndarray:
    """[3, N, N] float32 linear light to [size, size, 3] float32 RGB 0-255.

    level: RGB value that the picture's typical (geometric mean) light gets.
    """
    luminance = 0.3 * light[0] + 0.6 * light[1] + 0.1 * light[2]
    typical = np.exp(np.log(luminance + 1e-3 * luminance.mean() + 1e-9).mean())
    planes = [Image.fromarray(plane) for plane in np.ascontiguousarray(light * (linear(level) / typical))]
    if size != light.shape[-1]:
        planes = [plane.resize((size, size), Image.Resampling.BICUBIC) for plane in planes]
    light = np.stack([np.asarray(plane) for plane in planes], -1)
    over = np.maximum(light - _SHOULDER, 0)
    light = np.clip(light, 0, _SHOULDER) + (1 - _SHOULDER) * (over / (over + (1 - _SHOULDER)))
    return _TABLE[(np.sqrt(light) * 4096).astype(np.int32)]
