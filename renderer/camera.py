"""The two pinhole cameras of the method: the generator's and the reconstruction network's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import tensorflow as tf
from tensorflow_graphics.geometry.transformation import look_at
from tensorflow_graphics.rendering.camera import perspective

FOCAL = 1015.0  # pixels, of the reconstruction camera's 224-pixel picture
GENERATOR_ZOOM = 1.22  # the generator's 256-pixel picture is this much closer than the reconstruction's
NEAR, FAR = 0.01, 50.0  # decimetres


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at (0, 0, distance) that looks at the origin, with a square picture.

    Lengths are decimetres, y up, z to the camera. Pixel coordinates are continuous with the origin at the bottom left
    corner of the picture, x right and y up, so the centre of the lowest left pixel is (0.5, 0.5).
    """

    image_size: int  # pixels
    focal: float  # pixels
    distance: float = 10.0

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

    def view_projection(self) -> tf.Tensor:
        """[4, 4] world to clip coordinates, for column vectors; OpenGL's conventions, as in tensorflow-graphics."""
        projection = perspective.right_handed([self.field_of_view], [1.0], [NEAR], [FAR])
        view = look_at.right_handed([0.0, 0.0, self.distance], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        return tf.matmul(projection, view)
