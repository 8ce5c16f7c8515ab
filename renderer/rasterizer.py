"""A triangle rasteriser in plain TensorFlow, with tensorflow-graphics' signature, conventions and result.

Which triangle a pixel shows is found without gradients (`renderer.rasterizer_coverage`). The barycentrics of the
winners are then computed from their corners in clip space, which is where gradients pass, where they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import tensorflow as tf
from tensorflow_graphics.rendering import framebuffer as fb
from tensorflow_graphics.util import shape as tfg_shape

from renderer.rasterizer_clipping import ClippedTriangles
from renderer.rasterizer_coverage import (
    Picture,
    PlainTriangles,
    ZBuffer,
    triangle_numbers,
)
from renderer.xla import is_static


def rasterize(
    vertices: tf.Tensor,
    triangles: tf.Tensor,
    view_projection_matrices: tf.Tensor,
    image_size: tuple[int, int],
    enable_cull_face: bool = True,
    num_layers: int = 1,
    backend: object = None,
    *,
    differentiable: bool = False,
) -> fb.Framebuffer:
    """Finds the triangles that each pixel shows, as `tensorflow_graphics.rendering.rasterization_backend.rasterize`.

    It can be put in that function's place: same arguments, same framebuffer, and no gradient passes it, which
    `tensorflow_graphics.rendering.splat` relies on.

    Args:
        vertices: [B, V, 3] float32, world coordinates.
        triangles: [T, 3] int32, vertex numbers, counter-clockwise seen from the front.
        view_projection_matrices: [B, 4, 4] float32, world to clip coordinates. A batch of 1, here or of vertices,
            serves all images.
        image_size: (width, height) in pixels.
        enable_cull_face: whether triangles seen from behind are left out.
        num_layers: L, how many depth layers to draw: the nearest triangle of each pixel, the next one behind it, ….
        backend: tensorflow-graphics' choice between its two; there is one here, and this is ignored.
        differentiable: whether the barycentrics carry gradients to `vertices` and the matrices, which
            tensorflow-graphics' never do (it computes them anew: `rendering.barycentrics`).

    Returns:
        A Framebuffer of tensors [B, L, height, width, channels]. Row 0 is the bottom of the picture (y = -1 in
        normalised device coordinates), and pixel centres lie at half-integers. foreground_mask is 1.0 or 0.0;
        triangle_id and vertex_ids are int32, those of triangle 0 where nothing is seen; barycentrics are perspective
        correct, and 0 where nothing is seen. At equal depth the triangle with the lowest number comes first. A centre
        exactly on an edge is inside, and a triangle without area has no inside. What lies before the near plane
        (z < -w) or from the far plane on (z ≥ w) is not drawn, nor is a triangle with a corner that is not a finite
        number.

    Raises:
        ValueError: on wrong static shapes, or less than one layer; tensorflow-graphics' own messages.
    """
    vertices = tf.cast(tf.convert_to_tensor(vertices), tf.float32)
    triangles = tf.cast(tf.convert_to_tensor(triangles), tf.int32)
    matrices = tf.cast(tf.convert_to_tensor(view_projection_matrices), tf.float32)
    tfg_shape.check_static(vertices, has_rank=3, has_dim_equals=(-1, 3), tensor_name="vertices")
    tfg_shape.check_static(triangles, has_rank=2, has_dim_equals=(-1, 3), tensor_name="triangles")
    tfg_shape.check_static(
        matrices, has_rank=3, has_dim_equals=((-2, 4), (-1, 4)), tensor_name="view_projection_matrices"
    )
    tfg_shape.compare_batch_dimensions(
        tensors=(vertices, matrices),
        tensor_names=("vertices", "view_projection_matrices"),
        last_axes=(-3, -3),
        broadcast_compatible=True,
    )
    if num_layers < 1:
        raise ValueError(f"num_layers must be > 0. Received: num_layers={num_layers}")
    picture = Picture(int(image_size[0]), int(image_size[1]), bool(enable_cull_face))
    pixels = _to_pixels(vertices, matrices, picture)
    find = partial(_winners, picture, num_layers) if is_static() else _traced(picture, num_layers)
    winners = find(tf.stop_gradient(pixels), triangles)
    if not differentiable:
        pixels = tf.stop_gradient(pixels)
    return _framebuffer(winners, pixels, triangles, picture, num_layers)


def _to_pixels(vertices: tf.Tensor, matrices: tf.Tensor, picture: Picture) -> tf.Tensor:
    """[B, V, 4] homogeneous pixel coordinates (x, y, z, w): (x, y) / w is a place in the picture, in pixels."""
    half_x, half_y = 0.5 * picture.width, 0.5 * picture.height
    to_pixels = tf.constant([[half_x, 0, 0, half_x], [0, half_y, 0, half_y], [0, 0, 1, 0], [0, 0, 0, 1]], tf.float32)
    matrices = tf.matmul(to_pixels, matrices)
    return tf.matmul(vertices, matrices[:, :, :3], transpose_b=True) + matrices[:, None, :, 3]


@lru_cache(maxsize=64)
def _traced(picture: Picture, num_layers: int) -> Callable[..., tf.Tensor]:
    """`_winners` as one graph for any number of images, vertices and triangles, so that eager calls are quick too."""
    signature = [tf.TensorSpec([None, None, 4]), tf.TensorSpec([None, 3], tf.int32)]
    return tf.function(partial(_winners, picture, num_layers), input_signature=signature, autograph=False)


@tf.autograph.experimental.do_not_convert
def _winners(picture: Picture, num_layers: int, pixels: tf.Tensor, triangles: tf.Tensor) -> tf.Tensor:
    """[B, L, height, width] int32: the triangle of each pixel, from the nearest on, or -1."""
    # XLA wants sizes as plain numbers, if they are known, inside nested loops.
    batch = tf.shape(pixels)[0] if pixels.shape[0] is None else pixels.shape[0]
    plain = PlainTriangles(pixels, triangles, picture)

    def draw(ceiling: tf.Tensor | None) -> tf.Tensor:
        buffer = ZBuffer(picture, batch, ceiling)
        keys = plain.keys(buffer)

        def with_clipped() -> tf.Tensor:
            return tf.maximum(keys, ClippedTriangles(pixels, triangles, plain.plain, picture).keys(buffer))

        return tf.cond(tf.reduce_all(plain.plain), lambda: keys, with_clipped)

    if num_layers == 1:
        return triangle_numbers(draw(None), picture)[:, None]

    def step(layer: tf.Tensor, ceiling: tf.Tensor, layers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        keys = draw(ceiling)
        return layer + 1, keys, tf.concat([layers[1:], triangle_numbers(keys, picture)[None]], 0)

    begin = (
        0,
        tf.fill([batch * picture.slots], tf.int64.max),
        tf.zeros([num_layers, batch, picture.height, picture.width], tf.int32),
    )
    layers = tf.while_loop(lambda layer, *_: layer < num_layers, step, begin, parallel_iterations=1)[2]
    return tf.transpose(layers, [1, 0, 2, 3])


def _framebuffer(
    winners: tf.Tensor, pixels: tf.Tensor, triangles: tf.Tensor, picture: Picture, num_layers: int
) -> fb.Framebuffer:
    """The framebuffer of the triangles `winners` [B, L, height, width] over vertices in `pixels` [B, V, 4]."""
    width, height = picture.width, picture.height
    shape = tf.shape(pixels)
    batch = -1 if pixels.shape[0] is None else pixels.shape[0]
    winners = tf.reshape(winners, [-1])  # [P], P = B·L·height·width
    seen = winners >= 0
    triangle_id = tf.maximum(winners, 0)
    vertex_ids = tf.gather(triangles, triangle_id)  # [P, 3]
    places = tf.reshape(vertex_ids, [shape[0], -1]) + (tf.range(shape[0]) * shape[1])[:, None]
    corners = tf.gather(tf.reshape(pixels, [-1, 4]), tf.reshape(places, [-1, 3]))  # [P, 3, 4]
    x, y, _, w = (tf.unstack(v) for v in tf.unstack(tf.transpose(corners, [2, 1, 0])))  # 3 corners each, [P]
    column = tf.tile(tf.range(width, dtype=tf.float32) + 0.5, [height * num_layers * shape[0]])
    row = tf.tile(tf.repeat(tf.range(height, dtype=tf.float32) + 0.5, width), [num_layers * shape[0]])
    u, v = [x[i] - w[i] * column for i in range(3)], [y[i] - w[i] * row for i in range(3)]
    e = [u[i - 2] * v[i - 1] - u[i - 1] * v[i - 2] for i in range(3)]  # of the edges opposite to corners 0, 1 and 2
    # Over their sum they are the perspective-correct barycentrics, which vanish in sum (b·(x - w·column)) as they do.
    e = [tf.where(seen, e_i, 0.0) for e_i in e]  # triangle 0, looked up elsewhere, may hold anything
    scale = tf.math.reciprocal_no_nan(e[0] + e[1] + e[2])
    barycentrics = tf.transpose(tf.stack([scale * e_i for e_i in e]))  # [P, 3]

    def image(value: tf.Tensor, channels: int) -> tf.Tensor:
        return tf.reshape(value, [batch, num_layers, height, width, channels])

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
