"""Light on skin, eyes and hair at lists of pixels. Cheap looks, not physics: constants are set by eye."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from datasets.synthetic.lamps import MAXIMUM, SKIN_WRAP
from renderer.camera import Camera


class Light(NamedTuple):
    """The lamps of a batch of B scenes; see `lamps.Lamps`."""

    ambient: tf.Tensor  # [B, 3]
    slope: tf.Tensor  # [B]
    directions: tf.Tensor  # [B, MAXIMUM, 3]
    colours: tf.Tensor  # [B, MAXIMUM, 3]

    def at(self, image: tf.Tensor) -> Light:
        """The lamps of the images [P] that pixels belong to: the same with P for B."""
        return Light(*(tf.gather(value, image) for value in self))

    def sky(self, normals: tf.Tensor) -> tf.Tensor:
        """[P, 3] RGB from the sky at `normals` [P, 3]."""
        return self.ambient * (1 + self.slope[:, None] * normals[:, 1:2])


class Surface(NamedTuple):
    """P points of a surface that is not hair."""

    albedo: tf.Tensor  # [P, 3] RGB 0-255
    normals: tf.Tensor  # [P, 3] unit
    positions: tf.Tensor  # [P, 3] world coordinates
    occlusion: tf.Tensor  # [P] 0-1, the share of the sky that is open
    gloss: tf.Tensor  # [P] 0 matt, 1 oily skin, 2 wet lips
    skin: tf.Tensor  # [P] 0 or 1: light goes under it
    eye: tf.Tensor  # [P] 0 or 1


class Strands(NamedTuple):
    """P points of hair."""

    colour: tf.Tensor  # [P, 3] RGB 0-255
    normals: tf.Tensor  # [P, 3] unit, of the whole of the hair rather than of a sheet
    tangents: tf.Tensor  # [P, 3] along the hair
    positions: tf.Tensor  # [P, 3]
    occlusion: tf.Tensor  # [P] 0-1
    gloss: tf.Tensor  # [P]


def surface_colour(surface: Surface, light: Light, shadow: tf.Tensor) -> tf.Tensor:
    """[P, 3] RGB of `surface` under `light` (of P), where `shadow` [P] 0-1 of the key light arrives."""
    view, normals = _to_camera(surface.positions), surface.normals
    open_sky = surface.occlusion[:, None]
    # Light that is scattered under skin fills small shadows with red.
    open_sky = tf.pow(open_sky, 1 - surface.skin[:, None] * tf.constant([0.22, 0.06, 0.0]))
    key = tf.pow(shadow[:, None] + 1e-4, 1 - surface.skin[:, None] * tf.constant([0.22, 0.04, 0.0]))
    wrap = surface.skin[:, None] * tf.constant(SKIN_WRAP, tf.float32)
    # The cornea bulges from the eye, so a lamp is reflected nearer to the middle than on a sphere.
    cornea = tf.math.l2_normalize(1.8 * normals - 0.8 * view, -1)
    diffuse = light.sky(normals) * open_sky
    shine = tf.zeros_like(diffuse)
    for lamp in range(MAXIMUM):
        direction, colour = light.directions[:, lamp], light.colours[:, lamp]
        arrives = key if lamp == 0 else 0.4 + 0.6 * open_sky
        facing = _dot(normals, direction)[:, None]
        diffuse += colour * arrives * tf.nn.relu((facing + wrap) / (1 + wrap))
        between = tf.math.l2_normalize(direction + view, -1)
        half = tf.nn.relu(_dot(normals, between)) * tf.cast(facing[:, 0] > -0.1, tf.float32)
        broad, sharp = tf.pow(half, 10.0), tf.pow(half, 45.0)
        catch = tf.pow(tf.nn.relu(_dot(cornea, between)), 260.0)
        shine += colour * arrives * (surface.gloss * (9.0 * broad + 15.0 * sharp) + 14.0 * surface.eye * sharp)[:, None]
        # A lamp is far brighter than what it lights: half a shadow does not put its reflection out.
        shine += 330.0 * tf.sqrt(colour * (0.3 + 0.7 * arrives) + 1e-6) * (surface.eye * catch)[:, None]
    # At grazing angles everything shines with the sky.
    grazing = tf.pow(1 - tf.clip_by_value(_dot(normals, view), 0.0, 1.0), 4.0)
    rim = (14.0 * surface.skin + 30.0 * surface.eye) * grazing
    above = 26.0 * surface.eye * tf.nn.relu(normals[:, 1]) * surface.occlusion  # what eyes reflect of a bright sky
    shine += light.ambient * open_sky * (rim + above)[:, None]
    return surface.albedo * diffuse + shine


def strand_colour(strands: Strands, light: Light, shadow: tf.Tensor) -> tf.Tensor:
    """[P, 3] RGB of hair: a white highlight along a ring about the light (Kajiya and Kay, 1989), one of its colour."""
    view, normals = _to_camera(strands.positions), strands.normals
    open_sky = strands.occlusion[:, None]
    lit = light.sky(normals) * open_sky
    shine, own = tf.zeros_like(lit), tf.zeros_like(lit)
    # Highlights of the two kinds lie a little towards the roots and the tips (Marschner et al., 2003).
    to_root = tf.math.l2_normalize(strands.tangents - 0.12 * normals, -1)
    to_tip = tf.math.l2_normalize(strands.tangents + 0.18 * normals, -1)
    for lamp in range(MAXIMUM):
        direction, colour = light.directions[:, lamp], light.colours[:, lamp]
        arrives = (0.25 + 0.75 * shadow[:, None] if lamp == 0 else 1.0) * (0.35 + 0.65 * open_sky)
        facing = _dot(normals, direction)
        across = tf.sqrt(tf.maximum(1 - tf.square(_dot(strands.tangents, direction)), 0.0))
        lit += colour * arrives * (tf.nn.relu((facing + 0.25) / 1.25) * (0.45 + 0.55 * across))[:, None]
        half = tf.math.l2_normalize(direction + view, -1)
        seen = tf.clip_by_value(2 * facing + 0.4, 0.0, 1.0)
        shine += colour * arrives * (seen * _ring(to_root, half, 55.0))[:, None]
        own += colour * arrives * (seen * _ring(to_tip, half, 9.0))[:, None]
    gloss = strands.gloss[:, None]
    return strands.colour * (0.95 * lit + 0.9 * gloss * own) + 60.0 * gloss * shine


def _ring(tangents: tf.Tensor, half: tf.Tensor, power: float) -> tf.Tensor:
    return tf.pow(tf.maximum(1 - tf.square(_dot(tangents, half)), 0.0), power)


def _to_camera(positions: tf.Tensor) -> tf.Tensor:
    return tf.math.l2_normalize(tf.constant([0.0, 0.0, Camera.generator().distance]) - positions, -1)


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, -1)
