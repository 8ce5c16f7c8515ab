"""Which triangle each pixel shows: the part of the rasteriser that has no gradient.

A z-buffer of one 64-bit key per pixel, in which the greatest key wins. A key holds how near the triangle is (1 minus
the normalised device z, a positive float, whose bits sort as integers do) above how low its number is, so one segment
maximum finds the nearest triangle and breaks ties by the lowest number.

The work is laid out for kernels that run over long arrays. Triangles that show their back or hold no pixel centre are
dropped first, in a layout with the batch innermost. What is left goes by the size of its box: boxes of at most 2 × 2
and of 3 × 3 pixel centres are tested whole, greater ones are cut into blocks of 4 × 4. Triangles that reach past the
near or far plane or behind the camera take the slower way of `renderer.rasterizer_clipping`.

Inside `tf.function(jit_compile=True)` every shape is static: lists keep their longest possible length.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import NamedTuple

import tensorflow as tf

from renderer.xla import is_static

BLOCK = 4  # pixels along a side of a block
CANDIDATES_AT_ONCE = 1 << 19  # (triangle, pixel) pairs in memory at a time, about 60 bytes each
MINIMUM_W = 1e-6  # a corner with less depth counts as behind the camera
DEPTH_MARGIN = 1e-6  # a corner this close to the near or far plane counts as past it
MARGIN = 0.5 + 2.0**-10  # from a box to the pixel centres it may hold; the small part is for rounding
_LAST = 2**31 - 1  # triangle t has rank _LAST - t: the lower the number, the greater the key
_NOWHERE = -(2**30)  # a slot that stays negative, and so unwritten, whatever offset is added


class Picture(NamedTuple):
    """Sizes of the picture, and of the z-buffer, which has room for blocks that reach over its border."""

    width: int
    height: int
    cull: bool  # whether triangles seen from behind are left out

    @property
    def stride(self) -> int:
        """Slots per row."""
        return self.width + BLOCK - 1

    @property
    def slots(self) -> int:
        """Slots per image."""
        return self.stride * (self.height + BLOCK - 1)


class Boxes(NamedTuple):
    """The pixel centres that N triangles may cover; sizes below 1 stand for none."""

    left: tf.Tensor  # [N] float32, the first column
    bottom: tf.Tensor  # [N] float32, the first row
    columns: tf.Tensor  # [N] float32
    rows: tf.Tensor  # [N] float32


class Drawn(NamedTuple):
    """N triangles to draw."""

    corners: tf.Tensor  # [N, 3, C] float32, what their test reads
    boxes: Boxes
    keep: tf.Tensor  # [N] bool; the others draw nothing
    image: tf.Tensor  # [N] int32
    number: tf.Tensor  # [N] int32


Test = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From corners [C, 3, n], pixel columns [k, n] and rows [k, n]: inside and nearness, both [k (rows), k, n]."""


def rows_of(mask: tf.Tensor) -> tf.Tensor:
    """Numbers [n] int32 of the entries of `mask` [N] that are true, or of all of them where shapes are static."""
    return tf.range(tf.size(mask)) if is_static() else tf.cast(tf.where(mask)[:, 0], tf.int32)


def span(low: tf.Tensor, high: tf.Tensor, length: int) -> tuple[tf.Tensor, tf.Tensor]:
    """First pixel centre between `low` and `high` along an axis of `length` pixels, and how many there are."""
    first = tf.maximum(tf.math.ceil(low - MARGIN), 0.0)
    return first, tf.minimum(tf.math.floor(high + MARGIN), float(length)) - first


def smallest(a: list[tf.Tensor]) -> tf.Tensor:
    """The least of three."""
    return tf.minimum(a[0], tf.minimum(a[1], a[2]))


def greatest(a: list[tf.Tensor]) -> tf.Tensor:
    """The greatest of three."""
    return tf.maximum(a[0], tf.maximum(a[1], a[2]))


def edge_functions(u: list[tf.Tensor], v: list[tf.Tensor]) -> list[tf.Tensor]:
    """For the edges opposite to corners 0, 1 and 2: the cross product of the offsets (u, v) of their ends.

    The two triangles of an edge compute exactly opposite values, so a pixel centre is in one of them, or in both.
    """
    return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]


