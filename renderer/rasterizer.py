"""A triangle rasteriser in plain TensorFlow, with tensorflow-graphics' signature, conventions and result.

Which triangle a pixel shows is found without gradients: triangles become candidate (triangle, pixel) pairs over their
bounding boxes, pairs whose pixel centre lies outside their triangle are dropped, and one segment minimum over (depth,
triangle number) is the z-buffer. The barycentrics of the winners are then computed anew from their clip-space
vertices, which is where gradients pass.

Edges are tested in homogeneous pixel coordinates (Olano and Greer, "Triangle scan conversion using 2D homogeneous
coordinates", 1997), so a triangle that crosses the plane of the camera needs no clipping. Each test only sees a
vertex through its offset from the pixel centre, and is exactly opposite for the two triangles of an edge; with the
top-left rule for centres on an edge, neighbours neither leave a gap nor overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow_graphics.rendering import framebuffer as fb
from tensorflow_graphics.rendering import utils

PAIRS_AT_ONCE = 1 << 20  # candidate (triangle, pixel) pairs in memory at a time, about 100 bytes each
_EMPTY = tf.int64.max  # depth key of a pixel that no triangle covers
_TINY = 1.2e-38  # the smallest normal float32: "greater than zero" written as "at least"
_MINIMUM_W = 1e-6  # a corner with less depth counts as behind the camera
_MARGIN = 2.0**-10  # pixels around a bounding box, for the rounding of the perspective division


def rasterize(
    vertices: tf.Tensor,
    triangles: tf.Tensor,
    view_projection_matrices: tf.Tensor,
    image_size: tuple[int, int],
    enable_cull_face: bool = True,
    num_layers: int = 1,
) -> fb.Framebuffer:
    """Finds the triangle that each pixel shows, as `tensorflow_graphics.rendering.rasterization_backend.rasterize`.

    Args:
        vertices: [B, V, 3] float32, world coordinates.
        triangles: [T, 3] int32, vertex numbers, counter-clockwise seen from the front.
        view_projection_matrices: [B, 4, 4] float32, world to clip coordinates ([1, 4, 4] serves all images).
        image_size: (width, height) in pixels.
        enable_cull_face: whether triangles seen from behind are left out.
        num_layers: depth layers; only 1 is supported.

    Returns:
        A Framebuffer of tensors [B, 1, height, width, channels]. Row 0 is the bottom of the picture (y = -1 in
        normalised device coordinates), and pixel centres lie at half-integers. foreground_mask is 1.0 or 0.0;
        triangle_id and vertex_ids are int32, those of triangle 0 where nothing is seen; barycentrics are perspective
        correct, 0 where nothing is seen, and differentiable with respect to `vertices`. At equal depth the triangle
        with the lowest number is seen. What lies outside the near and far planes is not.

    Raises:
        ValueError: on wrong static shapes, or more than one layer.
    """
    vertices, triangles = tf.convert_to_tensor(vertices), tf.convert_to_tensor(triangles, tf.int32)
    matrices = tf.convert_to_tensor(view_projection_matrices)
    if num_layers != 1:
        raise ValueError(f"rasterize: only num_layers=1 is supported. Received: num_layers={num_layers}")
    for name, value, expected in (
        ("vertices", vertices, (None, None, 3)),
        ("triangles", triangles, (None, 3)),
        ("view_projection_matrices", matrices, (None, 4, 4)),
    ):
        if not value.shape.is_compatible_with(expected):
            raise ValueError(f"rasterize: {name} should have the shape {expected}. Received: {value.shape}")
    clip = utils.transform_homogeneous(matrices, vertices)  # [B, V, 4]
    pixels = _to_pixels(clip, image_size)
    key = _nearest(tf.stop_gradient(pixels), triangles, image_size, enable_cull_face)  # [B, H·W]
    return _framebuffer(key, pixels, triangles, image_size)


def _to_pixels(clip: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Clip coordinates [..., 4] to homogeneous pixel coordinates: (x, y) / w is a place in the picture, in pixels."""
    width, height = image_size
    x, y, z, w = tf.unstack(clip, axis=-1)
    return tf.stack([(x + w) * (0.5 * width), (y + w) * (0.5 * height), z, w], axis=-1)


