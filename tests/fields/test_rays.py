from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.fields import Box, camera_rays, sphere_rotation
from renderer import Camera, FaceRenderer, WeakPerspectiveCamera
from renderer.pose import rotation_matrix
from renderer.rasterizer import interpolate

CAMERAS = [Camera.generator(20), Camera(20, 30.0, 4.0), WeakPerspectiveCamera(20, 0.6, (0.1, -0.2)),
           WeakPerspectiveCamera(20, tf.constant([0.5, 0.8]), tf.constant([[0.0, 0.1], [0.2, 0.0]]))]  # fmt: skip


def pose(count: int) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(0)
    angles, places = random.normal(0, 0.3, [count, 3]), random.normal(0, 0.1, [count, 3])
    return rotation_matrix(tf.constant(angles, tf.float32)), tf.constant(places, tf.float32)


def slow_hits(origins: np.ndarray, directions: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth of the nearest triangle, from `corners` [F, 3, 3], that each ray [R, 3] meets from its front, and how far
    inside its edges it is met (0 on an edge); infinity and 0 where none is. Möller and Trumbore, one ray at a time."""
    a, e, f = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    depths, margins = [], []
    for origin, direction in zip(origins, directions, strict=True):
        h = np.cross(direction, f)
        det = (e * h).sum(-1)
        s = origin - a
        u = (s * h).sum(-1) / det
        q = np.cross(s, e)
        v = (q * direction).sum(-1) / det
        margin = np.where(det > 0, np.minimum(np.minimum(u, v), 1 - u - v), -1)
        t = np.where(margin >= 0, (f * q).sum(-1) / det, np.inf)
        depths.append(t.min())
        margins.append(np.abs(margin[np.abs(margin) < 1]).min(initial=1.0))
    return np.array(depths), np.array(margins)


@pytest.mark.parametrize("camera", CAMERAS)
def test_one_mesh_drawn_both_ways(camera, tiny_face_model):
    """Rays through the unposed mesh meet what the rasteriser draws of the posed one, at the same depth."""
    renderer = FaceRenderer(tiny_face_model, 20, "head", camera)
    layout, random = tiny_face_model.layout, np.random.default_rng(1)
    coefficients = random.normal(0, 0.3, [2, layout.size]).astype(np.float32)
    coefficients[:, layout.slice("translation")] *= 0.3
    groups = layout.split(coefficients)
    drawn = renderer(coefficients)
    distance = camera.distance if isinstance(camera, Camera) else 10.0
    depth = interpolate(drawn.framebuffer, distance - drawn.vertices[..., 2:]).numpy()[..., 0]
    rays = camera_rays(camera, rotation_matrix(groups["angles"]), tf.constant(groups["translation"]))
    shape = renderer.shape(coefficients).numpy()
    for k in range(2):
        corners = shape[k][renderer.triangles.numpy()].astype(float)
        hits, margin = slow_hits(*(np.reshape(x[k], [-1, 3]).astype(float) for x in rays), corners)
        clear = margin > 1e-3  # on an edge, rounding decides
        mask = drawn.mask[k].numpy().reshape(-1) > 0
        assert 50 < mask.sum() < 390 and clear.mean() > 0.9
        np.testing.assert_array_equal(np.isfinite(hits)[clear], mask[clear])
        both = clear & mask
        np.testing.assert_allclose(hits[both], depth[k].reshape(-1)[both], atol=1e-4)


@pytest.mark.parametrize("camera", CAMERAS)
def test_rays_are_what_pixel_centres_project_from(camera):
    rotation, place = pose(2)
    rays = camera_rays(camera, rotation, place)
    points = rays.at(tf.constant([2.0, 3.5]) + tf.zeros([2, 20, 20, 1]))
    world = tf.einsum("brcnk,bjk->brcnj", points, rotation) + place[:, None, None, None]
    pixels = camera.project(tf.reshape(world, [2, -1, 3])).numpy().reshape(2, 20, 20, 2, 2)
    number = np.arange(20)[:, None]
    centres = np.stack(np.broadcast_arrays(number + 0.5, 19.5 - number[:, None]), -1)  # y up, row 0 at the top
    np.testing.assert_allclose(pixels, np.broadcast_to(centres, pixels.shape), atol=1e-3)
    np.testing.assert_allclose(rays.lengths[..., 0], np.linalg.norm(rays.directions, axis=-1), rtol=1e-5)
    distance = camera.distance if isinstance(camera, Camera) else 10.0  # depth is along the camera's axis
    np.testing.assert_allclose(world[..., 2], distance - np.broadcast_to([2.0, 3.5], world.shape[:-1]), atol=1e-4)


def test_cameras_on_a_sphere():
    """The papers' positions, and y up in the picture; where one angle is 0, the pose of the renderer."""
    pitch, yaw = np.array([0.3, 0.0, -0.4], np.float32), np.array([0.0, -0.5, 0.6], np.float32)
    rotation = sphere_rotation(tf.constant(pitch), tf.constant(yaw))
    p, t = np.pi / 2 - pitch, np.pi / 2 + yaw
    published = np.stack([np.sin(p) * np.cos(t), np.cos(p), np.sin(p) * np.sin(t)], -1)
    rays = camera_rays(Camera.generator(3), rotation)
    np.testing.assert_allclose(rays.origins[:, 1, 1], 10 * published, atol=1e-5)
    np.testing.assert_allclose(rays.directions[:, 1, 1], -published, atol=1e-6)
    sideways = rays.directions[:, 1, 2] - rays.directions[:, 1, 0]
    np.testing.assert_allclose(sideways[:, 1], 0, atol=1e-7)
    assert (rays.directions[:, 0, 1, 1] > rays.directions[:, 2, 1, 1]).numpy().all()
    angles = tf.stack([pitch, yaw, np.zeros(3, np.float32)], -1)
    np.testing.assert_allclose(rotation[:2], rotation_matrix(angles)[:2], atol=1e-6)


def test_boxes():
    box = Box((2.0, 1.0, 0.5), (0.0, 1.0, -1.0))
    np.testing.assert_allclose(
        box.normalise(tf.constant([[2.0, 0.0, -1.0], [0.0, 1.0, -1.5]])), [[1, -1, 0], [0, 0, -1]]
    )
    assert Box.cube(1.85).half == (1.85,) * 3
    with pytest.raises(ValueError, match="half sides above 0"):
        Box((1.0, 0.0, 1.0))
