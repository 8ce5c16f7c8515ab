"""How much of the sky each vertex of a mesh sees: the shadow in nostrils, ears and the folds of lids."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from renderer.normals import one_rings, vertex_normals
from renderer.pose import all_around, looking_from, rotate
from renderer.rasterizer import interpolate, rasterize

_BATCH = 8


def sky_share(vertices: np.ndarray, triangles: np.ndarray, directions: int = 96, size: int = 256) -> np.ndarray:
    """[V] in 0-1: the cosine-weighted share of an even sky that no other part of the mesh hides.

    The mesh is drawn from many directions, from infinitely far; a vertex is seen from one where nothing is in front of
    it at its pixel.

    Args:
        vertices: [V, 3], any unit.
        triangles: [F, 3], counter-clockwise seen from outside.
        directions: from how many places on the sphere.
        size: pixels of each picture; details below their width are not resolved.
    """
    points = np.asarray(vertices - vertices.mean(0), np.float32)
    radius = float(np.linalg.norm(points, axis=1).max()) * 1.01
    points /= radius
    tolerance = 3.0 / size
    normals = vertex_normals(tf.constant(points[None]), one_rings(triangles))[0].numpy()
    seen, total = np.zeros(len(points)), np.zeros(len(points))
    towards = all_around(directions).astype(np.float32)
    # Clip coordinates are the points themselves; z is turned round, because what is nearest has the smallest depth.
    projection = tf.constant(np.diag([1.0, 1.0, -1.0, 1.0])[None], tf.float32)
    corners = tf.constant(triangles, tf.int32)
    for start in range(0, directions, _BATCH):
        part = towards[start : start + _BATCH]
        turned = rotate(tf.repeat(points[None], len(part), 0), looking_from(tf.constant(part)))
        # Both sides of a triangle hide what is behind it.
        frame = rasterize(turned, corners, projection, (size, size), enable_cull_face=False).layer(0)
        depth = interpolate(frame, turned[..., 2:])[..., 0].numpy()  # [B, size, size], row 0 at the bottom
        place = turned.numpy()
        pixel = np.clip(((place[..., :2] + 1) / 2 * size).astype(int), 0, size - 1)
        front = depth[np.arange(len(part))[:, None], pixel[..., 1], pixel[..., 0]]
        facing = np.maximum(part @ normals.T, 0.0)  # [B, V]
        seen += (facing * (place[..., 2] > front - tolerance)).sum(0)
        total += facing.sum(0)
    return seen / np.maximum(total, 1e-6)
