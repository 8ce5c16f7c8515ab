"""Pictures of the parts, made ready: brightness instead of colour, reduced to what an image can show, irises mended."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from renderer.makehuman.assets import Part

_BROWN = np.array([92.0, 60.0, 38.0])


def sheet_picture(part: Part, image_size: int, hairy: bool) -> np.ndarray:
    """[H, W, 2] float32 of hair or, unless `hairy`, of brows or lashes: brightness (1 on average) and alpha (0-1).

    Brightness is taken against its surroundings, so that a black root, or any other colour, is not in it.
    """
    assert part.texture is not None
    side = sheet_side(image_size)
    rgb, alpha = part.texture[..., :3].astype(np.float64), part.texture[..., 3] / 255
    grey = rgb @ [0.3, 0.59, 0.11] + 2.0
    wide = max(part.texture.shape[:2]) / 24
    around = _blur(grey * alpha, wide) / np.maximum(_blur(alpha, wide), 1e-4)
    bright = np.where(alpha > 0.02, grey / np.maximum(around, 1.0), 0)
    seen = alpha > 0.3
    spread = bright[seen].std() if seen.any() else 1.0
    bright = 1 + (bright - bright[seen].mean() if seen.any() else 1) * min(1.0, 0.33 / max(spread, 1e-3))
    near = _blur(bright * alpha, 3.0) / np.maximum(_blur(alpha, 3.0), 1e-6)  # beyond the edges, which are blended
    bright = np.where(alpha > 0.5, bright, np.where(_blur(alpha, 3.0) > 1e-3, near, 1.0))
    # Brows and lashes cover more texels for a pixel than hair does.
    shown = side if hairy else min(side, image_size)
    layers = [_resize(_resize(layer, shown), side) for layer in (np.clip(bright, 0.25, 2.2), alpha)]
    if hairy:  # blended sheets let through more than strands would
        layers[1] = np.clip(layers[1] * 1.25, 0, 1)
    return np.stack(layers, -1).astype(np.float32)


def sheet_side(image_size: int) -> int:
    """Texels along a side of the sheets' pictures."""
    return int(np.clip(1 << round(np.log2(2 * image_size)), 128, 512))


def iris_picture(name: str, picture: np.ndarray, image_size: int) -> np.ndarray:
    """[H, W, 3] float32 RGB 0-255 of an eye; MakeHuman's brown is red, and its other colours are strong."""
    rgb = picture[..., :3].astype(np.float64)
    grey = rgb.mean(-1, keepdims=True)
    colourful = np.clip((rgb.max(-1) - rgb.min(-1) - 28) / 25, 0, 1)[..., None]
    if name == "brown":
        mended = _BROWN * (grey / max(grey[colourful > 0.9].mean(), 1.0)) ** 0.7 + 6
    else:
        mended = grey + (rgb - grey) * 0.62
    rgb = rgb + (mended - rgb) * colourful
    white = (grey > 150) & (colourful < 0.5)
    rgb = np.where(white, rgb * [1.06, 1.05, 1.05], rgb)
    side = int(np.clip(1 << round(np.log2(image_size / 2)), 32, 256))
    return np.stack([_resize(rgb[..., k], side) for k in range(3)], -1).astype(np.float32)


def _resize(layer: np.ndarray, side: int) -> np.ndarray:
    picture = Image.fromarray(layer.astype(np.float32), mode="F")
    if max(layer.shape) > side:
        return np.asarray(picture.resize((side, side), Image.Resampling.BOX))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def _blur(layer: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(layer, sigma, mode="nearest")
