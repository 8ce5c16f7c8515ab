"""GIF beside its paper's numbers, slow references and what it must not do."""

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.systems import find_system
from discoface_tf2.systems.base import Tools
from discoface_tf2.systems.gif.config import CONDITIONS, GifConfig
from discoface_tf2.systems.gif.networks import CHANNELS, ConditionNet, pyramid
from discoface_tf2.systems.gif.renders import ConditionRenderer
from discoface_tf2.systems.gif.texture import TextureSpace, interpolated, pairs, texels, texture_distance
from discoface_tf2.training.state import TrainingState
from discoface_tf2.training.steps import TrainingStep
from renderer import FaceRenderer
from renderer.layout import CoefficientLayout

TINY = dict(resolution=16, channel_base=128, channel_max=8, mapping_layers=2, mapping_width=16, noise_dim=4,
            batch_size=4, r1_interval=2, texture_interval=2, texture_size=16, learning_rate=0.01, imitate_kimg=0.4,
            ema_kimg=0.01)  # fmt: skip
SYSTEM = find_system("gif")


@pytest.fixture
def batch(tiny_face_model):
    rng = np.random.default_rng(0)
    coefficients = rng.normal(0, 0.3, (4, tiny_face_model.layout.size)).astype(np.float32)
    coefficients[:, tiny_face_model.layout.slice("translation")] = 0.0
    images = rng.integers(0, 256, (4, 16, 16, 3), np.uint8)
    fields = dict(
        image=images, coefficients=coefficients, subject=np.int32([7, 7, -1, -1]), index=np.int64([3, 4, 5, 6])
    )
    return {name: tf.constant(values) for name, values in fields.items()}


@pytest.fixture
def make_step(tiny_face_model, tiny_sampler):
    def make(**options):
        config = GifConfig.make("gif64", 1, **{**TINY, **options})
        state = TrainingState(config, tiny_face_model.layout)
        strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
        return TrainingStep(config, state, strategy, Tools(tiny_face_model, tiny_sampler, None))

    return make


def count(variables) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_parameters_at_256_are_the_papers():
    config = GifConfig.make("gif256")
    sizes, kind = SYSTEM.network_sizes(config, CoefficientLayout(4, 4, 4)), SYSTEM.architectures["gif"]
    generator, discriminator = kind.build_generator(sizes), kind.build_discriminator(sizes)
    assert count(generator.trainable_variables) == pytest.approx(31.24e6, rel=2e-4)
    assert count(generator.mapping.trainable_variables) == pytest.approx(2.10e6, rel=1e-3)
    nets = sum(count(layer.net.trainable_variables) for layer in generator.synthesis.convs)
    assert nets == pytest.approx(1.21e6, rel=1e-3)
    assert count(discriminator.trainable_variables) == pytest.approx(28.86e6, rel=2e-4)
    assert len(generator.synthesis.convs) == 13


def test_a_condition_net_starts_as_the_papers_and_survives_serialisation():
    net = ConditionNet(16, seed=3)
    renders = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 6)).astype(np.float32)
    images = net(renders)
    assert images.shape == (2, 8, 8, 16)
    for conv, channels in zip(net.convs, (12, 24, 16), strict=True):
        assert conv.filters == channels and float(np.std(conv.kernel)) == pytest.approx(0.01, rel=0.15)
        np.testing.assert_allclose(conv.bias, 1e-4)
    again = ConditionNet.from_config(net.get_config())
    np.testing.assert_array_equal(again(renders), images)


def test_the_pyramid_is_bilinear_without_antialiasing():
    renders = tf.constant(np.random.default_rng(0).normal(size=(1, 8, 8, 2)).astype(np.float32))
    small = pyramid(renders, [2, 8])
    # Half-pixel centres: pixel k of 2 lies between pixels 1 and 2, or 5 and 6, of 8; nothing else is looked at.
    expected = (renders[:, 1::4] + renders[:, 2::4])[:, :, 1::4] / 4 + (renders[:, 1::4] + renders[:, 2::4])[
        :, :, 2::4
    ] / 4
    np.testing.assert_allclose(small[2], expected, atol=1e-6)
    assert small[8] is renders


