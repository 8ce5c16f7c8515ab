"""One set of checks for every layer, and what the slow references share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def run_layer_test(
    cls: type,
    init_kwargs: dict[str, Any],
    input_shapes: list[tuple[int, ...]],
    expected_output_shape: tuple[int, ...],
    *,
    exact_output: bool = False,
    build_shape: tuple[int | None, ...] | None = None,
) -> None:
    """Builds; survives its own config; same result in a graph; float32 weights under bfloat16, and near its result.

    `exact_output`: whether the output stays float32 under `mixed_bfloat16`.
    """
    shape = build_shape or (None, *input_shapes[0][1:])
    inputs = [tf.constant(normal(*s, seed=i), tf.float32) for i, s in enumerate(input_shapes)]
    layer = cls(**init_kwargs)
    layer.build(shape)
    output = layer(*inputs)
    assert output.shape == expected_output_shape
    assert output.dtype == tf.float32
    assert np.isfinite(output).all()

    twin = cls.from_config(layer.get_config())
    twin.build(shape)
    assert [w.shape for w in twin.weights] == [w.shape for w in layer.weights]
    assert twin.get_config() == layer.get_config()
    np.testing.assert_allclose(twin(*inputs), output, atol=1e-5)  # the same seed gives the same weights

    # A graph whose batch is unknown gives the same.
    signature = [tf.TensorSpec([None, *s[1:]], tf.float32) for s in input_shapes]
    np.testing.assert_allclose(tf.function(layer.call, input_signature=signature)(*inputs), output, atol=1e-5)

    mixed = cls(**{**init_kwargs, "dtype": "mixed_bfloat16"})
    mixed.build(shape)
    assert all(w.dtype == "float32" for w in mixed.weights)
    half = mixed(*inputs)
    assert half.dtype == (tf.float32 if exact_output else tf.bfloat16)
    scale = float(tf.reduce_max(tf.abs(output))) + 1e-6
    assert float(tf.reduce_max(tf.abs(tf.cast(half, tf.float32) - output))) < 0.05 * scale


def check_directional_gradient(f: Callable[..., tf.Tensor], *tensors: np.ndarray, tolerance: float = 1e-6) -> None:
    """The gradient of scalar f at float64 tensors is finite, not zero, and equal to central differences."""
    points = [tf.constant(t, tf.float64) for t in tensors]
    directions = [tf.constant(normal(*t.shape, seed=99 + i), tf.float64) for i, t in enumerate(tensors)]
    with tf.GradientTape() as tape:
        tape.watch(points)
        value = f(*points)
    gradients = tape.gradient(value, points)
    analytic = [float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions, strict=True)]
    for k, slope in enumerate(analytic):
        step = 1e-5

        def moved(sign: float, k: int = k, step: float = step) -> float:
            return float(f(*[p + sign * step * d if i == k else p for i, (p, d) in enumerate(zip(points, directions))]))  # noqa: B905

        numeric = (moved(1) - moved(-1)) / (2 * step)
        assert np.isfinite(slope) and abs(slope) > 1e-6
        np.testing.assert_allclose(slope, numeric, rtol=tolerance, atol=tolerance)


def check_gradients(layer: Callable[..., tf.Tensor], tensors: list[np.ndarray], variables: list = ()) -> None:
    """First and second order, by each float64 input and weight, beside central differences.

    Of first order: Σ layer(…)². Of second order: |∂ Σ y·layer(…)² / ∂ first input|² for a fixed y, as penalties are.
    """
    points = [tf.constant(t, tf.float64) for t in tensors]
    start = [v.numpy() for v in variables]
    directions = [normal(*np.shape(t), seed=99 + i) for i, t in enumerate([*points, *start])]

    def first(*inputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(layer(*inputs) ** 2)

    def second(*inputs: tf.Tensor) -> tf.Tensor:
        return squared_gradient(lambda *x: layer(*x) ** 2, *inputs)

    for f in (first, second):
        with tf.GradientTape() as tape:
            tape.watch(points)
            value = f(*points)
        sources = [*points, *(v.value for v in variables)]
        gradients = tape.gradient(value, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        slopes = [float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions, strict=True)]

        def moved(k: int, step: float, f: Callable[..., tf.Tensor] = f) -> float:
            inputs = list(points)
            if k < len(points):
                inputs[k] = points[k] + step * directions[k]
            else:
                variables[k - len(points)].assign(start[k - len(points)] + step * directions[k])
            result = float(f(*inputs))
            for variable, was in zip(variables, start, strict=True):
                variable.assign(was)
            return result

        numeric = [(moved(k, 1e-5) - moved(k, -1e-5)) / 2e-5 for k in range(len(sources))]
        assert np.isfinite(slopes).all() and max(np.abs(slopes)) > 1e-3
        np.testing.assert_allclose(slopes, numeric, rtol=1e-5, atol=1e-6 * max(np.abs(slopes)), err_msg=f.__name__)


def squared_gradient(f: Callable[..., tf.Tensor], x: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
    """|∂ Σ y·f(x, …) / ∂x|² for a fixed random y: a scalar whose gradient is f's second derivative."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = f(x, *rest)
        weighted = tf.reduce_sum(out * tf.constant(normal(*out.shape, seed=7), out.dtype))
    return tf.reduce_sum(tape.gradient(weighted, x) ** 2)
