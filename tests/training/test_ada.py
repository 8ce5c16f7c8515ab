"""Adaptive augmentation: its controller in simulated runs, and what the training step shows the discriminator."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.losses import adversarial
from discoface_tf2.losses.pixels import to_network_range
from discoface_tf2.sampling import AUGMENT_FAKES, AUGMENT_R1, AUGMENT_REALS
from discoface_tf2.systems.base import Tools
from discoface_tf2.systems.disco.config import DiscoConfig
from discoface_tf2.training.ada import AdaptiveAugment
from discoface_tf2.training.distribution import make_strategy
from discoface_tf2.training.state import TrainingState
from discoface_tf2.training.steps import TrainingStep
from tests.helpers.tiny_training import tiny_config

REALS = tf.constant(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8))


@pytest.fixture
def make_step(tiny_face_model, tiny_sampler, tiny_perception):
    def make(strategy=None, **options):
        config = tiny_config(**{"ada_target": 0.6, "ada_interval": 2, "ada_kimg": 0.1, **options})
        strategy = strategy or tf.distribute.OneDeviceStrategy("/cpu:0")
        with strategy.scope():
            state = TrainingState(config, tiny_face_model.layout)
        return TrainingStep(config, state, strategy, Tools(tiny_face_model, tiny_sampler, tiny_perception))

    return make


def test_strength_moves_by_one_unit_in_ada_kimg():
    ada = AdaptiveAugment(tiny_config(ada_target=0.6, ada_kimg=0.1, ada_interval=4))  # batch 4: 16 images a move
    seen = [float(ada.update(tf.constant(1.0))["ada_p"]) for _ in range(32)]
    moves = [min(0.16 * ((step + 1) // 4), 1.0) for step in range(32)]
    np.testing.assert_allclose(seen, moves, atol=1e-6)
    down = [float(ada.update(tf.constant(0.0))["ada_p"]) for _ in range(32)]
    np.testing.assert_allclose(down, 1.0 - np.array(moves), atol=1e-6)
    # What counts is the mean since the last move: 0.7 is above the target, though half of the signs are below it.
    terms = [ada.update(tf.constant(sign)) for sign in (1.0, 0.4, 0.4, 1.0)]
    assert float(terms[-1]["ada_rt"]) == pytest.approx(0.7) and float(terms[-1]["ada_p"]) == pytest.approx(0.16)


@pytest.mark.parametrize("memory, expected", [(1.0, 0.5), (0.55, 0.0), (3.0, 1.0)])
def test_strength_settles_where_overfitting_is_on_target(memory, expected):
    """A made-up discriminator that overfits by `memory` and less under augmentation: r_t = memory - 0.8 p."""
    ada = AdaptiveAugment(tiny_config(ada_target=0.6, ada_kimg=1.0, ada_interval=4, batch_size=16))
    rng = np.random.default_rng(0)
    update = tf.function(ada.update)
    strengths = []
    for _ in range(400):
        positive = np.clip((1 + memory - 0.8 * float(ada.strength)) / 2, 0, 1)
        signs = np.where(rng.random(16) < positive, 1.0, -1.0)
        strengths.append(float(update(tf.constant(signs.mean(), tf.float32))["ada_p"]))
    assert abs(np.mean(strengths[200:]) - expected) < 0.1


def test_draws_depend_on_purpose_and_images_shown_alone():
    ada = AdaptiveAugment(tiny_config(ada_target=0.6))
    ada.strength.assign(0.8)
    images = to_network_range(REALS)
    results = [ada(images, purpose, tf.constant(shown)) for purpose, shown in
               ((AUGMENT_REALS, 4), (AUGMENT_REALS, 4), (AUGMENT_REALS, 8), (AUGMENT_FAKES, 4))]  # fmt: skip
    np.testing.assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - results[2]).max() > 0.1 < np.abs(results[0] - results[3]).max()


def test_the_discriminator_sees_augmented_images_and_nobody_else_does(make_step):
    """Gradients of both networks and of R1 beside those of separate tapes on images augmented by hand."""
    step = make_step(w_warmup_l1=3.0, learning_rate=1.0)
    state = step.state
    state.ada.strength.assign(0.7)
    zero = tf.constant(0, tf.int64)
    state.trained = {name: (state.networks[name], keras.optimizers.SGD(1.0)) for name in state.networks}
    lambdas, noise = step.objective.sample()
    inputs, reals = tf.concat([lambdas, noise], -1), to_network_range(REALS)
    generator, discriminator = state.generator, state.discriminator

    def logits(images, purpose):
        return discriminator(state.ada(images, purpose, zero))

    with tf.GradientTape(persistent=True) as tape:
        fakes = generator(inputs)
        fake_logits, real_logits = logits(fakes, AUGMENT_FAKES), logits(reals, AUGMENT_REALS)
        g_loss = tf.reduce_mean(adversarial.generator_loss(fake_logits))
        imitation = step.objective.imitation(fakes, lambdas, "warmup")
        assert set(imitation) == {"warmup_l1"}
        g_loss += 3.0 * tf.reduce_mean(imitation["warmup_l1"])
        d_loss = tf.reduce_mean(adversarial.real_loss(real_logits) + adversarial.fake_loss(fake_logits))
    expected = [tape.gradient(loss, [v.value for v in network.trainable_variables])
                for loss, network in ((g_loss, generator), (d_loss, discriminator))]  # fmt: skip
    before = [[v.numpy() for v in network.trainable_variables] for network in (generator, discriminator)]
    terms = step({"image": REALS}, "warmup")
    assert float(terms["ada_p"]) == pytest.approx(0.7) and float(state.ada.signs) == np.sign(real_logits).mean()
    for network, was, gradients in zip((generator, discriminator), before, expected, strict=True):
        for variable, old, gradient in zip(network.trainable_variables, was, gradients, strict=True):
            if gradient is not None:
                np.testing.assert_allclose(old - variable.numpy(), gradient, rtol=1e-3, atol=5e-5)

    state.ada.strength.assign(1.0)
    shown = tf.constant(4, tf.int64)
    by_hand = adversarial.r1_penalty(lambda x: discriminator(state.ada(x, AUGMENT_R1, shown)), reals)
    penalty = step.penalties({"image": REALS}, "warmup", 0)["r1"]
    assert float(penalty) == pytest.approx(float(tf.reduce_mean(by_hand)), rel=1e-4)
    assert float(penalty) != pytest.approx(
        float(tf.reduce_mean(adversarial.r1_penalty(discriminator, reals))), rel=0.01
    )


def test_two_replicas_draw_and_steer_as_one_does(make_step):
    results = []
    for strategy in (tf.distribute.OneDeviceStrategy("/cpu:0"), make_strategy("mirrored")):
        step = make_step(strategy, layer_noise=True)
        ada, count = step.state.ada, strategy.num_replicas_in_sync
        ada.strength.assign(0.5)
        parts = [REALS[k::count] for k in range(count)]  # row i is of replica i mod n
        reals = strategy.experimental_distribute_values_from_function(
            lambda context, parts=parts: parts[context.replica_id_in_sync_group]
        )

        @tf.function
        def run(images, step=step, strategy=strategy):
            def show(part):
                return step._augmented(to_network_range(part), AUGMENT_REALS), step.objective._layer_noise(
                    part.shape[0]
                ).rows

            return strategy.run(show, args=(images,))

        images, maps = (strategy.experimental_local_results(x) for x in run(reals))
        np.testing.assert_array_equal(np.stack(maps, 1).reshape(4), range(4))  # noise maps are the same images', too
        update = tf.function(ada.update)
        strengths = [float(update(tf.constant(1.0))["ada_p"]) for _ in range(4)]
        results.append((np.stack(images, 1).reshape(4, 16, 16, 3), strengths))
    (ours, strengths), (theirs, same) = results
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(strengths, same)
    assert strengths[-1] > 0.5 and np.abs(ours - to_network_range(REALS)).max() > 0.1


def test_a_checkpoint_brings_the_strength_back(make_step, tmp_path):
    state = make_step().state
    state.ada.strength.assign(0.37)
    state.ada.update(tf.constant(0.9))
    path = state.checkpoint.write(str(tmp_path / "checkpoint"))
    other = make_step(seed=1).state
    other.checkpoint.read(path).assert_consumed()
    assert [float(v) for v in other.ada.variables] == [float(v) for v in state.ada.variables]
    assert int(other.ada.steps) == 1 and float(other.ada.strength) == pytest.approx(0.37)
    assert float(make_step(ada_start=0.25).state.ada.strength) == 0.25
    assert make_step(ada_target=0.0).state.ada is None


@pytest.mark.parametrize(
    "wrong, text",
    [
        (dict(ada_target=1.0), "ada_target: expected a number from 0, below 1"),
        (dict(ada_target=-0.1), "ada_target"),
        (dict(ada_start=1.5), "ada_start: expected a number, 0 to 1. Received: 1.5"),
        (dict(ada_kimg=0.0), "ada_kimg"),
        (dict(ada_interval=0), "ada_interval"),
        (dict(ada_pipe="bx"), "letters of bgc. Received: bx"),
        (dict(ada_pipe=""), "ada_pipe"),
    ],
)
def test_options_out_of_range_are_named(wrong, text):
    with pytest.raises(ValueError, match=text):
        DiscoConfig.make("demo64", 1, **wrong)
