"""What skin has beside the face model's albedo: blotches, freckles, moles, stubble and beard; and glasses' place."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.scalp import Scalp
from datasets.synthetic.style import Style
from renderer.face_model import FaceModel

_WAVES = 48
_NOT_SKIN = ("eye", "iris", "pupil", "sclera", "teeth", "tooth", "gum", "tongue", "mouth", "lip", "brow", "lash")


class Complexion:
    """Tables over a face model's vertices for `detail` and `beard`.

    Args:
        model: any face model.
        scalp: its scalp, for the re-centred mean vertices.
    """

    def __init__(self, model: FaceModel, scalp: Scalp):
        mean, points = scalp.mean, scalp.mean[model.landmarks]
        rng = np.random.default_rng(1)
        waves = rng.normal(size=(3, _WAVES)) * np.repeat([3.0, 9.0, 20.0], _WAVES // 3)
        self._fields = np.cos(mean @ waves + rng.uniform(0, 2 * np.pi, _WAVES)).astype(np.float32)  # [V, _WAVES]
        bare = np.array([not name.lower().startswith(_NOT_SKIN) for name in model.region_names])
        self.skin = bare[model.region]  # [V] bool
        brows = np.array([name.lower().startswith("brow") for name in model.region_names])[model.region]
        self.brow = brows if brows.any() else np.isin(np.arange(len(mean)), model.landmarks[17:27])  # [V] bool
        cheeks = points[[1, 15, 2, 14, 30, 31, 35]]
        reach = 0.30 * scalp.width
        near = np.exp(-(np.linalg.norm(mean[:, None] - cheeks, axis=-1) ** 2) / (2 * reach**2)).max(1)
        self._freckled = np.where(self.skin & (mean[:, 1] < points[27, 1]), near, 0.0)
        self._jaw, self._lip = self._beard_weights(mean, points, scalp.width)
        self._face = np.nonzero(self.skin & (mean[:, 2] > points[[0, 16], 2].mean() - 0.05))[0]

    def detail(self, style: Style) -> np.ndarray:
        """[V, 3] float32 factors of the albedo."""
        rng = np.random.default_rng(style.seed + 1)
        blotch = self._fields @ (rng.normal(size=_WAVES) * np.repeat([1.3, 0.8, 0.6], _WAVES // 3) / 4)
        factor = 1 + style.blotches * blotch[:, None] * np.array([0.7, 1.0, 1.05]) * self.skin[:, None]
        dots = rng.random(len(blotch)) < 0.22 * style.freckles * self._freckled
        factor[dots] *= 1 - rng.uniform(0.05, 0.2, (dots.sum(), 1)) * np.array([0.6, 1.0, 1.2])
        if len(self._face):
            factor[rng.choice(self._face, style.moles)] *= np.array([0.62, 0.55, 0.52])
        return factor.astype(np.float32)

    def beard(self, style: Style) -> np.ndarray:
        """[V] float32, 0-1: how far the skin is hidden by a beard."""
        if not style.beard:
            return np.zeros(len(self._jaw), np.float32)
        rng = np.random.default_rng(style.seed + 2)
        rough = self._fields @ (rng.normal(size=_WAVES) / 7)
        jaw, lip = style.beard_reach
        weight = np.maximum(jaw * self._jaw, lip * self._lip)
        return (np.clip(weight * (1 + 0.25 * rough), 0, 1) * style.beard).astype(np.float32)

    def _beard_weights(self, mean: np.ndarray, points: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
        mouth, nose = points[[48, 54]].mean(0), points[33]
        half = 0.5 * np.linalg.norm(points[54] - points[48])
        x, y = np.abs(mean[:, 0] - mouth[0]), mean[:, 1]
        # Upper edge: from under the nose's wings down to the corners, then up along the cheek to the sideburns.
        along = np.array([0, half * 1.1, half * 1.8, 0.44 * width, 0.52 * width])
        edge = np.interp(x, along, np.array([0, 0, 0.02, 0.12, 0.4]) + np.where(along < half * 2, mouth[1], nose[1]))
        low = points[8, 1] - 0.12 * width
        jaw = np.clip((edge - y) / (0.09 * width), 0, 1) * np.clip((y - low) / (0.1 * width), 0, 1)
        front = np.clip((mean[:, 2] - points[[0, 16], 2].mean() + 0.02) / (0.1 * width), 0, 1)
        lip = (
            np.clip((nose[1] - 0.02 - y) / 0.04, 0, 1) * np.clip((half * 1.25 - x) / 0.05, 0, 1) * (y > mouth[1] - 0.1)
        )
        mask = self.skin * front
        return jaw * mask, lip * mask
