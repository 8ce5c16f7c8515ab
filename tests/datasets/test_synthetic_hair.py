from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from datasets.synthetic import body, glasses, hair
from datasets.synthetic.scalp import COLUMNS, ROWS, cast_rays
from datasets.synthetic.style import HAIR_COLOURS, HairStyle, draw_style
from renderer.pose import rotation_matrix


@pytest.fixture(scope="module")
def scalp(synthesizer):
    return synthesizer.scalp


@pytest.fixture(scope="module")
def style():
    return draw_style(150.0, 0.0, np.random.default_rng(0))


def with_hair(style, **changes):
    return dataclasses.replace(style, hair=HairStyle("test", jag=0.0, **changes))


def cut(grown):
    """Cap [COLUMNS, ROWS, 3] and fall [COLUMNS, FALL_ROWS, 3]."""
    grid = grown.vertices[: COLUMNS * (ROWS + hair.FALL_ROWS)].reshape(COLUMNS, -1, 3)
    return grid[:, :ROWS], grid[:, ROWS:]


@pytest.mark.parametrize("first", [True, False])
def test_rays_inside_a_polyhedron_meet_its_planes(first):
    rng = np.random.default_rng(1)
    vertices = rng.normal(size=(60, 3))
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    hull = ConvexHull(vertices)
    start, directions = np.array([0.2, -0.1, 0.1]), rng.normal(size=(100, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    triangle, weights, distance = cast_rays(vertices, hull.simplices, start, directions, first)
    # the exit from a convex body is the nearest plane that a ray moves towards
    speed = directions @ hull.equations[:, :3].T
    reach = np.where(speed > 0, -(start @ hull.equations[:, :3].T + hull.equations[:, 3]) / speed, np.inf)
    np.testing.assert_allclose(distance, reach.min(1), rtol=1e-9)
    points = np.einsum("nk,nkc->nc", weights, vertices[hull.simplices[triangle]])
    np.testing.assert_allclose(points, start + distance[:, None] * directions, atol=1e-9)


def test_roots_lie_on_the_head_and_follow_it(scalp):
    roots = scalp.roots(scalp.mean)
    nearest = np.linalg.norm(roots[:, :, None] - scalp.mean[None, None], axis=-1).min(-1)
    assert nearest.max() < 0.16  # the skull's triangles are that large; hair under the skin would be much further
    grown = scalp.roots(scalp.mean * [1.1, 1.0, 0.9] + [0.0, 0.2, 0.0])
    np.testing.assert_allclose(grown, roots * [1.1, 1.0, 0.9] + [0.0, 0.2, 0.0], atol=1e-6)


def test_hair_is_as_thick_as_asked_and_covers_the_skull(scalp, style):
    cap, _ = cut(hair.grow(scalp, scalp.mean, with_hair(style, top=0.2, side=0.2)))
    thickness = np.linalg.norm(cap - scalp.roots(scalp.mean), axis=-1)[:, 1:-3]
    assert thickness.min() > 0.03 and 0.1 < thickness.mean() < 0.25


def test_hair_that_does_not_fall_ends_at_the_hairline_and_long_hair_does_not(scalp, style):
    cap, fall = cut(hair.grow(scalp, scalp.mean, with_hair(style)))
    assert np.linalg.norm(fall - cap[:, -1:], axis=-1).max() < 0.02
    cap, fall = cut(hair.grow(scalp, scalp.mean, with_hair(style, lengths=(0.0, 0.0, 0.5, 1.5, 1.5, 1.5, 1.5))))
    drop = (cap[:, -1, 1] - fall[:, -1, 1]).reshape(COLUMNS)
    angle = np.abs(np.degrees(scalp.azimuth))
    np.testing.assert_allclose(drop[angle > 75], 1.5, rtol=0.05)
    assert drop[angle < 25].max() < 0.05


def test_falling_hair_keeps_clear_of_the_face(scalp, style):
    _, fall = cut(hair.grow(scalp, scalp.mean, with_hair(style, lengths=(0.35,) * 3 + (0.0,) * 4)))
    front = fall[np.abs(np.degrees(scalp.azimuth)) < 30].reshape(-1, 3)
    # From in front of the face, a ray backwards meets the hair before the skin.
    for point in front[::7]:
        start, back = point + np.array([0, 0, 2.0]), np.array([[0, 0, -1.0]])
        _, _, skin = cast_rays(scalp.mean, scalp.triangles, start, back, first=True)
        assert skin[0] > 2.0 - 0.03


def test_baldness_and_receding_bare_the_right_skin(scalp):
    crown = (scalp.vertex_polar < np.radians(25)) & (scalp.mean[:, 1] > scalp.centre[1])
    share = scalp.vertex_polar / scalp.vertex_hairline
    side = (np.abs(np.degrees(scalp.vertex_azimuth)) > 90) & (share > 0.8) & (share < 0.88)
    face = scalp.vertex_polar > scalp.vertex_hairline + 0.2
    full, bald = HairStyle("full"), HairStyle("bald", bald=0.7)
    assert hair.coverage(scalp, full)[crown].min() > 0.95 and hair.coverage(scalp, bald)[crown].max() < 0.05
    assert hair.coverage(scalp, full)[side].mean() > 0.8 and hair.coverage(scalp, bald)[side].mean() > 0.8
    assert hair.coverage(scalp, full)[face].max() == 0
    assert hair.coverage(scalp, HairStyle("receding", recede=0.4)).sum() < hair.coverage(scalp, full).sum()


def test_meshes_use_all_their_vertices_and_no_others():
    for module in (hair, body, glasses):
        assert set(np.unique(module.triangles())) == set(range(module.VERTICES))


def test_dark_skin_mostly_has_dark_hair_but_not_always():
    rng = np.random.default_rng(2)

    def lightness(skin, brows):
        return np.array([draw_style(skin, brows, rng).hair_colour.mean() for _ in range(250)])

    dark, light = lightness(60.0, 0.0), lightness(180.0, 0.0)
    assert np.median(dark) < 40 < np.median(light)
    assert (dark > 80).mean() > 0.02 and (light < 60).mean() > 0.1
    assert lightness(180.0, 1.0).mean() > lightness(180.0, -1.0).mean() + 15


def test_styles_are_varied():
    rng = np.random.default_rng(3)
    styles = [draw_style(150.0, 0.0, rng) for _ in range(300)]
    assert len({style.hair.name for style in styles}) == 14
    assert 0.04 < np.mean([style.glasses for style in styles]) < 0.22
    assert 0.1 < np.mean([style.beard > 0 for style in styles]) < 0.5
    assert len(HAIR_COLOURS) == 12


def test_the_bodys_turn_is_the_renderers():
    angles = np.array([0.3, -0.5, 0.2])
    np.testing.assert_allclose(body.turn(angles), rotation_matrix(angles[None])[0], atol=1e-6)