def _nearest(pixels: tf.Tensor, triangles: tf.Tensor, image_size: tuple[int, int], cull: bool) -> tf.Tensor:
    """[B, H·W] int64: the lowest key of (depth, triangle number) among the triangles over each pixel, or _EMPTY."""
    width, height = image_size
    triangle, image, box = _boxes(pixels, triangles, image_size, cull)
    left, bottom, columns, rows = tf.unstack(tf.cast(box, tf.int32))
    edges = _edge_table(pixels, tf.gather(triangles, triangle), image, cull)  # [N, 15]
    boxes = tf.stack([left, bottom, columns, (image * height + bottom) * width + left, triangle], -1)  # [N, 5]
    ends = tf.cumsum(tf.cast(columns * rows, tf.int64))  # candidate pairs up to and with each triangle
    starts = ends - tf.cast(columns * rows, tf.int64)
    total = tf.reduce_max(tf.concat([[0], ends[-1:]], 0))
    pixel_count = tf.shape(pixels)[0] * (width * height)

    def step(first: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        last = tf.minimum(first + PAIRS_AT_ONCE, total)
        begin, end = _overlap(starts, ends, first, last)
        offsets = tf.cast(starts[begin:end] - first, tf.int32)
        owner = _owners(offsets, tf.cast(last - first, tf.int32))  # [P]
        local = tf.range(tf.size(owner)) - tf.gather(offsets, owner)
        x0, y0, span, base, number = tf.unstack(tf.transpose(tf.gather(boxes[begin:end], owner)))
        row = local // span
        column = local - row * span
        depth, inside = _test(tf.gather(edges[begin:end], owner), x0 + column, y0 + row)
        new = tf.where(inside, _key(depth, number), _EMPTY)
        found = tf.math.unsorted_segment_min(new, base + row * width + column, pixel_count)
        return last, tf.minimum(key, found)

    begin = (tf.zeros([], tf.int64), tf.fill([pixel_count], _EMPTY))
    _, key = tf.while_loop(lambda first, key: first < total, step, begin)
    return tf.reshape(key, [-1, width * height])


def _boxes(
    pixels: tf.Tensor, triangles: tf.Tensor, image_size: tuple[int, int], cull: bool
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Triangle numbers [N], image numbers [N] and pixel boxes (left, bottom, columns, rows) [4, N] of what may show."""
    x, y, _, w = tf.unstack(tf.transpose(pixels, [2, 1, 0]))  # each [V, B]
    corners = tf.gather(tf.concat([x / w, y / w, w], -1), tf.transpose(triangles))  # [3, T, 3·B]
    x, y, w = tf.split(corners, 3, -1)  # [3, T, B]
    # A triangle that reaches behind the camera has no box: all pixels are its candidates.
    crossing = tf.reduce_min(w, 0) <= _MINIMUM_W
    lows, sizes, keep = [], [], tf.reduce_max(w, 0) > 0
    extents = []
    for places, length in ((x, image_size[0]), (y, image_size[1])):
        low, high = tf.reduce_min(places, 0), tf.reduce_max(places, 0)
        extents.append(high - low)
        low = tf.math.ceil(tf.clip_by_value(low - (0.5 + _MARGIN), 0.0, float(length)))
        high = tf.math.floor(tf.clip_by_value(high + (0.5 + _MARGIN), 0.0, float(length)))
        low, high = tf.where(crossing, 0.0, low), tf.where(crossing, float(length), high)
        lows.append(low)
        sizes.append(high - low)
        keep &= high > low
    if cull:  # clearly from behind; the edge test decides the doubtful
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
        keep &= (area > -1e-6 * extents[0] * extents[1]) | crossing
    where = tf.where(keep)
    found = tf.cast(tf.transpose(where), tf.int32)
    return found[0], found[1], tf.stack([tf.boolean_mask(v, keep) for v in lows + sizes])


def _edge_table(pixels: tf.Tensor, corners: tf.Tensor, image: tf.Tensor, cull: bool) -> tf.Tensor:
    """What the test of a pixel needs of each triangle: x, y, z, w and a threshold of 3 corners or edges, [N, 15]."""
    flat = tf.gather(tf.reshape(pixels, [-1, 4]), corners + (image * tf.shape(pixels)[1])[:, None])  # [N, 3, 4]
    x, y, z, w = (tf.unstack(v) for v in tf.unstack(tf.transpose(flat, [2, 1, 0])))  # 3 corners each, [N]
    if not cull:  # turn what is seen from behind, where the determinant of (x, y, w) is negative
        e = _edge_functions(x, y)
        behind = e[0] * w[0] + e[1] * w[1] + e[2] * w[2] < 0
        for v in (x, y, z, w):
            v[1], v[2] = tf.where(behind, v[2], v[1]), tf.where(behind, v[1], v[2])
    thresholds = []
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3  # the edge opposite to corner i runs from j to k
        along_x, along_y = x[k] * w[j] - x[j] * w[k], y[k] * w[j] - y[j] * w[k]
        left_or_top = (along_y < 0) | ((along_y == 0) & (along_x < 0))
        thresholds.append(tf.where(left_or_top, 0.0, _TINY))
    return tf.stack([*x, *y, *z, *w, *thresholds], -1)


def _edge_functions(u: Sequence[tf.Tensor], v: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """For the edges opposite to corners 0, 1 and 2: the cross product of the offsets (u, v) of their ends."""
    return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]


def _test(edges: tf.Tensor, column: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Depth (normalised device z, [P]) of triangles at pixel centres, and whether the triangle is there, [P] bool."""
    planes = tf.unstack(tf.transpose(edges))  # each [P]: whole vectors are several times as fast as rows of three
    x, y, z, w, threshold = (planes[i : i + 3] for i in range(0, 15, 3))
    column, row = tf.cast(column, tf.float32) + 0.5, tf.cast(row, tf.float32) + 0.5
    e = _edge_functions([x[i] - w[i] * column for i in range(3)], [y[i] - w[i] * row for i in range(3)])
    depth_w = e[0] * w[0] + e[1] * w[1] + e[2] * w[2]
    depth_z = e[0] * z[0] + e[1] * z[1] + e[2] * z[2]
    inside = (e[0] >= threshold[0]) & (e[1] >= threshold[1]) & (e[2] >= threshold[2])
    return depth_z / depth_w, inside & (depth_w > 0) & (tf.abs(depth_z) <= depth_w)


def _overlap(starts: tf.Tensor, ends: tf.Tensor, first: tf.Tensor, last: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The range of triangles that have candidate pairs in first…last."""
    return tf.searchsorted(ends, [first], side="right")[0], tf.searchsorted(starts, [last], side="left")[0]


def _owners(offsets: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """[count] int32: which triangle each candidate pair belongs to, the first of them at or before pair 0."""
    steps = tf.scatter_nd(offsets[1:, None], tf.ones_like(offsets[1:]), [count])
    return tf.cumsum(steps)


def _key(depth: tf.Tensor, triangle: tf.Tensor) -> tf.Tensor:
    """int64 that sorts by depth, then by triangle number."""
    bits = tf.bitcast(depth, tf.int32)
    bits = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, 0x7FFFFFFF), bits)  # negative floats sort backwards
    return tf.cast(bits, tf.int64) * 2**32 + tf.cast(triangle, tf.int64)


def _framebuffer(
    key: tf.Tensor, pixels: tf.Tensor, triangles: tf.Tensor, image_size: tuple[int, int]
) -> fb.Framebuffer:
    """The framebuffer of the nearest triangles `key` [B, H·W] over vertices in `pixels` [B, V, 4]."""
    width, height = image_size
    seen = tf.reshape(key != _EMPTY, [-1])  # [B·H·W]
    number = tf.cast(tf.bitwise.bitwise_and(tf.reshape(key, [-1]), 0x7FFFFFFF), tf.int32)
    triangle_id = tf.where(seen, number, 0)
    vertex_ids = tf.gather(triangles, triangle_id)  # [B·H·W, 3]
    shape = tf.shape(pixels)
    first = tf.repeat(tf.range(shape[0]) * shape[1], width * height)
    corners = tf.gather(tf.reshape(pixels, [-1, 4]), vertex_ids + first[:, None])  # [B·H·W, 3, 4]
    x, y, _, w = (tf.unstack(v) for v in tf.unstack(tf.transpose(corners, [2, 1, 0])))  # 3 corners each, [B·H·W]
    column = tf.tile(tf.range(width, dtype=tf.float32) + 0.5, [height * shape[0]])
    row = tf.tile(tf.repeat(tf.range(height, dtype=tf.float32) + 0.5, width), [shape[0]])
    e = _edge_functions([x[i] - w[i] * column for i in range(3)], [y[i] - w[i] * row for i in range(3)])
    # Over their sum they are the perspective-correct barycentrics, which vanish in sum (b·(x - w·column)) as they do.
    scale = tf.where(seen, 1.0 / tf.where(seen, e[0] + e[1] + e[2], 1.0), 0.0)
    barycentrics = tf.stack([scale * e_i for e_i in e], -1)  # [B·H·W, 3]

    def image(value: tf.Tensor, channels: int) -> tf.Tensor:
        return tf.reshape(value, [-1, 1, height, width, channels])

    return fb.Framebuffer(
        foreground_mask=image(tf.cast(seen, tf.float32), 1),
        triangle_id=image(triangle_id, 1),
        vertex_ids=image(vertex_ids, 3),
        barycentrics=fb.RasterizedAttribute(image(barycentrics, 3)),
    )


def interpolate(framebuffer: fb.Framebuffer, attributes: tf.Tensor) -> tf.Tensor:
    """Vertex attributes at the pixels of a framebuffer, 0 outside the mesh.

    Args:
        framebuffer: from `rasterize`, or a layer of it.
        attributes: [B, V, C] float32.

    Returns:
        [B, H, W, C], or [B, L, H, W, C] if the framebuffer has layers. Three times as fast as
        `tensorflow_graphics.rendering.interpolate`, with the same values.
    """
    batch, count, channels = tf.unstack(tf.shape(attributes))
    ids = framebuffer.vertex_ids
    first = tf.reshape(tf.range(batch) * count, [-1] + [1] * (ids.shape.rank - 1))
    corners = tf.gather(tf.reshape(attributes, [batch * count, channels]), ids + first)  # [B, H, W, 3, C]
    return tf.reduce_sum(corners * framebuffer.barycentrics.value[..., None], -2)
