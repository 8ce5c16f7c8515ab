"""Each layer against its definition in numpy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.networks.stylegan2.layers import Conv2D, Dense, MinibatchStd, ModulatedConv2D, NoiseInjection, ToRGB
from discoface_tf2.networks.stylegan2.mapping import Mapping
from discoface_tf2.networks.stylegan2.synthesis import SynthesisLayer
from tests.helpers.layer_harness import check_gradients, normal, run_layer_test
from tests.helpers.slow_resample import correlate, slow_conv_downsample, slow_conv_upsample, upfirdn

LAYERS = [
    (Dense, dict(units=5), [(3, 4)], (3, 5)),
    (Dense, dict(units=5, activation=True, lr_multiplier=0.01, bias_init=1.0, seed=3), [(3, 4)], (3, 5)),
    (Conv2D, dict(filters=6), [(2, 8, 8, 4)], (2, 8, 8, 6)),
    (Conv2D, dict(filters=6, down=True, gain=0.5), [(2, 8, 8, 4)], (2, 4, 4, 6)),
    (Conv2D, dict(filters=6, kernel_size=1, down=True, use_bias=False, activation=False), [(2, 8, 8, 4)], (2, 4, 4, 6)),
    (ModulatedConv2D, dict(filters=6), [(2, 8, 8, 4), (2, 4)], (2, 8, 8, 6)),
    (ModulatedConv2D, dict(filters=6, up=True), [(2, 8, 8, 4), (2, 4)], (2, 16, 16, 6)),
    (MinibatchStd, dict(group=2), [(4, 4, 4, 3)], (4, 4, 4, 4)),
]


@pytest.mark.parametrize("cls, options, inputs, output", LAYERS)
def test_layer(cls, options, inputs, output):
    run_layer_test(cls, options, inputs, output)


def test_to_rgb():
    run_layer_test(ToRGB, {}, [(2, 8, 8, 4), (2, 4)], (2, 8, 8, 3), exact_output=True)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2)


def pad(x):
    return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def built(layer, shape):
    """The layer with random biases, in float64."""
    layer.build(shape)
    for k, weight in enumerate(layer.weights):
        if weight.name in ("bias", "strength"):
            weight.assign(normal(*weight.shape, seed=k))
    return layer


def test_weights_start_from_standard_normal_numbers():
    conv = built(Conv2D(64), (None, None, None, 64))
    assert abs(float(keras.ops.std(conv.kernel)) - 1) < 0.02
    dense = built(Dense(64, lr_multiplier=0.01), (None, 256))
    assert abs(float(keras.ops.std(dense.kernel)) - 100) < 2
    other = built(Conv2D(64, seed=1), (None, None, None, 64))
    assert not np.array_equal(other.kernel, conv.kernel)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_variance_is_kept(multiplier):
    """Equalised learning rate: of normal numbers, linear layers make variance 1, at any multiplier."""
    x = tf.constant(normal(1024, 64), tf.float32)
    linear, activated = (Dense(512, activation=on, lr_multiplier=multiplier) for on in (False, True))
    for layer, power in ((linear, 1.0), (activated, (1 + 0.2**2) / 2 * 2)):
        layer.build((None, 64))
        assert abs(float(tf.reduce_mean(layer(x) ** 2)) - power) < 0.05


def test_dense_by_hand():
    x = normal(3, 4)
    layer = built(Dense(5, activation=True, lr_multiplier=0.01, dtype="float64"), (None, 4))
    kernel, bias = (w.numpy() for w in layer.weights)
    np.testing.assert_allclose(layer(x), leaky(x @ kernel * 0.01 / 2 + bias * 0.01), atol=1e-12)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_conv_by_hand(down, size):
    x = normal(2, 8, 8, 4)
    layer = built(Conv2D(5, size, down=down, gain=0.7, dtype="float64"), x.shape)
    kernel, bias = layer.kernel.numpy() / np.sqrt(size * size * 4), layer.bias.numpy()
    if size == 3:
        y = slow_conv_downsample(x, kernel) if down else correlate(pad(x), kernel)
    else:
        y = correlate(upfirdn(x, 1, 2, 1, 1) if down else x, kernel)
    np.testing.assert_allclose(layer(x), 0.7 * leaky(y + bias), atol=1e-12)


@pytest.mark.parametrize("up", [False, True])
def test_modulated_conv_scales_the_weights_of_each_image(up):
    """StyleGAN2, equations 1 and 3, image by image."""
    x, styles = normal(2, 6, 6, 4), normal(2, 4, seed=1)
    layer = ModulatedConv2D(5, up=up, dtype="float64")
    layer.build(x.shape)
    expected = []
    for image, style in zip(x, styles, strict=True):
        kernel = layer.kernel.numpy() / np.sqrt(9 * 4) * style[:, None]
        kernel = kernel / np.sqrt((kernel**2).sum((0, 1, 2)) + 1e-8)
        conv = slow_conv_upsample(image[None], kernel) if up else correlate(pad(image[None]), kernel)
        expected.append(conv[0])
    np.testing.assert_allclose(layer(x, styles), expected, atol=1e-12)


def test_to_rgb_scales_the_weights_of_each_image():
    x, styles = normal(2, 4, 4, 5), normal(2, 5, seed=1)
    layer = built(ToRGB(dtype="float64"), x.shape)
    kernel = styles[:, :, None] * layer.kernel.numpy() / np.sqrt(5)
    np.testing.assert_allclose(
        layer(x, styles), np.einsum("bhwi,bio->bhwo", x, kernel) + layer.bias.numpy(), atol=1e-12
    )


def test_noise_starts_at_nothing_and_is_scaled():
    x, noise = normal(2, 4, 4, 3), normal(1, 4, 4, 1, seed=1)
    layer = NoiseInjection(dtype="float64")
    layer.build(x.shape)
    np.testing.assert_array_equal(layer(x, noise), x)
    layer.strength.assign(0.5)
    np.testing.assert_allclose(layer(x, noise), x + 0.5 * noise, atol=1e-12)
    np.testing.assert_array_equal(layer(x), x)


@pytest.mark.parametrize("batch, group", [(8, 4), (4, 4), (2, 4), (6, 3)])
def test_minibatch_std_by_hand(batch, group):
    """Images k, k + batch / group, … make a group."""
    x = normal(batch, 4, 4, 3)
    out = MinibatchStd(group, dtype="float64")(x).numpy()
    np.testing.assert_array_equal(out[..., :3], x)
    groups = batch // min(group, batch)
    for k in range(batch):
        expected = np.sqrt(x[k % groups :: groups].var(0) + 1e-8).mean()
        np.testing.assert_allclose(out[k, ..., 3], expected, atol=1e-12)


def test_minibatch_std_needs_whole_groups():
    with pytest.raises(ValueError, match="multiple of 4"):
        MinibatchStd(4).call(tf.zeros([6, 4, 4, 3]))


@pytest.mark.parametrize(
    "cls, options, inputs",
    [
        (Dense, dict(units=5, lr_multiplier=0.1), [(3, 4)]),
        (Dense, dict(units=5, activation=True, bias_init=1.0), [(3, 4)]),
        (Conv2D, dict(filters=4), [(2, 4, 4, 3)]),
        (Conv2D, dict(filters=4, down=True), [(2, 4, 4, 3)]),
        (Conv2D, dict(filters=4, kernel_size=1, down=True, use_bias=False, activation=False), [(2, 4, 4, 3)]),
        (ModulatedConv2D, dict(filters=5), [(2, 4, 4, 3), (2, 3)]),
        (ModulatedConv2D, dict(filters=5, up=True), [(2, 4, 4, 3), (2, 3)]),
        (ToRGB, {}, [(2, 4, 4, 3), (2, 3)]),
        (NoiseInjection, {}, [(2, 4, 4, 3), (1, 4, 4, 1)]),
        (MinibatchStd, dict(group=2), [(4, 4, 4, 3)]),
        (SynthesisLayer, dict(filters=4, w_dim=5, up=True, index=1), [(2, 4, 4, 3), (2, 5)]),
        (Mapping, dict(layers=2, width=6, w_dim=5, lr_multiplier=0.5, normalize_input=True), [(3, 4)]),
    ],
)
def test_gradients_of_first_and_second_order(cls, options, inputs):
    layer = cls(**options, dtype="float64")
    layer.build((None, *inputs[0][1:]))
    for k, weight in enumerate(layer.trainable_variables):
        if weight.name in ("bias", "strength"):
            weight.assign(weight + normal(*weight.shape, seed=k))
    check_gradients(layer, [normal(*shape, seed=i) for i, shape in enumerate(inputs)], layer.trainable_variables)


def test_errors_say_what_arrived():
    with pytest.raises(ValueError, match="units=0"):
        Dense(0)
    with pytest.raises(ValueError, match="kernel_size=2"):
        Conv2D(4, 2)
    with pytest.raises(ValueError, match="filters=-1"):
        ModulatedConv2D(-1)
