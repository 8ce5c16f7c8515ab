"""StyleGAN's layers and networks beside their definitions in numpy, and beside what the original computed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.networks.stylegan1 import (
    StyleGAN1Config,
    StyleGAN1Discriminator,
    StyleGAN1Synthesis,
    build_discriminator,
    build_generator,
    reference,
)
from discoface_tf2.networks.stylegan1.discriminator import ReducingConv2D
from discoface_tf2.networks.stylegan1.network_file import Networks, read_networks
from discoface_tf2.networks.stylegan1.resample import blur, conv_enlarge, conv_reduce
from discoface_tf2.networks.stylegan1.synthesis import StyledLayer, instance_norm
from discoface_tf2.networks.stylegan1.weights import config_of, load_discriminator, load_generator
from tests.helpers import network_files

ORIGINAL = Path(__file__).parents[3] / "shared/reference/stylegan1"


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def first(x):
    """Channels last → first."""
    return np.asarray(x).transpose(0, 3, 1, 2)


def relative(received, expected):
    return np.abs(np.asarray(received) - expected).max() / np.abs(expected).max()


# ---- operations ----------------------------------------------------------------------------------------------------


def test_operations_are_their_definitions():
    x, kernel = normal(2, 6, 8, 3), normal(3, 3, 3, 4, seed=1)
    channels_first = first(x)
    np.testing.assert_allclose(first(blur(x)), reference._blur(channels_first), atol=1e-12)
    repeated = channels_first.repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(
        first(conv_enlarge(x, kernel, turned=False)), reference._conv(repeated, kernel), atol=1e-9
    )
    turned = reference._conv(repeated, kernel[::-1, ::-1])
    np.testing.assert_allclose(first(conv_enlarge(x, kernel, turned=True)), turned, atol=1e-9)
    np.testing.assert_allclose(reference._scatter_up(channels_first, kernel), turned, atol=1e-9)
    whole = reference._conv(channels_first, kernel)
    averaged = whole.reshape(2, 4, 3, 2, 4, 2).mean((3, 5))
    np.testing.assert_allclose(first(conv_reduce(x, kernel)), averaged, atol=1e-9)


def test_convolution_and_blur_of_the_definitions_against_scipy():
    from scipy.signal import correlate2d

    x, kernel = normal(1, 2, 5, 7), normal(3, 3, 2, 1, seed=1)
    expected = sum(correlate2d(x[0, i], kernel[:, :, i, 0], "same") for i in range(2))
    np.testing.assert_allclose(reference._conv(x, kernel)[0, 0], expected, atol=1e-12)
    taps = np.outer([1, 2, 1], [1, 2, 1]) / 16
    np.testing.assert_allclose(reference._blur(x)[0, 1], correlate2d(x[0, 1], taps, "same"), atol=1e-12)


def test_instance_norm():
    x = np.asarray(instance_norm(tf.constant(5 + 3 * normal(2, 8, 8, 3))))
    np.testing.assert_allclose(x.mean((1, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(x.std((1, 2)), 1, atol=1e-6)


# ---- layers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, size", [("const", 4), ("same", 6), ("up", 12), ("up_turned", 12)])
def test_styled_layer(kind, size):
    inputs = size // 2 if kind.startswith("up") else size
    options = dict(filters=3 if kind == "const" else 5, w_dim=4, size=size, index=1, kind=kind, seed=3)
    layer = StyledLayer(**options)
    layer.build((None, None, None, 3))
    x, w = tf.constant(normal(2, inputs, inputs, 3), tf.float32), tf.constant(normal(2, 4), tf.float32)
    output = layer(x, w, noise="fixed")
    assert output.shape == (2, size, size, options["filters"])
    twin = StyledLayer.from_config(layer.get_config())
    twin.build((None, None, None, 3))
    np.testing.assert_allclose(twin(x, w, noise="fixed"), output, atol=1e-5)
    np.testing.assert_allclose(layer(x, w), output, atol=1e-5)  # the strength of the noise starts at 0
    layer.noise_strength.assign(np.ones(options["filters"]))
    assert relative(layer(x, w, noise="fixed"), np.asarray(output)) > 0.05
    assert relative(layer(x, w, noise=tf.constant([1, 2])), np.asarray(layer(x, w, noise="fixed"))) > 0.05
    half = StyledLayer(**options, dtype="mixed_bfloat16")
    half.build((None, None, None, 3))
    assert half(x, w).dtype == tf.float32 and relative(half(x, w), np.asarray(output)) < 0.05
    with pytest.raises(ValueError, match="kind='down'"):
        StyledLayer(3, 4, 8, 0, "down")


def test_reducing_convolution_keeps_its_config():
    layer = ReducingConv2D(4, seed=2)
    layer.build((None, 8, 8, 3))
    twin = ReducingConv2D.from_config(layer.get_config())
    twin.build((None, 8, 8, 3))
    x = tf.constant(normal(2, 8, 8, 3), tf.float32)
    assert layer(x).shape == (2, 4, 4, 4)
    np.testing.assert_allclose(twin(x), layer(x), atol=1e-6)


# ---- networks ------------------------------------------------------------------------------------------------------


def load(networks: Networks):
    config = config_of(networks)
    generator, discriminator = build_generator(config, seed=1), build_discriminator(config, seed=1)
    load_generator(generator, networks.average)
    return config, generator, discriminator, load_discriminator(discriminator, networks.discriminator)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return read_networks(network_files.write(tmp_path_factory.mktemp("network") / "network.pkl"))


@pytest.mark.parametrize("fused", ["auto", True, False])
def test_networks_are_their_definitions(tmp_path, fused):
    networks = read_networks(network_files.write(tmp_path / "network.pkl", fused_scale=fused))
    config, generator, discriminator, left_out = load(networks)
    assert (config.input_size, config.widths, config.mapping_layers, config.w_dim) == (258, (6, 6, 4), 2, 8)
    parts = networks.average.components
    inputs = normal(5, 258)
    w = reference.mapping(parts["mapping"].variables, inputs, layers=2, lr_multiplier=0.01)
    ws = generator.styles(tf.constant(inputs, tf.float32))
    assert ws.shape == (5, 6, 8) and relative(ws, w[:, None]) < 1e-5
    styles = normal(4, 6, 8, seed=1)  # another w for each layer
    variables = parts["synthesis"].variables
    images = reference.synthesis(variables, styles, resolution=16, turned_from=config.turned_from)
    drawn = generator.synthesis(tf.constant(styles, tf.float32), noise="fixed")
    assert relative(first(drawn), images) < 1e-4
    other = reference.synthesis(variables, styles, resolution=16, turned_from=4 if fused is not True else 128)
    assert relative(other, images) > 0.01  # so a kernel that is turned, or not, makes a difference
    scores = reference.discriminator(networks.discriminator.variables, images, minibatch_std_group=4)
    pixels = tf.constant(images.transpose(0, 2, 3, 1), tf.float32)
    assert relative(discriminator(pixels), scores) < 1e-4
    single = reference.discriminator(networks.discriminator.variables, images[:1], minibatch_std_group=4)
    assert relative(discriminator(pixels[:1]), single) < 1e-4
    assert left_out == [f"FromRGB_lod{k}/{part}" for k in (1, 2) for part in ("bias", "weight")]


def test_the_original_reads_and_computes_the_same():
    """Expected values from the original's code in TensorFlow 1."""
    if not ORIGINAL.is_dir():
        pytest.skip("no ../shared/reference/stylegan1 beside the checkout")
    networks = read_networks(ORIGINAL / "network.pkl")
    config, generator, discriminator, _ = load(networks)
    assert (config.resolution, config.input_size, config.mapping_layers) == (32, 286, 8)
    with np.load(ORIGINAL / "expected.npz", allow_pickle=False) as expected:
        latents, dlatents, images, scores = (expected[k] for k in ("latents", "dlatents", "images", "scores"))
    ws = generator.styles(tf.constant(latents))
    assert relative(ws, dlatents) < 1e-5
    assert relative(first(generator.synthesis(ws, noise="fixed")), images) < 1e-5
    assert relative(discriminator(tf.constant(images.transpose(0, 2, 3, 1))), scores) < 1e-5
    parts = networks.average.components
    w = reference.mapping(parts["mapping"].variables, latents, layers=8, lr_multiplier=0.01)
    assert relative(w, dlatents[:, 0]) < 1e-5
    drawn = reference.synthesis(parts["synthesis"].variables, dlatents, resolution=32, turned_from=128)
    assert relative(drawn, images) < 1e-5
    judged = reference.discriminator(networks.discriminator.variables, images, minibatch_std_group=4)
    assert relative(judged, scores) < 1e-5


