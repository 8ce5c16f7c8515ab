"""The training step beside what it must satisfy: separate tapes, fair pairs, a falling loss, several replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.losses import adversarial
from discoface_tf2.losses.pixels import pixel_loss, reduce_to, to_network_range
from discoface_tf2.systems.base import Tools
from discoface_tf2.systems.disco.system import set_input_scale
from discoface_tf2.training.distribution import make_strategy
from discoface_tf2.training.state import TrainingState
from discoface_tf2.training.steps import TrainingStep
from tests.helpers.tiny_training import tiny_config


@pytest.fixture
def make_step(tiny_face_model, tiny_sampler, tiny_perception):
    def make(config, strategy=None):
        strategy = strategy or tf.distribute.OneDeviceStrategy("/cpu:0")
        with strategy.scope():
            state = TrainingState(config, tiny_face_model.layout)
        return TrainingStep(config, state, strategy, Tools(tiny_face_model, tiny_sampler, tiny_perception))

    return make


REALS = tf.constant(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8))
BATCH = {"image": REALS}


def test_pairs_share_everything_but_their_factor(make_step, tiny_face_model):
    step, layout = make_step(tiny_config(2)), tiny_face_model.layout
    lambdas, noise = (x.numpy() for x in step.objective.sample())
    assert lambdas.shape == (4 + 2 + 2, layout.lambda_size)
    for factor, first, second in (("expression", slice(0, 2), slice(4, 6)), ("lighting", slice(2, 4), slice(6, 8))):
        same = np.ones(layout.lambda_size, bool)
        same[layout.slice(factor)] = False
        np.testing.assert_array_equal(lambdas[first][:, same], lambdas[second][:, same])
        assert (lambdas[first][:, ~same] != lambdas[second][:, ~same]).any(axis=1).all()
        np.testing.assert_array_equal(noise[first], noise[second])


def test_draws_depend_on_the_images_shown_alone(make_step):
    step = make_step(tiny_config())
    first = step.objective.sample()[0].numpy()
    np.testing.assert_array_equal(first, step.objective.sample()[0])
    step.state.images.assign(4)
    assert np.abs(first - step.objective.sample()[0].numpy()).max() > 0


def test_one_forward_pass_gives_the_gradients_of_two(make_step):
    """The slow reference: each network's loss on a tape of its own, the fakes made anew for each."""
    step = make_step(tiny_config(w_warmup_l1=3.0))
    state = step.state
    state.trained = {name: (state.networks[name], keras.optimizers.SGD(1.0)) for name in state.networks}
    lambdas, noise = step.objective.sample()
    inputs, reals = tf.concat([lambdas, noise], -1), to_network_range(REALS)
    rendering = step.objective.renderer(lambdas)
    with tf.GradientTape() as tape:
        fakes = state.generator(inputs)
        loss = tf.reduce_mean(adversarial.generator_loss(state.discriminator(fakes)))
        loss += 3.0 * tf.reduce_mean(pixel_loss(fakes, rendering, step.objective.imitation.l1_size))
    expected_g = tape.gradient(loss, [v.value for v in state.generator.trainable_variables])
    with tf.GradientTape() as tape:
        fakes = tf.stop_gradient(state.generator(inputs))
        loss = tf.reduce_mean(adversarial.real_loss(state.discriminator(reals)))
        loss += tf.reduce_mean(adversarial.fake_loss(state.discriminator(fakes)))
    expected_d = tape.gradient(loss, [v.value for v in state.discriminator.trainable_variables])
    before = [[v.numpy() for v in net.trainable_variables] for net in (state.generator, state.discriminator)]
    step(BATCH, "warmup")
    for network, old, expected in zip(
        (state.generator, state.discriminator), before, (expected_g, expected_d), strict=True
    ):
        moved = 0
        for variable, was, gradient in zip(network.trainable_variables, old, expected, strict=True):
            if gradient is None:
                np.testing.assert_array_equal(variable, was)
                continue
            np.testing.assert_allclose(was - variable.numpy(), gradient, rtol=1e-3, atol=2e-5, err_msg=variable.path)
            moved += 1
        assert moved > 10


