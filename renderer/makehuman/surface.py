"""Where each texel of the atlas lies on the mean head, and the fields over it that skin is painted with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf
from scipy.ndimage import distance_transform_edt, gaussian_filter

from renderer.rasterizer import interpolate, rasterize

_WAVES = 30  # cosines of each smooth noise field


@dataclass(frozen=True, eq=False)
class Surface:
    """The mean head's surface over the atlas: A texels along each side, row 0 at v = 1."""

    points: np.ndarray  # [A, A, 3] float32, decimetres; between the tiles, those of the nearest texel
    region: np.ndarray  # [A, A] int32, of the head's regions
    drawn: np.ndarray  # [A, A] bool: the mesh covers the texel
    area: np.ndarray  # [A, A] float32, square decimetres of the head that the texel covers; 0 between the tiles
    landmarks: np.ndarray  # [68, 3] decimetres
    masks: dict[str, np.ndarray]  # lips, ears, eyelids: [A, A] float32 in 0-1

    @property
    def size(self) -> int:
        """A."""
        return len(self.points)

    def near(self, centre: np.ndarray, reach: float | tuple[float, float, float]) -> np.ndarray:
        """[A, A] in 0-1: a Gaussian about a point, of standard deviation `reach` decimetres (of each axis)."""
        return np.exp(-0.5 * (((self.points - centre) / np.asarray(reach)) ** 2).sum(-1))

    @cached_property
    def waves(self) -> np.ndarray:
        """[A, A, 30] float32: cosines over the points in space, of wavelengths 2 to 0.2 dm, which no seam cuts."""
        rng = np.random.default_rng(1)
        frequencies = rng.normal(size=(3, _WAVES)) * np.repeat([3.0, 9.0, 22.0], _WAVES // 3)
        return np.cos(self.points @ frequencies.astype(np.float32) + rng.uniform(0, 2 * np.pi, _WAVES)).astype(
            np.float32
        )

    def noise(self, rng: np.random.Generator, low: float, middle: float, high: float) -> np.ndarray:
        """[A, A] smooth noise, of about the given standard deviations in its three bands."""
        band = np.repeat([low, middle, high], _WAVES // 3) * np.sqrt(2 / (_WAVES // 3))
        return self.waves @ (rng.normal(size=_WAVES) * band).astype(np.float32)

    @cached_property
    def grain(self) -> np.ndarray:
        """[A, A] float32 of unit variance: fine noise, as pores make; to be shifted for each person."""
        noise = np.random.default_rng(2).normal(size=(self.size, self.size))
        fine = gaussian_filter(noise, 0.0022 * self.size, mode="wrap")
        return (fine / fine.std()).astype(np.float32)

    @cached_property
    def brow(self) -> tuple[np.ndarray, np.ndarray]:
        """Place along the nearer brow ([A, A]; 0 inner end … 1 outer) and across it (decimetres, up positive)."""
        best = np.full((self.size, self.size), np.inf, np.float32)
        along, across = np.zeros_like(best), np.full_like(best, 9.0)
        for numbers in (range(21, 16, -1), range(22, 27)):
            line = self.landmarks[list(numbers)]
            ends = np.array([line[0] - 0.25 * (line[1] - line[0]), line[-1] + 0.25 * (line[-1] - line[-2])])
            line = np.concatenate([ends[:1], line, ends[1:]])
            for k in range(len(line) - 1):
                step = line[k + 1] - line[k]
                share = np.clip(((self.points - line[k]) @ step) / (step @ step), 0, 1)
                offset = self.points - line[k] - share[..., None] * step
                distance = np.linalg.norm(offset, axis=-1)
                closer = distance < best
                best = np.where(closer, distance, best)
                along = np.where(closer, (k + share) / (len(line) - 1), along)
                across = np.where(closer, np.copysign(distance, offset[..., 1]), across)
        return along, across


def build_surface(
    size: int,
    vertices: np.ndarray,
    triangles: np.ndarray,
    uv: np.ndarray,
    region: np.ndarray,
    landmarks: np.ndarray,
    masks: dict[str, np.ndarray],
) -> Surface:
    """The surface of a head [V, 3] with `uv` [V, 2] and `region` [V], at `size` texels; see Surface."""
    flat = np.concatenate([2 * uv - 1, np.zeros((len(uv), 1))], 1).astype(np.float32)
    frame = rasterize(
        flat[None], triangles.astype(np.int32), np.eye(4, dtype=np.float32)[None], (size, size), False
    ).layer(0)
    points = interpolate(frame, tf.constant(vertices[None], tf.float32)).numpy()[0, ::-1]
    drawn = frame.foreground_mask.numpy()[0, ::-1, :, 0] > 0
    number = frame.triangle_id.numpy()[0, ::-1, :, 0]
    corners = vertices[triangles]
    edges = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    in_uv = np.abs(np.cross(uv[triangles[:, 1]] - uv[triangles[:, 0]], uv[triangles[:, 2]] - uv[triangles[:, 0]]))
    stretch = np.linalg.norm(edges, axis=1) / np.maximum(in_uv, 1e-9) / size**2
    nearest = distance_transform_edt(~drawn, return_distances=False, return_indices=True)
    of_triangle = region[triangles[:, 0]]
    return Surface(
        points=points[tuple(nearest)].astype(np.float32),
        region=of_triangle[number][tuple(nearest)],
        drawn=drawn,
        area=np.where(drawn, np.minimum(stretch[number], np.quantile(stretch, 0.99)), 0).astype(np.float32),
        landmarks=landmarks.astype(np.float32),
        masks={name: _resized(mask, size) for name, mask in masks.items()},
    )


def _resized(mask: np.ndarray, size: int) -> np.ndarray:
    factor = len(mask) // size
    if factor > 1:
        return mask.reshape(size, factor, size, factor).mean((1, 3), dtype=np.float32)
    return np.repeat(np.repeat(mask, size // len(mask), 0), size // len(mask), 1).astype(np.float32)
