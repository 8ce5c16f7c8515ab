"""What a camera does to a picture: focus, white balance, vignette, noise. (JPEG comes with the encoding.)"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

JPEG_QUALITY = (82, 97)  # range of the stored files' quality


def expose(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[S, S, 3] float RGB 0-255 to uint8, with the small faults that cameras have.

    Faults stay small where they would blur a label: exposure and white balance belong to the lighting's coefficients.
    """
    size = len(picture)
    blur = rng.choice([0.0, rng.uniform(0.25, 0.6), rng.uniform(0.5, 1.0)], p=[0.55, 0.37, 0.08]) * (size / 64) ** 0.5
    if blur > 0.2:
        picture = gaussian_filter(picture, (blur, blur, 0), mode="nearest")
    balance = np.exp(rng.normal(0, 0.015, 3) + rng.normal(0, 0.02))
    axis = np.linspace(-1, 1, size) ** 2
    vignette = 1 - rng.choice([0.0, rng.uniform(0, 0.16)]) * (axis[:, None] + axis)[..., None] / 2
    light = picture * balance * vignette
    lift = rng.uniform(-2, 8)  # haze, or deep blacks
    light = lift + light * (255 - lift) / 255
    strength = rng.gamma(2.0, 0.9)  # standard deviation of the noise at mid grey, in levels
    grain = rng.normal(size=light.shape) * 0.7 + rng.normal(size=(size, size, 1)) * 0.7
    light = light + grain * strength * np.sqrt(0.3 + np.clip(light, 0, 255) / 182)
    return np.clip(np.rint(_shoulder(light)), 0, 255).astype(np.uint8)


def _shoulder(light: np.ndarray) -> np.ndarray:
    """Highlights above 225 bend towards white instead of clipping."""
    over = np.maximum(light - 225, 0)
    return np.minimum(light, 225) + 30 * (1 - np.exp(-over / 30))
