"""The rasteriser's way for triangles that reach past the near or far plane, or behind the camera.

No new triangles are cut. Edges are tested in homogeneous pixel coordinates (Olano and Greer, "Triangle scan conversion
using 2D homogeneous coordinates", 1997), which holds on both sides of the camera; depth is tested at each pixel.
"""

from __future__ import annotations

from functools import reduce

import tensorflow as tf

from renderer.rasterizer_coverage import (
    MINIMUM_W,
    Boxes,
    Drawn,
    Picture,
    ZBuffer,
    edge_sides,
    entries_of,
    span,
)
from renderer.xla import is_static


class ClippedTriangles:
    """The triangles with at least one corner that is not plain.

    Args:
        pixels: [B, V, 4] homogeneous pixel coordinates.
        triangles: [T, 3] int32.
        plain: [V, B] bool, the corners in front of the camera and between the planes.
        picture: the sizes.
    """

    def __init__(self, pixels: tf.Tensor, triangles: tf.Tensor, plain: tf.Tensor, picture: Picture):
        self.picture = picture
        some = tf.reduce_any(tf.gather(~plain, tf.transpose(triangles)), 0)  # [T, B]
        number, image = tf.unstack(entries_of(some), axis=1)
        vertex = tf.gather(triangles, number) + (image * tf.shape(pixels)[1])[:, None]  # [N, 3] in [B·V]
        corners = tf.transpose(tf.gather(tf.reshape(pixels, [-1, 4]), vertex), [2, 1, 0])  # [4, 3, N]
        keep = tf.math.is_finite(tf.reduce_sum(corners, [0, 1]))
        if is_static():
            keep &= tf.reshape(some, [-1])
        boxes, there = self._boxes(corners)
        self.drawn = Drawn(corners, boxes, keep & there, image, number)

    def keys(self, buffer: ZBuffer) -> tf.Tensor:
        """[B · slots] int64 keys."""
        return buffer.draw_blocks(self.drawn, self.test)

    def _boxes(self, corners: tf.Tensor) -> tuple[Boxes, tf.Tensor]:
        """Boxes around what lies in front of the near plane: seen corners, and where edges pass the plane."""
        x, y, z, w = (tf.unstack(v) for v in tf.unstack(corners))
        ahead = [zi + wi for zi, wi in zip(z, w, strict=True)]  # of the near plane, z = -w
        seen = [a >= 0 for a in ahead]
        points = [(seen[i], x[i], y[i], w[i]) for i in range(3)]
        for i, j in ((0, 1), (1, 2), (2, 0)):
            crosses = seen[i] != seen[j]
            t = ahead[i] / tf.where(crosses, ahead[i] - ahead[j], 1.0)
            points.append((crosses, *(v[i] + t * (v[j] - v[i]) for v in (x, y, w))))
        odd = tf.zeros_like(seen[0])  # where the matrix projects the near plane behind the camera: no telling
        lows, highs = [[tf.fill(tf.shape(x[0]), sign * float("inf"))] * 2 for sign in (1, -1)]
        for there, *place, depth in points:
            odd |= there & (depth <= MINIMUM_W)
            for axis in range(2):
                value = place[axis] / tf.maximum(depth, MINIMUM_W)
                slack = 1e-5 * tf.abs(value)
                lows[axis] = tf.where(there, tf.minimum(lows[axis], value - slack), lows[axis])
                highs[axis] = tf.where(there, tf.maximum(highs[axis], value + slack), highs[axis])
        spans = []
        for low, high, length in zip(lows, highs, self.picture[:2], strict=True):
            spans.append(span(tf.where(odd, 0.0, low), tf.where(odd, float(length), high), length))
        (left, columns), (bottom, rows) = spans
        keep = (columns > 0) & (rows > 0)
        left, bottom, columns, rows = (tf.where(keep, v, 0.0) for v in (left, bottom, columns, rows))
        return Boxes(left, bottom, columns, rows), keep

    def test(self, corners: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `rasterizer_coverage.Test`."""
        x, y, z, w = tf.unstack(corners)  # [3, n]
        # Corners in front are divided by w, as those of plain triangles are: an edge shared with one agrees with it.
        front = w > MINIMUM_W
        scale = tf.where(front, w, 1.0)
        x, y = x / scale, y / scale
        across, up = edge_sides(x, y, columns, rows)
        # Other edges: the cross product of homogeneous offsets, whose halves too are the same for both triangles.
        beside = (x[:, None] - tf.where(front, 1.0, w)[:, None] * (columns + 0.5))[:, None]  # [3, 1, k, n]
        above = (y[:, None] - tf.where(front, 1.0, w)[:, None] * (rows + 0.5))[:, :, None]
        sides = []
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            both = front[j] & front[k]
            one = tf.where(both, across[i], beside[j] * above[k])
            other = tf.where(both, up[i], beside[k] * above[j])
            sides.append((one, other))
        # Times the scales of its two ends, each difference is the edge function of the corners themselves.
        weights = [(one - other) * (scale[i - 2] * scale[i - 1]) for i, (one, other) in enumerate(sides)]
        depth_z = weights[0] * z[0] + weights[1] * z[1] + weights[2] * z[2]
        depth_w = weights[0] * w[0] + weights[1] * w[1] + weights[2] * w[2]
        inside = reduce(tf.logical_and, (one >= other for one, other in sides)) & (depth_w > 0)
        if not self.picture.cull:
            inside |= reduce(tf.logical_and, (one <= other for one, other in sides)) & (depth_w < 0)
        nearness = 1.0 - depth_z / depth_w
        return inside & (nearness > 0) & (nearness <= 2), nearness
