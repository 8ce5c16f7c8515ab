"""The light of a scene, as lamps and a sky, and the spherical harmonics that come closest to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from renderer.lighting import AMBIENT, harmonics
from renderer.pose import all_around

MAXIMUM = 3  # lamps
# How far light creeps round skin, per channel: red reaches furthest into it and out again.
SKIN_WRAP = np.array([0.32, 0.16, 0.10])


@dataclass(frozen=True, eq=False)
class Lamps:
    """Directional lamps in world coordinates, and an even sky; 1 shows an albedo as it is."""

    ambient: np.ndarray  # [3] RGB of the sky at the horizon
    slope: float  # how much brighter the sky is above, and darker the ground
    directions: np.ndarray  # [MAXIMUM, 3] unit, towards the lamps; the first is the key lamp
    colours: np.ndarray  # [MAXIMUM, 3] RGB intensities; 0 for a lamp that is not there

    def irradiance(self, normals: np.ndarray) -> np.ndarray:
        """[N, 3] RGB of the light on skin with the unit `normals` [N, 3] where nothing casts a shadow."""
        facing = normals @ self.directions.T  # [N, MAXIMUM]
        soft = np.maximum((facing[..., None] + SKIN_WRAP) / (1 + SKIN_WRAP), 0)  # [N, MAXIMUM, 3]
        return self.ambient * (1 + self.slope * normals[:, 1:2]) + (soft * self.colours).sum(1)

    def scaled(self, factor: float) -> Lamps:
        """All lights times `factor`."""
        return Lamps(self.ambient * factor, self.slope, self.directions, self.colours * factor)

    def coefficients(self) -> np.ndarray:
        """[27] float32, channel-major: the harmonics closest to `irradiance` over normals that a camera sees."""
        gamma = (_FIT @ self.irradiance(_NORMALS)).T  # [3, 9]
        gamma[:, 0] -= AMBIENT
        return gamma.reshape(-1).astype(np.float32)


def _least_squares(normals: np.ndarray) -> np.ndarray:
    """[9, N] from values at `normals` to harmonics; those turned to the camera count most, others keep it tame."""
    weights = np.sqrt(np.maximum(normals[:, 2] + 0.3, 0.05))[:, None]
    return np.linalg.pinv(harmonics(tf.constant(normals)).numpy() * weights) * weights[:, 0]


_NORMALS = all_around(400)
_FIT = _least_squares(_NORMALS)
