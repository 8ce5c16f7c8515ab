"""Which triangle each pixel shows: the part of the rasteriser that has no gradient.

A z-buffer of one 64-bit key per pixel, in which the greatest key wins. A key holds how near the triangle is (1 minus
the normalised device z, a positive float, whose bits sort as integers do) above how low its number is, so one segment
maximum finds the nearest triangle and breaks ties by the lowest number. Where nothing is seen, nearness is 0.

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

SIDES = (2, 3)
BLOCK = 4  # pixels along a side of a block
CANDIDATES_AT_ONCE = 1 << 19  # (triangle, pixel) pairs in memory at a time, about 60 bytes each
MINIMUM_W = 1e-6  # a corner with less depth counts as behind the camera
DEPTH_MARGIN = 1e-6  # a corner this close to the near or far plane counts as past it
MARGIN = 0.5 + 2.0**-10  # from a box to the pixel centres it may hold; the small part is for rounding
ALIGNED = 16  # lists are made multiples of this, so that slices of tensors need no copies
_LAST = 2**30  # triangle t has rank _LAST - t: the lower the number, the greater the key
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

    corners: tf.Tensor  # [C, 3, N] float32, what their test reads
    boxes: Boxes
    keep: tf.Tensor  # [N] bool; the others draw nothing
    image: tf.Tensor  # [N] int32
    number: tf.Tensor  # [N] int32


Test = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From corners [C, 3, n], pixel columns [k, n] and rows [k, n]: inside and nearness, both [k (rows), k, n]."""


def _aligned(size: tf.Tensor) -> tf.Tensor:
    return size + -size % ALIGNED


