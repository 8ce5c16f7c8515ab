"""Takes the photographs: one TensorFlow graph that draws head, hair, body and background of a batch together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from datasets.schema import BACKGROUND, HAIR, SKIN
from datasets.synthetic import body as body_module
from datasets.synthetic import glasses as glasses_module
from datasets.synthetic import hair as hair_module
from renderer.camera import Camera
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer, upright
from renderer.lighting import shade
from renderer.pose import rotate, rotation_matrix
from renderer.rasterizer import interpolate, rasterize

_OVERSAMPLING = 2  # pixels across a pixel of the photograph, averaged away
_HEAD, _HAIR, _GLASSES, _BODY = range(4)
_NOISE = (256, 512)  # of the strand texture: along, across


class Scene(NamedTuple):
    """Everything that a batch of photographs shows: B, of V head, N hair, G glasses, M body and K stand-in vertices."""

    coefficients: np.ndarray  # [B, size]
    shape: np.ndarray  # [B, V, 3] unposed head
    detail: np.ndarray  # [B, V, 3] factors of the albedo
    beard: np.ndarray  # [B, V] 0-1
    roots: np.ndarray  # [B, V] 0-1: skin hidden by the roots of the hair
    hair: np.ndarray  # [B, N, 3] unposed
    hair_normals: np.ndarray  # [B, N, 3] unposed
    hair_tangents: np.ndarray  # [B, N, 3] unposed
    hair_occlusion: np.ndarray  # [B, N]
    colours: np.ndarray  # [B, 2, 3] of hair and beard, RGB 0-255
    look: np.ndarray  # [B, 5] strand contrast, gloss, curliness 0-1, and where in the strand texture (2)
    glasses: np.ndarray  # [B, G, 3] unposed
    glasses_colour: np.ndarray  # [B, 3] RGB 0-255
    body: np.ndarray  # [B, M, 3] posed
    body_normals: np.ndarray  # [B, M, 3] posed
    body_colours: np.ndarray  # [B, M, 3] RGB 0-255
    body_skin: np.ndarray  # [B, M] 0-1
    background: np.ndarray  # [B, S, S, 3] RGB 0-255
    stand_in: np.ndarray  # [B, K, 3] unposed: skull and neck of a model that is a bare face
    stand_in_colours: np.ndarray  # [B, K, 3] RGB 0-255
    stand_in_roots: np.ndarray  # [B, K] 0-1, as roots


class Studio(tf.Module):
    """Draws scenes.

    Args:
        model: the face model.
        image_size: S, pixels of the photographs.
        stand_in: [F, 3] triangles of skull and neck, of K vertices; none for a model that has its own.
        stand_in_normals: [K, 3] unit, unposed.
    """

    def __init__(self, model: FaceModel, image_size: int, stand_in: np.ndarray, stand_in_normals: np.ndarray):
        super().__init__(name="studio")
        self.renderer = FaceRenderer(model, image_size=image_size, part="head")
        self.image_size, self._drawn = image_size, image_size * _OVERSAMPLING
        counts = (len(model.mean_shape), hair_module.VERTICES, glasses_module.VERTICES, body_module.VERTICES)
        starts = np.cumsum((0, *counts))
        drawn = (hair_module.triangles(), glasses_module.triangles(), body_module.triangles())
        parts = [mesh + start for mesh, start in zip((model.triangles, *drawn, stand_in), starts, strict=True)]
        self._triangles = tf.constant(np.concatenate(parts), tf.int32)
        kinds = np.repeat([_HEAD, _HAIR, _GLASSES, _BODY, _HEAD], [len(part) for part in parts])
        self._kind = tf.constant(kinds, tf.int32)
        self._stand_in_normals = tf.constant(stand_in_normals[None], tf.float32)
        self._view_projection = Camera.generator(self._drawn).view_projection()[None]
        self._strand_coordinates = tf.constant(hair_module.strand_coordinates())
        self._strands = tf.constant(_strand_textures())

    @tf.function(reduce_retracing=True)
    def shoot(self, scene: Scene) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Photographs [B, S, S, 3] float RGB 0-255, masks [B, S, S] uint8 and landmarks [B, 68, 2] of a scene."""
        coefficients = scene.coefficients
        rotation = rotation_matrix(self.renderer.layout.split(coefficients)["angles"])
        turned = rotate(tf.concat([scene.shape, scene.hair, scene.glasses], 1), rotation)
        vertices = tf.concat([turned, scene.body, rotate(scene.stand_in, rotation)], 1)
        frame = upright(rasterize(vertices, self._triangles, self._view_projection, (self._drawn, self._drawn)))
        values = interpolate(frame, self._attributes(scene, rotation))  # [B, D, D, 7]
        colour, paint, strand = values[..., :3], values[..., 3:4], values[..., 4:6]
        kind = tf.gather(self._kind, frame.triangle_id)  # [B, D, D, 1]
        seen = frame.foreground_mask
        is_hair = seen * tf.cast(kind == _HAIR, tf.float32)
        is_head = seen * tf.cast(kind == _HEAD, tf.float32)
        haired = tf.maximum(is_hair, is_head * paint)
        colour *= 1 + haired * (self._strand_pattern(strand, scene.look) - 1)
        colour *= 1 - (1 - is_hair) * seen * self._hair_shadow(is_hair)
        rooted = is_head * tf.cast(paint > 0.5, tf.float32)
        neckline = seen * values[..., 6:7] * tf.cast(kind == _BODY, tf.float32)
        skin = is_head - rooted + neckline + seen * tf.cast(kind == _GLASSES, tf.float32)
        hair = is_hair + rooted
        shares = {BACKGROUND: tf.maximum(1 - skin - hair, 0), SKIN: skin, HAIR: hair}
        mask = tf.argmax(_shrink(tf.concat([shares[kind] for kind in sorted(shares)], -1)), -1)
        covered = _shrink(tf.concat([tf.clip_by_value(colour, 0, 255) * seen, seen], -1))
        picture = covered[..., :3] + scene.background * (1 - covered[..., 3:])
        return picture, tf.cast(mask, tf.uint8), self.renderer.landmarks(coefficients)

    @tf.function(reduce_retracing=True)
    def shapes(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Unposed heads [B, V, 3] of `coefficients` [B, size]."""
        return self.renderer.shape(coefficients)

    def _attributes(self, scene: Scene, rotation: tf.Tensor) -> tf.Tensor:
        """[B, V + N + G + M + K, 7]: lit colour, share of hair, place on the strands, bare skin in a neckline."""
        gamma = self.renderer.layout.split(scene.coefficients)["lighting"]
        albedo = self.renderer.texture(scene.coefficients) * scene.detail
        hair_colour, beard_colour = scene.colours[:, :1], scene.colours[:, 1:]
        albedo += (beard_colour - albedo) * scene.beard[..., None]
        albedo += (hair_colour - albedo) * scene.roots[..., None]
        head = shade(albedo, self.renderer.normals(scene.coefficients, scene.shape), gamma)
        body = shade(scene.body_colours, scene.body_normals, gamma)
        hair = self._lit_hair(scene, rotation, gamma)
        # Frames are thin and glossy: they take the light that comes from the front.
        front = tf.broadcast_to(tf.constant([0.0, 0.3, 0.954]), tf.shape(scene.glasses))
        colours = tf.broadcast_to(scene.glasses_colour[:, None], tf.shape(scene.glasses))
        glasses = shade(colours, front, gamma)
        place = tf.broadcast_to(self._strand_coordinates, [tf.shape(hair)[0], *self._strand_coordinates.shape])
        none = tf.zeros_like(hair[..., :1])
        return tf.concat(
            [
                tf.concat([head, scene.roots[..., None], scene.shape[..., :2], tf.zeros_like(head[..., :1])], -1),
                tf.concat([hair, none + 1, place, none], -1),
                tf.concat([glasses, tf.zeros_like(glasses), tf.zeros_like(glasses[..., :1])], -1),
                tf.concat([body, tf.zeros_like(body), scene.body_skin[..., None]], -1),
                self._stand_in_attributes(scene, rotation, gamma),
            ],
            1,
        )

    def _stand_in_attributes(self, scene: Scene, rotation: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
        """[B, K, 7], as `_attributes`."""
        roots, colour = scene.stand_in_roots[..., None], scene.stand_in_colours
        albedo = colour + (scene.colours[:, :1] - colour) * roots
        normals = rotate(tf.repeat(self._stand_in_normals, tf.shape(rotation)[0], 0), rotation)
        lit = shade(albedo, normals, gamma)
        return tf.concat([lit, roots, scene.stand_in[..., :2], tf.zeros_like(roots)], -1)

    def _lit_hair(self, scene: Scene, rotation: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
        normals = rotate(scene.hair_normals, rotation)
        lit = shade(tf.ones_like(normals), normals, gamma)  # [B, N, 3]
        # The main light is where the linear terms point; strands shine in a ring about it (Kajiya and Kay, 1989).
        mean = tf.reduce_mean(tf.reshape(gamma, [-1, 3, 9]), 1)
        light = tf.math.l2_normalize(
            tf.stack([-mean[:, 3], -mean[:, 1], mean[:, 2]], -1) + tf.constant([0.0, 0.05, 0.05]), -1
        )
        half = tf.math.l2_normalize(light + tf.constant([0.0, 0.0, 1.0]), -1)
        along = tf.einsum("bnc,bc->bn", rotate(scene.hair_tangents, rotation), half)
        facing = tf.nn.relu(tf.einsum("bnc,bc->bn", normals, half))
        shine = tf.pow(tf.maximum(1 - along * along, 0.0), 12.0) * facing * scene.look[:, 1:2]
        colour = scene.colours[:, :1] * (1 + 0.9 * shine[..., None]) + 42 * shine[..., None]
        return colour * tf.maximum(lit, 0.03) * scene.hair_occlusion[..., None]

    def _strand_pattern(self, place: tf.Tensor, look: tf.Tensor) -> tf.Tensor:
        """[B, D, D, 1] factors of the hair's brightness at `place` [B, D, D, 2] on the strands."""
        look = look[:, None, None, :]
        column = tf.cast((place[..., 0] + look[..., 3]) * 2 * _NOISE[1], tf.int32) % _NOISE[1]
        row = tf.cast((place[..., 1] + look[..., 4]) * _NOISE[0], tf.int32) % _NOISE[0]
        both = tf.gather_nd(self._strands, tf.stack([row, column], -1))  # [B, D, D, 2] straight, curly
        pattern = both[..., 0] * (1 - look[..., 2]) + both[..., 1] * look[..., 2]
        return tf.exp(look[..., 0] * pattern)[..., None]

    def _hair_shadow(self, is_hair: tf.Tensor) -> tf.Tensor:
        """[B, D, D, 1] how much darker skin is beside and under hair."""
        size = max(3, self._drawn // 26 | 1)
        near = tf.nn.avg_pool2d(is_hair, size, 1, "SAME")
        near = tf.nn.avg_pool2d(near, size, 1, "SAME")
        return 0.55 * tf.clip_by_value(near, 0.0, 0.75)


def _shrink(images: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(images, _OVERSAMPLING, _OVERSAMPLING, "VALID")


def _strand_textures() -> np.ndarray:
    """[_NOISE, 2] float32 of unit variance: noise that is long along the strands, and noise of curls."""
    rng = np.random.default_rng(2)
    spectrum = np.fft.rfft2(rng.normal(size=(2, *_NOISE)))
    along, across = np.fft.fftfreq(_NOISE[0])[:, None], np.fft.rfftfreq(_NOISE[1])[None]
    straight = np.exp(-((along * 60) ** 2)) * (np.exp(-((across * 5) ** 2)) + 0.5 * np.exp(-((across * 14) ** 2)))
    curly = np.exp(-((along * 7) ** 2 + (across * 7) ** 2))
    noise = np.fft.irfft2(spectrum * np.stack([straight, curly]), _NOISE)
    return np.moveaxis(noise / noise.std((1, 2), keepdims=True), 0, -1).astype(np.float32)
