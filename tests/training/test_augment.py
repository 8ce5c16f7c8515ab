"""Augmentations beside their definitions, written out pixel by pixel, and beside pictures whose result is known."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.transform import Rotation

from discoface_tf2.losses.adversarial import r1_penalty
from discoface_tf2.training import augment as module
from discoface_tf2.training.augment import DRAWS, SYM6, Transformation, augment, draw_transformation
from tests.helpers.layer_harness import check_directional_gradient

RNG = np.random.default_rng(0)


def only(batch: int = 2, **values) -> Transformation:
    """The transformation that does this alone, to each of `batch` images."""
    none = Transformation.none(batch)
    return none._replace(**{k: tf.broadcast_to(tf.cast(v, getattr(none, k).dtype), getattr(none, k).shape)
                            for k, v in values.items()})  # fmt: skip


def normals(batch: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).standard_normal((batch, DRAWS)), tf.float32)


def mirror(index: int, size: int) -> int:
    index %= 2 * (size - 1)
    return min(index, 2 * (size - 1) - index)


def slow_resample(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """From the definition: enlarge with sym6, take bilinear samples where the matrix says, reduce with sym6."""
    size, taps = len(image), len(SYM6)
    centre = float(SYM6 @ np.arange(taps) / SYM6.sum())

    def enlarged(row: int, column: int) -> np.ndarray:
        """A place of the enlarged mirrored image: tap t of a pixel's filter lands 2 · pixel + t - 5."""
        total = np.zeros(3)
        for a in range(taps):
            for b in range(taps):
                if (row + 5 - a) % 2 == 0 and (column + 5 - b) % 2 == 0:
                    pixel = image[mirror((row + 5 - a) // 2, size), mirror((column + 5 - b) // 2, size)]
                    total += 2 * SYM6[a] * SYM6[b] * pixel
        return total

    out = np.zeros_like(image)
    for row in range(size):
        for column in range(size):
            for a in range(taps):
                for b in range(taps):
                    # The pixel coordinate that place m shows is (m + 5 - centre) / 2.
                    y, x = (2 * row + a - centre) / 2 - (size - 1) / 2, (2 * column + b - centre) / 2 - (size - 1) / 2
                    x, y = matrix @ [x, y, 1]
                    y, x = (2 * (v + (size - 1) / 2) - 5 + centre for v in (y, x))
                    top, left = int(np.floor(y)), int(np.floor(x))
                    for down, over in ((0, 0), (0, 1), (1, 0), (1, 1)):
                        weight = abs(1 - down - (y - top)) * abs(1 - over - (x - left))
                        out[row, column] += SYM6[a] * SYM6[b] / 2 * weight * enlarged(top + down, left + over)
    return out


def test_resampling_equals_its_definition():
    image = RNG.normal(size=(4, 4, 3))
    matrix = np.array([[0.8, -0.7, 1.3], [0.5, 1.1, -2.6]])
    fast = module.resample(tf.constant(image[None]), tf.constant(matrix[None]))
    np.testing.assert_allclose(fast[0], slow_resample(image, matrix), atol=1e-11)


def test_the_filter_is_the_symlet():
    """Orthogonal to its even shifts, six vanishing moments, and around its centre nearly symmetric."""
    shifted = [SYM6[2 * k :] @ SYM6[: 12 - 2 * k] for k in range(6)]
    np.testing.assert_allclose(shifted, [1, 0, 0, 0, 0, 0], atol=1e-11)
    alternating = SYM6 * (-1.0) ** np.arange(12)
    np.testing.assert_allclose([alternating @ np.linspace(-1, 1, 12) ** k for k in range(6)], 0, atol=1e-11)
    response = np.exp(-1j * np.outer(np.linspace(0.01, 1.5, 50), np.arange(12) - module._CENTRE)) @ SYM6
    assert np.abs(np.angle(response)).max() < 0.5


def test_whole_shifts_and_turns_move_pixels_as_they_are():
    images = RNG.normal(size=(2, 8, 8, 3))
    still = module.resample(tf.constant(images), tf.tile(tf.eye(2, 3, dtype=tf.float64)[None], [2, 1, 1]))
    np.testing.assert_allclose(still, images, atol=1e-10)
    shifted = augment(tf.constant(images), only(shift=[2.0, -1.0])).numpy()
    np.testing.assert_allclose(shifted[:, :7, 2:], images[:, 1:, :6], atol=1e-10)
    np.testing.assert_allclose(shifted[:, :7, :2], images[:, 1:, 2:0:-1], atol=1e-10)  # mirrored at the border
    for turns in range(4):
        for flip in (False, True):
            expected = [np.rot90(image[:, ::-1] if flip else image, turns) for image in images]
            np.testing.assert_array_equal(augment(tf.constant(images), only(flip=flip, quarter_turns=turns)), expected)


SIZE = 64
MIDDLE = (SIZE - 1) / 2


def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A smooth picture at pixels from the centre, which its border mirrors."""
    a, b = (np.pi * (v + MIDDLE) / (SIZE - 1) for v in (x, y))
    return np.stack([np.cos(2 * a) * np.cos(b), np.cos(a) + 0.5 * np.cos(3 * b), np.cos(a) * np.cos(2 * b)], -1)


def turned(x, y, angle):  # counter-clockwise on the screen
    return np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y


# Where a pixel of the result comes from, one transformation at a time.
SOURCES = {
    "shift": ([5.0, -3.0], lambda x, y: (x - 5, y + 3)),
    "scale": (1.4, lambda x, y: (x / 1.4, y / 1.4)),
    "rotation": (0.6, lambda x, y: turned(x, y, -0.6)),
    "stretch": (1.3, lambda x, y: (x / 1.3, y * 1.3)),
    "second_rotation": (-2.0, lambda x, y: turned(x, y, 2.0)),
    "second_shift": ([0.3, -7.6], lambda x, y: (x - 0.3, y + 7.6)),
}
Y, X = np.mgrid[:SIZE, :SIZE] - MIDDLE


@pytest.mark.parametrize("name", [*SOURCES, "all"])
def test_geometry_on_a_picture_with_a_formula(name):
    names = list(SOURCES) if name == "all" else [name]
    x, y = X, Y
    for last in reversed(names):  # undo the last first
        x, y = SOURCES[last][1](x, y)
    result = augment(tf.constant(picture(X, Y)[None]), only(1, **{n: SOURCES[n][0] for n in names}))[0]
    assert np.abs(result - picture(X, Y)).max() > 0.1
    np.testing.assert_allclose(result, picture(x, y), atol=0.01)


def test_reduced_images_are_low_passed():
    """A checkerboard at a third of its size would alias; its mean must be what is left."""
    board = np.where((np.indices((SIZE, SIZE)).sum(0) % 2)[..., None], 1.0, -1.0) * np.ones(3)
    small = augment(tf.constant(board[None]), only(1, scale=0.6)).numpy()
    assert np.abs(small).mean() < 0.05


def test_colours_pixel_by_pixel():
    images = RNG.normal(size=(1, 3, 3, 3))
    grey = images.mean(-1, keepdims=True)
    axis = np.ones(3) / np.sqrt(3)
    cases = {
        "brightness": (0.3, images + 0.3),
        "contrast": (1.7, images * 1.7),
        "luma_flip": (True, images - 2 * grey),
        "hue": (0.8, Rotation.from_rotvec(0.8 * axis).apply(images.reshape(-1, 3)).reshape(images.shape)),
        "saturation": (0.4, grey + 0.4 * (images - grey)),
    }
    for name, (value, expected) in cases.items():
        np.testing.assert_allclose(augment(tf.constant(images), only(1, **{name: value})), expected, atol=1e-6)
    # In the paper's order: brightness first, saturation last.
    expected = (images + 0.3) * 1.7
    expected = expected - 2 * expected.mean(-1, keepdims=True)
    expected = Rotation.from_rotvec(0.8 * axis).apply(expected.reshape(-1, 3)).reshape(images.shape)
    grey = expected.mean(-1, keepdims=True)
    everything = only(1, **{name: value for name, (value, _) in cases.items()})
    np.testing.assert_allclose(augment(tf.constant(images), everything), grey + 0.4 * (expected - grey), atol=1e-6)


def test_strength_0_is_the_identity_and_1_spares_no_image():
    images = tf.constant(RNG.normal(size=(64, 16, 16, 3)), tf.float32)

    def run(p):
        return augment(images, draw_transformation(normals(64), p, 16))

    for at_0 in (run(tf.constant(0.0)), tf.function(run)(tf.constant(0.0))):  # graphs are rewritten
        np.testing.assert_array_equal(at_0, images)
    assert (np.abs(run(tf.constant(1.0)) - images).max(axis=(1, 2, 3)) > 0.01).all()
    for pipe, moved, coloured in (("bg", True, False), ("c", False, True)):
        t = draw_transformation(normals(64), tf.constant(1.0), 16, pipe)
        assert bool(tf.reduce_any(t.scale != 1)) == moved and bool(tf.reduce_any(t.hue != 0)) == coloured


def test_how_often_and_how_far():
    """Each transformation hits a share p of the images, and what it then draws is distributed as in the paper."""
    count, p, size = 40_000, 0.3, 64
    t = Transformation(*(v.numpy() for v in draw_transformation(normals(count), tf.constant(p), size)))
    shares = {
        "flip": (t.flip, p / 2),  # half of the flips drawn are none
        "quarter_turns": (t.quarter_turns != 0, p * 3 / 4),
        "shift": ((t.shift != 0).any(1), p * (1 - 1 / 16**2)),
        "scale": (t.scale != 1, p),
        "rotation": ((t.rotation != 0) | (t.second_rotation != 0), p),
        "one rotation": (t.rotation != 0, 1 - np.sqrt(1 - p)),
        "stretch": (t.stretch != 1, p),
        "second_shift": ((t.second_shift != 0).any(1), p),
        "brightness": (t.brightness != 0, p),
        "contrast": (t.contrast != 1, p),
        "luma_flip": (t.luma_flip, p / 2),
        "hue": (t.hue != 0, p),
        "saturation": (t.saturation != 1, p),
    }
    for name, (hit, expected) in shares.items():
        assert abs(hit.mean() - expected) < 4 * np.sqrt(expected / count), name
    logs = {"scale": 0.2, "stretch": 0.2, "contrast": 0.5, "saturation": 1.0}
    spread = {name: np.log2(getattr(t, name)[shares[name][0]]).std() / std for name, std in logs.items()}
    spread["brightness"] = t.brightness[t.brightness != 0].std() / 0.2
    spread["second_shift"] = t.second_shift[shares["second_shift"][0]].std() / (0.125 * size)
    spread["hue"] = t.hue[t.hue != 0].std() / (np.pi / np.sqrt(3))
    spread["rotation"] = t.rotation[t.rotation != 0].std() / (np.pi / np.sqrt(3))
    for name, ratio in spread.items():
        assert abs(ratio - 1) < 0.04, name
    assert np.abs(t.shift).max() == 8 and np.array_equal(t.shift, np.rint(t.shift))
    hits = np.stack([hit for name, (hit, _) in shares.items() if name not in ("one rotation",)]).astype(float)
    assert np.abs(np.corrcoef(hits) - np.eye(len(hits))).max() < 0.03  # independent of one another


def test_gradients():
    """First order, and the second order that R1 takes of a discriminator behind the augmentation."""
    t = draw_transformation(normals(2, seed=3), tf.constant(1.0), 6)
    x = RNG.normal(size=(2, 6, 6, 3))
    check_directional_gradient(lambda x: tf.reduce_sum(augment(x, t) ** 3), x)
    weights = tf.constant(RNG.normal(size=(2, 6, 6, 3)))

    def penalty(x):
        return tf.reduce_sum(r1_penalty(lambda x: tf.reduce_sum(tf.sin(augment(x, t) * weights), [1, 2])[:, :1], x))

    check_directional_gradient(penalty, x, tolerance=1e-4)


def test_xla_draws_and_does_the_same():
    images = tf.constant(RNG.normal(size=(4, 16, 16, 3)), tf.float32)

    def run(p):
        return augment(images, draw_transformation(normals(4, seed=5), p, 16))

    plain, compiled = (tf.function(run, jit_compile=jit)(tf.constant(0.9)) for jit in (False, True))
    np.testing.assert_allclose(plain, compiled, atol=2e-4)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"square images.*\(1, 8, 6, 3\)"):
        augment(tf.zeros([1, 8, 6, 3]), Transformation.none(1))
