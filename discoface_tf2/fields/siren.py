"""pi-GAN's field, as cGOF uses it: sine layers whose frequencies and phases a latent sets (FiLM-SIREN)."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.networks.stylegan2.layers import child_seed


class FilmMapping(keras.layers.Layer):
    """A latent to the frequencies and phases of a FilmSiren.

    Three hidden layers of leaky ReLU 0.2, Kaiming initialisation; the weights of the last layer start a quarter as
    large (Chan et al., "pi-GAN", CVPR 2021, and its code).

    Args:
        films: modulated layers of the FilmSiren, its `layers` and one for colours.
        film_width: units of each.
        width: hidden units.
        seed: of the weights.

    Input shape: [B, Z]. Output shape: [B, 2, films, film_width], frequencies and phases before FilmSiren scales them;
    truncation interpolates them towards a mean.
    """

    def __init__(self, films: int = 9, film_width: int = 256, width: int = 256, *, seed: int = 0, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        self.films, self.film_width, self.width, self.seed = films, film_width, width, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, Z]."""
        fan_in, self.dense = input_shape[-1], []
        assert fan_in is not None
        for number in range(4):
            last = number == 3
            seed = child_seed(self.seed, f"mapping/{number}")
            scale = 2 / (1 + 0.2**2) / (16 if last else 1)  # of the variance
            layer = keras.layers.Dense(
                2 * self.films * self.film_width if last else self.width,
                activation=None if last else _leaky_relu,
                kernel_initializer=keras.initializers.VarianceScaling(scale, "fan_in", "untruncated_normal", seed=seed),
                bias_initializer=_uniform(1 / math.sqrt(fan_in), child_seed(seed, "bias")),
                dtype=self.variable_dtype,  # few numbers, on which all others depend
                name=f"dense_{number}",
            )
            layer.build((None, fan_in))
            self.dense.append(layer)
            fan_in = layer.units

    def call(self, latent: tf.Tensor) -> tf.Tensor:
        """Latents [B, Z] → [B, 2, films, film_width]."""
        x = tf.cast(latent, self.variable_dtype)
        for layer in self.dense:
            x = layer(x)
        return tf.reshape(x, [-1, 2, self.films, self.film_width])

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        own = dict(films=self.films, film_width=self.film_width, width=self.width, seed=self.seed)
        return {**super().get_config(), **own}


class FilmLayer(keras.layers.Layer):
    """sin(f · (W x + b) + p), with f and p of each image.

    Args:
        units: outputs.
        spread: weights start uniform in ±spread.
        seed: of the weights.

    Call arguments: inputs [B, P, I]; frequencies and phases [B, units]. Output shape: [B, P, units].
    """

    def __init__(self, units: int, spread: float, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.units, self.spread, self.seed = units, spread, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for inputs [B, P, I]."""
        fan_in = input_shape[-1]
        assert fan_in is not None
        self.kernel = self.add_weight((fan_in, self.units), _uniform(self.spread, self.seed), name="kernel")
        bias = _uniform(1 / math.sqrt(fan_in), child_seed(self.seed, "bias"))
        self.bias = self.add_weight((self.units,), bias, name="bias")

    def call(self, inputs: tf.Tensor, frequencies: tf.Tensor, phases: tf.Tensor) -> tf.Tensor:
        """Inputs [B, P, I] → [B, P, units]."""
        # Scaling the weights of each image, rather than its points, saves a pass over the largest tensors.
        kernel = tf.convert_to_tensor(self.kernel) * frequencies[:, None, :]  # [B, I, units]
        offset = tf.convert_to_tensor(self.bias) * frequencies + phases
        return tf.sin(tf.matmul(inputs, kernel) + offset[:, None, :])

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "units": self.units, "spread": self.spread, "seed": self.seed}


class FilmSiren(keras.layers.Layer):
    """Points and directions to colours and a density; all in float32, as sines of large arguments ask for.

    Modulated sine layers, a linear density, and one more such layer, of the direction beside the features, for colours.
    A style f, p makes the frequency 15 f + 30 and the phase p.

    Args:
        layers: sine layers before the density.
        width: units of each.
        seed: of the weights.

    Call arguments:
        points: [B, P, 3] in [-1, 1] (`Box.normalise`).
        directions: [B, P, 3] unit vectors from the camera.
        styles: [B, 2, layers + 1, width] (`FilmMapping`).

    Output shape: [B, P, 4], RGB in (0, 1), and the density, not yet clipped at 0, per metre as in the papers.

    References: Chan et al., "pi-GAN", CVPR 2021 (the variant with coordinates scaled to a box, "SPATIALSIRENBASELINE",
    its initial weights as well); Sun et al., "Controllable 3D Face Synthesis with Conditional Generative Occupancy
    Fields", NeurIPS 2022.
    """

    def __init__(self, layers: int = 8, width: int = 256, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if layers < 1 or width < 1:
            raise ValueError(f"FilmSiren: expected layers and width ≥ 1. Received: layers={layers}, width={width}")
        self.layers, self.width, self.seed = layers, width, seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make weights for points [B, P, 3]."""
        dtype = self.variable_dtype

        def film(name: str, fan_in: int, spread: float) -> FilmLayer:
            layer = FilmLayer(self.width, spread, seed=child_seed(self.seed, name), dtype=dtype, name=name)
            layer.build((None, None, fan_in))
            return layer

        def head(name: str, units: int) -> keras.layers.Dense:
            seed = child_seed(self.seed, name)
            bias = _uniform(1 / math.sqrt(self.width), child_seed(seed, "bias"))
            layer = keras.layers.Dense(units, kernel_initializer=_uniform(_spread(self.width), seed),
                                       bias_initializer=bias, dtype=dtype, name=name)  # fmt: skip
            layer.build((None, None, self.width))
            return layer

        self.films = [film("film_0", 3, 1 / 3)]
        self.films += [film(f"film_{k}", self.width, _spread(self.width)) for k in range(1, self.layers)]
        self.density = head("density", 1)
        self.colour_film = film("colour_film", self.width + 3, _spread(self.width + 3))
        self.colour = head("colour", 3)

    def call(self, points: tf.Tensor, directions: tf.Tensor, styles: tf.Tensor) -> tf.Tensor:
        """Points and directions [B, P, 3] and styles [B, 2, layers + 1, width] → [B, P, 4]."""
        points, directions, styles = (tf.cast(x, self.variable_dtype) for x in (points, directions, styles))
        frequencies, phases = 15.0 * styles[:, 0] + 30.0, styles[:, 1]
        x = points
        for k, film in enumerate(self.films):
            x = film(x, frequencies[:, k], phases[:, k])
        coloured = self.colour_film(tf.concat([directions, x], -1), frequencies[:, -1], phases[:, -1])
        return tf.concat([tf.sigmoid(self.colour(coloured)), self.density(x)], -1)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes."""
        return {**super().get_config(), "layers": self.layers, "width": self.width, "seed": self.seed}


def _spread(fan_in: int) -> float:
    """Of uniform weights behind a sine layer: SIREN's √(6 / n) over a frequency of 25."""
    return math.sqrt(6 / fan_in) / 25


def _uniform(spread: float, seed: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomUniform(-spread, spread, seed=seed)


def _leaky_relu(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.leaky_relu(x, 0.2)
