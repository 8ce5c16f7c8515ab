"""What a picture's coefficients become when the picture is flipped left to right."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from renderer.face_model import FaceModel

_FLIP = np.array([-1.0, 1.0, 1.0])
_ANGLES = np.diag([1.0, -1.0, -1.0])  # pitch stays; yaw and roll turn round
# Spherical-harmonic terms that are odd in x change their sign: x, xy and xz (renderer/lighting.py has the order).
_LIGHTING = np.kron(np.eye(3), np.diag([1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0]))
_CANDIDATES = 8  # vertices that may lie in one place: closed lips, an eyelid on an eyeball, the axis of a sphere


def mirror_matrix(face_model: FaceModel, tolerance: float = 5e-3) -> np.ndarray | None:
    """M [lambda_size, lambda_size] with λ_flipped = λ · M, or None for a model whose mirror images it cannot draw.

    Each vertex is paired with the one on the other side. If the mean is symmetric and each mirrored basis vector is a
    combination of the basis vectors (for the built-in model: itself, itself negated, or its other-side namesake), M is
    what least squares finds. What is left over at one standard deviation may be, in any vertex, `tolerance` of the
    face's largest side (a third of a pixel at 64) or of the range of colours. A mean that was learned from people, as
    Basel's, is not symmetric.
    """
    mean = face_model.mean_shape.astype(np.float64)
    mean -= np.asarray(face_model.manifest.get("centre", mean.mean(0)), np.float64)
    size = np.ptp(mean, axis=0).max()
    near = tolerance * size
    distance, candidates = cKDTree(mean).query(mean * _FLIP, k=min(_CANDIDATES, len(mean)))
    if distance[:, 0].max() > near:
        return None
    possible = distance <= max(near / 20, 2 * distance[:, 0].max())
    alone = possible.sum(1) == 1
    bases = {
        "shape": (face_model.shape_basis * face_model.shape_std, _FLIP, face_model.shape_std),
        "texture": (face_model.texture_basis * face_model.texture_std, np.ones(3), face_model.texture_std),
        "expression": (face_model.expression_basis * face_model.expression_std, _FLIP, face_model.expression_std),
    }
    partner = candidates[:, 0].copy()
    mixes = {key: _mix(basis, partner, signs, alone) for key, (basis, signs, _) in bases.items()}
    # where several vertices share a place, the partner is the one that moves as the mirror says
    several = np.flatnonzero(~alone)
    error = np.where(possible[several], 0.0, np.inf)
    for key, (basis, signs, _) in bases.items():
        expected = basis[several] @ mixes[key]  # [several, 3, K]
        for k in range(candidates.shape[1]):
            mirrored = basis[candidates[several, k]] * signs[None, :, None]
            error[:, k] += np.square(mirrored - expected).sum((1, 2)) / np.square(basis).max()
    partner[several] = np.take_along_axis(candidates[several], error.argmin(1)[:, None], 1)[:, 0]
    if np.abs(face_model.mean_texture[partner] - face_model.mean_texture).max() > 255 * tolerance:
        return None
    matrix = np.zeros((face_model.layout.lambda_size,) * 2)
    for key, (basis, signs, std) in bases.items():
        mirrored = basis[partner] * signs[None, :, None]
        leftover = np.abs(basis @ mixes[key] - mirrored).max()
        if leftover > tolerance * (255 if key == "texture" else size):
            return None
        where = face_model.layout.slice(key)
        matrix[where, where] = (std[:, None] * mixes[key] / std[None]).T
    for key, block in (("angles", _ANGLES), ("lighting", _LIGHTING)):
        where = face_model.layout.slice(key)
        matrix[where, where] = block
    return matrix.astype(np.float32)


def _mix(basis: np.ndarray, partner: np.ndarray, signs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[K, K]: column k combines the basis [V, 3, K] to basis vector k as the mirror shows it, fitted on `rows`."""
    mirrored = (basis[partner] * signs[None, :, None])[rows].reshape(-1, basis.shape[-1])
    mix, *_ = np.linalg.lstsq(basis[rows].reshape(mirrored.shape), mirrored, rcond=None)
    return np.where(np.abs(mix) < 1e-6, 0.0, mix)
