"""A function of many rays in chunks, so that memory does not grow with their number, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def in_chunks(
    function: Callable[..., tuple[tf.Tensor, ...]],
    state: Any,
    rays: Sequence[tf.Tensor],
    chunk: int | None,
    outputs: int = 3,
) -> tuple[tf.Tensor, ...]:
    """`function(state, *rays)` for some rays at a time.

    Gradients, of first order, compute each chunk again instead of keeping what it made. They reach the state, the rays
    and trainable variables. (`tf.recompute_grad` does so for one call, but not for the body of a loop.)

    Args:
        function: makes a tuple of tensors [B, r, ...] of the state and of r rays.
        state: float tensors, in any structure; all of it goes to each chunk.
        rays: float tensors [B, R, ...] with a static R.
        chunk: the most rays at a time; taken are as many as divide R. None, or R or more, is one call.
        outputs: how many tensors the function makes, all of the dtype of the first of `rays`.

    Returns:
        The function's tensors [B, R, ...].
    """
    count = rays[0].shape[1]
    if chunk is None or chunk >= count:
        return function(state, *rays)
    if chunk < 1:
        raise ValueError(f"chunk: expected one ray or more at a time. Received: {chunk}")
    size = max(divisor for divisor in range(1, chunk + 1) if count % divisor == 0)
    flat_state = tf.nest.flatten(state)

    def split(x: tf.Tensor) -> tf.Tensor:  # [B, R, ...] → [R / size, B, size, ...]
        parts = tf.reshape(x, [-1, count // size, size, *x.shape[2:]])
        return tf.transpose(parts, [1, 0, *range(2, parts.shape.rank)])

    def join(parts: tf.Tensor) -> tf.Tensor:
        x = tf.transpose(parts, [1, 0, *range(2, parts.shape.rank)])
        return tf.reshape(x, [-1, count, *x.shape[3:]])

    def call(leaves: Sequence[tf.Tensor], part: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        return function(tf.nest.pack_sequence_as(state, leaves), *part)

    @tf.custom_gradient
    def chunked(*tensors: tf.Tensor) -> Any:
        leaves, parts = tensors[: len(flat_state)], tuple(map(split, tensors[len(flat_state) :]))
        signature = (rays[0].dtype,) * outputs
        made = tf.map_fn(lambda part: call(leaves, part), parts, fn_output_signature=signature, parallel_iterations=1)

        def gradient(*upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> Any:
            def add(sums: tuple, step: tuple) -> tuple:
                (total, by_part), (k, part, wanted) = sums, step
                with tf.GradientTape() as tape:
                    tape.watch([leaves, part])
                    shown = call(leaves, part)
                sources = [*leaves, *variables, *part]
                found = tape.gradient(shown, sources, wanted, tf.UnconnectedGradients.ZERO)
                found = [tf.convert_to_tensor(gradient) for gradient in found]
                total = [t + g for t, g in zip(total, found[: len(total)], strict=True)]
                placed = zip(by_part, found[len(total) :], strict=True)
                return total, [tf.tensor_scatter_nd_update(t, [[k]], g[None]) for t, g in placed]

            zeros = [tf.zeros_like(x) for x in (*leaves, *variables)], [tf.zeros_like(part) for part in parts]
            steps = tf.range(count // size), parts, tuple(map(split, upstream))
            total, by_part = tf.foldl(add, steps, zeros, parallel_iterations=1)
            inputs = [*total[: len(leaves)], *map(join, by_part)]
            return (inputs, total[len(leaves) :]) if variables else inputs

        return tuple(map(join, made)), gradient

    return chunked(*flat_state, *rays)
