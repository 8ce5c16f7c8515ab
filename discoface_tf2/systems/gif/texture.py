"""GIF's texture consistency: faces of one style that differ in shape, expression and pose have one texture.

The images are taken back to the face model's texture coordinates, where they are compared as far as both show a place
(section 3.3; the reference code's `InterpolatedTextureLoss`).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from renderer import FaceModel, FaceRenderer
from renderer.layout import CoefficientLayout
from renderer.rasterizer import rasterize
from renderer.texture_map import bilinear

# uv in [0, 1] to clip coordinates, at a depth that is seen.
_UV_TO_CLIP = np.array([[2, 0, 0, -1], [0, 2, 0, -1], [0, 0, 0, 0], [0, 0, 0, 1]], np.float32)


class TextureSpace(tf.Module):
    """Takes images back to texture coordinates.

    Args:
        renderer: knows the mesh and the camera of the images.
        size: texels along each side, U.
    """

    def __init__(self, renderer: FaceRenderer, size: int) -> None:
        super().__init__(name="texture_space")
        self.renderer, self.size = renderer, size
        ids, weights, face = texels(renderer.face_model, size)
        self._ids, self._weights = tf.constant(ids), tf.constant(weights[..., None])
        self.face = tf.constant(face.reshape(size, size, 1))  # 1 where the texel is the face's, else 0

    def __call__(self, images: tf.Tensor, coefficients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images [B, H, W, 3] of coefficients [B, size] → texture [B, U, U, 3], visibility [B, U, U, 1] of 0 and 1.

        A texel is visible where its normal points to the camera and its place lies in the image; that another part of
        the face hides it is ignored, as in the reference.
        """
        renderer, camera = self.renderer, self.renderer.camera
        shape = renderer.shape(coefficients)
        vertices = renderer.pose(shape, coefficients)
        attributes = tf.concat([vertices, renderer.normals(coefficients, shape)], -1)  # [B, V, 6]
        at_texels = tf.reduce_sum(tf.gather(attributes, self._ids, axis=1) * self._weights, 2)  # [B, U·U, 6]
        at_texels = tf.reshape(at_texels, [-1, self.size, self.size, 6])
        places = camera.project(at_texels[..., :3]) / camera.image_size  # in [0, 1] of the image, y up
        inside = tf.reduce_all((places >= 0) & (places <= 1), -1, keepdims=True)
        toward = tf.reduce_sum(at_texels[..., 3:] * camera.towards(at_texels[..., :3]), -1, keepdims=True)
        visible = tf.cast(inside & (toward > 0), tf.float32) * self.face
        return bilinear(tf.cast(images, tf.float32), tf.stop_gradient(places)), tf.stop_gradient(visible)


def texels(face_model: FaceModel, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each texel of a uv map shows: vertex numbers [U·U, 3], barycentrics [U·U, 3], and 1.0 if the face, [U·U].

    Row 0 is at v = 1. Texels that no triangle covers have vertex 0 three times, and are not the face's.
    """
    corners = np.concatenate([face_model.uv, np.zeros_like(face_model.uv[:, :1])], -1)[None]
    triangles = face_model.triangles[face_model.face_triangles]
    layer = rasterize(corners, triangles, _UV_TO_CLIP[None], (size, size), enable_cull_face=False).layer(0)
    mask = layer.foreground_mask.numpy()[0, ::-1].reshape(-1)
    ids = layer.vertex_ids.numpy()[0, ::-1].reshape(-1, 3)
    weights = layer.barycentrics.value.numpy()[0, ::-1].reshape(-1, 3)
    return ids.astype(np.int32), weights.astype(np.float32), mask.astype(np.float32)


def pairs(seed: tf.Tensor, rows: int) -> tf.Tensor:
    """`rows` of all pairs of `rows` images, without replacement [rows or fewer, 2], by a stateless seed [2]."""
    every = np.stack(np.triu_indices(rows, 1), -1)  # [rows (rows - 1) / 2, 2]
    order = tf.argsort(tf.random.stateless_uniform([len(every)], seed))
    return tf.gather(tf.constant(every, tf.int32), order[:rows])


def texture_distance(textures: tf.Tensor, visible: tf.Tensor, compared: tf.Tensor) -> tf.Tensor:
    """Distance of the textures of each pair, [P]; 0 for equal ones.

    mean over texels and channels of σ((T_i - T_j)² V_i V_j) - 1/2, where both show the face. The reference multiplies
    the textures by the visibilities before the square, which for 0 and 1 is the same, and keeps the 1/2.

    Args:
        textures: [B, U, U, 3] in [-1, 1].
        visible: [B, U, U, 1] of 0 and 1; 0 off the face.
        compared: row numbers [P, 2].
    """
    first, second = (tf.gather(textures, compared[:, k]) for k in (0, 1))
    both = tf.gather(visible, compared[:, 0]) * tf.gather(visible, compared[:, 1])
    return tf.reduce_mean((tf.sigmoid(tf.square(first - second)) - 0.5) * both, axis=[1, 2, 3])


def interpolated(coefficients: tf.Tensor, share: tf.Tensor, layout: CoefficientLayout) -> tf.Tensor:
    """[B - 1, size] faces between each row and the next, of one texture and one light: row 0's.

    q_i = p_i + u (p_{i+1} - p_i) for shape, expression, pose and translation.

    Args:
        coefficients: [B, size].
        share: u, a scalar in [0, 1].
        layout: of the coefficients.
    """
    between = coefficients[:-1] + share * (coefficients[1:] - coefficients[:-1])
    for group in ("texture", "lighting"):
        where = layout.slice(group)
        shared = tf.repeat(coefficients[:1, where], tf.shape(between)[0], 0)
        between = tf.concat([between[:, : where.start], shared, between[:, where.stop :]], -1)
    return between
