"""What a picture's coefficients become when the picture is flipped left to right."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from renderer.face_model import FaceModel

_ANGLES = np.diag([1.0, -1.0, -1.0])  # pitch stays; yaw and roll turn round
# Spherical-harmonic terms that are odd in x change their sign: x, xy and xz (renderer/lighting.py has the order).
_LIGHTING = np.kron(np.eye(3), np.diag([1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0]))


def mirror_matrix(face_model: FaceModel, tolerance: float = 1e-3) -> np.ndarray | None:
    """M [lambda_size, lambda_size] with λ_flipped = λ · M, or None for a model whose mirror images it cannot draw.

    Each vertex is paired with the one on the other side. If the mean is symmetric and each mirrored basis vector is a
    combination of the basis vectors (for the built-in model: itself, itself negated, or its other-side namesake), both
    to `tolerance` of the spread, flipping is exact, and M is what least squares finds. A basis that was learned from
    people, as Basel's, is not closed under mirroring.
    """
    mean = face_model.mean_shape
    flip = np.array([-1.0, 1.0, 1.0])
    centre = np.asarray(face_model.manifest.get("centre", mean.mean(0)), np.float64)
    mean = mean.astype(np.float64) - centre
    size = np.ptp(mean, axis=0).max()
    # Vertices of different surfaces may lie in one place (an eyelid on an eyeball, the closed lips). Their region, and
    # how far all components together move them along each axis, which no mirror changes, tell them apart.
    motion = [np.linalg.norm(basis, axis=-1) for basis in (face_model.shape_basis, face_model.expression_basis)]
    marks = np.concatenate([*motion, face_model.region[:, None] * size], 1)
    tree = cKDTree(np.concatenate([mean, marks], 1))
    distance, partner = tree.query(np.concatenate([mean * flip, marks], 1))
    if distance.max() > tolerance * size:
        return None
    if np.abs(face_model.mean_texture[partner] - face_model.mean_texture).max() > 255 * tolerance:
        return None
    blocks = []
    bases = {
        "shape": (face_model.shape_basis * face_model.shape_std, flip, face_model.shape_std),
        "texture": (face_model.texture_basis * face_model.texture_std, np.ones(3), face_model.texture_std),
        "expression": (face_model.expression_basis * face_model.expression_std, flip, face_model.expression_std),
    }
    for basis, signs, std in bases.values():
        mirrored = (basis[partner] * signs[None, :, None]).reshape(-1, basis.shape[-1])
        flat = basis.reshape(mirrored.shape)
        # column k of `mix`: the combination of basis vectors that is basis vector k seen in the mirror
        mix, *_ = np.linalg.lstsq(flat, mirrored, rcond=None)
        if np.abs(flat @ mix - mirrored).max() > tolerance * np.abs(flat).max():
            return None
        mix = np.where(np.abs(mix) < 1e-6, 0.0, mix)
        blocks.append((std[:, None] * mix / std[None]).T)
    matrix = np.zeros((face_model.layout.lambda_size,) * 2)
    for name, block in zip(
        ("shape", "texture", "expression", "angles", "lighting"), [*blocks, _ANGLES, _LIGHTING], strict=True
    ):
        where = face_model.layout.slice(name)
        matrix[where, where] = block
    return matrix.astype(np.float32)
