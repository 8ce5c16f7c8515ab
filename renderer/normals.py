"""Vertex normals of triangle meshes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from renderer.xla import is_static


class Adjacency(NamedTuple):
    """Which triangles meet at each vertex, prepared for `vertex_normals`; see `one_rings`."""

    corners: tf.Tensor  # [3, T] int32, vertex numbers of the triangles
    triangle: tf.Tensor  # [3·T] int32, the triangles around vertex 0, around vertex 1, …
    vertex: tf.Tensor  # [3·T] int32, ascending: the vertex that each of them is around


def one_rings(triangles: np.ndarray) -> Adjacency:
    """The adjacency of `triangles` [T, 3], vertex numbers."""
    vertex = np.asarray(triangles, np.int32).ravel()
    order = np.argsort(vertex, kind="stable")
    return Adjacency(
        corners=tf.constant(np.asarray(triangles, np.int32).T),
        triangle=tf.constant(order // 3, tf.int32),
        vertex=tf.constant(vertex[order], tf.int32),
    )


def vertex_normals(vertices: tf.Tensor, adjacency: Adjacency) -> tf.Tensor:
    """Unit face normals summed over the one-ring of each vertex, then normalised; the spec's (v1−v2)×(v2−v3).

    Args:
        vertices: [B, V, 3] float32.
        adjacency: of the mesh's triangles, counter-clockwise seen from outside.

    Returns:
        [B, V, 3] unit vectors that point outwards; zero for a vertex without a triangle of any area.
    """
    count, batch = tf.shape(vertices)[1], tf.shape(vertices)[0]
    # Batch innermost: each gather and sum then moves whole rows of 3·B numbers.
    corners = tf.gather(tf.transpose(vertices, [1, 2, 0]), adjacency.corners)  # [3, T, 3, B]
    ax, ay, az = tf.unstack(corners[0] - corners[1], axis=1)  # each [T, B]
    bx, by, bz = tf.unstack(corners[1] - corners[2], axis=1)
    faces = _unit(tf.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1))  # [T, 3, B]
    faces = tf.reshape(faces, [-1, 3 * batch])
    if is_static():  # XLA lacks the other op, which needs no list of 3·T rows
        total = tf.math.unsorted_segment_sum(tf.gather(faces, adjacency.triangle), adjacency.vertex, count)
    else:
        total = tf.sparse.segment_sum(faces, adjacency.triangle, adjacency.vertex, num_segments=count)  # [V, 3·B]
    return tf.transpose(_unit(tf.reshape(total, [count, 3, batch])), [2, 0, 1])


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    """`vectors` [N, 3, B] over their length along axis 1."""
    squared = tf.reduce_sum(tf.square(vectors), 1, keepdims=True)
    return vectors * tf.math.rsqrt(tf.maximum(squared, 1e-24))
