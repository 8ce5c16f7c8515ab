"""Renders a batch of scenes: one TensorFlow graph for head, hair, clothes, glasses, shadows and background.

Solid surfaces are rasterised once. Hair, brows and lashes of the parts are sheets with alpha, which are rasterised in
depth layers and composited over them from the nearest on. Only covered pixels are shaded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from datasets.schema import BACKGROUND, HAIR, SKIN
from datasets.synthetic import scene as kinds
from datasets.synthetic.attributes import SolidMesh, SolidValues
from datasets.synthetic.fragments import Fragments, look_up, scatter
from datasets.synthetic.scene import EyePart, Scene, Sheets
from datasets.synthetic.shading import Light, Strands, Surface, strand_colour, surface_colour
from datasets.synthetic.shadows import ShadowMap
from renderer.camera import Camera
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer
from renderer.pose import rotate, rotation_matrix
from renderer.rasterizer import rasterize

_OVERSAMPLING = 2  # samples across a pixel of the image, averaged
LAYERS = 4  # of sheets
_NOISE = (256, 512)  # of the strand texture: along, across
_OPAQUE = 0.97  # what is behind so much is not shaded


class _Canvas(NamedTuple):
    """What is composited so far at all samples, N = B · D · D."""

    colour: tf.Tensor  # [N, 3] RGB times coverage
    through: tf.Tensor  # [N, 1] what is still to be covered
    hair: tf.Tensor  # [N, 1] coverage by hair
    depth: tf.Tensor  # [N] z of the solid surface, or very far


class SceneRenderer(tf.Module):
    """Renders scenes.

    Args:
        model: the face model.
        image_size: S, pixels of the images.
        stand_in: [F, 3] triangles of skull and neck, of K vertices; none for a model that has its own.
        stand_in_normals: [K, 3] unit, unposed.
        eyes: that replace the model's own, or None.
        sheets: of hair, brows and lashes, or None.
        textured: whether the head's colour comes from an atlas, rather than from the model's vertices.
    """

    def __init__(
        self,
        model: FaceModel,
        image_size: int,
        stand_in: np.ndarray,
        stand_in_normals: np.ndarray,
        *,
        eyes: EyePart | None = None,
        sheets: Sheets | None = None,
        textured: bool = False,
    ):
        super().__init__(name="scene_renderer")
        self.face = FaceRenderer(model, image_size=image_size, part="head")
        self._side = image_size * _OVERSAMPLING
        self._solid = SolidMesh(model, self.face, stand_in, stand_in_normals, eyes, textured)
        self._textured, self._has_sheets = textured, sheets is not None
        if sheets is not None:
            self._pictures = tf.constant(sheets.pictures)
            self._sheet_kinds = tf.constant(np.repeat(range(3), sheets.counts), tf.int32)
            self._sheet_triangles = tf.constant(np.arange(sheets.vertices).reshape(-1, 3), tf.int32)
            self._hair_triangles = self._sheet_triangles[: sheets.counts[kinds.HAIR_SHEET]]
        self._view_projection = Camera.generator(self._side).view_projection()[None]
        self._strands = tf.constant(_strand_textures()[None])
        self._shadow_size = max(64, min(192, 32 + image_size // 2 // 16 * 16 * 2))

    @tf.function(reduce_retracing=True)
    def shapes(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Unposed heads [B, V, 3] of `coefficients` [B, size]."""
        return self.face.shape(coefficients)

    @tf.function(reduce_retracing=True)
    def __call__(self, scene: Scene) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Images [B, S, S, 3] float RGB 0-255, masks [B, S, S] uint8 and landmarks [B, 68, 2] of a scene."""
        rotation = rotation_matrix(self.face.layout.split(scene.coefficients)["angles"])
        positions = self._solid.positions(scene, rotation)
        sheets = rotate(scene.sheets, rotation)
        shadows = self._shadows(positions, sheets, scene)
        size = (self._side, self._side)
        layer = rasterize(positions, self._solid.triangles, self._view_projection, size).layer(0)
        values = self._solid.attributes(scene, rotation, positions)
        canvas, shares = self._solid_canvas(Fragments.of(layer), values, scene, shadows)
        if self._has_sheets:
            canvas = self._over(canvas, sheets, scene, rotation, shadows)
        picture, mask = self._develop(canvas, shares, scene)
        return picture, mask, self.face.landmarks(scene.coefficients)

    def _shadows(self, positions: tf.Tensor, sheets: tf.Tensor, scene: Scene) -> ShadowMap:
        triangles = self._solid.casters
        if self._has_sheets:
            triangles = tf.concat([triangles, self._hair_triangles + positions.shape[1]], 0)
            positions = tf.concat([positions, sheets], 1)
        return ShadowMap(positions, triangles, scene.light.directions[:, 0], self._shadow_size)

    def _solid_canvas(
        self, found: Fragments, attributes: tf.Tensor, scene: Scene, shadows: ShadowMap
    ) -> tuple[_Canvas, tf.Tensor]:
        """The canvas of the solid surfaces, and the coverage [N, 2] by skin and hair."""
        count = tf.shape(attributes)[0] * self._side**2
        kind = tf.gather(self._solid.kinds, found.triangle)
        values = SolidValues.split(found.interpolate(attributes))
        shadow = shadows.light(found, values.positions, tf.math.l2_normalize(values.normals, -1))
        is_hair = kind == kinds.HAIR
        places = tf.where(is_hair)[:, 0], tf.where(~is_hair)[:, 0]
        hair, other = (SolidValues(*(tf.gather(value, place) for value in values)) for place in places)
        at = [Fragments(*(tf.gather(value, place) for value in found)) for place in places]
        shade = [tf.gather(shadow, place) for place in places]
        colours = [
            self._solid_hair(at[0], hair, scene, shade[0]),
            self._surface(at[1], other, tf.gather(kind, places[1]), scene, shade[1]),
        ]
        colour = tf.concat(colours, 0)
        pixels = tf.concat([at[0].pixel, at[1].pixel], 0)
        rooted = tf.cast((kind == kinds.HEAD) & (values.roots[:, 0] > 0.5), tf.float32)
        is_skin = (kind == kinds.HEAD) | (kind == kinds.EYE) | (kind == kinds.EYE_PART) | (kind == kinds.GLASSES)
        bare = tf.where(kind == kinds.BODY, values.bare[:, 0], 0.0)
        shares = tf.stack([tf.cast(is_skin, tf.float32) - rooted + bare, tf.cast(is_hair, tf.float32) + rooted], -1)
        ones = tf.ones_like(colour[:, :1])
        # Depth is moved a little to the back, as lashes and brows lie on the skin.
        canvas = _Canvas(
            colour=scatter(pixels, _shoulder(colour), count),
            through=1 - scatter(pixels, ones, count),
            hair=scatter(found.pixel, tf.cast(is_hair, tf.float32)[:, None], count),
            depth=scatter(found.pixel, values.positions[:, 2:] + 99.0, count)[:, 0] - 99.0,
        )
        return canvas, scatter(found.pixel, shares, count)

    def _surface(
        self, found: Fragments, values: SolidValues, kind: tf.Tensor, scene: Scene, shadow: tf.Tensor
    ) -> tf.Tensor:
        """[P, 3] lit colours of what is not hair."""
        albedo, roots = values.colour, values.roots
        if self._textured:
            on = tf.where((kind == kinds.HEAD) | (kind == kinds.EYE))[:, 0]
            texel = look_up(scene.atlas, tf.gather(found.image, on), tf.gather(values.uv, on))
            albedo *= tf.tensor_scatter_nd_update(tf.ones_like(albedo), on[:, None], texel)
        iris = tf.where(kind == kinds.EYE_PART)[:, 0]
        texel = look_up(scene.iris, tf.gather(found.image, iris), tf.gather(values.uv, iris))
        albedo = tf.tensor_scatter_nd_update(albedo, iris[:, None], texel)
        strand = self._strand_pattern(found, values.uv if not self._textured else values.positions[:, :2], scene)
        colours = tf.gather(scene.colours, found.image)
        stubble = look_up(self._strands, tf.zeros_like(kind), values.positions[:, :2] * 5.0 % 1.0)[:, 1:]
        beard = tf.clip_by_value(values.beard * (1 + 0.45 * stubble), 0.0, 0.85)
        albedo += (colours[:, 1] - albedo) * beard
        albedo += (colours[:, 0] * strand - albedo) * roots
        is_eye = tf.cast((kind == kinds.EYE) | (kind == kinds.EYE_PART), tf.float32)
        is_skin = tf.cast(kind == kinds.HEAD, tf.float32) * (1 - roots[:, 0])
        surface = Surface(
            albedo=albedo,
            normals=tf.math.l2_normalize(values.normals, -1),
            positions=values.positions,
            occlusion=values.occlusion[:, 0],
            gloss=values.gloss[:, 0] * (1 - beard[:, 0]) * (1 - roots[:, 0]),
            skin=is_skin,
            eye=is_eye,
        )
        return surface_colour(surface, Light(*scene.light).at(found.image), shadow)

    def _solid_hair(self, found: Fragments, values: SolidValues, scene: Scene, shadow: tf.Tensor) -> tf.Tensor:
        strands = Strands(
            colour=values.colour * self._strand_pattern(found, values.uv, scene),
            normals=tf.math.l2_normalize(values.normals, -1),
            tangents=tf.math.l2_normalize(values.tangents, -1),
            positions=values.positions,
            occlusion=values.occlusion[:, 0],
            gloss=2 * tf.gather(scene.look, found.image)[:, 1],
        )
        return strand_colour(strands, Light(*scene.light).at(found.image), shadow)

    def _over(
        self, canvas: _Canvas, sheets: tf.Tensor, scene: Scene, rotation: tf.Tensor, shadows: ShadowMap
    ) -> _Canvas:
        """The canvas with the sheets over it, layer by layer from the nearest on."""
        size = (self._side, self._side)
        buffer = rasterize(sheets, self._sheet_triangles, self._view_projection, size, False, LAYERS)
        attributes = tf.concat([sheets, scene.sheet_values], -1)
        count = tf.shape(canvas.through)[0]
        through, colour, hair = tf.ones_like(canvas.through), tf.zeros_like(canvas.colour), tf.zeros_like(canvas.hair)
        for number in range(LAYERS):
            found = Fragments.of(buffer.layer(number), through[:, 0] > 1 - _OPAQUE)
            values = found.interpolate(attributes)
            kind = tf.gather(self._sheet_kinds, found.triangle)
            # Brows and lashes lie on the skin: they win over what is a little nearer.
            ahead = values[:, 2] - tf.gather(canvas.depth, found.pixel) + tf.where(kind == kinds.HAIR_SHEET, 0.0, 0.03)
            place = tf.where(ahead > 0)[:, 0]
            found = Fragments(*(tf.gather(value, place) for value in found))
            kind, values = tf.gather(kind, place), tf.gather(values, place)
            lit, alpha = self._sheet(found, values, kind, scene, rotation, shadows)
            covers = alpha * tf.gather(through, found.pixel)
            colour += scatter(found.pixel, covers * lit, count)
            hair += scatter(found.pixel, covers * tf.cast(kind == kinds.HAIR_SHEET, tf.float32)[:, None], count)
            through -= scatter(found.pixel, covers, count)
        return canvas._replace(
            colour=colour + through * canvas.colour, through=through * canvas.through, hair=hair + through * canvas.hair
        )

    def _sheet(
        self,
        found: Fragments,
        values: tf.Tensor,
        kind: tf.Tensor,
        scene: Scene,
        rotation: tf.Tensor,
        shadows: ShadowMap,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Lit colours [P, 3] and alpha [P, 1] of sheets at pixels."""
        position, normals, tangents, uv, inside, occlusion, tip = tf.split(values, [3, 3, 3, 2, 1, 1, 1], -1)
        turn = tf.gather(rotation, found.image)
        normals = tf.math.l2_normalize(tf.einsum("pc,pdc->pd", normals, turn), -1)
        tangents = tf.math.l2_normalize(tf.einsum("pc,pdc->pd", tangents, turn), -1)
        picture = tf.gather(tf.reshape(scene.pictures, [-1]), found.image * 3 + kind)
        bright, alpha = tf.split(look_up(self._pictures, picture, uv), 2, -1)
        look = tf.gather(scene.sheet_look, found.image)
        ragged = look_up(self._strands, tf.zeros_like(kind), uv * 3.0 % 1.0)[:, :1]
        alpha *= tf.clip_by_value((inside + look[:, :1] * ragged) / 0.06 + 0.5, 0.0, 1.0)
        ends = tf.gather(tf.reshape(scene.sheet_colours, [-1, 2, 3]), found.image * 3 + kind)
        colour = ends[:, 0] + (ends[:, 1] - ends[:, 0]) * tip
        is_hair = tf.cast(kind == kinds.HAIR_SHEET, tf.float32)
        strands = Strands(
            colour=colour * (1 + look[:, 2:] * (bright - 1)),
            normals=normals,
            tangents=tangents,
            positions=position,
            occlusion=occlusion[:, 0],
            gloss=look[:, 1] * is_hair,
        )
        shadow = shadows.light(found, position + 0.05 * normals, normals)
        lit = strand_colour(strands, Light(*scene.light).at(found.image), shadow)
        return _shoulder(lit), alpha * self._opacity(kind, look)

    def _opacity(self, kind: tf.Tensor, look: tf.Tensor) -> tf.Tensor:
        """[P, 1] factors of alpha: brows and lashes are thinner on some."""
        return tf.where(kind == kinds.HAIR_SHEET, 1.0, tf.where(kind == kinds.BROW_SHEET, look[:, 3], look[:, 4]))[
            :, None
        ]

    def _develop(self, canvas: _Canvas, shares: tf.Tensor, scene: Scene) -> tuple[tf.Tensor, tf.Tensor]:
        """Images [B, S, S, 3] and masks [B, S, S] of the samples; row 0 becomes the top."""

        def image(values: tf.Tensor) -> tf.Tensor:
            return tf.reverse(tf.reshape(values, [-1, self._side, self._side, values.shape[-1]]), [1])

        uncovered = 1 - tf.clip_by_value(canvas.hair, 0.0, 1.0)
        skin = shares[:, :1] * uncovered
        hair = tf.clip_by_value(canvas.hair + shares[:, 1:] * uncovered, 0.0, 1.0)
        cover = {BACKGROUND: tf.maximum(1 - skin - hair, 0), SKIN: skin, HAIR: hair}
        mask = tf.argmax(_shrink(image(tf.concat([cover[kind] for kind in sorted(cover)], -1))), -1)
        dark = 1 - (1 - image(canvas.hair)) * self._hair_shadow(image(canvas.hair))
        small = _shrink(tf.concat([image(canvas.colour) * dark, image(canvas.through)], -1))
        return small[..., :3] + scene.background * small[..., 3:], tf.cast(mask, tf.uint8)

    def _hair_shadow(self, is_hair: tf.Tensor) -> tf.Tensor:
        """[B, D, D, 1] how much of the sky the hair takes from what is beside and under it."""
        size = max(3, self._side // 30 | 1)
        near = tf.nn.avg_pool2d(tf.nn.avg_pool2d(is_hair, size, 1, "SAME"), size, 1, "SAME")
        return 0.4 * tf.clip_by_value(near, 0.0, 0.75)

    def _strand_pattern(self, found: Fragments, place: tf.Tensor, scene: Scene) -> tf.Tensor:
        """[P, 1] factors of the hair's brightness at `place` [P, 2] on the strands."""
        look = tf.gather(scene.look, found.image)
        column = (place[:, 0] + look[:, 3]) * 2 % 1.0
        row = (place[:, 1] + look[:, 4]) % 1.0
        both = look_up(self._strands, tf.zeros_like(found.image), tf.stack([column, 1 - row], -1))
        pattern = both[:, 0] * (1 - look[:, 2]) + both[:, 1] * look[:, 2]
        return tf.exp(look[:, 0] * pattern)[:, None]


def _shoulder(colour: tf.Tensor) -> tf.Tensor:
    """Colours that stay below 255: what is above 200 bends, as film does."""
    over = tf.nn.relu(colour - 200)
    return tf.nn.relu(tf.minimum(colour, 200.0) + 55 * (1 - tf.exp(-over / 55)))


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
