"""Whole networks: sizes against the published ones, ranges, noise, warm-up resolutions, penalties, saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_discriminator, build_generator
from discoface_tf2.networks.stylegan2.discriminator import Discriminator
from discoface_tf2.networks.stylegan2.mapping import Mapping
from discoface_tf2.networks.stylegan2.synthesis import BatchNoise, Synthesis, SynthesisLayer
from tests.helpers.layer_harness import check_directional_gradient, normal, run_layer_test, squared_gradient

CHANNELS = {4: 8, 8: 8, 16: 6}
TINY = NetworkConfig(input_size=10, resolution=16, channel_base=96, channel_max=8, mapping_layers=2, mapping_width=12,
                     w_dim=8, mapping_lr_multiplier=1.0)  # fmt: skip


@pytest.fixture(scope="module")
def generator():
    generator = build_generator(TINY)
    for layer in generator.synthesis.convs:
        layer.noise.strength.assign(0.3)
    return generator


def test_harness():
    run_layer_test(Mapping, dict(layers=2, width=12, w_dim=8, lr_multiplier=0.1), [(3, 10)], (3, 8))
    run_layer_test(Mapping, dict(layers=2, width=12, w_dim=8, normalize_input=True), [(3, 10)], (3, 8))
    run_layer_test(Synthesis, dict(channels=CHANNELS, w_dim=8), [(2, 6, 8)], (2, 16, 16, 3), exact_output=True)
    run_layer_test(Discriminator, dict(channels=CHANNELS), [(4, 16, 16, 3)], (4, 1), exact_output=True)
    options = dict(filters=6, w_dim=8, up=True, index=1)
    run_layer_test(SynthesisLayer, options, [(2, 4, 4, 8), (2, 8)], (2, 8, 8, 6))


# NVIDIA's PyTorch code with 512 inputs, a mapping of 8 × 512: full width at 1024 and 256, half width at 256. Strengths
# of the noise are counted; the fixed noise maps and the filter are no parameters, there as here.
COUNTS = [
    (1024, 32768, 28_268_812, 29_012_513),
    (256, 32768, 27_933_090, 28_864_129),
    (256, 16384, 22_666_210, 24_001_089),
]


@pytest.mark.parametrize("resolution, base, synthesis, discriminator", COUNTS)
def test_published_parameter_counts(monkeypatch, resolution, base, synthesis, discriminator):
    zeros = keras.initializers.Zeros()  # 57 million normal numbers would take seconds
    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", lambda _, *args, **kwargs: zeros(*args, **kwargs))
    config = NetworkConfig(input_size=512, resolution=resolution, channel_base=base, channel_max=512)
    generator = build_generator(config)
    assert generator.mapping.count_params() == 2_101_248
    assert generator.synthesis.count_params() == synthesis
    assert build_discriminator(config).count_params() == discriminator
    assert generator.num_ws == config.num_ws == (18 if resolution == 1024 else 14)


def test_outputs_start_near_the_right_range():
    config = NetworkConfig(input_size=32, resolution=32, channel_base=2048, channel_max=32, mapping_layers=4,
                           mapping_width=64, w_dim=64)  # fmt: skip
    generator = build_generator(config, seed=1)
    inputs = normal(32, 32).astype(np.float32)
    assert 0.3 < float(tf.math.reduce_std(generator.mapping(inputs))) < 3
    assert 0.2 < float(tf.math.reduce_std(generator(inputs))) < 4


def test_seeds_make_the_weights():
    same, again, other = (build_generator(TINY, seed=seed).get_weights() for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(same, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(same, other, strict=True) if a.std() > 0)
    shapes = [w for w in same if w.shape == (3, 3, 8, 8)]
    assert len(shapes) > 1 and not np.array_equal(shapes[0], shapes[1])


def test_stopping_early_gives_the_image_so_far(generator):
    """Skip generator: the whole image is the enlarged smaller one plus the finer blocks' own."""
    inputs = tf.constant(normal(2, 10), tf.float32)
    seen = [generator(inputs, noise="fixed", max_resolution=size).shape[1] for size in (4, 8, 16)]
    assert seen == [4, 8, 16]
    np.testing.assert_array_equal(generator(inputs, max_resolution=16), generator(inputs))
    with pytest.raises(ValueError, match="Received: 12"):
        generator.synthesis.call(generator.styles(inputs), max_resolution=12)