def test_every_stored_number_counts(small):
    """A change of any variable changes w, an image at some resolution, or a score; what is left out excepted."""
    _, generator, discriminator, _ = load(small)
    networks = [*generator.weights, *discriminator.weights]
    inputs = tf.constant(normal(3, 258), tf.float32)

    @tf.function
    def results():
        images = [generator(inputs, noise="fixed", max_resolution=size) for size in (4, 8, 16)]
        return [*images, discriminator(images[-1])]

    before = results()
    for weight in networks:
        kept = weight.numpy()
        weight.assign(kept + 0.5)
        assert any(not np.allclose(a, b, atol=1e-6) for a, b in zip(results(), before, strict=True)), weight.path
        weight.assign(kept)
    stored = sum(array.size for part in small.average.components.values() for array in part.variables.values())
    assert sum(int(np.prod(w.shape)) for w in generator.weights) == stored - 1  # but lod


def test_lower_resolutions_and_wrong_calls(small):
    _, generator, _, _ = load(small)
    inputs = tf.constant(normal(2, 258), tf.float32)
    assert generator(inputs, max_resolution=8).shape == (2, 8, 8, 3)
    assert (generator.resolution, generator.num_ws) == (16, 6)
    with pytest.raises(ValueError, match=r"max_resolution: expected one of \[4, 8, 16\]. Received: 32"):
        generator(inputs, max_resolution=32)
    with pytest.raises(ValueError, match="expected 6 styles"):
        generator.synthesis(tf.zeros([1, 5, 8]))
    with pytest.raises(ValueError, match="expected channels by resolution"):
        StyleGAN1Synthesis({8: 3, 16: 3})
    with pytest.raises(ValueError, match="expected images"):
        StyleGAN1Discriminator({4: 3, 8: 3}, 3).build((None, 16, 16, 3))


