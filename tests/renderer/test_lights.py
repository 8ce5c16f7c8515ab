from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer.lighting import shade
from renderer.lights import (
    DEFAULT_AMBIENT,
    DIRECTIONS,
    WORST_ERROR,
    Light,
    LightSetup,
    directional_light,
    parse_colour,
)
from renderer.pose import rotation_matrix

DARK = (0.0, 0.0, 0.0)


def sphere(count: int) -> np.ndarray:
    """[count, 3] unit vectors, evenly over the sphere."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    return np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], -1)


def lit(setup: LightSetup, normals: np.ndarray) -> np.ndarray:
    """[N, 3] what the renderer makes of a white surface, 1.0 being the texture's own colour."""
    ones = tf.ones([1, len(normals), 3])
    return shade(ones, tf.constant(normals[None], tf.float32), setup.coefficients()[None]).numpy()[0]


def test_a_directional_light_against_the_clamped_cosine():
    normals = sphere(20_000)
    for direction in [*DIRECTIONS.values(), (0.3, -0.8, 0.2)]:
        towards = np.asarray(direction) / np.linalg.norm(direction)
        error = lit(LightSetup((Light(direction, 1.0),), DARK), normals)[:, 0] - np.maximum(normals @ towards, 0)
        assert np.abs(error).max() <= WORST_ERROR + 1e-5
        assert (
            np.abs(error).max() > WORST_ERROR - 1e-3
        )  # reached at grazing angles, so the bound is no looser than it is
        assert abs(error.mean()) < 1e-4  # the first term is exact: as much light in all


def test_the_nine_terms_by_hand():
    # 1/4 + cos/2 + 5/32 (3 cos² − 1), worked out on paper for a light from the camera.
    cosine = np.linspace(-1, 1, 9)
    normals = np.stack([np.sqrt(1 - cosine**2), 0 * cosine, cosine], -1)
    setup = LightSetup((Light((0, 0, 5), 0.5, (1, 0.5, 0)),), DARK)
    wanted = 0.5 * (1 / 4 + cosine / 2 + 5 / 32 * (3 * cosine**2 - 1))
    np.testing.assert_allclose(lit(setup, normals), wanted[:, None] * [1, 0.5, 0], atol=1e-6)


def test_the_coefficients_are_the_least_squares_fit():
    normals = sphere(5_000)
    towards = np.array([0.6, -0.48, 0.64])
    from renderer.lighting import AMBIENT, harmonics

    fitted, *_ = np.linalg.lstsq(harmonics(tf.constant(normals)), np.maximum(normals @ towards, 0), rcond=None)
    fitted[0] -= AMBIENT
    gamma = directional_light(towards, ambient=0, strength=1).reshape(3, 9)
    np.testing.assert_allclose(gamma, np.tile(fitted, (3, 1)), atol=1e-3)


def test_turning_light_and_surface_together_changes_nothing():
    normals = sphere(300)
    turn = rotation_matrix(tf.constant([0.5, -1.2, 2.0], tf.float64)).numpy()
    direction = np.array([0.2, 0.7, 0.4])
    still = lit(LightSetup((Light(tuple(direction)),)), normals)
    turned = lit(LightSetup((Light(tuple(turn @ direction)),)), normals @ turn.T)
    np.testing.assert_allclose(turned, still, atol=2e-6)


def test_ambient_light_shows_the_texture_as_it_is_and_lights_add_up():
    normals = sphere(100)
    np.testing.assert_allclose(lit(LightSetup.parse("ambient"), normals), 0.6, atol=1e-6)
    np.testing.assert_allclose(lit(LightSetup.parse("ambient=1"), normals), 1.0, atol=1e-6)
    both = lit(LightSetup.parse("left=0.6", "(0 1 1)=0.3@#ff8000,ambient=0.2"), normals)
    one = lit(LightSetup.parse("left=0.6,ambient=0.2"), normals)
    other = lit(LightSetup((Light((0, 1, 1), 0.3, (1, 128 / 255, 0)),), DARK), normals)
    np.testing.assert_allclose(both, one + other, atol=1e-6)


def test_parse():
    assert LightSetup.parse("left=0.6").lights == (Light(DIRECTIONS["left"], 0.6),)
    assert LightSetup.parse("left=0.6").ambient == (DEFAULT_AMBIENT,) * 3
    assert LightSetup.parse("(-1, 0.5,1) = .7 @ red").lights == (Light((-1, 0.5, 1), 0.7, (1, 0, 0)),)
    assert LightSetup.parse("ambient=0.5@#ff0000,ambient=0.25").ambient == (0.75, 0.25, 0.25)
    assert parse_colour("white") == (1, 1, 1)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("lef=1", "ambient, front, left"),
        ("left=much", "number after '='"),
        ("left=nan", "finite"),
        ("left=-1", "negative"),
        ("(1 2)=1", "three numbers"),
        ("(0 0 0)=1", "length"),
        ("(1 2 x)", "three numbers"),
        ("left@mauvish", "colour"),
        ("", "Received: nothing"),
        (" , ", "Received: nothing"),
    ],
)
def test_parse_says_what_is_wrong(text, word):
    with pytest.raises(ValueError, match=r"light|colour") as caught:
        LightSetup.parse(text)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="leftop-rigm()=@#,.0123456789e nairgbwy\n", max_size=40) | st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_setup_or_one_line(text):
    try:
        setup = LightSetup.parse(text)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert np.isfinite(setup.coefficients()).all()


numbers = st.floats(-1e3, 1e3, width=32)


@given(
    st.lists(
        st.builds(
            Light,
            st.tuples(numbers, numbers, numbers).filter(any),
            st.floats(0, 10),
            st.tuples(*[st.integers(0, 255).map(lambda level: level / 255)] * 3),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(lights):
    texts = [
        f"({' '.join(map(repr, light.direction))})={light.strength!r}@#"
        + "".join(f"{round(255 * level):02x}" for level in light.colour)
        for light in lights
    ]
    assert LightSetup.parse(",".join(texts)).lights == tuple(lights)
