"""Our own uv atlas of the head: MakeHuman's patches, placed so that the face gets most of the texels.

MakeHuman's uv serves a whole body: a face is 150 of 1024 texels wide there, and lies on its side. Here the head's patch
is upright, as wide as the atlas and magnified about the face: half of the width is the face. Small patches and the
parts that have textures of their own lie below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

_ZOOM = 1.3  # the middle of a magnified tile is 1 + _ZOOM times as large


@dataclass(frozen=True)
class Tile:
    """A rectangle of MakeHuman's uv (v up) and where it lies in the atlas; or of no uv but the atlas's own."""

    source: tuple[float, float, float, float] | None  # u0, v0, u1, v1 in MakeHuman's uv
    place: tuple[float, float, float, float]  # u0, v0, u1, v1 in the atlas
    turned: bool = False  # MakeHuman's -u is up, and its v is to the right
    focus: tuple[float, float] | None = None  # of the tile, about which it is magnified

    def to_atlas(self, uv: np.ndarray) -> np.ndarray:
        """Atlas uv of `uv` [..., 2]: MakeHuman's, or the tile's own in [0, 1]."""
        x, y = uv[..., 0], uv[..., 1]
        if self.source is not None:
            u0, v0, u1, v1 = self.source
            x, y = (x - u0) / (u1 - u0), (y - v0) / (v1 - v0)
        if self.turned:
            x, y = y, 1 - x
        if self.focus is not None:
            x, y = (_magnified(value, centre, _ZOOM) for value, centre in zip((x, y), self.focus, strict=True))
        u0, v0, u1, v1 = self.place
        return np.stack([u0 + (u1 - u0) * x, v0 + (v1 - v0) * y], -1)

    def to_source(self, uv: np.ndarray) -> np.ndarray:
        """The inverse of `to_atlas`."""
        u0, v0, u1, v1 = self.place
        x, y = (uv[..., 0] - u0) / (u1 - u0), (uv[..., 1] - v0) / (v1 - v0)
        if self.focus is not None:
            x, y = (_magnified(value, centre, -_ZOOM / (1 + _ZOOM)) for value, centre in
                    zip((x, y), self.focus, strict=True))  # fmt: skip
        if self.turned:
            x, y = 1 - y, x
        if self.source is not None:
            u0, v0, u1, v1 = self.source
            x, y = u0 + (u1 - u0) * x, v0 + (v1 - v0) * y
        return np.stack([x, y], -1)


def _magnified(value: np.ndarray, centre: float, zoom: float) -> np.ndarray:
    """[0, 1] onto itself, 1 + zoom times as large at `centre`; the inverse has the zoom -zoom / (1 + zoom)."""
    below = value < centre
    reach = np.where(below, centre, 1 - centre)
    share = np.abs(value - centre) / reach
    share = share * (1 + zoom) / (1 + zoom * share)
    return centre + np.where(below, -1, 1) * share * reach


TILES = {
    "head": Tile((0.636, 0.145, 0.998, 0.825), (0.0, 0.465, 1.0, 1.0), turned=True, focus=(0.5, 0.33)),
    "neck": Tile((0.22, 0.838, 0.54, 0.98), (0.0, 0.27, 0.416, 0.455)),
    "mouth": Tile((0.752, 0.008, 0.93, 0.145), (0.43, 0.27, 0.66, 0.447)),
    "sockets": Tile((0.004, 0.54, 0.158, 0.64), (0.67, 0.27, 0.87, 0.40)),
    "eye": Tile(None, (0.0, 0.0, 0.25, 0.25)),
    "teeth": Tile((0.676, 0.874, 0.74, 0.922), (0.27, 0.05, 0.52, 0.24)),
    "tongue": Tile((0.621, 0.927, 0.65, 0.986), (0.54, 0.03, 0.66, 0.255)),
    "lashes": Tile(None, (0.70, 0.05, 0.80, 0.15)),
}


def tile_of(uv: np.ndarray) -> np.ndarray:
    """[N] str: the tile whose source holds each of MakeHuman's `uv` [N, 2]; empty where none does."""
    result = np.full(len(uv), "", dtype="U8")
    for name, tile in TILES.items():
        if tile.source is not None:
            u0, v0, u1, v1 = tile.source
            inside = (uv[:, 0] >= u0) & (uv[:, 0] <= u1) & (uv[:, 1] >= v0) & (uv[:, 1] <= v1)
            result[inside & (result == "")] = name
    return result


def texel_centres(size: int) -> np.ndarray:
    """[size, size, 2] uv of the centres of an atlas's texels, row 0 at the top (v = 1)."""
    axis = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(axis, 1 - axis), -1)


def resample(
    texture: np.ndarray, size: int, tiles: tuple[str, ...] = ("head", "neck", "mouth", "sockets")
) -> np.ndarray:
    """A picture over MakeHuman's uv [H, W, C] (row 0 at v = 1) in the atlas: [size, size, C] float32.

    Between the centres of texels, linearly; 0 outside of `tiles`.
    """
    texture = np.asarray(texture, np.float32)
    height, width, channels = texture.shape
    centres = texel_centres(size)
    result = np.zeros((size, size, channels), np.float32)
    for name in tiles:
        u0, v0, u1, v1 = TILES[name].place
        inside = (centres[..., 0] >= u0) & (centres[..., 0] <= u1) & (centres[..., 1] >= v0) & (centres[..., 1] <= v1)
        uv = TILES[name].to_source(centres[inside])
        rows, columns = (1 - uv[:, 1]) * height - 0.5, uv[:, 0] * width - 0.5
        for channel in range(channels):
            result[inside, channel] = map_coordinates(texture[..., channel], [rows, columns], order=1, mode="nearest")
    return result
