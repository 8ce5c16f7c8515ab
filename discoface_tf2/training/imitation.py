"""What a generated batch is told beside the discriminator's word: imitation of the render, and contrast of pairs.

Rows of a batch are those of `training.steps`: B images, P more that repeat rows 0…P-1 with another expression, and P
more that repeat rows P…2P-1 under another light.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from discoface_tf2.config import TrainingConfig
from discoface_tf2.losses import contrastive, imitative
from discoface_tf2.perception import Perception
from discoface_tf2.training.pixels import pixel_loss, to_network_range
from renderer import FaceRenderer
from renderer.camera import Camera

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
        self, config: TrainingConfig, renderer: FaceRenderer, perception: Perception, batch: int, pairs: int
    ) -> None:
        self.weights, self.renderer, self.perception = config.weights, renderer, perception
        self.layout, self.batch, self.pairs = renderer.layout, batch, pairs
        self.l1_size = min(config.l1_resolution, config.resolution)
        self.landmark_camera = Camera.reconstruction()
        self.expression_std = tf.constant(renderer.face_model.expression_std, tf.float32)

    def wanted(self, phase: str) -> dict[str, float]:
        """Weights of the terms that count in a phase (`TrainingConfig.phase`)."""
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
        # Each network sees what it must, once: the batch and the second images of the lighting pairs, whose face masks
        # are those of the first images.
        looked_at = first
        masks = rendering.mask
        if "lighting_change" in wanted:
            looked_at = tf.concat([first, fakes[batch + pairs :]], 0)
            masks = tf.concat([masks, masks[pairs : 2 * pairs]], 0)
        needs = set(wanted)
        if needs & {"landmarks", "lighting", "expression", "lighting_change"}:
            coefficients = seen.reconstruction(looked_at)
        if needs & {"identity", "lighting_change"}:
            # black, as the render is, where there is no face
            embeddings = seen.identity(looked_at * masks + masks - 1.0)
        if needs & {"landmarks", "lighting_change"}:
            landmarks = self.renderer.landmarks(coefficients, camera=self.landmark_camera)
        if "identity" in wanted:
            drawn = tf.stop_gradient(seen.identity(render))
            terms["identity"] = imitative.identity_loss(embeddings[:batch], drawn)
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
            lit = tf.concat([fakes[pairs : 2 * pairs], fakes[batch + pairs :]], 0)
            hair = seen.parsing(lit)[..., 2:3]
            rows, others = slice(pairs, 2 * pairs), slice(batch, batch + pairs)  # of `looked_at`
            terms["lighting_change"] = contrastive.lighting_change_loss(
                hair[:pairs], hair[pairs:], embeddings[rows], embeddings[others], landmarks[rows], landmarks[others]
            )
        return terms
