from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_graphics.rendering import interpolate as tfg_interpolate

from renderer import Camera, rasterizer
from renderer.rasterizer import interpolate, rasterize

IDENTITY = np.eye(4, dtype=np.float32)[None]


def clipped(corners: np.ndarray) -> np.ndarray:
    """A triangle [3, 4] in clip space, cut at the near plane z = -w: a polygon, its corners with their weights [3]."""
    points = [np.r_[corner, weight] for corner, weight in zip(corners, np.eye(3), strict=True)]
    result = []
    for here, after in zip(points, points[1:] + points[:1], strict=True):
        a, b = here[2] + here[3], after[2] + after[3]
        if a >= 0:
            result.append(here)
        if (a < 0) != (b < 0):
            result.append(here + (after - here) * a / (a - b))
    return np.array(result)


def slow_rasterize(vertices, triangles, matrix, size, cull):
    """One pixel of one triangle at a time, in float64: id, barycentrics, depth, and where float32 may see otherwise."""
    width, height = size
    clip = np.c_[vertices, np.ones(len(vertices))].astype(np.float64) @ matrix.astype(np.float64).T
    ids, depth = np.full([height, width], -1), np.full([height, width], np.inf)
    weights, doubtful = np.zeros([height, width, 3]), np.zeros([height, width], bool)
    for number, triangle in enumerate(triangles):
        polygon = clipped(clip[triangle])
        for i in range(1, len(polygon) - 1):
            fan = polygon[[0, i, i + 1]]
            x, y = (fan[:, 0] / fan[:, 3] + 1) * width / 2, (fan[:, 1] / fan[:, 3] + 1) * height / 2
            area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
            if abs(area) < 1e-9 or (cull and area < 0):
                continue
            for row in range(height):
                for column in range(width):
                    u, v = x - column - 0.5, y - row - 0.5
                    cross = np.array([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
                    lengths = np.hypot(x - np.roll(x, 1), y - np.roll(y, 1))[[2, 0, 1]]
                    inside = cross / np.sign(area)
                    if (inside > -2e-3 * lengths).all() and (inside < 2e-3 * lengths).any():
                        doubtful[row, column] = True
                    if (inside < 0).any():
                        continue
                    linear = cross / area / fan[:, 3]
                    linear /= linear.sum()
                    z = linear @ fan[:, 2] / (linear @ fan[:, 3])
                    if z > 1:
                        continue
                    doubtful[row, column] |= abs(z - depth[row, column]) < 1e-5
                    if z < depth[row, column]:
                        ids[row, column], depth[row, column] = number, z
                        weights[row, column] = linear @ fan[:, 4:]
    return ids, weights, doubtful


def soup(seed: int, spread: float, count: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Random triangles around the origin: `spread` is how far their corners lie apart."""
    random = np.random.default_rng(seed)
    centres = random.uniform(-1, 1, [count, 1, 3])
    corners = centres + random.normal(0, spread, [count, 3, 3])
    return corners.reshape(-1, 3).astype(np.float32), np.arange(3 * count).reshape(count, 3)


def check_against_slow(vertices, triangles, matrices, size, cull):
    framebuffer = rasterize(vertices, triangles, matrices, size, cull).layer(0)
    for image in range(len(vertices)):
        ids, weights, doubtful = slow_rasterize(vertices[image], triangles, matrices[image], size, cull)
        seen = framebuffer.foreground_mask[image, ..., 0].numpy() > 0
        found = np.where(seen, framebuffer.triangle_id[image, ..., 0], -1)
        assert doubtful.mean() < 0.3
        np.testing.assert_array_equal(found[~doubtful], ids[~doubtful])
        clear = ~doubtful & seen
        np.testing.assert_allclose(framebuffer.barycentrics.value[image][clear], weights[clear], atol=2e-3)
        np.testing.assert_array_equal(framebuffer.vertex_ids[image][seen], triangles[found[seen]])
        assert not framebuffer.barycentrics.value[image][~seen].numpy().any()


@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("spread", [0.05, 0.4, 3.0])  # small, large, and far over the borders
def test_soups_against_a_slow_rasteriser(spread, cull):
    vertices, triangles = zip(*(soup(seed, spread) for seed in range(3)), strict=True)
    matrices = np.repeat(Camera(16, 60.0).view_projection()[None], 3, 0)
    check_against_slow(np.stack(vertices), triangles[0], matrices, (16, 16), cull)


@pytest.mark.parametrize("cull", [True, False])
def test_triangles_across_the_camera_and_the_near_plane(cull):
    vertices, triangles = zip(*(soup(seed, 1.0, 8) for seed in range(4)), strict=True)
    matrices = np.repeat(Camera(12, 6.0, distance=0.6).view_projection()[None], 4, 0)  # inside the soup
    check_against_slow(np.stack(vertices), triangles[0], matrices, (12, 12), cull)


def test_a_picture_that_is_not_square():
    vertices, triangles = soup(5, 0.4)
    check_against_slow(vertices[None], triangles, Camera(16, 60.0).view_projection().numpy()[None], (21, 9), True)


def test_many_candidates_in_several_rounds(monkeypatch):
    vertices, triangles = soup(6, 0.6, 60)
    matrix = Camera(32, 120.0).view_projection()[None]
    whole = rasterize(vertices[None], triangles, matrix, (32, 32))
    for pairs in (101, 1000):  # some triangles have more pairs than that, some fewer
        monkeypatch.setattr(rasterizer, "PAIRS_AT_ONCE", pairs)
        parts = rasterize(vertices[None], triangles, matrix, (32, 32))
        np.testing.assert_array_equal(parts.triangle_id, whole.triangle_id)
        np.testing.assert_array_equal(parts.foreground_mask, whole.foreground_mask)


def test_row_zero_is_the_bottom_as_in_tensorflow_graphics():
    corner = np.array([[[-1, -1, 0], [0, -1, 0], [-1, 0, 0]]], np.float32)  # lower left, counter-clockwise
    mask = rasterize(corner, [[0, 1, 2]], IDENTITY, (8, 8)).foreground_mask
    assert mask.shape == (1, 1, 8, 8, 1)
    expected = np.add.outer(np.arange(8), np.arange(8)) < 3
    inside = np.add.outer(np.arange(8), np.arange(8)) < 4  # the diagonal's centres lie on the edge itself
    assert (mask[0, 0, ..., 0].numpy()[expected] == 1).all()
    assert (mask[0, 0, ..., 0].numpy()[~inside] == 0).all()


def test_one_triangle_over_the_whole_picture():
    vertices = np.array([[[-50, -40, 0.3], [60, -40, 0.3], [0, 90, 0.3]]], np.float32)
    framebuffer = rasterize(vertices, [[0, 1, 2]], IDENTITY, (40, 30))
    assert framebuffer.foreground_mask.numpy().all()
    place = interpolate(framebuffer, tf.constant(vertices)).numpy()[0, 0]
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


@pytest.mark.parametrize("shift", [0.0, 1 / 64, 0.01, 0.123456])
@pytest.mark.parametrize("cells", [4, 16, 23])
def test_neighbours_neither_leave_gaps_nor_overlap(cells, shift):
    # Inner corners lie anywhere (or, unshifted, exactly on pixel centres); each triangle is an image of its own.
    random = np.random.default_rng(cells)
    y, x = np.meshgrid(np.linspace(-1.5, 1.5, cells + 1), np.linspace(-1.5, 1.5, cells + 1), indexing="ij")
    points = np.stack([x + shift, y + shift, np.zeros_like(x)], -1)
    if shift:
        points[1:-1, 1:-1, :2] += random.uniform(-0.3, 0.3, [cells - 1, cells - 1, 2]) * 3 / cells
    points = points.reshape(-1, 3).astype(np.float32)
    r, c = (i.ravel() for i in np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij"))
    a = r * (cells + 1) + c
    triangles = np.concatenate([np.c_[a, a + 1, a + cells + 1], np.c_[a + 1, a + cells + 2, a + cells + 1]])
    alone = tf.gather(points, triangles)  # [T, 3, 3]
    for cull, turned in ((True, alone), (False, tf.reverse(alone, [1]))):
        covered = tf.reduce_sum(rasterize(turned, [[0, 1, 2]], IDENTITY, (32, 32), cull).foreground_mask, 0)
        np.testing.assert_array_equal(covered, tf.ones_like(covered))
    assert rasterize(points[None], triangles, IDENTITY, (32, 32)).foreground_mask.numpy().all()


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


def test_interpolation_agrees_with_tensorflow_graphics(sphere):
    random = np.random.default_rng(0)
    vertices = sphere.mean_shape + random.normal(0, 0.02, [2, *sphere.mean_shape.shape]).astype(np.float32)
    framebuffer = rasterize(vertices, sphere.triangles, Camera.generator(32).view_projection()[None], (32, 32))
    attributes = tf.constant(random.normal(size=[2, vertices.shape[1], 5]), tf.float32)
    expected = tfg_interpolate.interpolate_vertex_attribute(attributes, framebuffer).value
    assert interpolate(framebuffer, attributes).shape == (2, 1, 32, 32, 5)
    np.testing.assert_allclose(interpolate(framebuffer, attributes), expected, atol=1e-5)
    layer = framebuffer.layer(0)
    np.testing.assert_allclose(interpolate(layer, attributes), expected[:, 0], atol=1e-5)


def test_interpolation_is_perspective_correct():
    # The world coordinates of what a pixel shows must project back onto the pixel.
    camera = Camera(24, 40.0, distance=3.0)
    vertices = np.array([[[-3, -2, -4], [2.5, -2, 1.5], [0, 3, -1.0]]], np.float32)
    framebuffer = rasterize(vertices, [[0, 1, 2]], camera.view_projection()[None], (24, 24)).layer(0)
    seen = framebuffer.foreground_mask[0, ..., 0].numpy() > 0
    rows, columns = np.nonzero(seen)
    places = camera.project(interpolate(framebuffer, tf.constant(vertices))[0][seen])
    assert len(rows) > 50
    np.testing.assert_allclose(places, np.c_[columns, rows] + 0.5, atol=1e-3)


def test_gradient_of_an_attribute_image(sphere):
    random = np.random.default_rng(0)
    attributes = tf.constant(random.normal(size=[1, len(sphere.mean_shape), 2]), tf.float32)
    matrix = Camera.generator(24).view_projection()[None]
    framebuffer = rasterize(sphere.mean_shape[None], sphere.triangles, matrix, (24, 24))
    weights = random.normal(size=[1, 1, 24, 24, 2])

    def loss(values):
        return tf.reduce_sum(interpolate(framebuffer, values) * weights)

    with tf.GradientTape() as tape:
        tape.watch(attributes)
        value = loss(attributes)
    change = tf.constant(random.normal(size=attributes.shape), tf.float32)
    numeric = (loss(attributes + change) - loss(attributes - change)) / 2  # exact: the image is linear in them
    np.testing.assert_allclose(tf.reduce_sum(tape.gradient(value, attributes) * change), numeric, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("compiled", [False, True])
def test_gradient_of_barycentrics_against_finite_differences(compiled):
    random = np.random.default_rng(1)
    camera = Camera(8, 20.0)
    vertices = tf.constant([[[-9, -8, 1.0], [9, -7, -2.0], [1, 10, 0.5]], [[-7, -8, 0.0], [9, -9, 1.0], [1, 8, -1.0]]])
    weights = tf.constant(random.normal(size=[2, 1, 8, 8, 3]), tf.float32)

    def loss(points):
        framebuffer = rasterize(points, [[0, 1, 2]], camera.view_projection()[None], (8, 8))
        return tf.reduce_sum(framebuffer.barycentrics.value * weights)

    def gradient(points):
        with tf.GradientTape() as tape:
            tape.watch(points)
            value = loss(points)
        return tape.gradient(value, points)

    found = (tf.function(gradient) if compiled else gradient)(vertices).numpy()
    numeric = np.zeros_like(found)
    for place in np.ndindex(*found.shape):
        step = np.zeros_like(found)
        step[place] = 0.02
        numeric[place] = (loss(vertices + step) - loss(vertices - step)) / 0.04
    np.testing.assert_allclose(found, numeric, rtol=0.01, atol=0.01 * np.abs(numeric).max())


def test_eager_and_compiled_agree(sphere):
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
    with pytest.raises(ValueError, match=r"vertices should have the shape .* Received: \(36, 3\)"):
        rasterize(vertices, triangles, IDENTITY, (4, 4))
    with pytest.raises(ValueError, match="view_projection_matrices should have"):
        rasterize(vertices[None], triangles, IDENTITY[0], (4, 4))
    with pytest.raises(ValueError, match="Received: num_layers=2"):
        rasterize(vertices[None], triangles, IDENTITY, (4, 4), num_layers=2)
