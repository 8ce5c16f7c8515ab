from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.perception.training import augment

SEED = tf.constant([5, 6], tf.int32)


@pytest.fixture(scope="module")
def many(pictures):
    return tf.tile(pictures, [16, 1, 1, 1])


@pytest.mark.parametrize(
    ("function", "least", "most"),
    [
        (augment.blur, 0.3, 0.7),
        (augment.low_resolution, 0.15, 0.55),
        (augment.jpeg, 0.15, 0.55),
        (augment.erase, 0.05, 0.4),
        (augment.degrade, 0.6, 0.95),
    ],
)
def test_a_share_is_changed_the_rest_is_not(many, function, least, most):
    result = tf.function(function)(many, SEED)
    change = np.abs(result - many).max(axis=(1, 2, 3))
    assert np.isfinite(result).all() and least <= (change > 1e-4).mean() <= most
    assert (change[change > 1e-4] > 5e-3).all()
    np.testing.assert_array_equal(result, tf.function(function)(many, SEED))  # the seed decides
    assert np.abs(result - function(many, SEED + 1)).max() > 0.01


def test_degraded_pictures_stay_the_same_pictures(many):
    result = augment.degrade(many, SEED).numpy()
    assert result.min() >= -1 and result.max() <= 1
    assert np.abs(result - many).mean() < 0.12


def test_jpeg_keeps_the_mean_of_a_block(many):
    spoilt = augment.jpeg(many, SEED)
    blocks = [tf.nn.avg_pool2d(x, 8, 8, "VALID") for x in (many, spoilt)]
    assert np.abs(blocks[0] - blocks[1]).max() < 0.12 / 8  # half a step of the mean's coefficient
    with pytest.raises(ValueError, match="multiple of 8"):
        augment.jpeg(tf.zeros([2, 20, 20, 3]), SEED)


def test_blur_and_low_resolution_keep_flat_pictures():
    flat = tf.fill([8, 32, 32, 3], 0.3)
    np.testing.assert_allclose(augment.blur(flat, SEED), flat, atol=1e-6)
    np.testing.assert_allclose(augment.low_resolution(flat, SEED), flat, atol=1e-6)


def test_erase_covers_one_rectangle():
    changed = (augment.erase(tf.fill([64, 32, 32, 3], 5.0), SEED, share=1.0, largest=0.5).numpy() != 5).any(-1)
    assert changed.any(axis=(1, 2)).all()
    for mask in changed:
        rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
        assert len(rows) <= 17 and len(columns) <= 17
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_shift_moves_whole_pixels():
    ramp = np.arange(32 * 32, dtype=np.float32).reshape(1, 32, 32, 1).repeat(20, 0)
    moved = augment.shift(tf.constant(ramp), SEED, 3).numpy()[..., 0]
    offsets = moved[:, 16, 16] - ramp[0, 16, 16, 0]
    down, right = np.round(offsets / 32).astype(int), offsets - 32 * np.round(offsets / 32)
    assert np.abs(down).max() <= 3 and np.abs(right).max() <= 3 and len(np.unique(offsets)) > 5
    for k in range(20):
        np.testing.assert_array_equal(moved[k, 8:24, 8:24], ramp[0, 8:24, 8:24, 0] + offsets[k])


def test_background_is_black_for_a_third():
    picture = augment.background(SEED, 200, 16).numpy()
    assert picture.min() >= -1 and picture.max() <= 1
    assert 0.22 < (picture == -1).all(axis=(1, 2, 3)).mean() < 0.45