def test_stage_2_adds_the_adversarial_terms_of_the_batch_and_of_the_pairs(make_step):
    step = make_step(tiny_config(2))
    state, (lambdas, noise) = step.state, step.objective.sample()
    score = state.discriminator(state.generator(tf.concat([lambdas, noise], -1))).numpy()[:, 0]
    real = state.discriminator(to_network_range(REALS)).numpy()[:, 0]
    pairs = np.concatenate([score[:4], score[4:]])  # 2 pairs of each kind: rows 0-3 of the batch, and four more
    terms = step(BATCH, "contrastive")

    def softplus(x):
        return np.log1p(np.exp(x)).mean()

    np.testing.assert_allclose(terms["generator"], softplus(-score[:4]) + softplus(-pairs), rtol=1e-4)
    fake = (softplus(score[:4]) + softplus(pairs)) / 2
    np.testing.assert_allclose(terms["discriminator"], softplus(-real) + fake, rtol=1e-4)


def test_perception_networks_see_clipped_images_and_lighting_pairs_whole(make_step, tiny_perception, monkeypatch):
    step = make_step(tiny_config(2, w_expression=1.0))
    lambdas, noise = step.objective.sample()
    fakes = 3.0 * step.state.generator(tf.concat([lambdas, noise], -1))
    assert np.abs(fakes).max() > 1.5
    seen = {"reconstruction": [], "identity": [], "parsing": []}
    for name, images in seen.items():
        kind = type(getattr(tiny_perception, name))

        def call(self, x, call=kind.call, images=images, **options):
            images.append((x.numpy(), options))
            return call(self, x, **options)

        monkeypatch.setattr(kind, "call", call)
    step.objective.imitation(fakes, lambdas, "contrastive")
    lit = np.clip(np.concatenate([fakes[2:4], fakes[6:8]]), -1, 1)  # 2 pairs: rows 2 and 3, and their second images
    (_, (whole, _)) = [one for one in seen["identity"] if not np.array_equal(one[0], to_render(step, lambdas))]
    np.testing.assert_array_equal(whole, lit)
    (parsed, options), *_ = seen["parsing"]
    np.testing.assert_array_equal(parsed, lit)
    looked_at = next(images for images, _ in seen["reconstruction"] if len(images) == 6)
    np.testing.assert_array_equal(looked_at, np.clip(np.concatenate([fakes[:4], fakes[6:8]]), -1, 1))
    for images in (one for calls in seen.values() for one, _ in calls):
        assert np.abs(images).max() <= 1
    # The parser aligns each image by its own landmarks, as the reconstruction network predicts them.
    points = step.objective.renderer.landmarks(tiny_perception.reconstruction(tf.constant(lit))).numpy()  # y up, pixels
    for k, wanted in ((2, points[:, 30]), (3, points[:, 48]), (0, (points[:, 36] + points[:, 39]) / 2)):
        found = options["landmarks"].numpy()[:, k]
        np.testing.assert_allclose(found, np.stack([wanted[:, 0] / 16, 1 - wanted[:, 1] / 16], -1), atol=1e-5)


def to_render(step, lambdas):
    return to_network_range(step.objective.renderer(lambdas[:4]).image).numpy()


def test_stages_of_one_seed_draw_different_numbers(make_step, tiny_sampler):
    first, second = (make_step(tiny_config(stage)).objective.sample()[0][:4].numpy() for stage in (1, 2))
    assert (np.abs(first - second).max(1) > 0).all()
    # What stage 1 draws of seed 3 stays what it always was: a resumed run must see it.
    step = make_step(tiny_config(1, seed=3))
    normals = tf.random.stateless_normal([4, tiny_sampler.latent_size + 4], [3 * 16, 0], alg="philox")
    np.testing.assert_array_equal(
        step.objective.sample()[0], tiny_sampler.sample(normals[:, : tiny_sampler.latent_size])
    )


