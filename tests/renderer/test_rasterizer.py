from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer import Camera, rasterizer, rasterizer_coverage
from renderer.rasterizer import rasterize
from tests.helpers.slow_rasterizer import slow_rasterize

IDENTITY = np.eye(4, dtype=np.float32)[None]
MODES = ("eager", "graph", "xla")


@cache
def drawer(mode: str, size: tuple[int, int], cull: bool = True, layers: int = 1) -> Callable[..., tuple]:
    """`rasterize` as users run it: op by op, as a graph, or compiled by XLA; returns mask, ids and barycentrics."""

    def draw(vertices, triangles, matrices):
        framebuffer = rasterize(vertices, triangles, matrices, size, cull, layers)
        assert framebuffer.triangle_id.shape[1] == layers
        return (
            framebuffer.foreground_mask,
            framebuffer.triangle_id,
            framebuffer.vertex_ids,
            framebuffer.barycentrics.value,
        )

    return draw if mode == "eager" else tf.function(draw, jit_compile=mode == "xla", reduce_retracing=mode != "xla")


def soup(seed: int, spread: float, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Random triangles around the origin: `spread` is how far their corners lie apart."""
    random = np.random.default_rng(seed)
    centres = random.uniform(-1, 1, [count, 1, 3])
    corners = centres + random.normal(0, spread, [count, 3, 3])
    return corners.reshape(-1, 3).astype(np.float32), np.arange(3 * count).reshape(count, 3)


def check_against_slow(mode, vertices, triangles, matrices, size, cull, layers=1):
    arguments = tf.constant(vertices), tf.constant(triangles, tf.int32), tf.constant(matrices)
    mask, numbers, corners, barycentrics = (v.numpy() for v in drawer(mode, size, cull, layers)(*arguments))
    for image in range(len(vertices)):
        ids, weights, doubtful = slow_rasterize(vertices[image], triangles, matrices[image], size, cull, layers)
        seen = mask[image, ..., 0] > 0
        found = np.where(seen, numbers[image, ..., 0], -1)
        assert doubtful.mean() < 0.3
        np.testing.assert_array_equal(found[:, ~doubtful], ids[:, ~doubtful])
        clear = ~doubtful & seen
        np.testing.assert_allclose(barycentrics[image][clear], weights[clear], atol=2e-3)
        np.testing.assert_array_equal(corners[image][seen], triangles[found[seen]])
        assert not barycentrics[image][~seen].any() and not numbers[image][~seen].any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("spread", [0.05, 0.4, 3.0])  # small, large, and far over the borders
def test_soups_against_a_slow_rasteriser(spread, cull, mode):
    vertices, triangles = zip(*(soup(seed, spread) for seed in range(3)), strict=True)
    matrices = np.repeat(Camera(16, 60.0).view_projection()[None], 3, 0)
    check_against_slow(mode, np.stack(vertices), triangles[0], matrices, (16, 16), cull)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cull", [True, False])
def test_triangles_across_the_camera_and_the_near_plane(cull, mode):
    vertices, triangles = zip(*(soup(seed, 1.0) for seed in range(3)), strict=True)
    matrices = np.repeat(Camera(16, 8.0, distance=0.6).view_projection()[None], 3, 0)  # inside the soup
    check_against_slow(mode, np.stack(vertices), triangles[0], matrices, (16, 16), cull)


@pytest.mark.parametrize("mode", MODES)
def test_depth_layers_against_a_slow_rasteriser(mode):
    vertices, triangles = zip(*(soup(seed, 0.6) for seed in range(2)), strict=True)
    matrices = np.repeat(Camera(12, 40.0).view_projection()[None], 2, 0)
    check_against_slow(mode, np.stack(vertices), triangles[0], matrices, (12, 12), False, layers=4)


def test_layers_past_the_last_triangle_are_empty_and_equal_depths_go_by_number():
    triangle = np.array([[-3, -3], [3, -3], [0, 6]])
    depths = (0.4, 0.2, 0.4, -0.5, 0.2)
    vertices = np.concatenate([np.c_[triangle, np.full(3, z)] for z in depths])[None].astype(np.float32)
    framebuffer = rasterize(vertices, np.arange(15).reshape(5, 3), IDENTITY, (6, 5), num_layers=7)
    assert framebuffer.triangle_id.shape == (1, 7, 5, 6, 1)
    for layer, number in enumerate([3, 1, 4, 0, 2]):
        assert (framebuffer.layer(layer).triangle_id.numpy() == number).all()
        assert framebuffer.layer(layer).foreground_mask.numpy().all()
    for layer in (5, 6):
        empty = framebuffer.layer(layer)
        assert not empty.foreground_mask.numpy().any() and not empty.barycentrics.value.numpy().any()


def test_a_picture_that_is_not_square():
    vertices, triangles = soup(5, 0.4)
    check_against_slow(
        "eager", vertices[None], triangles, Camera(16, 60.0).view_projection().numpy()[None], (21, 9), True
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), logarithm=st.floats(-2, 1), distance=st.floats(0.3, 20), cull=st.booleans())
def test_any_soup_from_any_distance(seed, logarithm, distance, cull):
    vertices, triangles = soup(seed, 10**logarithm, 8)
    matrix = Camera(12, 15.0, distance).view_projection().numpy()[None]
    check_against_slow("graph", vertices[None], triangles, matrix, (12, 12), cull)


@pytest.mark.parametrize("focal", [120.0, 20.0])  # blocks and boxes of 2 × 2 and 3 × 3 pixels
def test_many_candidates_in_several_rounds(monkeypatch, focal):
    vertices, triangles = soup(6, 0.6, 60)
    matrix = Camera(32, focal).view_projection()[None]
    whole = rasterize(vertices[None], triangles, matrix, (32, 32))
    for candidates in (101, 1000):
        monkeypatch.setattr(rasterizer_coverage, "CANDIDATES_AT_ONCE", candidates)
        rasterizer._traced.cache_clear()
        parts = rasterize(vertices[None], triangles, matrix, (32, 32))
        np.testing.assert_array_equal(parts.triangle_id, whole.triangle_id)
        np.testing.assert_array_equal(parts.foreground_mask, whole.foreground_mask)
    rasterizer._traced.cache_clear()


@pytest.mark.parametrize("mode", MODES)
def test_thousands_of_triangles_in_one_pixel(mode):
    random = np.random.default_rng(0)
    depths = random.permutation(np.linspace(-0.9, 0.9, 3000))
    corners = np.array([[-0.4, -0.4], [-0.1, -0.4], [-0.25, -0.05]])  # around the centre of pixel (1, 1) of 4 × 4
    vertices = np.concatenate([np.c_[corners, np.full(3, z)] for z in depths])[None].astype(np.float32)
    triangles = tf.reshape(tf.range(9000), [3000, 3])
    mask, numbers, *_ = drawer(mode, (4, 4))(tf.constant(vertices), triangles, tf.constant(IDENTITY))
    np.testing.assert_array_equal(np.argwhere(mask[0, 0, ..., 0]), [[1, 1]])
    assert numbers[0, 0, 1, 1, 0] == np.argmin(depths)


def test_row_zero_is_the_bottom_as_in_tensorflow_graphics():
    corner = np.array([[[-1, -1, 0], [0, -1, 0], [-1, 0, 0]]], np.float32)  # lower left, counter-clockwise
    mask = rasterize(corner, [[0, 1, 2]], IDENTITY, (8, 8)).foreground_mask
    assert mask.shape == (1, 1, 8, 8, 1)
    expected = np.add.outer(np.arange(8), np.arange(8)) < 4  # the diagonal's centres lie on the edge: inside
    np.testing.assert_array_equal(mask[0, 0, ..., 0].numpy() > 0, expected)


@pytest.mark.parametrize("mode", MODES)
def test_one_triangle_over_the_whole_picture(mode):
    vertices = np.array([[[-50, -40, 0.3], [60, -40, 0.3], [0, 90, 0.3]]], np.float32)
    mask, _, _, weights = drawer(mode, (40, 30))(*map(tf.constant, (vertices, [[0, 1, 2]], IDENTITY)))
    assert mask.numpy().all()
    place = weights.numpy()[0, 0] @ vertices[0]
    np.testing.assert_allclose(place[..., 0], np.broadcast_to((np.arange(40) + 0.5) / 20 - 1, [30, 40]), atol=1e-4)
    np.testing.assert_allclose(place[..., 1].T, np.broadcast_to((np.arange(30) + 0.5) / 15 - 1, [40, 30]), atol=1e-4)


def test_the_nearest_is_seen_and_ties_go_to_the_lowest_number():
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    layers = [np.c_[square, np.full(4, depth)] for depth in (0.5, 0.2, 0.2, 0.9)]
    one = np.array([[0, 1, 2], [0, 2, 3]])
    triangles = np.concatenate([one + 4 * layer for layer in range(4)])
    vertices = np.concatenate(layers)[None].astype(np.float32)
    framebuffer = rasterize(vertices, triangles, IDENTITY, (10, 10))
    assert set(np.unique(framebuffer.triangle_id)) == {2, 3}  # the first of the two nearest squares
    for seed in range(3):  # in any order of the triangles
        order = np.random.default_rng(seed).permutation(8)
        shuffled = rasterize(vertices, triangles[order], IDENTITY, (10, 10)).triangle_id.numpy()
        lowest = [min(np.flatnonzero(np.isin(order, pair))) for pair in ((2, 4), (3, 5))]
        assert set(np.unique(shuffled)) == set(lowest)


def test_depths_on_both_sides_of_zero():
    triangle = np.array([[-3, -3], [3, -3], [0, 6]])
    for depths in ((-0.5, -0.9), (-0.1, 0.1), (0.0, 0.3), (0.9, -0.9)):
        vertices = np.concatenate([np.c_[triangle, np.full(3, z)] for z in depths])[None].astype(np.float32)
        seen = rasterize(vertices, [[0, 1, 2], [3, 4, 5]], IDENTITY, (4, 4)).triangle_id
        np.testing.assert_array_equal(seen, np.full([1, 1, 4, 4, 1], np.argmin(depths)))


def test_nothing_beyond_the_near_and_far_planes():
    triangle = np.array([[-3, -3], [3, -3], [0, 6]])
    for depth, there in ((-1.01, 0), (-0.99, 1), (0.99, 1), (1.01, 0)):
        vertices = np.c_[triangle, np.full(3, depth)][None].astype(np.float32)
        assert (rasterize(vertices, [[0, 1, 2]], IDENTITY, (4, 4)).foreground_mask.numpy() == there).all()


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("shift", [0.0, 1 / 64, 0.123456])
def test_neighbours_leave_no_gap(shift, mode):
    # Inner corners lie anywhere (or, unshifted, exactly on pixel centres).
    cells = 23 if shift else 16
    random = np.random.default_rng(cells)
    y, x = np.meshgrid(np.linspace(-1.5, 1.5, cells + 1), np.linspace(-1.5, 1.5, cells + 1), indexing="ij")
    points = np.stack([x + shift, y + shift, np.zeros_like(x)], -1)
    if shift:
        points[1:-1, 1:-1, :2] += random.uniform(-0.3, 0.3, [cells - 1, cells - 1, 2]) * 3 / cells
    points = points.reshape(1, -1, 3).astype(np.float32)
    r, c = (i.ravel() for i in np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij"))
    a = r * (cells + 1) + c
    triangles = np.concatenate([np.c_[a, a + 1, a + cells + 1], np.c_[a + 1, a + cells + 2, a + cells + 1]])
    for cull, turned in ((True, triangles), (False, triangles[:, ::-1])):
        mask, *_ = drawer(mode, (32, 32), cull)(
            tf.constant(points), tf.constant(turned, tf.int32), tf.constant(IDENTITY)
        )
        assert mask.numpy().all()


@pytest.mark.parametrize("mode", MODES)
def test_a_centre_on_a_slanted_edge_is_in_both_of_its_triangles(mode):
    # Both ends are equally far from the centre of a pixel, by numbers whose products must be rounded: a compiler that
    # fuses a product with a sum, as XLA does, sees one edge from its two sides differently, and could leave a hole.
    count, random = 200, np.random.default_rng(0)
    centre = np.array([4.5, 3.5]) / 4 - 1  # of a pixel of 8 × 8
    half = np.round(random.uniform(0.05, 0.6, [count, 1, 2]) * 2**22) / 2**22
    half[..., 0] *= random.choice([-1, 1], [count, 1])
    aside = half[..., ::-1] * [-1, 1]  # left of the edge
    corners = np.concatenate([centre - half, centre + half, centre + aside, centre - aside], 1)  # [count, 4, 2]
    vertices = np.concatenate([corners, np.zeros([count, 4, 1])], -1).astype(np.float32)
    np.testing.assert_array_equal(vertices[..., :2], corners)
    matrices = tf.repeat(tf.constant(IDENTITY), count, 0)
    for one in ([0, 1, 2], [1, 0, 3]):
        mask, *_ = drawer(mode, (8, 8))(tf.constant(vertices), tf.constant([one], tf.int32), matrices)
        assert mask[:, 0, 3, 4, 0].numpy().all()


def test_a_centre_on_the_edge_of_two_triangles_is_in_both():
    points = np.array([[[-1, -1, 0.5], [1, -1, 0.5], [1, 1, 0.5], [-1, 1, 0.5]]], np.float32)
    framebuffer = rasterize(points, [[0, 2, 3], [0, 1, 2]], IDENTITY, (8, 8), num_layers=2)
    both = framebuffer.layer(1).foreground_mask[0, ..., 0].numpy()
    np.testing.assert_array_equal(both, np.eye(8))  # the diagonal
    np.testing.assert_array_equal(np.diag(framebuffer.layer(0).triangle_id[0, ..., 0]), np.zeros(8))


@pytest.mark.parametrize("mode", MODES)
def test_slivers_against_a_slow_rasteriser(mode):
    random = np.random.default_rng(2)
    ends = random.uniform(-1, 1, [40, 2, 3])
    width = random.normal(size=[40, 1, 3]) * 10.0 ** random.uniform(-4, -1, [40, 1, 1])
    third = ends[:, :1] + random.uniform(0, 1, [40, 1, 1]) * (ends[:, 1:] - ends[:, :1]) + width
    vertices = np.concatenate([ends, third], 1).reshape(1, -1, 3).astype(np.float32)
    matrix = Camera(16, 60.0).view_projection().numpy()[None]
    check_against_slow(mode, vertices, np.arange(120).reshape(40, 3), matrix, (16, 16), False)


def test_depths_of_a_sliver_stay_between_those_of_its_corners():
    # So thin that its plane is mostly rounding: in front of what is nearer, or behind what is further, it never shows.
    random = np.random.default_rng(3)
    start, along = np.array([-1.0, -1.0]), np.array([2.0, 2.0])  # the diagonal, which passes through centres
    slivers = [[start, start + along, start + 0.5 * along + random.normal(0, 1e-6, 2)] for _ in range(300)]
    flat = [[-3, -3], [3, -3], [0, 6]]
    depths = [random.uniform(-0.1, 0.1, 3) for _ in slivers]
    corners = np.array([np.c_[p, d] for p, d in zip(slivers, depths, strict=True)])
    for depth, hides in ((-0.11, True), (0.11, False)):
        vertices = np.concatenate([corners, np.c_[flat, np.full(3, depth)][None]]).reshape(1, -1, 3)
        framebuffer = rasterize(vertices, np.arange(903).reshape(301, 3), IDENTITY, (64, 64), False)
        alone = rasterize(vertices, np.arange(900).reshape(300, 3), IDENTITY, (64, 64), False)
        sliver = framebuffer.triangle_id.numpy() < 300
        assert alone.foreground_mask.numpy().sum() > 10
        np.testing.assert_array_equal(sliver, (alone.foreground_mask.numpy() > 0) & (not hides))


def test_slivers_and_triangles_without_area():
    flat = np.array([[-1, 0.03, 0], [1, 0.03, 0], [0.5, 0.03, 0], [0, 0, 0]], np.float32)[None]
    degenerate = rasterize(flat, [[0, 1, 2], [3, 3, 3], [0, 0, 1]], IDENTITY, (16, 16), False)
    assert not degenerate.foreground_mask.numpy().any()
    assert np.isfinite(degenerate.barycentrics.value).all()
    sliver = np.array([[[-1, 0.06, 0], [1, 0.0624, 0], [1, 0.0626, 0]]], np.float32)  # crosses centres at y = 1/16
    seen = rasterize(sliver, [[0, 1, 2]], IDENTITY, (16, 16)).foreground_mask[0, 0, ..., 0].numpy()
    assert 1 <= seen.sum() <= 3 and not np.delete(seen, 8, 0).any()


def test_vertices_that_are_not_numbers_are_not_drawn():
    vertices = np.array([[[-3, -3, 0.5], [3, -3, 0.5], [0, 6, 0.5], [np.nan, 0, 0]]], np.float32)
    framebuffer = rasterize(vertices, [[0, 1, 3], [0, 1, 2]], IDENTITY, (4, 4))
    np.testing.assert_array_equal(framebuffer.triangle_id, np.ones([1, 1, 4, 4, 1]))


def test_one_graph_serves_any_batch(sphere):
    vertices = sphere.mean_shape + np.random.default_rng(0).normal(0, 0.02, [3, *sphere.mean_shape.shape])
    vertices = vertices.astype(np.float32)
    matrix = Camera.generator(32).view_projection()[None]

    def draw(points):
        framebuffer = rasterize(points, sphere.triangles, matrix, (32, 32))
        return framebuffer.triangle_id, framebuffer.foreground_mask, framebuffer.barycentrics.value

    compiled = tf.function(draw, input_signature=[tf.TensorSpec([None, None, 3])])
    for a, b in zip(draw(vertices), compiled(vertices), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-5)
    again = compiled(vertices[:1])  # another batch size, no new trace, the same picture
    np.testing.assert_array_equal(again[0], draw(vertices)[0][:1])
    assert compiled.experimental_get_tracing_count() == 1


def test_wrong_arguments_are_refused():
    vertices, triangles = soup(0, 1.0)
    with pytest.raises(ValueError, match="vertices must have a rank of 3, but it has rank 2"):
        rasterize(vertices, triangles, IDENTITY, (4, 4))
    with pytest.raises(ValueError, match="view_projection_matrices must have a rank of 3"):
        rasterize(vertices[None], triangles, IDENTITY[0], (4, 4))
    with pytest.raises(ValueError, match="triangles must have exactly 3 dimensions in axis -1"):
        rasterize(vertices[None], triangles[:, :2], IDENTITY, (4, 4))
    with pytest.raises(ValueError, match="Not all batch dimensions are broadcast-compatible"):
        rasterize(np.stack([vertices] * 3), triangles, np.repeat(IDENTITY, 2, 0), (4, 4))
    with pytest.raises(ValueError, match=r"num_layers must be > 0. Received: num_layers=0"):
        rasterize(vertices[None], triangles, IDENTITY, (4, 4), num_layers=0)
