"""The layers that StyleGAN2 is made of: equalised learning rate, modulated convolution, noise, minibatch deviation.

Convolutions run in the compute dtype of the dtype policy; weights, and what must be exact (demodulation, minibatch
deviation, images), in its variable dtype, which is float32 under `mixed_bfloat16`. Neither inputs
nor weights let Keras cast them (`autocast=False`): each layer knows which of its parts is which.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2.resample import conv_downsample, conv_upsample, downsample

LEAKY_SLOPE = 0.2
GAIN = math.sqrt(2.0)  # after the activation, so that it keeps the variance


def child_seed(seed: int, name: str) -> int:
    """A seed for the part `name` of whatever was seeded with `seed`."""
    return zlib.crc32(f"{seed}/{name}".encode())


def activate(x: tf.Tensor) -> tf.Tensor:
    """Leaky ReLU of slope 0.2. It is positively homogeneous: callers put the gain √2 into what comes before."""
    return tf.nn.leaky_relu(x, LEAKY_SLOPE)


def _normal(seed: int, stddev: float = 1.0) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, stddev, seed=seed)


class Dense(keras.layers.Layer):
    """Fully connected layer with equalised learning rate.

    Args:
        units: outputs.
        activation: with leaky ReLU and gain √2.
        lr_multiplier: weights and biases are stored divided by it, which multiplies their learning rate under Adam.
        bias_init: what the biases start from.
        seed: of the weights.

    Input shape: [B, I]. Output shape: [B, units].

    References: Karras et al., "Progressive growing of GANs", section 4.1.
    """

    def __init__(
        self,
        units: int,
        *,
        activation: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if units < 1:
            raise ValueError(f"Dense: expected a positive number of units. Received: units={units}")
        self.units, self.activation, self.lr_multiplier = units, activation, lr_multiplier
        self.bias_init, self.seed = bias_init, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, I]."""
        fan_in = input_shape[-1]
        assert fan_in is not None
        self.scale = self.lr_multiplier / math.sqrt(fan_in)
        self.kernel = self.add_weight(
            (fan_in, self.units), _normal(self.seed, 1.0 / self.lr_multiplier), name="kernel", autocast=False
        )
        start = keras.initializers.Constant(self.bias_init / self.lr_multiplier)
        self.bias = self.add_weight((self.units,), start, name="bias", autocast=False)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs [B, I] → [B, units]."""
        gain = GAIN if self.activation else 1.0
        kernel = tf.cast(self.kernel * (self.scale * gain), self.compute_dtype)
        bias = tf.cast(self.bias * (self.lr_multiplier * gain), self.compute_dtype)
        x = tf.nn.bias_add(tf.matmul(tf.cast(inputs, self.compute_dtype), kernel), bias)
        return activate(x) if self.activation else x

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(units=self.units, activation=self.activation, lr_multiplier=self.lr_multiplier,
                   bias_init=self.bias_init, seed=self.seed)  # fmt: skip
        return {**super().get_config(), **own}


class Conv2D(keras.layers.Layer):
    """Convolution with equalised learning rate, of kernel 1 or 3, optionally followed by a reduction by two.

    Args:
        filters: output channels.
        kernel_size: 1 or 3.
        down: filter with [1, 3, 3, 1] and keep every other pixel.
        use_bias: with biases.
        activation: with leaky ReLU and gain √2.
        gain: multiplies the output.
        seed: of the weights.

    Input shape: [B, H, W, I]. Output shape: [B, H, W, filters], or half of H and W.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        *,
        down: bool = False,
        use_bias: bool = True,
        activation: bool = True,
        gain: float = 1.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if filters < 1 or kernel_size not in (1, 3):
            raise ValueError(
                "Conv2D: expected filters ≥ 1 and a kernel of 1 or 3. "
                f"Received: filters={filters}, kernel_size={kernel_size}"
            )
        self.filters, self.kernel_size, self.down = filters, kernel_size, down
        self.use_bias, self.activation, self.gain, self.seed = use_bias, activation, gain, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, H, W, I]."""
        channels = input_shape[-1]
        assert channels is not None
        shape = (self.kernel_size, self.kernel_size, channels, self.filters)
        self.scale = 1.0 / math.sqrt(math.prod(shape[:3]))
        self.kernel = self.add_weight(shape, _normal(self.seed), name="kernel", autocast=False)
        self.bias = self.add_weight((self.filters,), "zeros", name="bias", autocast=False) if self.use_bias else None

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs [B, H, W, I] → [B, H or H/2, W or W/2, filters]."""
        gain = self.gain * (GAIN if self.activation else 1.0)
        x, kernel = tf.cast(inputs, self.compute_dtype), self.kernel * (self.scale * gain)
        if self.kernel_size == 1:
            x = conv2d(downsample(x) if self.down else x, kernel)
        else:
            x = conv_downsample(x, kernel) if self.down else conv2d(x, kernel)
        if self.bias is not None:
            x = tf.nn.bias_add(x, tf.cast(self.bias * gain, x.dtype))
        return activate(x) if self.activation else x

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(filters=self.filters, kernel_size=self.kernel_size, down=self.down, use_bias=self.use_bias,
                   activation=self.activation, gain=self.gain, seed=self.seed)  # fmt: skip
        return {**super().get_config(), **own}


def conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolve x [B, H, W, I] with kernel [k, k, I, O], in the dtype of x, keeping the size → [B, H, W, O]."""
    return tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, "SAME")


class ModulatedConv2D(keras.layers.Layer):
    """3 × 3 convolution whose input channels are scaled by a style, and whose outputs are brought back to variance 1.

    Scaling inputs and outputs of one shared convolution is the same sum as scaling the weights for each image
    (StyleGAN2, equations 1 to 3), and needs no grouped convolution.

    Args:
        filters: output channels.
        up: enlarge by two first, filtered with [1, 3, 3, 1].
        seed: of the weights.

    Call arguments:
        inputs: [B, H, W, I].
        styles: [B, I], 1 where nothing is to change.
        gain: multiplies the output.

    Output shape: [B, H, W, filters], or twice H and W.
    """

    def __init__(self, filters: int, *, up: bool = False, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if filters < 1:
            raise ValueError(f"ModulatedConv2D: expected a positive number of filters. Received: filters={filters}")
        self.filters, self.up, self.seed = filters, up, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, H, W, I]."""
        channels = input_shape[-1]
        assert channels is not None
        self.scale = 1.0 / math.sqrt(9 * channels)
        self.kernel = self.add_weight((3, 3, channels, self.filters), _normal(self.seed), name="kernel", autocast=False)

    def call(self, inputs: tf.Tensor, styles: tf.Tensor, gain: float = 1.0) -> tf.Tensor:
        """Inputs [B, H, W, I] and styles [B, I] → [B, H or 2H, W or 2W, filters]."""
        styles, kernel = tf.cast(styles, self.variable_dtype), self.kernel * self.scale
        power = tf.reduce_sum(tf.square(kernel), axis=[0, 1])  # [I, O]
        demodulation = gain * tf.math.rsqrt(tf.matmul(tf.square(styles), power) + 1e-8)  # [B, O]
        x = tf.cast(inputs, self.compute_dtype)
        x = x * tf.cast(styles, x.dtype)[:, None, None, :]
        x = conv_upsample(x, kernel) if self.up else conv2d(x, kernel)
        return x * tf.cast(demodulation, x.dtype)[:, None, None, :]

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "filters": self.filters, "up": self.up, "seed": self.seed}


class NoiseInjection(keras.layers.Layer):
    """Add one map of noise, times a learned strength that starts at 0, to all channels.

    Call arguments:
        inputs: [B, H, W, C].
        noise: [1, H, W, 1] or [B, H, W, 1]; None adds nothing.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the strength."""
        self.strength = self.add_weight((), "zeros", name="strength", autocast=False)

    def call(self, inputs: tf.Tensor, noise: tf.Tensor | None = None) -> tf.Tensor:
        """Inputs [B, H, W, C] → the same shape."""
        return inputs if noise is None else inputs + tf.cast(noise, inputs.dtype) * tf.cast(self.strength, inputs.dtype)


class ToRGB(keras.layers.Layer):
    """Modulated 1 × 1 convolution to three channels, without demodulation, with biases. The output is float32.

    Call arguments: inputs [B, H, W, I]; styles [B, I].
    """

    def __init__(self, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, H, W, I]."""
        channels = input_shape[-1]
        assert channels is not None
        self.scale = 1.0 / math.sqrt(channels)
        self.kernel = self.add_weight((channels, 3), _normal(self.seed), name="kernel", autocast=False)
        self.bias = self.add_weight((3,), "zeros", name="bias", autocast=False)

    def call(self, inputs: tf.Tensor, styles: tf.Tensor) -> tf.Tensor:
        """Inputs [B, H, W, I] and styles [B, I] → [B, H, W, 3]."""
        # The weights are few: scale them for each image rather than the feature maps.
        weights = tf.cast(styles, self.variable_dtype)[:, :, None] * (self.kernel * self.scale)  # [B, I, 3]
        height, width, channels = inputs.shape[1:]
        flat = tf.reshape(tf.cast(inputs, self.compute_dtype), [-1, height * width, channels])
        rgb = tf.cast(tf.matmul(flat, tf.cast(weights, flat.dtype)), self.variable_dtype) + self.bias
        return tf.reshape(rgb, [-1, height, width, 3])

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "seed": self.seed}


class MinibatchStd(keras.layers.Layer):
    """Append a channel with the standard deviation over groups of images, averaged over channels and pixels.

    Args:
        group: images a group; a batch that is smaller is one group. It must divide the batch.

    Input shape: [B, H, W, C]. Output shape: [B, H, W, C + 1]; computed in float32.

    References: Karras et al., "Progressive growing of GANs", section 3.
    """

    def __init__(self, group: int = 4, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.group = group

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Inputs [B, H, W, C] → [B, H, W, C + 1]."""
        batch, (height, width, channels) = inputs.shape[0], inputs.shape[1:]
        if batch is not None and batch % min(self.group, batch):
            raise ValueError(f"MinibatchStd: expected a batch that is a multiple of {self.group}. Received: {batch}")
        count = tf.shape(inputs)[0]
        group = tf.minimum(self.group, count)
        x = tf.reshape(tf.cast(inputs, self.variable_dtype), [group, -1, height, width, channels])
        variance = tf.math.reduce_variance(x, axis=0)
        deviation = tf.reduce_mean(tf.sqrt(variance + 1e-8), axis=[1, 2, 3])  # [B / group]
        feature = tf.tile(deviation, [group])[:, None, None, None]
        feature = tf.broadcast_to(feature, [count, height, width, 1])
        return tf.concat([tf.cast(part, self.compute_dtype) for part in (inputs, feature)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "group": self.group}
