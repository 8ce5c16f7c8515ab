"""What a generated batch is told beside the discriminator's word: imitation of the render, and contrast of pairs.

Rows of a batch are those of `objective`: B images, P more that repeat rows 0…P-1 with another expression, and P
more that repeat rows P…2P-1 under another light.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from discoface_tf2.losses import contrastive, imitative
from discoface_tf2.losses.pixels import pixel_loss, to_network_range
from discoface_tf2.perception import Perception
from discoface_tf2.perception.clipping import clip_inward
from discoface_tf2.systems.disco.config import DiscoConfig
from renderer import FaceRenderer
from renderer.camera import Camera
from renderer.landmarks import FIVE_OF_68

_WARMUP = ("warmup_l1",)
_CONTRASTIVE = ("expression_warp", "lighting_change")


class Imitation:
    """The terms of a phase, each by the name of its weight. What has weight 0, and what only it needs, is not computed.

    Args:
        config: the run's.
        renderer: draws λ.
        perception: looks at the generated images.
        batch, pairs: B and P of one replica; no pairs outside of stage 2.
    """

    def __init__(
        self, config: DiscoConfig, renderer: FaceRenderer, perception: Perception, batch: int, pairs: int
    ) -> None:
        self.weights, self.renderer, self.perception = config.weights, renderer, perception
        self.layout, self.batch, self.pairs = renderer.layout, batch, pairs
        self.l1_size = min(config.l1_resolution, config.resolution)
        self.landmark_camera = Camera.reconstruction()
        self.expression_std = tf.constant(renderer.face_model.expression_std, tf.float32)

    def wanted(self, phase: str) -> dict[str, float]:
        """Weights of the terms that count in a phase (`DiscoConfig.phase`)."""
        names: tuple[str, ...] = _WARMUP
        if phase not in ("imitate", "warmup"):
            left_out = _WARMUP if self.pairs else _WARMUP + _CONTRASTIVE
            names = tuple(f.name for f in dataclasses.fields(self.weights) if f.name not in left_out)
        return {name: getattr(self.weights, name) for name in names if getattr(self.weights, name)}

    def __call__(self, fakes: tf.Tensor, lambdas: tf.Tensor, phase: str) -> dict[str, tf.Tensor]:
        """Terms per image [B], or per pair [P], of images [B + 2P, R, R, 3] drawn from λ [B + 2P, L]."""
        wanted = self.wanted(phase)
        terms: dict[str, tf.Tensor] = {}
        if not wanted:
            return terms
        rendering = self.renderer(lambdas[: self.batch])
        if phase == "warmup":
            return {"warmup_l1": pixel_loss(fakes[: self.batch], rendering, self.l1_size)}
        batch, pairs, seen = self.batch, self.pairs, self.perception
        fakes = tf.cast(fakes, tf.float32)
        first = fakes[:batch]
        render = to_network_range(rendering.image)
        # What the perception networks see. Each sees an image once: the batch, and the second images of lighting pairs.
        clipped = clip_inward(fakes)
        lit = tf.concat([clipped[pairs : 2 * pairs], clipped[batch + pairs :]], 0)  # lighting pairs: firsts, seconds
        needs = set(wanted)
        if needs & {"landmarks", "lighting", "expression", "lighting_change"}:
            looked_at = clipped[:batch]
            if "lighting_change" in wanted:
                looked_at = tf.concat([looked_at, lit[pairs:]], 0)
            coefficients = seen.reconstruction(looked_at)
        if needs & {"landmarks", "lighting_change"}:
            landmarks = self.renderer.landmarks(coefficients, camera=self.landmark_camera)
        if "identity" in wanted:
            # black, as the render is, where there is no face
            embeddings = seen.identity(clipped[:batch] * rendering.mask + rendering.mask - 1.0)
            drawn = tf.stop_gradient(seen.identity(render))
            terms["identity"] = imitative.identity_loss(embeddings, drawn)
        if "landmarks" in wanted:
            asked = self.renderer.landmarks(lambdas[:batch], camera=self.landmark_camera)
            terms["landmarks"] = imitative.landmark_loss(landmarks[:batch], asked)
        if "lighting" in wanted:
            lighting = self.layout.slice("lighting")
            terms["lighting"] = imitative.lighting_loss(coefficients[:batch, lighting], lambdas[:batch, lighting])
        if "skin" in wanted:
            terms["skin"] = imitative.skin_colour_loss(first, render, rendering.mask)
        if "expression" in wanted:
            expression = self.layout.slice("expression")
            drawn = tf.stop_gradient(seen.reconstruction(render))[:, expression]
            terms["expression"] = imitative.expression_loss(
                coefficients[:batch, expression], drawn, self.expression_std
            )
        if "image_l1" in wanted:
            terms["image_l1"] = pixel_loss(first, rendering, self.l1_size)
        if "expression_warp" in wanted:
            flow = self.renderer.flow(lambdas[:pairs], lambdas[batch : batch + pairs])
            terms["expression_warp"] = contrastive.expression_warp_loss(
                fakes[:pairs], fakes[batch : batch + pairs], flow.flow, flow.mask_from, flow.mask_to
            )
        if "lighting_change" in wanted:
            rows = tf.concat([tf.range(pairs, 2 * pairs), tf.range(batch, batch + pairs)], 0)  # `lit` in `looked_at`
            places = self._five_landmarks(tf.gather(coefficients, rows))
            hair = seen.parsing(lit, landmarks=places)[..., 2:3]
            whole = seen.identity(lit)  # of whole images: hair and background are the person's too
            points = tf.gather(landmarks, rows)
            terms["lighting_change"] = contrastive.lighting_change_loss(
                hair[:pairs], hair[pairs:], whole[:pairs], whole[pairs:], points[:pairs], points[pairs:]
            )
        return terms

    def _five_landmarks(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Where images of predicted `coefficients` [N, size] have eyes, nose tip and mouth corners [N, 5, 2].

        In fractions of the image's width and height from its top left corner, as the parser aligns faces by them.
        """
        points = tf.linalg.matmul(tf.constant(FIVE_OF_68), self.renderer.landmarks(coefficients))
        return points * tf.constant([1.0, -1.0]) / self.renderer.camera.image_size + tf.constant([0.0, 1.0])