def test_renders_are_texture_and_normals_and_the_background_is_minus_one(tiny_face_model, batch):
    renders, mask = ConditionRenderer(tiny_face_model, 32)(batch["coefficients"])
    image = FaceRenderer(tiny_face_model, 32, part="head")(batch["coefficients"])
    np.testing.assert_allclose(renders[..., :3], image.image / 127.5 - 1, atol=1e-5)
    np.testing.assert_array_equal(mask, image.mask)
    normals, inside = renders[..., 3:].numpy(), mask.numpy()[..., 0] > 0
    np.testing.assert_allclose(np.linalg.norm(normals[inside], axis=-1), 1.0, atol=1e-5)
    assert (normals[~inside] == -1).all() and (normals[inside][:, 2] > -0.05).all() and inside.mean() > 0.2
    assert normals[inside].min() < -0.3  # the reference loses those


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_trains_and_moves_every_weight(condition, make_step, batch):
    step = make_step(condition=condition)
    networks = step.state.networks
    assert networks["discriminator"].from_rgb.weights[0].shape[-2] == 3 + CHANNELS[
        "both" if condition == "vector" else condition]  # fmt: skip
    before = {name: [v.numpy() for v in network.trainable_variables] for name, network in networks.items()}
    terms = {}
    for number in range(2):
        terms |= {**step(batch, "adversarial"), **step.penalties(batch, "adversarial", number)}
    assert set(terms) == {"generator", "discriminator", "score_real", "score_fake", "image_l1", "r1", "texture"}
    assert all(np.isfinite(float(value)) for value in terms.values())
    for name, network in networks.items():
        still = [v.path for v, was in zip(network.trainable_variables, before[name], strict=True)
                 if np.array_equal(v.numpy(), was) and "noise/strength" not in v.path]  # fmt: skip
        assert not still


def test_imitation_lowers_its_loss(make_step, batch):
    step = make_step(mapping_lr_multiplier=1.0)
    losses = []
    for _ in range(60):
        step.state.images.assign(0)
        losses.append(float(step(batch, "imitate")["imitate"]))
        assert step.penalties(batch, "imitate", 0) == {}
    assert losses[-1] < 0.6 * losses[0]


def test_an_identity_has_one_style_and_an_unknown_one_its_images(make_step, batch):
    step = make_step()
    styles = step.objective.styles(batch).numpy()
    np.testing.assert_array_equal(styles[0], styles[1])
    assert len(np.unique(styles.round(5), axis=0)) == 3
    step.state.images.assign(400)
    again = {**batch, "index": batch["index"] + tf.constant([9, 9, 0, 1], tf.int64)}
    later = step.objective.styles(again).numpy()
    np.testing.assert_array_equal(later[:3], styles[:3])  # whenever it comes, and whatever its image's number
    assert (later[3] != styles[3]).all()


def test_r1_is_of_the_image_alone(make_step, batch):
    step = make_step()
    objective, network = step.objective, step.state.discriminator
    renders, _ = objective.render(batch["coefficients"])
    reals = tf.cast(batch["image"], tf.float32) / 127.5 - 1
    with tf.GradientTape() as tape:
        tape.watch(reals)
        logits = tf.reduce_sum(network(tf.concat([reals, renders], -1)))
    expected = np.sum(np.square(tape.gradient(logits, reals)), (1, 2, 3)).mean()
    assert float(step.penalties(batch, "adversarial", 0)["r1"]) == pytest.approx(expected, rel=1e-4)


# ---- texture consistency --------------------------------------------------------------------------------------------


def test_faces_between_share_texture_and_light(tiny_face_model, batch):
    layout, rows = tiny_face_model.layout, batch["coefficients"]
    between = interpolated(rows, tf.constant(0.25), layout).numpy()
    assert between.shape == (3, layout.size)
    for group in ("texture", "lighting"):
        where = layout.slice(group)
        np.testing.assert_array_equal(between[:, where], np.repeat(rows[:1, where], 3, 0))
    for group in ("shape", "expression", "angles", "translation"):
        where = layout.slice(group)
        np.testing.assert_allclose(between[:, where], 0.75 * rows[:-1, where] + 0.25 * rows[1:, where], atol=1e-6)


def test_pairs_are_drawn_without_replacement():
    found = pairs(tf.constant([1, 2]), 15).numpy()
    assert found.shape == (15, 2) and len({tuple(pair) for pair in found}) == 15  # 15 of 105
    assert (found[:, 0] < found[:, 1]).all() and found.max() < 15
    assert not np.array_equal(found, pairs(tf.constant([1, 3]), 15))


