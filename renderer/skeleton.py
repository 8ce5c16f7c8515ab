"""Joints of a face model, such as FLAME's jaw and eyes: what linear blend skinning needs.

Li, Bolkart, Black, Li, Romero, "Learning a model of facial shape and expression from 4D scans", SIGGRAPH Asia 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Skeleton:
    """J joints over V vertices. The last R expression coefficients of its face model turn them.

    Joint 0 is the root, and a joint comes after its parent. Joint j turns about its own place by the axis-angle
    r_j = Σ_k units[j, :, k] · e_k (radians; right-handed, y up, z to the camera), in the frame of its parent.
    """

    parents: np.ndarray  # [J] int32, -1 for joint 0
    regressor: np.ndarray  # [J, V] float32: the joints of unposed vertices, regressor · vertices
    weights: np.ndarray  # [V, J] float32, how far each vertex follows each joint; they sum to 1
    pose_basis: np.ndarray  # [V, 3, 9 (J - 1)] float32 dm: pose correctives, by entries of R_j - I, row by row, j ≥ 1
    units: np.ndarray  # [J, 3, R] float32: radians per unit of the last R expression coefficients

    def __post_init__(self) -> None:
        joints, vertices = self.parents.size, self.weights.shape[0] if self.weights.ndim else 0
        expected = {
            "parents": (joints,),
            "regressor": (joints, vertices),
            "weights": (vertices, joints),
            "pose_basis": (vertices, 3, 9 * (joints - 1)),
            "units": (joints, 3, self.rotations),
        }
        for key, shape in expected.items():
            value = getattr(self, key)
            if value.shape != shape:
                raise ValueError(f"skeleton: {key} should have shape {shape}. Received: {value.shape}")
            if not np.isfinite(value).all():
                raise ValueError(f"skeleton: {key} holds NaN or infinity")
        if joints < 1 or self.parents[0] != -1 or not all(0 <= p < j for j, p in enumerate(self.parents[1:], 1)):
            raise ValueError(
                f"skeleton: parents should be -1, then numbers of earlier joints. Received: {self.parents.tolist()[:8]}"
            )
        if np.abs(self.weights.sum(1) - 1).max(initial=0) > 1e-3:
            raise ValueError("skeleton: the weights of each vertex should sum to 1")

    @property
    def rotations(self) -> int:
        """R: how many of the last expression coefficients turn joints."""
        return self.units.shape[-1] if self.units.ndim else 0


def first_order(skeleton: Skeleton, shape: np.ndarray) -> np.ndarray:
    """[V, 3, R]: how vertices `shape` [V, 3] begin to move per unit of the coefficients that turn joints.

    At rest R_j = I + [r_j]×, so a vertex moves by Σ_j w_j Σ_a r_a × (v - J_a) over the joints a from the root to j,
    and by the pose correctives of [r_j]×.
    """
    joints = skeleton.regressor.astype(np.float64) @ shape
    turns = skeleton.units.astype(np.float64)  # [J, 3, R]
    own = np.cross(turns.transpose(2, 0, 1)[:, None], (shape[:, None] - joints)[None])  # [R, V, J, 3]
    chain = own.copy()
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            chain[:, :, joint] += chain[:, :, parent]
    moved = np.einsum("vj,rvjc->vcr", skeleton.weights, chain)
    x, y, z = np.moveaxis(turns[1:], 1, 0)  # each [J - 1, R]
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, turns.shape[-1])  # [9 (J - 1), R]
    return moved + skeleton.pose_basis @ cross