def test_a_run_from_a_snapshot_without_a_mean_path_length_measures_it_first(make_step):
    step = make_step(tiny_config(2, pl_weight=2.0, pl_interval=1, layer_noise=True))
    step.state.extra["mean_path_length"].assign(-1.0)  # as `load_snapshot` has it
    terms = step.penalties(BATCH, "contrastive", 0)
    mean = float(terms["mean_path_length"])
    assert mean > 0 and float(step.state.extra["mean_path_length"]) == pytest.approx(mean)
    assert float(terms["path_length"]) < 0.5 * mean**2  # their variance, not their distance from 0
    assert int(step.state.trained["generator"][1].iterations) == 1  # measuring changes no weight


def test_imitation_lowers_its_loss_and_leaves_the_discriminator_alone(make_step):
    step = make_step(tiny_config(mapping_lr_multiplier=1.0))
    judge = [v.numpy() for v in step.state.discriminator.trainable_variables]
    losses = []
    for _ in range(60):
        step.state.images.assign(0)  # the same four faces each time
        losses.append(float(step(BATCH, "imitate")["warmup_l1"]))
    assert losses[-1] < 0.5 * losses[0]
    for was, variable in zip(judge, step.state.discriminator.trainable_variables, strict=True):
        np.testing.assert_array_equal(was, variable)


@pytest.mark.parametrize("stage, phase", [(1, "imitative"), (2, "contrastive")])
def test_every_term_is_there_and_everything_moves(make_step, stage, phase):
    step = make_step(tiny_config(stage, w_expression=1.0, pl_weight=2.0, pl_interval=1, layer_noise=True))
    state = step.state
    before = [v.numpy() for v in state.generator.trainable_variables]
    terms = {**step(BATCH, phase), **step.penalties(BATCH, phase, 0)}
    expected = {"generator", "discriminator", "identity", "landmarks", "lighting", "skin", "expression", "score_real",
                "score_fake", "image_l1", "r1", "path_length", "mean_path_length"}  # fmt: skip
    assert set(terms) == expected | ({"expression_warp", "lighting_change"} if stage == 2 else set())
    assert all(np.isfinite(float(value)) for value in terms.values())
    assert int(state.images) == 4
    still = [v.path for v, was in zip(state.generator.trainable_variables, before, strict=True)
             if np.array_equal(v.numpy(), was)]  # fmt: skip
    assert not still
    for average, now in zip(state.average.trainable_variables, state.generator.trainable_variables, strict=True):
        assert np.abs(average.numpy() - now.numpy()).max() < np.abs(now.numpy()).max() + 1


def test_what_has_no_weight_is_not_computed(make_step, monkeypatch):
    weights = dict.fromkeys(("landmarks", "lighting", "skin", "image_l1", "expression"), 0.0)
    step = make_step(tiny_config(**{f"w_{name}": weight for name, weight in weights.items()}))
    seen = []
    monkeypatch.setattr(
        type(step.objective.imitation.perception.reconstruction), "call", lambda *_: seen.append("coefficients")
    )
    terms = step(BATCH, "imitative")
    assert set(terms) == {"generator", "discriminator", "identity", "score_real", "score_fake"} and not seen
    bare = make_step(tiny_config(w_identity=0.0, **{f"w_{name}": weight for name, weight in weights.items()}))
    monkeypatch.setattr(type(bare.objective.renderer), "__call__", lambda *_: seen.append("render"))
    assert set(bare(BATCH, "imitative")) == set(terms) - {"identity"} and not seen