def test_noise_maps(generator):
    ws = generator.styles(tf.constant(normal(1, 10), tf.float32))
    ws = tf.tile(ws, [3, 1, 1])
    none, fixed = generator.synthesis(ws), generator.synthesis(ws, noise="fixed")
    np.testing.assert_allclose(none[0], none[1], atol=1e-5)
    np.testing.assert_allclose(fixed, generator.synthesis(ws, noise="fixed"), atol=1e-6)
    np.testing.assert_allclose(fixed[0], fixed[1], atol=1e-5)
    assert np.abs(fixed[0] - none[0]).max() > 0.05

    shared = generator.synthesis(ws, noise=tf.constant([1, 2]))
    np.testing.assert_allclose(shared[0], shared[2], atol=1e-5)
    assert np.abs(shared - generator.synthesis(ws, noise=tf.constant([1, 3]))).max() > 0.05

    each = generator.synthesis(ws, noise=tf.constant([[1, 2], [3, 4], [1, 2]]))
    np.testing.assert_allclose(each[0], each[2], atol=1e-5)
    np.testing.assert_allclose(each[0], shared[0], atol=1e-5)  # a seed means the same map, alone or in a batch
    assert np.abs(each[0] - each[1]).max() > 0.05

    # One draw for a batch: each image its own map, but for those that share a row of it.
    rows = generator.synthesis(ws, noise=BatchNoise(tf.constant([1, 2]), tf.constant([1, 0, 1]), 2))
    np.testing.assert_allclose(rows[0], rows[2], atol=1e-5)
    assert np.abs(rows[0] - rows[1]).max() > 0.05
    with pytest.raises(ValueError, match="noise: expected"):
        generator.synthesis.call(ws, noise="const")


def test_styles_act_on_their_own_resolution(generator):
    """The last style, of the last image layer, leaves all coarser images as they are."""
    ws = generator.styles(tf.constant(normal(1, 10), tf.float32)).numpy()
    moved = ws.copy()
    moved[:, -1] += 1
    for size, same in ((8, True), (16, False)):
        images = [generator.synthesis(w, max_resolution=size).numpy() for w in (ws, moved)]
        assert np.allclose(images[0], images[1]) == same


def test_dtypes_of_the_whole():
    inputs = normal(4, 10).astype(np.float32)
    full, mixed = (build_generator(TINY, dtype=dtype) for dtype in ("float32", "mixed_bfloat16"))
    images, rough = full(inputs), mixed(inputs)
    assert rough.dtype == tf.float32
    assert 0 < np.abs(images - rough).mean() < 0.05 * np.abs(images).mean()
    assert build_discriminator(TINY, dtype="mixed_bfloat16")(images).dtype == tf.float32
    mixed.set_weights(full.get_weights())


def test_second_order_gradients_of_the_penalties():
    """R1 (squared image gradient of the discriminator) and path length (squared style gradient of the synthesis)."""
    discriminator = Discriminator({4: 4, 8: 3}, dtype="float64")
    discriminator.build((None, 8, 8, 3))
    check_directional_gradient(lambda x: squared_gradient(discriminator, x), normal(4, 8, 8, 3), tolerance=1e-4)
    synthesis = Synthesis({4: 4, 8: 3}, w_dim=5, dtype="float64")
    synthesis.build((None, 4, 5))
    check_directional_gradient(lambda ws: squared_gradient(synthesis, ws), normal(2, 4, 5), tolerance=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_every_weight_gets_a_gradient(dtype):
    generator, discriminator = build_generator(TINY, dtype=dtype), build_discriminator(TINY, dtype=dtype)
    inputs = tf.constant(normal(4, 10), tf.float32)

    @tf.function
    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            images = generator(inputs, noise=tf.constant([1, 2]))
            loss = tf.reduce_sum(discriminator(images))
            with tf.GradientTape() as inner:
                inner.watch(images)
                logits = tf.reduce_sum(discriminator(images))
            penalty = tf.reduce_sum(inner.gradient(logits, images) ** 2)
        weights = [w.value for w in (*generator.trainable_variables, *discriminator.trainable_variables)]
        # Biases shift logits without changing their slope, but through the kinks of the activations.
        kernels = [w.value for w in discriminator.trainable_variables if w.name == "kernel"]
        return tape.gradient(loss, weights), tape.gradient(penalty, kernels)

    for gradient in (g for group in gradients() for g in group):
        assert gradient.dtype == tf.float32
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_saving(generator, tmp_path):
    generator.save_weights(tmp_path / "g.weights.h5")
    other = build_generator(TINY, seed=9)
    other.load_weights(tmp_path / "g.weights.h5")
    inputs = normal(2, 10).astype(np.float32)
    np.testing.assert_allclose(other(inputs, noise="fixed"), generator(inputs, noise="fixed"), atol=1e-6)


def test_config():
    assert NetworkConfig.from_dict(TINY.to_dict()) == TINY
    assert TINY.channels == {4: 8, 8: 8, 16: 6}
    with pytest.raises(ValueError, match="frobnicate"):
        NetworkConfig.from_dict({**TINY.to_dict(), "frobnicate": 1})
    with pytest.raises(ValueError, match="expected input_size"):
        NetworkConfig.from_dict({})
    for wrong in (dict(resolution=48), dict(channel_base=8), dict(w_dim=0), dict(mapping_lr_multiplier=0.0)):
        with pytest.raises(ValueError, match="Received"):
            NetworkConfig(input_size=10, **wrong)
    with pytest.raises(ValueError, match="expected images"):
        Discriminator(CHANNELS).build((None, 8, 8, 3))
