"""Depths of the samples along rays: stratified, and where a first pass saw something."""

from __future__ import annotations

import tensorflow as tf


def ray_jitter(seeds: tf.Tensor, rays: int, samples: int) -> tf.Tensor:
    """Uniform numbers [B, rays, samples] in [0, 1), by one stateless seed per image.

    An image's numbers depend on its seed alone, so they are the same in any batch and on any number of replicas.

    Args:
        seeds: [B, 2] with a static B (`ReplicaShare.image_seeds`).
        rays: of each image.
        samples: of each ray, all passes together.
    """
    shape = [rays, samples]
    return tf.stack([tf.random.stateless_uniform(shape, seed, alg="philox") for seed in tf.unstack(seeds)])


def stratified(near: float | tf.Tensor, far: float | tf.Tensor, jitter: tf.Tensor) -> tf.Tensor:
    """One depth in each of N equal bins from near to far, ascending (NeRF, equation 2).

    The published code jitters by up to half a step about `linspace(near, far)`, so half a step beyond either end.

    Args:
        near, far: decimetres before the camera; numbers, or what [..., N] can be broadcast with.
        jitter: [..., N] in [0, 1), where in its bin each sample lies; 0.5 is the middle.

    Returns:
        [..., N] decimetres.
    """
    samples = jitter.shape[-1]
    return near + (far - near) * (tf.range(samples, dtype=jitter.dtype) + jitter) / samples


def importance(depths: tf.Tensor, weights: tf.Tensor, jitter: tf.Tensor) -> tf.Tensor:
    """Depths sampled in proportion to the weights of a first pass (NeRF, section 5.2), without gradients.

    As published, weight i (but the first and last), plus 1e-5, is spread evenly between the mid-points around depth i,
    and the inverse of that distribution is taken at stratified numbers. The inverse is piecewise linear, so it is
    written as a sum of clipped ramps, one per interval, which needs no search.

    Args:
        depths: [..., N] ascending, N ≥ 3.
        weights: [..., N].
        jitter: [..., M] in [0, 1).

    Returns:
        [..., M] ascending, between the first mid-point and the last.
    """
    if depths.shape[-1] < 3:
        raise ValueError(f"importance: expected 3 depths or more per ray. Received: {depths.shape[-1]}")
    middle = (depths[..., 1:] + depths[..., :-1]) / 2  # [..., N - 1]
    mass = weights[..., 1:-1] + 1e-5
    mass = mass / tf.reduce_sum(mass, -1, keepdims=True)
    before = tf.cumsum(mass, -1, exclusive=True)  # of the distribution function, at each interval's near end
    share = stratified(0.0, 1.0, jitter)
    inside = tf.clip_by_value((share[..., :, None] - before[..., None, :]) / mass[..., None, :], 0.0, 1.0)
    sampled = middle[..., :1] + tf.linalg.matvec(inside, middle[..., 1:] - middle[..., :-1])
    return tf.stop_gradient(sampled)