def entries_of(mask: tf.Tensor) -> tf.Tensor:
    """[n, 2] int32 (triangle, image) where `mask` [T, B] is true, or of all its entries where shapes are static.

    The first is there again at the end, until n is a multiple of ALIGNED: drawn twice, a triangle looks the same.
    """
    if is_static():
        every, batch = tf.range(tf.size(mask)), tf.shape(mask)[1]
        return tf.stack([every // batch, every % batch], 1)
    entries = tf.cast(tf.where(mask), tf.int32)
    return tf.concat([entries, tf.tile(entries[:1], [-tf.shape(entries)[0] % ALIGNED, 1])], 0)


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


def edge_sides(x: tf.Tensor, y: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Twice the edges of N triangles: a pixel is on the inner side of an edge where the first is at least the second.

    Their difference is the edge function: the cross product of the offsets of an edge's ends from the pixel. Measured
    from the lower end, whichever triangle asks, it splits in a part per column and a part per row; and the two
    triangles of an edge compute exactly opposite parts, so a pixel centre is in one of them, or in both. As nothing is
    subtracted, no compiler can fuse a rounding away.

    Args:
        x, y: [3, N] corners in pixels.
        columns, rows: [k, N] pixels.

    Returns:
        [3, 1, k, N] and [3, k, 1, N], for the edges opposite to corners 0, 1 and 2.
    """
    x1, y1, x2, y2 = (tf.concat([v[i:], v[:i]], 0) for i in (1, 2) for v in (x, y))
    low_x = tf.where(y1 < y2, x1, x2)
    across = (low_x[:, None] - (columns + 0.5)) * (y2 - y1)[:, None]
    up = (tf.minimum(y1, y2)[:, None] - (rows + 0.5)) * (x2 - x1)[:, None]
    return across[:, None], up[:, :, None]


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
        steps = tf.range(side)
        columns, rows = (
            start + tf.cast(steps, tf.float32)[:, None] for start in (drawn.boxes.left, drawn.boxes.bottom)
        )
        inside, nearness = test(drawn.corners, columns, rows)
        inside, nearness = (tf.reshape(v, [side * side, -1]) for v in (inside, nearness))
        first = tf.cast(drawn.boxes.bottom, tf.int32) * self.picture.stride + tf.cast(drawn.boxes.left, tf.int32)
        first = tf.where(drawn.keep, first + drawn.image * self.picture.slots, _NOWHERE)
        slot = first + tf.reshape(steps[:, None] * self.picture.stride + steps, [-1, 1])
        # What is outside stays in the list: a nearness of 0 is quicker than a branch that no processor can predict.
        key = _key(tf.where(inside, nearness, 0.0), _LAST - drawn.number)
        if self.ceiling is not None:
            key = tf.where(key < tf.gather(self.ceiling, tf.maximum(slot, 0)), key, 0)
        return tf.math.unsorted_segment_max(key, slot, self.count)

    def draw_all(self, entries: tf.Tensor, load: Callable[[tf.Tensor], Drawn], side: int, test: Test) -> tf.Tensor:
        """Keys of the triangles `entries` [N], as many at a time as fit; `load` looks some of them up."""
        if is_static():
            return self.draw(load(entries), side, test)
        total, most = tf.shape(entries)[0], max(CANDIDATES_AT_ONCE // side**2 // ALIGNED, 1) * ALIGNED

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
        rows_of_corners = tf.transpose(drawn.corners, [2, 1, 0])
        most = CANDIDATES_AT_ONCE // BLOCK**2

        def step(begin: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            end = tf.minimum(begin + most, total)
            size = most if is_static() else _aligned(tf.cast(end - begin, tf.int32))
            # A block belongs to the last triangle that starts at or before it: count those that do.
            place = tf.cast(tf.where(starts < end, tf.maximum(starts - begin, 0), -1), tf.int32)
            owner = tf.cumsum(tf.math.unsorted_segment_sum(tf.ones_like(place), place, size)) - 1  # [P]
            block = tf.range(size) + tf.cast(begin - tf.gather(starts, owner), tf.int32)
            width = tf.maximum(tf.gather(across, owner), 1)
            row = block // width
            left = tf.gather(drawn.boxes.left, owner) + tf.cast((block - row * width) * BLOCK, tf.float32)
            bottom = tf.gather(drawn.boxes.bottom, owner) + tf.cast(row * BLOCK, tf.float32)
            blocks = Drawn(
                corners=tf.transpose(tf.gather(rows_of_corners, owner), [2, 1, 0]),
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
        w = tf.where(self.plain, w, float("nan"))  # NaN fails all comparisons
        # Divisions, as TensorFlow's optimiser makes 1 / w a reciprocal, which is rounded otherwise in some places.
        screen = tf.stack([x / w, y / w, 1.0 - z / w])  # [3, V, B]
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
        return tf.where(keep & (tf.minimum(columns, rows) > 0), tf.maximum(columns, rows), 0.0)

    def keys(self, buffer: ZBuffer) -> tf.Tensor:
        """[B · slots] int64 keys."""
        sides = (2,) if is_static() else SIDES  # lists of full length make a second class dearer than it saves
        found = []
        for low, side in zip((0, *sides), sides, strict=False):
            mask = (self.size > low) & (self.size <= side)
            found.append(buffer.draw_all(entries_of(mask), partial(self._load, mask), side, self.test))
        mask = self.size > sides[-1]
        found.append(buffer.draw_blocks(self._load(mask, entries_of(mask)), self.test))
        return reduce(tf.maximum, found)

    def _load(self, mask: tf.Tensor, entries: tf.Tensor) -> Drawn:
        number, image = tf.unstack(entries, axis=1)
        corners = tf.gather(self.table, tf.gather(self.triangles * self.batch, number) + image[:, None])  # [n, 3, 3]
        corners = tf.transpose(corners, [2, 1, 0])
        x, y, _ = (tf.unstack(v) for v in tf.unstack(corners))
        left, columns = span(smallest(x), greatest(x), self.picture.width)
        bottom, rows = span(smallest(y), greatest(y), self.picture.height)
        keep = tf.reshape(mask, [-1]) if is_static() else tf.ones_like(number, tf.bool)
        return Drawn(corners, Boxes(left, bottom, columns, rows), keep, image, number)

    def test(self, corners: tf.Tensor, columns: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Test`."""
        x, y, near = tf.unstack(corners)  # [3, n]
        across, up = edge_sides(x, y, columns, rows)
        inside = reduce(tf.logical_and, tf.unstack(across >= up))
        if not self.picture.cull:
            inside |= reduce(tf.logical_and, tf.unstack(across <= up))
        # Depth is linear on the screen. Written so that equal depths at the corners give that depth exactly.
        (x1, x2), (y1, y2), (n1, n2) = ((v[1] - v[0], v[2] - v[0]) for v in (x, y, near))
        area = x1 * y2 - x2 * y1
        by_column = (columns + 0.5 - x[0]) * ((n1 * y2 - n2 * y1) / area) + near[0]
        by_row = (rows + 0.5 - y[0]) * ((n2 * x1 - n1 * x2) / area)
        near = tf.unstack(near)
        return inside, tf.minimum(tf.maximum(by_column + by_row[:, None], smallest(near)), greatest(near))


def _key(nearness: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
    """The bits of `nearness` [k, N] float32 above those of `rank` [N] int32, as int64."""
    if is_static():  # XLA does not look into complex numbers
        return tf.cast(tf.bitcast(nearness, tf.int32), tf.int64) * 2**32 + tf.cast(rank, tf.int64)
    low = tf.tile(tf.bitcast(rank, tf.float32)[None], [nearness.shape[0], 1])
    return tf.bitcast(tf.complex(low, nearness), tf.int64)


def triangle_numbers(keys: tf.Tensor, picture: Picture) -> tf.Tensor:
    """[B, height, width] int32: the triangle of each key [B · slots] of the z-buffer, -1 for none."""
    ranks = tf.cast(tf.bitwise.bitwise_and(keys, 2**31 - 1), tf.int32)
    numbers = tf.where(keys >= 2**32, _LAST - ranks, -1)
    grid = tf.reshape(numbers, [-1, picture.slots // picture.stride, picture.stride])
    return grid[:, : picture.height, : picture.width]
