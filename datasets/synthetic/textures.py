"""Pictures of the parts, made ready: brightness instead of colour, reduced to what an image can show, irises mended."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Iris:
    """A picture of both eyes, whose irises may be given another colour."""

    picture: np.ndarray  # [H, W, 3] float32, RGB 0-255
    share: np.ndarray  # [H, W, 1] 0-1: iris, but for the pupil
    pattern: np.ndarray  # [H, W, 1] its brightness, 1 on average

    def coloured(self, colour: np.ndarray | None) -> np.ndarray:
        """[H, W, 3] with irises of `colour` [3], RGB 0-255, or of their own."""
        if colour is None:
            return self.picture
        return self.picture + (self.pattern * colour - self.picture) * self.share


def iris_picture(name: str, picture: np.ndarray, image_size: int) -> Iris:
    """The iris of `picture` [H, W, 4] RGBA; MakeHuman's brown is red, and its other colours are strong."""
    rgb = picture[..., :3].astype(np.float64)
    grey = rgb.mean(-1, keepdims=True)
    chroma = (rgb.max(-1) - rgb.min(-1))[..., None]
    share = np.clip(np.maximum((chroma - 28) / 25, (150 - grey) / 25), 0, 1) * np.clip((grey - 18) / 14, 0, 1)
    pattern = (grey / max(grey[share > 0.9].mean(), 1.0)) ** 0.8
    mended = _BROWN * pattern if name == "brown" else grey + (rgb - grey) * 0.62
    rgb = rgb + (mended - rgb) * share
    rgb = np.where((grey > 150) & (share < 0.5), rgb * [1.06, 1.05, 1.05], rgb)
    side = int(np.clip(1 << round(np.log2(image_size / 2)), 32, 256))
    small = np.stack([_resize(layer, side) for layer in (*np.moveaxis(rgb, -1, 0), share[..., 0], pattern[..., 0])], -1)
    return Iris(small[..., :3], small[..., 3:4], small[..., 4:])


def _resize(layer: np.ndarray, side: int) -> np.ndarray:
    picture = Image.fromarray(layer.astype(np.float32), mode="F")
    if max(layer.shape) > side:
        return np.asarray(picture.resize((side, side), Image.Resampling.BOX))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def _blur(layer: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(layer, sigma, mode="nearest")