def test_xla_computes_the_same_step(make_step):
    """Of the same draws: XLA's normal numbers are others."""
    plain, compiled = (make_step(tiny_config(jit_compile=jit)) for jit in (False, True))
    draw = plain.objective.sample()
    plain.objective.sample = compiled.objective.sample = lambda: draw
    terms, others = (step(BATCH, "warmup") for step in (plain, compiled))
    assert set(terms) == set(others)
    for name, value in terms.items():
        np.testing.assert_allclose(value, others[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_standardised_inputs_reach_the_mapping_with_unit_deviation(make_step, tiny_sampler):
    lambdas = tiny_sampler.sample(tf.random.stateless_normal([500, tiny_sampler.latent_size], [1, 2])).numpy()
    state = make_step(tiny_config(standardize_input=True)).state
    set_input_scale(state.generator, lambdas)
    size = lambdas.shape[1]
    scale = state.generator.mapping.input_scale.numpy()
    moving = lambdas.std(0) > 1e-3
    np.testing.assert_allclose((lambdas * scale[:size]).std(0)[moving], 1.0, rtol=1e-4)
    np.testing.assert_array_equal(scale[size:], 1.0)
    # The mapping of scaled inputs is that of a mapping without scale on inputs scaled before.
    plain = make_step(tiny_config(standardize_input=False)).state
    inputs = np.pad(lambdas[:3], [(0, 0), (0, 4)])
    np.testing.assert_allclose(
        state.generator.mapping(inputs), plain.generator.mapping(inputs * scale), rtol=1e-4, atol=1e-5
    )


def test_imitation_has_its_own_falling_learning_rate(make_step):
    config = tiny_config(
        learning_rate=0.002, imitate_learning_rate=0.01, imitate_kimg=0.4, pl_weight=2.0, pl_interval=4
    )
    state = make_step(config).state
    rates = []
    for step in (0, 69, 85, 100, 101):  # of 100 steps of 4 images
        state.trained["imitate"][1].iterations.assign(step)
        rates.append(float(state.trained["imitate"][1].learning_rate))
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.005, 0.0, 0.0], atol=1e-8)
    assert float(state.trained["generator"][1].learning_rate) == pytest.approx(0.0016)  # × 4 / 5: lazy path length


def test_a_checkpoint_brings_everything_back(make_step, tmp_path):
    step = make_step(tiny_config(ema_kimg=1.0, ema_rampup=1000.0))
    for phase in ("imitate", "warmup"):
        step(BATCH, phase)
    path = step.state.checkpoint.write(str(tmp_path / "checkpoint"))
    other = make_step(tiny_config(ema_kimg=1.0, ema_rampup=1000.0, seed=1)).state
    other.checkpoint.read(path).assert_consumed()
    holders = [{"average": state.average, **state.networks, **{f"{k}'s": v[1] for k, v in state.trained.items()}}
               for state in (step.state, other)]  # fmt: skip
    for name in ("generator", "average", "discriminator", "generator's", "discriminator's", "imitate's"):
        ours, theirs = (holder[name].variables for holder in holders)
        assert len(ours) > 10
        for variable, restored in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(variable.numpy(), restored.numpy(), err_msg=f"{name}: {variable.path}")
    assert int(other.images) == 8
    distance = max(np.abs(a.numpy() - b.numpy()).max() for a, b in zip(
        step.state.generator.trainable_variables, step.state.average.trainable_variables, strict=True))  # fmt: skip
    assert distance > 1e-3  # with this half-life the average is not the generator


def test_two_replicas_learn_what_one_does(make_step):
    strategies = (tf.distribute.OneDeviceStrategy("/cpu:0"), make_strategy("mirrored"))
    assert strategies[1].num_replicas_in_sync == 2
    results = []
    for strategy in strategies:
        step = make_step(tiny_config(), strategy)
        reals = REALS
        if strategy.num_replicas_in_sync == 2:
            halves = tf.split(REALS, 2)
            reals = strategy.experimental_distribute_values_from_function(
                lambda context, halves=halves: halves[context.replica_id_in_sync_group]
            )
        results.append([float(step({"image": reals}, "imitate")["warmup_l1"]) for _ in range(4)])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4)


def test_reduce_to_averages_and_leaves_small_images_alone():
    images = tf.random.stateless_normal([2, 8, 8, 3], [1, 2])
    np.testing.assert_allclose(reduce_to(images, 4)[1, 0, 0], tf.reduce_mean(images[1, :2, :2], [0, 1]), rtol=1e-5)
    assert reduce_to(images, 16) is images
