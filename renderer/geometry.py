"""From shape and expression coefficients to vertices: linearly, and for a model with joints by skinning as well."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from renderer.face_model import FaceModel
from renderer.pose import axis_angle_matrix


class Linear(tf.Module):
    """mean + basis · weights: `mean` [N, 3] and `basis` [N, 3, K] take [B, K] to [B, N, 3]."""

    def __init__(self, mean: np.ndarray, basis: np.ndarray):
        super().__init__()
        self.mean = tf.constant(mean, tf.float32)
        self.matrix = tf.constant(basis.reshape(-1, basis.shape[-1]).T, tf.float32)  # [K, 3·N]

    def __call__(self, weights: tf.Tensor) -> tf.Tensor:
        """[B, N, 3] of `weights` [B, K]."""
        return self.mean + tf.reshape(tf.matmul(weights, self.matrix), [-1, *self.mean.shape])


class Geometry(tf.Module):
    """Re-centred, unposed vertices of a face model.

    Args:
        face_model: the model; its arrays become constants.
        vertices: numbers of the vertices that are wanted, [N]; all of them if None.
    """

    def __init__(self, face_model: FaceModel, vertices: np.ndarray | None = None):
        super().__init__()
        centre = np.asarray(face_model.manifest.get("centre", face_model.mean_shape.mean(0)), np.float32)
        mean_shape = face_model.mean_shape - centre
        shape_basis = np.concatenate([face_model.shape_basis, face_model.expression_basis], -1)
        if face_model.skeleton is not None:  # what stands for the joints there is their first order; here they turn
            shape_basis[..., shape_basis.shape[-1] - face_model.skeleton.rotations :] = 0.0
        some = slice(None) if vertices is None else vertices
        self._shape = Linear(mean_shape[some], shape_basis[some])
        self._skinning = None if face_model.skeleton is None else _Skinning(face_model, centre, shape_basis, some)

    def __call__(self, weights: tf.Tensor) -> tf.Tensor:
        """[B, N, 3] decimetres of `weights` [B, S + E], shape and expression coefficients."""
        vertices = self._shape(weights)
        return vertices if self._skinning is None else self._skinning(vertices, weights)


class _Skinning(tf.Module):
    """Pose correctives and linear blend skinning (Li et al. 2017, equations 1 to 4).

    Joints are regressed from the shape with its expression, as the published implementations do; in the paper, from the
    shape alone.
    """

    def __init__(self, face_model: FaceModel, centre: np.ndarray, shape_basis: np.ndarray, some: slice | np.ndarray):
        super().__init__()
        skeleton = face_model.skeleton
        assert skeleton is not None
        self._parents = skeleton.parents.tolist()
        regressor = skeleton.regressor.astype(np.float64)
        joints = regressor @ face_model.mean_shape - centre  # its rows sum to 1 only nearly, so centred afterwards
        self._joints = Linear(joints, np.einsum("jv,vck->jck", regressor, shape_basis, optimize=True))
        self._units = tf.constant(skeleton.units, tf.float32)
        pose_basis = skeleton.pose_basis[some]
        self._correctives = tf.constant(pose_basis.reshape(-1, pose_basis.shape[-1]).T, tf.float32)  # [9 (J - 1), 3·N]
        self._weights = tf.constant(skeleton.weights[some].T, tf.float32)  # [J, N]

    def __call__(self, vertices: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Skinned [B, N, 3] of unposed `vertices` [B, N, 3] of `weights` [B, S + E]."""
        count = self._units.shape[-1]
        turns = tf.einsum("bk,jck->bjc", weights[:, weights.shape[-1] - count :], self._units)
        local = axis_angle_matrix(turns)  # [B, J, 3, 3]
        # B_P = Σ (R(θ) - R(0)) P, over all joints but the root
        entries = tf.reshape(local[:, 1:] - tf.eye(3), [-1, self._correctives.shape[0]])
        vertices += tf.reshape(tf.matmul(entries, self._correctives), tf.shape(vertices))
        joints = self._joints(weights)  # [B, J, 3]
        rotations, places = [local[:, 0]], [joints[:, 0]]
        for joint, parent in enumerate(self._parents[1:], 1):
            arm = joints[:, joint] - joints[:, parent]
            places.append(places[parent] + tf.linalg.matvec(rotations[parent], arm))
            rotations.append(tf.matmul(rotations[parent], local[:, joint]))
        world, place = tf.stack(rotations, 1), tf.stack(places, 1)  # [B, J, 3, 3], [B, J, 3]
        moves = place - tf.linalg.matvec(world, joints)  # a vertex that follows joint j goes to world · v + moves
        rigid = tf.reshape(tf.concat([world, moves[..., None]], -1), [-1, len(self._parents), 12])
        # Vertices innermost: sums over long rows, instead of many products of small matrices.
        blended = tf.unstack(tf.matmul(rigid, self._weights, transpose_a=True), num=12, axis=1)  # 12 of [B, N]
        x, y, z = tf.unstack(vertices, axis=-1)
        rows = [blended[i : i + 4] for i in (0, 4, 8)]
        return tf.stack([a * x + b * y + c * z + d for a, b, c, d in rows], -1)
