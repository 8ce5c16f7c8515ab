"""Backgrounds are places: the same at every size, out of focus, lit as they say; and the parts do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.synthetic.backdrops import lens
from datasets.synthetic.backdrops.canvas import MARGIN, Canvas, View, box, plane, rectangles
from datasets.synthetic.backdrops.textures import noise
from datasets.synthetic.background import KINDS, backdrop, background


def shrink(image, size):
    factor = len(image) // size
    return image.reshape(size, factor, size, factor, 3).mean((1, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_is_a_picture_with_a_light(kind):
    for seed in range(12):
        place = backdrop(64, np.random.default_rng(seed), kind)
        assert place.kind == kind
        assert place.image.shape == (64, 64, 3) and place.image.dtype == np.float32
        assert np.isfinite(place.image).all() and place.image.min() >= 0 and place.image.max() <= 255
        assert np.linalg.norm(place.key_direction) == pytest.approx(1)
        assert abs(np.sin(place.key_azimuth) * np.hypot(*place.key_direction[[0, 2]]) - place.key_direction[0]) < 1e-6
        # What LabelDistribution draws from, with room for the place's colour.
        assert 0.2 < place.ambient.mean() < 0.75 and 0.1 < place.key.mean() < 1.0
        assert (place.ambient > 0).all() and (place.key > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_state_gives_the_same_place_at_every_size(kind):
    for seed in range(4):
        small, middle, large = (backdrop(size, np.random.default_rng(seed), kind) for size in (64, 128, 512))
        np.testing.assert_array_equal(small.key_direction, large.key_direction)
        for other in (middle, large):
            difference = np.abs(shrink(other.image, 16) - shrink(small.image, 16))
            assert difference.mean() < 8, (seed, difference.mean())


def test_deterministic_and_different():
    first, again, other = (background(64, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 5


def test_all_kinds_come():
    kinds = {backdrop(16, np.random.default_rng(seed)).kind for seed in range(80)}
    assert kinds == set(KINDS)


def test_an_unknown_kind_is_one_line():
    with pytest.raises(ValueError, match=r"backdrop: expected one of room, .*Received: 'moon'"):
        backdrop(64, np.random.default_rng(0), "moon")


def test_a_point_of_light_becomes_a_disc_of_the_same_light():
    light = np.zeros((3, 96, 96), np.float32)
    light[:, 48, 48] = 1000.0
    blurred = lens.defocus(light, 0.1, 72)[0]  # 7.2 pixels
    assert blurred.sum() == pytest.approx(1000, rel=1e-3)
    y, x = np.mgrid[-48:48, -48:48]
    far = np.hypot(x, y)
    inside, outside = blurred[far < 6], blurred[far > 9]
    assert inside.min() > 0.6 * inside.max()  # a Gaussian would fall to a fraction
    assert outside.max() < 0.01 * inside.max()
    assert abs((blurred * x).sum()) < 1e-2 * 1000 and abs((blurred * y).sum()) < 1e-2 * 1000


def test_blur_is_of_light_not_of_levels():
    """Half black and half white light mix to half the light, which is the level 186 of 255."""
    stripes = np.zeros((3, 96, 96), np.float32)
    stripes[:, :, ::2] = 1.0
    flat = lens.defocus(stripes, 0.05, 72)[:, 24:72, 24:72]
    np.testing.assert_allclose(flat, 0.5, atol=0.02)
    np.testing.assert_allclose(lens.develop(flat, 48, level=186), 186, atol=2.5)


def test_develop_keeps_the_typical_level_and_the_order():
    ramp = np.broadcast_to(np.linspace(0.01, 20, 64, dtype=np.float32), (3, 64, 64))
    levels = lens.develop(ramp, 64, level=120)[0, :, 0]
    assert (np.diff(levels) >= 0).all() and levels.max() <= 255
    np.testing.assert_allclose(lens.develop(np.full((3, 8, 8), 7, np.float32), 8, level=120), 120, atol=0.5)


def test_rays_and_projection_agree():
    canvas, view = Canvas(32), View(np.array([0.3, 1.5, -0.2]), yaw=0.7, pitch=-0.2, zoom=0.4)
    points = view.position + 3.5 * np.stack(view.rays(canvas), -1)
    flat, depth = view.project(points)
    np.testing.assert_allclose(depth, 3.5, rtol=1e-5)
    np.testing.assert_allclose(flat[..., 0], np.broadcast_to(canvas.x, (32, 32)), atol=1e-5)
    np.testing.assert_allclose(flat[..., 1], np.broadcast_to(canvas.y, (32, 32)), atol=1e-5)


def test_to_the_right_is_positive_and_behind_is_negative():
    view = View(np.array([0.0, 1.5, 0.0]), yaw=0.0, pitch=0.0, zoom=0.4)
    assert view.towards(np.array([3.0, 1.5, -1.2]))[0] == pytest.approx(1)
    assert view.towards(np.array([0.0, 1.5, -5.0]))[2] == pytest.approx(-1)
    turned = View(np.array([0.0, 1.5, 0.0]), yaw=-np.pi / 2, pitch=0.0, zoom=0.4)  # looks along +x
    np.testing.assert_allclose(turned.project(np.array([4.0, 1.5, 0.0]))[0], 0, atol=1e-9)
    assert turned.project(np.array([4.0, 1.5, 1.0]))[0][0] > 0  # +z is then on the right


def test_a_box_shows_the_faces_that_the_eye_sees():
    faces, normals = box(np.zeros(3), np.ones(3), np.array([0.5, 2.0, 3.0]))
    np.testing.assert_array_equal(normals, [[0, 1, 0], [0, 0, 1]])
    for face, normal in zip(faces, normals, strict=True):
        np.testing.assert_allclose(face @ normal, 1)
        assert np.ptp(face, axis=0).sum() == 2
    assert len(box(np.zeros(3), np.ones(3), np.full(3, 0.5))[0]) == 0  # from inside


def test_later_shapes_cover_earlier_ones_and_glow_needs_no_light():
    canvas, view = Canvas(40), View(np.zeros(3), 0.0, 0.0, 1.0)

    def square(half):
        return rectangles(np.array([-half, -half, -2.0]), np.array([2 * half, 0, 0]), np.array([0, 2 * half, 0]))

    canvas.shapes(view, square(2.0), np.array([1.0, 0, 0]))  # ±1 at depth 2: the picture
    canvas.ellipses(np.zeros((1, 2)), np.full((1, 2), 0.3), np.array([0, 1.0, 0]), glow=True)
    canvas.shapes(view, square(0.2), np.array([0, 0, 1.0]))
    canvas.shapes(view, square(0.5) + np.array([0, 0, 4]), np.ones(3))  # behind the camera
    picture = canvas.compose(np.full((3, 40, 40), 9, np.float32), np.full((3, 40, 40), 0.5, np.float32))
    np.testing.assert_allclose(picture[:, 20, 20], [0, 0, 0.5])
    np.testing.assert_allclose(picture[:, 20, 23], [0, 1, 0])
    np.testing.assert_allclose(picture[:, 20, 30], [0.5, 0, 0])
    np.testing.assert_allclose(picture[:, 0, 0], 9)  # beyond the picture, within the margin
    red = (picture[0] == 0.5).sum() + (picture[1] == 1).sum() + (picture[2] == 0.5).sum()
    assert red == pytest.approx((40 / MARGIN) ** 2, rel=0.08)


def test_noise_has_unit_variance_and_its_frequency():
    axis = np.linspace(0, 40, 400, dtype=np.float32)
    values = [noise(axis[None], axis[:, None], 0.5, np.random.default_rng(seed), 1) for seed in range(4)]
    assert np.std(values) == pytest.approx(1, abs=0.15)
    slow = noise(axis[None], axis[:, None], 0.05, np.random.default_rng(0), 1)
    assert np.abs(np.diff(slow)).mean() < 0.5 * np.abs(np.diff(values[0])).mean()


def test_plane_is_a_colour_for_fields():
    assert plane([1, 2, 3]).shape == (3, 1, 1) and plane([1, 2, 3]).dtype == np.float32
