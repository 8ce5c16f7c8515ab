"""From densities and values along rays to what a pixel shows."""

from __future__ import annotations

import tensorflow as tf

from renderer.xla import is_static

BEHIND = 1e10  # decimetres that the last sample of a ray stands for, in all of the papers: any density there is opaque


class Order:
    """The order of the samples of each ray by depth, for samples of several passes side by side.

    Only numbers per sample need be put in order: weights go back to where the samples were, and the values, which are
    many, stay where they are.

    Args:
        depths: [B, R, N] in any order.
    """

    def __init__(self, depths: tf.Tensor) -> None:
        depths = tf.stop_gradient(depths)
        if is_static():  # XLA sorts several times as slowly as it compares all pairs
            count = depths.shape[-1]
            numbers = tf.range(count)
            here, other = depths[..., :, None], depths[..., None, :]
            before = (other < here) | ((other == here) & (numbers < numbers[:, None]))
            self._rank = tf.reduce_sum(tf.cast(before, tf.int32), -1)
            flat = tf.reshape(self._rank, [-1, count])
            rays = tf.shape(flat)[0]
            places = tf.reshape(flat + tf.range(rays)[:, None] * count, [-1, 1])
            self._order = tf.reshape(tf.scatter_nd(places, tf.tile(numbers, [rays]), [rays * count]), tf.shape(depths))
        else:
            self._order = tf.argsort(depths, stable=True)
            self._rank = tf.argsort(self._order)

    def ascending(self, x: tf.Tensor) -> tf.Tensor:
        """`x` [B, R, N] from the nearest sample to the farthest."""
        return tf.gather(x, self._order, batch_dims=2)

    def back(self, x: tf.Tensor) -> tf.Tensor:
        """`x` [B, R, N], from the nearest sample to the farthest, in the samples' own order."""
        return tf.gather(x, self._rank, batch_dims=2)


def opacity(
    density: tf.Tensor, depths: tf.Tensor, lengths: tf.Tensor | float = 1.0, behind: float = BEHIND
) -> tf.Tensor:  # fmt: skip
    """α of each sample, 1 - exp(-σ δ), with δ as far as the next sample is.

    Args:
        density: σ [..., N] ≥ 0, per decimetre.
        depths: [..., N] decimetres before the camera, ascending.
        lengths: [..., 1] decimetres along the ray per decimetre of depth (`Rays.lengths`); the published code takes 1.
        behind: δ of the last sample, decimetres.

    Returns:
        [..., N] in [0, 1].
    """
    steps = depths[..., 1:] - depths[..., :-1]
    steps = tf.concat([steps, tf.fill(tf.shape(steps[..., :1]), tf.constant(behind, steps.dtype))], -1)
    return 1.0 - tf.exp(-density * steps * lengths)


def ray_weights(alpha: tf.Tensor) -> tf.Tensor:
    """How much of each sample a pixel shows, w_i = α_i Π_{j<i} (1 - α_j + 1e-10).

    With `opacity` it is `tensorflow_graphics.rendering.volumetric.ray_density`, which has no α of its own: a surface
    among the samples (Exp-GAN's face) has one without a density.

    Args:
        alpha: [..., N] from the nearest sample to the farthest.

    Returns:
        [..., N], 1 or less in sum.
    """
    return alpha * tf.math.cumprod(1.0 - alpha + 1e-10, -1, exclusive=True)


def last_back(weights: tf.Tensor) -> tf.Tensor:
    """Weights [..., N] whose last, the farthest sample's, is raised so that they are 1 in sum."""
    missing = 1.0 - tf.reduce_sum(weights, -1, keepdims=True)
    return tf.concat([weights[..., :-1], weights[..., -1:] + missing], -1)


def composite(values: tf.Tensor, weights: tf.Tensor, depths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """What each ray shows, of samples in any order.

    Args:
        values: [..., N, C].
        weights: [..., N].
        depths: [..., N] decimetres.

    Returns:
        Σ w v [..., C] and Σ w t [..., 1], which is a depth as far as the ray is opaque.
    """
    return tf.linalg.matvec(values, weights, transpose_a=True), tf.reduce_sum(weights * depths, -1, keepdims=True)
