"""What GIF's networks are given of a face: its texture and its normals, rendered."""

from __future__ import annotations

import tensorflow as tf

from discoface_tf2.losses.pixels import to_network_range
from renderer import FaceModel, FaceRenderer


class ConditionRenderer(tf.Module):
    """Texture and normal renders of coefficients, of the whole head.

    The reference clips negative components of normals to 0, so half of a face's normals are lost; here they are n as
    it is, which is n · 0.5 + 0.5 mapped to [-1, 1] like the texture. Nor are the renders rounded to 8 bits.

    Args:
        face_model: the model.
        resolution: height and width of the renders.
    """

    def __init__(self, face_model: FaceModel, resolution: int) -> None:
        super().__init__(name="condition_renderer")
        self.renderer = FaceRenderer(face_model, resolution, part="head")

    def __call__(self, coefficients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Coefficients [B, size or λ] → renders [B, R, R, 6] in [-1, 1], texture first; mask [B, R, R, 1] of 0 and 1.

        The background is -1.
        """
        renderer = self.renderer
        shape = renderer.shape(coefficients)
        framebuffer = renderer.rasterize(renderer.pose(shape, coefficients))
        texture = to_network_range(tf.clip_by_value(renderer.lit_image(framebuffer, coefficients, shape), 0.0, 255.0))
        normals = renderer.normal_image(framebuffer, coefficients, shape)
        mask = framebuffer.foreground_mask
        return tf.concat([texture, normals + mask - 1.0], -1), mask


def chosen(renders: tf.Tensor, which: str) -> tf.Tensor | None:
    """The channels of renders [B, R, R, 6] that a condition names; None of "vector"."""
    return {"both": renders, "texture": renders[..., :3], "normals": renders[..., 3:], "vector": None}[which]