class ZBuffer:
    """Makes the keys [B · slots] int64 of triangles.

    Args:
        picture: the sizes.
        batch: B, the number of images.
        ceiling: [B · slots] keys that candidates must stay below (those of the layer in front), or None.
    """

    def __init__(self, picture: Picture, batch: tf.Tensor, ceiling: tf.Tensor | None):
        self.picture, self.count, self.ceiling = picture, batch * picture.slots, ceiling

    def draw(self, drawn: Drawn, side: int, test: Test) -> tf.Tensor:
        """Keys of triangles whose boxes are of at most `side` × `side` pixels."""
        columns, rows = (
            start + tf.range(side, dtype=tf.float32)[:, None] for start in (drawn.boxes.left, drawn.boxes.bottom)
        )
        inside, nearness = test(tf.transpose(drawn.corners, [2, 1, 0]), columns, rows)
        first = tf.cast(drawn.boxes.bottom, tf.int32) * self.picture.stride + tf.cast(drawn.boxes.left, tf.int32)
        first = tf.where(drawn.keep, first + drawn.image * self.picture.slots, _NOWHERE)
        steps = tf.range(side)
        offsets = tf.reshape(steps[:, None] * self.picture.stride + steps, [-1, 1])
        slot = tf.where(tf.reshape(inside, [-1]), tf.reshape(first + offsets, [-1]), -1)
        rank = tf.tile(_LAST - tf.cast(drawn.number, tf.int64), [side * side])
        key = tf.cast(tf.bitcast(tf.reshape(nearness, [-1]), tf.int32), tf.int64) * 2**32 + rank
        if self.ceiling is not None:
            slot = tf.where(key < tf.gather(self.ceiling, tf.maximum(slot, 0)), slot, -1)
        return tf.math.unsorted_segment_max(key, slot, self.count)

    def draw_all(self, entries: tf.Tensor, load: Callable[[tf.Tensor], Drawn], side: int, test: Test) -> tf.Tensor:
        """Keys of the triangles `entries` [N], as many at a time as fit; `load` looks some of them up."""
        if is_static():
            return self.draw(load(entries), side, test)
        total, most = tf.size(entries), CANDIDATES_AT_ONCE // side**2

        def step(begin: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            drawn = load(entries[begin : begin + most])
            return begin + most, tf.maximum(keys, self.draw(drawn, side, test))

        return tf.while_loop(lambda begin, _: begin < total, step, (0, self._empty()), parallel_iterations=1)[1]

    def draw_blocks(self, drawn: Drawn, test: Test) -> tf.Tensor:
        """Keys of triangles of any size, cut into blocks of BLOCK × BLOCK pixels."""
        across, up = (tf.cast((size + (BLOCK - 1)) // BLOCK, tf.int32) for size in drawn.boxes[2:])
        counts = tf.where(drawn.keep, tf.cast(across * up, tf.int64), 0)
        ends = tf.cumsum(counts)  # blocks up to and with each triangle
        starts, total = ends - counts, tf.reduce_sum(counts)
        most = CANDIDATES_AT_ONCE // BLOCK**2

        def step(begin: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            end = tf.minimum(begin + most, total)
            size = most if is_static() else tf.cast(end - begin, tf.int32)
            # A block belongs to the last triangle that starts at or before it: count those that do.
            place = tf.cast(tf.where(starts < end, tf.maximum(starts - begin, 0), -1), tf.int32)
            owner = tf.cumsum(tf.math.unsorted_segment_sum(tf.ones_like(place), place, size)) - 1  # [P]
            block = tf.range(size) + tf.cast(begin - tf.gather(starts, owner), tf.int32)
            width = tf.maximum(tf.gather(across, owner), 1)
            row = block // width
            left = tf.gather(drawn.boxes.left, owner) + tf.cast((block - row * width) * BLOCK, tf.float32)
            bottom = tf.gather(drawn.boxes.bottom, owner) + tf.cast(row * BLOCK, tf.float32)
            blocks = Drawn(
                corners=tf.gather(drawn.corners, owner),
                boxes=drawn.boxes._replace(left=left, bottom=bottom),  # their sizes are not looked at
                keep=tf.range(size) < tf.cast(end - begin, tf.int32),
                image=tf.gather(drawn.image, owner),
                number=tf.gather(drawn.number, owner),
            )
            return end, tf.maximum(keys, self.draw(blocks, BLOCK, test))

        begin = (tf.zeros([], tf.int64), self._empty())
        return tf.while_loop(lambda begin, _: begin < total, step, begin, parallel_iterations=1)[1]

    def _empty(self) -> tf.Tensor:
        return tf.zeros([self.count], tf.int64)


class PlainTriangles:
    """All triangles of all images in screen coordinates, but for those with a corner past a plane or the camera.

    Args:
        pixels: [B, V, 4] homogeneous pixel coordinates.
        triangles: [T, 3] int32.
        picture: the sizes.
    """

    def __init__(self, pixels: tf.Tensor, triangles: tf.Tensor, picture: Picture):
        x, y, z, w = tf.unstack(tf.transpose(pixels, [2, 1, 0]))  # each [V, B]
        self.plain = (w > MINIMUM_W) & (tf.abs(z) < (1 - DEPTH_MARGIN) * w)
        per_w = tf.where(self.plain, 1.0 / w, float("nan"))  # NaN fails all comparisons
        screen = tf.stack([x * per_w, y * per_w, 1.0 - z * per_w])  # [3, V, B]
        self.table = tf.transpose(tf.reshape(screen, [3, -1]))  # [V·B, 3] x, y and nearness
        self.triangles, self.picture, self.batch = triangles, picture, tf.shape(pixels)[0]
        self.size = self._sizes(screen[0], screen[1])

    def _sizes(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """[T·B] float32: the longer side of each box, 0 for what is not seen; of vertices at `x`, `y` [V, B]."""
        corners = tf.transpose(self.triangles)
        x, y = (tf.unstack(tf.gather(v, corners)) for v in (x, y))  # three corners each, [T, B]
        lows, highs = [smallest(x), smallest(y)], [greatest(x), greatest(y)]
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
        keep = tf.abs(area) > 0
        if self.picture.cull:  # clearly from behind; the edge functions decide the doubtful
            keep &= area > (highs[0] - lows[0]) * (highs[1] - lows[1]) * -1e-6
        columns, rows = (span(lows[i], highs[i], self.picture[i])[1] for i in range(2))
        return tf.reshape(tf.where(keep & (tf.minimum(columns, rows) > 0), tf.maximum(columns, rows), 0.0), [-1])

    def keys(self, buffer: ZBuffer) -> tf.Tensor:
        """[B · slots] int64 keys."""
        sides = (2,) if is_static() else (2, 3)  # lists of full length make a second class dearer than it saves
        found = []
        for low, side in zip((0, *sides), sides, strict=False):
            mask = (self.size > low) & (self.size <= side)
            found.append(buffer.draw_all(rows_of(mask), partial(self._load, mask), side, self.test))
        mask = self.size > sides[-1]
        found.append(buffer.draw_blocks(self._load(mask, rows_of(mask)), self.test))
        return reduce(tf.maximum, found)

    def _load(self, mask: tf.Tensor, entries: tf.Tensor) -> Drawn:
        number = entries // self.batch
        image = entries - number * self.batch
        corners = tf.gather(self.table, tf.gather(self.triangles, number) * self.batch + image[:, None])  # [n, 3, 3]
        (x, y, _) = (tf.unstack(v) for v in tf.unstack(tf.transpose(corners, [2, 1, 0])))
        left, columns = span(smallest(x), greatest(x), self.picture.width)
        bottom, rows = span(smallest(y), greatest(y), self.picture.height)
        keep = tf.gather(mask, entries) if is_static() else tf.ones_like(entries, tf.bool)
        return Drawn(corners, Boxes(left, bottom, columns, rows), keep, image, number)

    def test(self, corners: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Test`."""
        x, y, near = tf.unstack(corners)  # [3, n]
        side = columns.shape[0]
        u = tf.tile((x[:, None] - (columns + 0.5))[:, None], [1, side, 1, 1])  # [3, k, k, n]
        v = tf.tile((y[:, None] - (rows + 0.5))[:, :, None], [1, 1, side, 1])
        e = edge_functions(tf.unstack(u), tf.unstack(v))
        total = e[0] + e[1] + e[2]
        inside = (smallest(e) >= 0) & (total > 0)
        if not self.picture.cull:
            inside |= (greatest(e) <= 0) & (total < 0)
        # Depth is linear on the screen. Written so that equal depths at the corners give that depth exactly.
        depths = tf.stack([near[0], near[1] - near[0], near[2] - near[0]])[:, None, None]
        base, second, third = tf.unstack(tf.tile(depths, [1, side, side, 1]))
        return inside, base + (e[1] * second + e[2] * third) / total


def triangle_numbers(keys: tf.Tensor, picture: Picture) -> tf.Tensor:
    """[B, height, width] int32: the triangle of each key [B · slots] of the z-buffer, -1 for none."""
    ranks = tf.cast(tf.bitwise.bitwise_and(keys, _LAST), tf.int32)
    numbers = tf.where(keys > 0, _LAST - ranks, -1)
    grid = tf.reshape(numbers, [-1, picture.slots // picture.stride, picture.stride])
    return grid[:, : picture.height, : picture.width]
