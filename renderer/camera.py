"""The two pinhole cameras of the method, the generator's and the reconstruction network's, and weak perspective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf
from tensorflow_graphics.geometry.transformation import look_at
from tensorflow_graphics.rendering.camera import perspective

FOCAL = 1015.0  # pixels, of the reconstruction camera's 224-pixel picture
GENERATOR_ZOOM = 1.22  # the generator's 256-pixel picture is this much closer than the reconstruction's
NEAR, FAR = 0.01, 50.0  # decimetres
REACH = 25.0  # decimetres before and behind the origin that a camera of weak perspective shows
DISTANCE = 10.0  # decimetres from the origin to the method's cameras, where rays and depths begin


class Projection(Protocol):
    """A camera. Lengths are decimetres, y up, z to the camera; pixels have their origin at the bottom left, y up."""

    @property
    def image_size(self) -> int:
        """Pixels along each side of the picture."""

    def project(self, points: tf.Tensor) -> tf.Tensor:
        """Pixel coordinates [..., 2] of `points` [..., 3]."""

    def towards(self, points: tf.Tensor) -> tf.Tensor:
        """Directions [..., 3] from `points` [..., 3] to the camera, of any length."""

    def rays(self, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Origins and directions [..., 3] of the rays through `pixels` [..., 2]; the inverse of `project`.

        Directions are as long as to advance 1 decimetre along the camera's axis: what is at depth t before the camera
        is at origin + t · direction.
        """

    def view_projection(self) -> tf.Tensor:
        """[4, 4], or [B, 4, 4], world to clip coordinates, for column vectors, in OpenGL's conventions."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at (0, 0, distance) that looks at the origin, with a square picture.

    Lengths are decimetres, y up, z to the camera. Pixel coordinates are continuous with the origin at the bottom left
    corner of the picture, x right and y up, so the centre of the lowest left pixel is (0.5, 0.5).
    """

    image_size: int  # pixels
    focal: float  # pixels
    distance: float = DISTANCE

    def __post_init__(self) -> None:
        if self.image_size < 1 or self.focal <= 0 or self.distance <= NEAR:
            raise ValueError(f"camera: expected a positive size, focal length and distance. Received: {self}")

    @classmethod
    def generator(cls, image_size: int = 256) -> Camera:
        """The generator's camera: focal length 1015·1.22 at 256 pixels, the same field of view at any size."""
        return cls(image_size, FOCAL * GENERATOR_ZOOM * image_size / 256)

    @classmethod
    def reconstruction(cls) -> Camera:
        """The reconstruction network's camera: 224 pixels, focal length 1015."""
        return cls(224, FOCAL)

    @property
    def field_of_view(self) -> float:
        """Vertical (and horizontal) field of view, radians."""
        return 2 * math.atan(self.image_size / 2 / self.focal)

    def project(self, points: tf.Tensor) -> tf.Tensor:
        """Pixel coordinates [..., 2] (y up) of `points` [..., 3] in world coordinates, in front of the camera."""
        return points[..., :2] * (self.focal / (self.distance - points[..., 2:])) + self.image_size / 2

    def towards(self, points: tf.Tensor) -> tf.Tensor:
        """Directions [..., 3] from `points` [..., 3] to the camera, as long as they are apart."""
        return tf.constant([0.0, 0.0, self.distance]) - points

    def rays(self, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Origins and directions [..., 3] of the rays through `pixels` [..., 2]; z of the directions is -1."""
        across = (tf.convert_to_tensor(pixels, tf.float32) - self.image_size / 2) / self.focal
        directions = tf.concat([across, -tf.ones_like(across[..., :1])], -1)
        return tf.zeros_like(directions) + tf.constant([0.0, 0.0, self.distance]), directions

    def view_projection(self) -> tf.Tensor:
        """[4, 4] world to clip coordinates, for column vectors; OpenGL's conventions, as in tensorflow-graphics."""
        projection = perspective.right_handed([self.field_of_view], [1.0], [NEAR], [FAR])
        view = look_at.right_handed([0.0, 0.0, self.distance], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        return tf.matmul(projection, view)


@dataclass(frozen=True, eq=False)
class WeakPerspectiveCamera:
    """Scaled orthographic projection, as GIF and DECA use: size does not depend on depth.

    With picture coordinates from -1 to 1 along each side, (x, y) goes to scale · (x + shift_x, y + shift_y), y up. Both
    may be tensors, which gradients reach, and have one row per image; then `project` takes [B, …, 3].

    Args:
        image_size: pixels.
        scale: half pictures per decimetre, above 0; a number or [B].
        shift: decimetres, in the plane of the picture; 2 numbers or [B, 2].

    Raises:
        ValueError: for sizes, or numbers, that no camera has.
    """

    image_size: int
    scale: float | tf.Tensor
    shift: tuple[float, float] | tf.Tensor = (0.0, 0.0)

    def __post_init__(self) -> None:
        scale, shift = tf.convert_to_tensor(self.scale), tf.convert_to_tensor(self.shift)
        ranks = (scale.shape.rank, shift.shape.rank)
        if self.image_size < 1 or ranks not in ((0, 1), (1, 2), (1, 1), (0, 2)) or shift.shape[-1] != 2:
            raise ValueError(
                "camera: expected a positive image size, a scale [] or [B] and a shift [2] or [B, 2]. Received: "
                f"{self.image_size}, {tuple(scale.shape)} and {tuple(shift.shape)}"
            )
        if isinstance(self.scale, (int, float)) and not 0 < self.scale < math.inf:
            raise ValueError(f"camera: expected a scale above 0. Received: {self.scale}")

    def project(self, points: tf.Tensor) -> tf.Tensor:
        """Pixel coordinates [..., 2] (y up) of `points` [..., 3], the first axis an image each if need be."""
        points = tf.convert_to_tensor(points, tf.float32)
        scale, shift = self._settings(points.shape.rank)
        return (scale * (points[..., :2] + shift) + 1.0) * (self.image_size / 2)

    def _settings(self, rank: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Scale and shift, to be broadcast over points of so many axes, the first an image each if need be."""
        scale, shift = tf.convert_to_tensor(self.scale, tf.float32), tf.convert_to_tensor(self.shift, tf.float32)
        between = [1] * (rank - 2)  # axes between the images and the coordinates
        scale = scale if scale.shape.rank == 0 else tf.reshape(scale, [-1, *between, 1])
        return scale, shift if shift.shape.rank == 1 else tf.reshape(shift, [-1, *between, 2])

    def towards(self, points: tf.Tensor) -> tf.Tensor:
        """Directions [..., 3] from `points` [..., 3] to the camera, which is infinitely far: (0, 0, 1) for each."""
        return tf.zeros_like(points) + tf.constant([0.0, 0.0, 1.0])

    def rays(self, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Origins [..., 3] at z = DISTANCE and directions (0, 0, -1) of the rays through `pixels` [..., 2]."""
        pixels = tf.convert_to_tensor(pixels, tf.float32)
        scale, shift = self._settings(pixels.shape.rank)
        across = (pixels * (2 / self.image_size) - 1.0) / scale - shift
        origins = tf.concat([across, tf.fill(tf.shape(across[..., :1]), DISTANCE)], -1)
        return origins, tf.zeros_like(origins) + tf.constant([0.0, 0.0, -1.0])

    def view_projection(self) -> tf.Tensor:
        """[4, 4], or [B, 4, 4]; w is 1, and from REACH to -REACH decimetres depth runs from -1 to 1."""
        scale, shift = tf.convert_to_tensor(self.scale, tf.float32), tf.convert_to_tensor(self.shift, tf.float32)
        offset = scale[..., None] * shift if scale.shape.rank else scale * shift
        zero = tf.zeros_like(offset[..., 0])
        one, scale = zero + 1.0, zero + scale
        rows = [scale, zero, zero, offset[..., 0], zero, scale, zero, offset[..., 1],
                zero, zero, zero - 1.0 / REACH, zero, zero, zero, zero, one]  # fmt: skip
        return tf.reshape(tf.stack(rows, -1), [*([-1] if zero.shape.rank else []), 4, 4])
