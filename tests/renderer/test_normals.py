from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from renderer.normals import one_rings, vertex_normals


def slow_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """One vertex and one triangle at a time."""
    total = np.zeros_like(vertices)
    for a, b, c in triangles:
        face = np.cross(vertices[a] - vertices[b], vertices[b] - vertices[c])
        length = np.linalg.norm(face)
        for corner in (a, b, c):
            total[corner] += face / length if length else 0
    return total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-12)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_normals_against_a_slow_sum(mode):
    random = np.random.default_rng(0)
    vertices = random.normal(size=[3, 30, 3])
    triangles = np.stack([random.permutation(28)[:3] for _ in range(60)])  # vertices 28 and 29 have no triangle
    rings = one_rings(triangles)

    def compute(points):
        return vertex_normals(points, rings)

    if mode != "eager":
        compute = tf.function(compute, jit_compile=mode == "xla")
    normals = compute(tf.constant(vertices, tf.float32)).numpy()
    for image in range(3):
        np.testing.assert_allclose(normals[image], slow_normals(vertices[image], triangles), atol=1e-4)
    assert not normals[:, 28:].any()


def test_normals_of_a_ball_point_outwards(sphere):
    points = sphere.mean_shape
    normals = vertex_normals(points[None], one_rings(sphere.triangles))[0].numpy()
    seam = np.isin(np.arange(len(points)) % 41, (0, 40))  # where the grid closes, a vertex has half of its ring
    outwards = (normals * points).sum(-1) / np.linalg.norm(points, axis=-1)
    assert outwards[~seam].min() > 0.995


def test_a_triangle_without_area_counts_for_nothing():
    vertices = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]]], np.float32)
    normals = vertex_normals(vertices, one_rings(np.array([[0, 1, 2], [0, 1, 3]]))).numpy()
    np.testing.assert_allclose(normals[0], [[0, 0, 1]] * 3 + [[0, 0, 0]], atol=1e-6)
