"""What a face model leaves out, for photographs: the skull, the neck and the inside of the mouth behind a bare face."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from datasets.synthetic.scalp import Scalp, hairline, spherical
from renderer.face_model import FaceModel

_AROUND, _SKULL_ROWS, _NECK_ROWS = 40, 22, 8
_SKULL = np.array([0.50, 0.57, 0.645])  # radii over the width of the face; hair grows on a slightly larger ellipsoid
_MISSING = 0.2  # share of the scalp without skin from which on a model counts as a bare face
_MOUTH = np.array([70.0, 22.0, 24.0])


class StandIn:
    """A skull and a neck for a face model that has neither; nothing for one that has them.

    Args:
        model: any face model.
        scalp: its scalp. `scalp.missing` says how much of it the mesh does not have.

    Attributes:
        needed: whether there is anything; if not, N = 0.
        triangles: [F, 3] int32.
        vertex_azimuth, vertex_polar, vertex_hairline: [N] each, as a Scalp has them, for the roots of the hair.
    """

    def __init__(self, model: FaceModel, scalp: Scalp):
        self.needed = scalp.missing > _MISSING
        self._ends, self._width = model.landmarks[[0, 16]], scalp.width
        if not self.needed:
            self.triangles = np.zeros((0, 3), np.int32)
            self._points, self._normals, self._mouth = np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)
        else:
            self._build(model, scalp)
        self.vertex_polar, self.vertex_azimuth = scalp.polar(self._points + scalp.centre)
        self.vertex_hairline = hairline(self.vertex_azimuth)
        self._centre, self._mean_middle = scalp.centre, scalp.mean[self._ends].mean(0)

    def _build(self, model: FaceModel, scalp: Scalp) -> None:
        around = (np.arange(_AROUND) / _AROUND * 2 - 1) * np.pi
        down = np.linspace(0.02, np.pi - 0.02, _SKULL_ROWS)
        directions = spherical(around[:, None], down[None, :])  # [_AROUND, _SKULL_ROWS, 3]
        # Longer in front, where it reaches down behind the mouth.
        longer = np.where(directions[..., 1] < 0, 0.22 * np.maximum(np.cos(around), 0)[:, None], 0.0)
        radii = _SKULL + longer[..., None] * [0.0, 1.0, 0.0]
        skull = directions * radii * scalp.width
        normals = directions / radii
        landmarks = scalp.mean[model.landmarks] - scalp.centre
        # In front the skull keeps behind the face, further where the jaw swings back when it opens.
        tree = cKDTree(scalp.mean[:, :2] - scalp.centre[:2])
        near = tree.query(skull[..., :2].reshape(-1, 2), 8)[1]
        face = (scalp.mean[near, 2] - scalp.centre[2]).min(1).reshape(skull.shape[:2])
        low = np.clip((landmarks[33, 1] - skull[..., 1]) / (0.15 * scalp.width), 0, 1)
        skull[..., 2] = np.minimum(skull[..., 2], face - (0.06 + 0.12 * low) * scalp.width)
        chin = landmarks[8]
        share = np.linspace(0, 1, _NECK_ROWS)
        height = chin[1] + scalp.width * (0.25 - 0.85 * share)
        ring = np.stack([np.sin(around), 0 * around, np.cos(around)], -1)[:, None]
        neck = ring * scalp.width * 0.30 + np.stack(
            [0 * height, height, np.full_like(height, chin[2] - 0.52 * scalp.width)], -1
        )
        neck_normals = np.broadcast_to(ring, neck.shape)
        self._points = np.concatenate([skull.reshape(-1, 3), neck.reshape(-1, 3)])
        normals = np.concatenate([normals.reshape(-1, 3), neck_normals.reshape(-1, 3)])
        self._normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        first = np.arange(_AROUND * _SKULL_ROWS).reshape(_AROUND, _SKULL_ROWS)
        second = first.size + np.arange(_AROUND * _NECK_ROWS).reshape(_AROUND, _NECK_ROWS)
        self.triangles = np.concatenate([_tube(first), _tube(second)]).astype(np.int32)
        mouth = landmarks[[48, 54]].mean(0)
        half = np.linalg.norm(landmarks[54] - landmarks[48])
        offset = (self._points[:, :2] - mouth[:2]) / [0.75 * half, 0.8 * half]
        in_front = (self._points[:, 2] > chin[2] - 0.5 * scalp.width) & (np.arange(len(offset)) < first.size)
        self._mouth = (((offset**2).sum(1) < 1) & in_front) * 1.0

    def place(self, head: np.ndarray) -> np.ndarray:
        """[N, 3] in the frame of a head with unposed vertices `head` [V, 3], as wide as that head."""
        ends = head[self._ends].astype(float)
        scale = np.linalg.norm(ends[1] - ends[0]) / self._width
        return self._points * scale + ends.mean(0) + (self._centre - self._mean_middle) * scale

    def normals(self) -> np.ndarray:
        """[N, 3] unit, unposed."""
        return self._normals

    def colours(self, skin: np.ndarray) -> np.ndarray:
        """[N, 3] albedo for a person with the mean colour `skin` [3], RGB 0-255."""
        return skin + self._mouth[:, None] * (_MOUTH - skin)


def _tube(grid: np.ndarray) -> np.ndarray:
    """Outward triangles of a grid [around, rows] of vertex numbers, rows from the top down."""
    a, b = grid[:, :-1], grid[:, 1:]
    c, d = np.roll(grid, -1, 0)[:, :-1], np.roll(grid, -1, 0)[:, 1:]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([c, b, d], -1).reshape(-1, 3)])