def squared_gradient(network, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(network(x) ** 2)
    return tf.reduce_mean(tape.gradient(value, x) ** 2)


@pytest.mark.parametrize("which", ["synthesis", "discriminator"])
def test_second_order_gradients(which):
    """As R1 and path length take them, in float64 against central differences."""
    if which == "synthesis":
        network = StyleGAN1Synthesis({4: 4, 8: 3}, w_dim=5, turned_from=8, dtype="float64")
        network.build((None, 4, 5))
        x = tf.constant(normal(2, 4, 5))
    else:
        network = StyleGAN1Discriminator({4: 4, 8: 3}, 5, dtype="float64")
        network.build((None, 8, 8, 3))
        x = tf.constant(normal(4, 8, 8, 3))
    direction = tf.constant(normal(*x.shape, seed=9))
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = squared_gradient(network, x)
    slope = float(tf.reduce_sum(tape.gradient(value, x) * direction))
    step = 1e-6
    ends = [float(squared_gradient(network, x + sign * step * direction)) for sign in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-4)
    assert slope != 0


# ---- files that do not fit -------------------------------------------------------------------------------------------


def changed(state, **variables):
    """A network with variables replaced; None takes one away."""
    new = {**state.variables, **variables}
    return dataclasses.replace(state, variables={name: a for name, a in new.items() if a is not None})


def test_missing_unknown_and_misshapen_variables_are_named(small):
    judge, average = small.discriminator, small.average

    def attempt(message, discriminator=judge, **parts):
        generator = dataclasses.replace(average, components={**average.components, **parts})
        with pytest.raises(ValueError, match=message) as error:
            load(Networks(small.generator, discriminator, generator))
        assert "\n" not in str(error.value)

    attempt("D: the variable 8x8/Conv0/bias is missing", changed(judge, **{"8x8/Conv0/bias": None}))
    attempt("D: unknown variables hat", changed(judge, hat=np.zeros(2)))
    attempt(
        r"8x8/Conv0/bias: expected the shape \(6,\). Received: \(5,\)",
        changed(judge, **{"8x8/Conv0/bias": np.zeros(5)}),
    )
    attempt("expected 96 rows", changed(judge, **{"4x4/Dense0/weight": np.zeros([95, 7])}))
    attempt("grown to its full resolution. D is at lod 1.5", changed(judge, lod=np.float32(1.5)))
    synthesis, mapping = average.components["synthesis"], average.components["mapping"]
    attempt("noise3 is missing", synthesis=changed(synthesis, noise3=None))
    attempt(
        "expected the variable Dense0/weight of 2 dimensions",
        mapping=changed(mapping, **{"Dense0/weight": np.zeros(3)}),
    )
    for name, value in [("use_instance_norm", False), ("num_channels", 1), ("blur_filter", None), ("label_size", 4)]:
        attempt(f"expected {name} = ", synthesis=dataclasses.replace(synthesis, options={name: value}))
    with pytest.raises(ValueError, match="Gs has no mapping and no synthesis"):
        config_of(small._replace(average=dataclasses.replace(average, components={})))


def test_config():
    config = StyleGAN1Config(286, (512, 512, 512, 512, 256, 128, 64))
    assert (config.resolution, config.num_ws, config.channels[256]) == (256, 14, 64)
    assert StyleGAN1Config.from_dict(config.to_dict()) == config
    for wrong, message in [
        ({**config.to_dict(), "frobnicate": 1}, "frobnicate"),
        ({"input_size": 3}, "expected widths"),
        ({"input_size": 3, "widths": [4]}, "expected channels"),
        ({"input_size": 3, "widths": [4, 0]}, "widths: expected each a whole number, 1 to 4,096"),
        ({"input_size": 3, "widths": [4, 4], "mapping_lr_multiplier": 0}, "mapping_lr_multiplier"),
    ]:
        with pytest.raises(ValueError, match=message):
            StyleGAN1Config.from_dict(wrong)
