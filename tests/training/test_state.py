"""Optimisers and moving average beside the numbers that the papers give for them."""

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.networks.stylegan2.resample import upsample
from discoface_tf2.systems.base import Tools
from discoface_tf2.training.saver import Saver
from discoface_tf2.training.state import TrainingState
from tests.helpers.tiny_training import LAYOUT, tiny_config, tiny_gif_config


@pytest.mark.parametrize("interval", [4, 16])
def test_lazy_penalties_slow_their_optimisers(interval):
    """In `interval` steps come `interval` + 1 updates: together as far and as forgetful as `interval` usual ones."""
    options = dict(learning_rate=0.002, beta_2=0.99, pl_weight=2.0, pl_interval=interval, r1_interval=interval)
    state = TrainingState(tiny_config(**options), LAYOUT)
    for optimizer in (state.trained["generator"][1], state.trained["discriminator"][1]):
        assert float(optimizer.learning_rate) * (interval + 1) == pytest.approx(0.002 * interval)
        assert optimizer.beta_2 ** (interval + 1) == pytest.approx(0.99**interval)
        assert optimizer.beta_1 == 0 and optimizer.epsilon == 1e-8
    state = TrainingState(tiny_config(**{**options, "pl_weight": 0.0}), LAYOUT)
    assert float(state.trained["generator"][1].learning_rate) == pytest.approx(0.002)
    assert state.trained["generator"][1].beta_2 == pytest.approx(0.99)


def test_moving_average_ramps_up_to_its_half_life():
    """A weight that jumps from 0 to 1: what the average forgets of the 0 at each step."""
    state = TrainingState(tiny_config(ema_kimg=1.0, ema_rampup=0.05, batch_size=100, pairs=2), LAYOUT)
    weight, average = (n.synthesis.trainable_variables[0] for n in (state.generator, state.average))
    average.assign(tf.zeros_like(average.value))
    weight.assign(tf.ones_like(weight.value))
    forgotten = 1.0
    for shown in (0, 100, 5_000, 20_000, 100_000):
        state.update_average(tf.constant(shown))
        # StyleGAN2-ADA's ramp-up: at most 5 % of what has been shown; the first batch counts as shown.
        forgotten *= 0.5 ** (100 / min(1000, 0.05 * max(shown, 100)))
        np.testing.assert_allclose(average.numpy(), 1 - forgotten, rtol=1e-5)
    # At its full half-life of 1,000 images, ten batches of 100 halve the distance.
    average.assign(tf.zeros_like(average.value))
    for _ in range(10):
        state.update_average(tf.constant(100_000))
    np.testing.assert_allclose(average.numpy(), 0.5, rtol=1e-5)


def test_a_snapshots_average_and_mean_path_length_go_on(tmp_path, tiny_face_model, tiny_sampler, tiny_assets):
    """From a snapshot the average moves at its full half-life at once, and path lengths are compared with the mean."""
    layout = tiny_face_model.layout
    config = tiny_config(1, ema_kimg=1.0, batch_size=100, pairs=2, pl_weight=2.0)
    state = TrainingState(config, layout)
    for variable in state.average.trainable_variables:
        variable.assign_add(tf.ones_like(variable.value))
    state.extra["mean_path_length"].assign(0.7)
    snapshot = Saver(state, tmp_path, Tools(tiny_face_model, tiny_sampler, None), str(tiny_assets / "vae"), {}).save()
    other = TrainingState(tiny_config(2, ema_kimg=1.0, batch_size=100, pairs=2, seed=1), layout)
    other.load_snapshot(snapshot)
    assert float(other.extra["mean_path_length"]) == pytest.approx(0.7)
    weight, average = (n.synthesis.trainable_variables[0] for n in (other.generator, other.average))
    was = average.numpy()
    np.testing.assert_allclose(was, weight.numpy() + 1, atol=1e-6)
    other.update_average(other.images)
    np.testing.assert_allclose(was - average.numpy(), 1 - 0.5**0.1, rtol=1e-4)  # 100 of 1,000 images

    state = TrainingState(tiny_config(1), layout)  # without path-length regularisation
    other.load_snapshot(
        Saver(
            state, tmp_path / "other", Tools(tiny_face_model, tiny_sampler, None), str(tiny_assets / "vae"), {}
        ).save()
    )
    assert float(other.extra["mean_path_length"]) < 0  # to be measured


@pytest.mark.parametrize("system", ["disco", "gif"])
def test_a_run_of_twice_the_resolution_begins_with_the_small_image(
    system, tmp_path, tiny_face_model, tiny_sampler, tiny_assets
):
    config, layout = {"disco": tiny_config, "gif": tiny_gif_config}[system], tiny_face_model.layout
    small = TrainingState(config(resolution=8, seed=3), layout)
    snapshot = Saver(small, tmp_path, Tools(tiny_face_model, tiny_sampler, None), str(tiny_assets / "vae"), {}).save()
    large = TrainingState(config(resolution=16), layout)
    large.load_snapshot(snapshot)
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.standard_normal([3, small.sizes.input_size]), tf.float32)
    coarse = rng.standard_normal([3, 4, 4, 6]).astype(np.float32)  # the pyramid of renders leaves pixels out
    renders, less = (tf.constant(coarse.repeat(k, 1).repeat(k, 2)) for k in (4, 2))
    for ours, theirs in ((large.average, small.average), (large.generator, small.generator)):
        noise = (renders, less) if system == "gif" else (None, None)
        np.testing.assert_allclose(ours(inputs, noise[0]), upsample(theirs(inputs, noise[1])), atol=1e-5)
    taken = [v for v in large.discriminator.variables if "16" not in v.path and "from_rgb" not in v.path]
    known = {v.path: v for v in small.discriminator.variables}
    assert len(taken) >= 5
    for variable in taken:
        np.testing.assert_array_equal(variable.numpy(), known[variable.path].numpy())
    wide = TrainingState(config(resolution=16, channel_base=256, channel_max=16), layout)
    with pytest.raises(ValueError, match=r"generator.weights.h5: not weights of this run's networks .*expected the sh"):
        wide.load_snapshot(snapshot)