def test_texture_distance_is_the_references_less_its_floor():
    rng = np.random.default_rng(0)
    textures, visible = rng.uniform(-1, 1, (3, 5, 5, 3)), rng.integers(0, 2, (3, 5, 5, 1)).astype(float)
    chosen = [(0, 1), (1, 2)]
    expected = []
    for i, j in chosen:
        both = visible[i] * visible[j]
        reference = 1 / (1 + np.exp(-((textures[i] * both - textures[j] * both) ** 2)))
        expected.append(np.mean(reference) - 0.5)  # of a face that fills its map: M is 1, and the floor 1/2
    found = texture_distance(*(tf.constant(x, tf.float32) for x in (textures, visible)), tf.constant(chosen))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_texels_show_what_their_corners_do(tiny_face_model):
    """Each texel of the face, put together from its triangle, lies where it should in uv."""
    ids, weights, face = texels(tiny_face_model, 32)
    inside = face > 0
    found = (tiny_face_model.uv[ids] * weights[..., None]).sum(1)[inside]
    row, column = np.divmod(np.arange(32 * 32)[inside], 32)
    np.testing.assert_allclose(found, np.stack([(column + 0.5) / 32, 1 - (row + 0.5) / 32], -1), atol=1e-4)
    assert 0.4 < inside.mean() < 0.9


def test_an_image_of_the_face_model_comes_back_as_its_texture(tiny_face_model):
    """A render whose colours are its texture coordinates, unprojected, is the map of texture coordinates."""
    layout = tiny_face_model.layout
    coefficients = np.random.default_rng(1).normal(0, 0.2, (2, layout.size)).astype(np.float32)
    coefficients[:, layout.slice("angles")] = [[0, 0, 0], [0.1, -0.2, 0.1]]
    coefficients[:, layout.slice("translation")] = 0.0
    renderer = FaceRenderer(tiny_face_model, 128)
    shape = renderer.shape(coefficients)
    framebuffer = renderer.rasterize(renderer.pose(shape, coefficients))
    from renderer.rasterizer import interpolate

    colours = np.pad(tiny_face_model.uv, [(0, 0), (0, 1)])
    painted = interpolate(framebuffer, tf.repeat(tf.constant(colours, tf.float32)[None], 2, 0))
    textures, visible = TextureSpace(renderer, 32)(painted, tf.constant(coefficients))
    middle = (np.arange(32) + 0.5) / 32
    expected = np.stack(np.meshgrid(middle, middle[::-1]), -1)
    seen = visible.numpy()[..., 0] > 0
    error = np.abs(textures.numpy()[..., :2] - expected).max(-1)
    assert seen.mean() > 0.25 and np.quantile(error[seen], 0.9) < 0.03


def test_equal_faces_have_no_distance_and_its_gradient_reaches_the_image(tiny_face_model):
    layout = tiny_face_model.layout
    coefficients = tf.zeros([2, layout.size])
    space = TextureSpace(FaceRenderer(tiny_face_model, 32), 16)
    images = tf.Variable(tf.repeat(tf.random.stateless_uniform([1, 32, 32, 3], [1, 2]), 2, 0))
    assert float(texture_distance(*space(images, coefficients), tf.constant([[0, 1]]))[0]) == pytest.approx(0, abs=1e-7)
    images[0].assign(-images[1])
    with tf.GradientTape() as tape:
        distance = texture_distance(*space(images, coefficients), tf.constant([[0, 1]]))
    assert float(distance[0]) > 0.01 and float(tf.norm(tape.gradient(distance, images))) > 0


# ---- generation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ["both", "vector"])
def test_truncation_moves_the_style_alone(condition, tiny_face_model, tiny_sampler):
    config = GifConfig.make("gif64", 1, **TINY, condition=condition)
    layout = tiny_face_model.layout
    generator = SYSTEM.architectures["gif"].build_generator(SYSTEM.network_sizes(config, layout))
    average = SYSTEM.average_w(generator, tiny_sampler, layout, config.noise_dim)
    faces = SYSTEM.faces(generator, layout, config.noise_dim, average, tiny_face_model)
    rng = np.random.default_rng(0)
    lambdas = rng.normal(0, 0.2, (2, layout.lambda_size)).astype(np.float32)
    styles = rng.normal(size=(2, 2, 4)).astype(np.float32)
    first, second = (faces(lambdas, style, 0.0).numpy() for style in styles)
    np.testing.assert_allclose(first, second, atol=1e-5)  # at ψ = 0 there is one style
    assert np.abs(faces(lambdas, styles[0], 1.0) - faces(lambdas, styles[1], 1.0)).max() > 1e-4
    assert first.shape == (2, 16, 16, 3)


def test_what_does_not_go_together_is_refused_in_one_line():
    for options, words in ((dict(ada_target=0.6), "ada_pipe: expected c"), (dict(condition="depth"), "condition: exp")):
        with pytest.raises(ValueError, match=words) as refused:
            GifConfig.make("gif64", 1, **options)
        assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="stage: expected 1"):
        GifConfig.make("gif64", 2)
