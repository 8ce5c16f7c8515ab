"""Rays through the pixel centres of the renderer's cameras, in the coordinates of the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from renderer.camera import Projection
from renderer.pose import looking_from

METRE = 10.0  # decimetres: a density per metre, the papers' unit, is a tenth as much per decimetre


class Rays(NamedTuple):
    """Rays of B images; B is 1 where camera and pose are the same for all.

    A point at depth t, decimetres before the camera along its axis (as `renderer.outputs.Layers.depth`), is at
    origin + t · direction, so directions are longer than 1 away from the axis.
    """

    origins: tf.Tensor  # [B, ..., 3] decimetres
    directions: tf.Tensor  # [B, ..., 3]

    def at(self, depths: tf.Tensor) -> tf.Tensor:
        """Points [B, ..., N, 3] at `depths` [B, ..., N]."""
        return self.origins[..., None, :] + depths[..., None] * self.directions[..., None, :]

    @property
    def lengths(self) -> tf.Tensor:
        """Decimetres along each ray [B, ..., 1] per decimetre of depth."""
        return tf.norm(self.directions, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Box:
    """The part of space that a field describes, decimetres."""

    half: tuple[float, float, float]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if min(self.half) <= 0:
            raise ValueError(f"box: expected three half sides above 0. Received: {self.half}")

    @classmethod
    def cube(cls, half: float) -> Box:
        """A cube about the origin."""
        return cls((half, half, half))

    def normalise(self, points: tf.Tensor) -> tf.Tensor:
        """`points` [..., 3] in decimetres to [-1, 1] inside of the box."""
        return (points - tf.constant(self.centre, points.dtype)) / tf.constant(self.half, points.dtype)


def camera_rays(
    camera: Projection, rotation: tf.Tensor | None = None, translation: tf.Tensor | None = None
) -> Rays:  # fmt: skip
    """The rays through the pixel centres of `camera`, as a head in this pose sees them.

    The rasteriser turns the head before a camera that stands still; a field stays, and the rays turn the other way. So
    with `rotation_matrix(angles)` and the translation of a coefficient vector, both show the same head.

    Args:
        camera: of H = W = image_size pixels; a WeakPerspectiveCamera may have one setting per image.
        rotation: [B, 3, 3] of the head (`renderer.pose.rotation_matrix`, or `sphere_rotation`), None for none.
        translation: [B, 3] of the head, decimetres; None for none.

    Returns:
        Rays [B, H, W, 3], row 0 at the top.
    """
    size = camera.image_size
    centres = tf.range(size, dtype=tf.float32) + 0.5
    x, y = tf.meshgrid(centres, size - centres)
    origins, directions = camera.rays(tf.stack([x, y], -1)[None])
    if translation is not None:
        origins = origins - translation[:, None, None, :]
    if rotation is not None:  # the inverse rotation, of row vectors
        origins, directions = (tf.matmul(v, rotation[:, None]) for v in (origins, directions))
    shape = tf.broadcast_static_shape(origins.shape, directions.shape)
    if shape.is_fully_defined():
        return Rays(tf.broadcast_to(origins, shape), tf.broadcast_to(directions, shape))
    return Rays(origins + tf.zeros_like(directions), directions + tf.zeros_like(origins))


def sphere_rotation(pitch: tf.Tensor, yaw: tf.Tensor) -> tf.Tensor:
    """Rotations [B, 3, 3] of the head that a camera on a sphere sees, looking at the origin with y up.

    The papers place a camera at (sin p cos t, cos p, sin p sin t) with p = π/2 - pitch and t = π/2 + yaw. It is that of
    `rotation_matrix((pitch, yaw, 0))` where one of the two is 0, and otherwise leans no more than a camera should.

    Args:
        pitch: [B] radians, of the signs of `renderer.pose`: positive looks down on the head.
        yaw: [B] radians; positive shows the face turned to the picture's right.
    """
    camera = tf.stack([-tf.cos(pitch) * tf.sin(yaw), tf.sin(pitch), tf.cos(pitch) * tf.cos(yaw)], -1)
    return looking_from(camera)
