"""Volume rendering of a field in two passes, stratified and by importance, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from discoface_tf2.fields.chunks import in_chunks
from discoface_tf2.fields.compositing import Order, composite, last_back, opacity, ray_weights
from discoface_tf2.fields.depths import importance, stratified
from discoface_tf2.fields.rays import Rays

# A field: its state (tensors of B images: planes, styles), points [B, P, 3] in decimetres and unit directions [B, P, 3]
# from the camera, to values [B, P, C] and densities [B, P] per decimetre, 0 or more. Its weights are variables; every
# other tensor that gradients should reach is in the state.
Field = Callable[[Any, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Rendered(NamedTuple):
    """What a field shows; row 0 at the top."""

    values: tf.Tensor  # [B, H, W, C]
    depth: tf.Tensor  # [B, H, W, 1] Σ w t, decimetres before the camera as far as the ray is opaque
    opacity: tf.Tensor  # [B, H, W, 1] Σ w, in [0, 1]; not counting what `fill_back` adds


def evaluate(field: Field, state: Any, rays: Rays, depths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Values [B, R, N, C] and densities [B, R, N] of a field at `depths` [B, R, N] along rays [B, R, 3]."""
    points = rays.at(depths)
    directions = tf.broadcast_to((rays.directions / rays.lengths)[..., None, :], tf.shape(points))
    count, samples = depths.shape[1:]
    values, density = field(state, *(tf.reshape(x, [-1, count * samples, 3]) for x in (points, directions)))
    return tf.reshape(values, [-1, count, samples, values.shape[-1]]), tf.reshape(density, [-1, count, samples])


def render(
    field: Field,
    state: Any,
    rays: Rays,
    near: float | tf.Tensor,
    far: float | tf.Tensor,
    coarse: int,
    fine: int = 0,
    jitter: tf.Tensor | None = None,
    fill_back: bool = False,
    chunk: int | None = None,
) -> Rendered:
    """Renders a field: `coarse` stratified samples per ray, then `fine` where these saw something; all are composited.

    Args:
        field: to be rendered.
        state: of the field, for B images.
        rays: [B, H, W, 3], with static H and W.
        near, far: decimetres before the camera; numbers or [B, 1, 1].
        coarse: samples of the first pass.
        fine: samples of the second pass.
        jitter: [B, H·W, coarse + fine] (`ray_jitter`); None puts each sample in the middle of its bin.
        fill_back: the last sample takes all of the ray that is left (`last_back`).
        chunk: rays of each image at a time, for bounded memory (`in_chunks`); None takes all at once.
    """
    height, width = rays.origins.shape[1:3]
    origins, directions = (tf.reshape(x, [-1, height * width, 3]) for x in rays)
    if jitter is None:
        jitter = tf.fill([tf.shape(origins)[0], height * width, coarse + fine], 0.5)

    def shown(state: Any, origins: tf.Tensor, directions: tf.Tensor, jitter: tf.Tensor) -> tuple[tf.Tensor, ...]:
        some = Rays(origins, directions)
        depths = stratified(near, far, jitter[..., :coarse])
        values, density = evaluate(field, state, some, depths)
        alpha = opacity(density, depths, some.lengths)
        weights = ray_weights(alpha)
        if not fine:
            total = tf.reduce_sum(weights, -1, keepdims=True)
            return *composite(values, last_back(weights) if fill_back else weights, depths), total
        more = importance(depths, tf.stop_gradient(weights), jitter[..., coarse:])
        further = evaluate(field, state, some, more)
        depths, density = tf.concat([depths, more], -1), tf.concat([density, further[1]], -1)
        order = Order(depths)
        weights = ray_weights(opacity(order.ascending(density), order.ascending(depths), some.lengths))
        total = tf.reduce_sum(weights, -1, keepdims=True)
        weights = order.back(last_back(weights) if fill_back else weights)
        return *composite(tf.concat([values, further[0]], 2), weights, depths), total

    images = in_chunks(shown, state, (origins, directions, jitter), chunk)
    return Rendered(*(tf.reshape(x, [-1, height, width, x.shape[-1]]) for x in images))
