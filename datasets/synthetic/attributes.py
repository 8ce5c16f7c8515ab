"""The solid surfaces of a scene as one mesh, and what each of its vertices carries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from datasets.synthetic import body as body_module
from datasets.synthetic import glasses as glasses_module
from datasets.synthetic import hair as hair_module
from datasets.synthetic.scene import BODY, EYE, EYE_PART, GLASSES, HAIR, HEAD, EyePart, Scene
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer
from renderer.importers.occlusion import sky_share
from renderer.pose import rotate

_MOUTH = ("lip", "mouth", "gum", "teeth", "tooth", "tongue")
_EYES = ("eye", "iris", "pupil", "sclera")
_JAW, _GAPE = "jawOpen", 0.5  # how far it is open when the light in the mouth is measured
_ENAMEL = 0.85  # teeth shine through each other: so much of the light is in them in any case
_WET, _MATT = ("lip", "mouth", "gum", "teeth", "tooth", "tongue", "eye"), ("brow", "lash", "scalp")


class SolidValues(NamedTuple):
    """What the solid surfaces have at P points; the fields in the order of the channels."""

    colour: tf.Tensor  # [P, 3] RGB 0-255, or factors of the atlas
    uv: tf.Tensor  # [P, 2] of the atlas, the picture of the iris, or the strand texture
    normals: tf.Tensor  # [P, 3] world, not of unit length
    tangents: tf.Tensor  # [P, 3] world, of hair
    positions: tf.Tensor  # [P, 3] world
    occlusion: tf.Tensor  # [P, 1] share of the sky that is open
    roots: tf.Tensor  # [P, 1] 0-1
    beard: tf.Tensor  # [P, 1] 0-1
    gloss: tf.Tensor  # [P, 1]
    bare: tf.Tensor  # [P, 1] skin in a neckline

    @classmethod
    def split(cls, values: tf.Tensor) -> SolidValues:
        """From channels [P, C]."""
        return cls(*tf.split(values, [3, 2, 3, 3, 3, 1, 1, 1, 1, 1], -1))


class SolidMesh(tf.Module):
    """Head, hair, glasses, body, skull and neck of a bare face, and eyes: vertices in this order.

    Args:
        model: the face model.
        renderer: of the model.
        stand_in: [F, 3] triangles of skull and neck; none for a model that has its own.
        stand_in_normals: [K, 3] unit, unposed.
        eyes: that replace the model's own, as sheets replace its lashes; or None.
        textured: whether the head's colour comes from an atlas.
    """

    def __init__(
        self,
        model: FaceModel,
        renderer: FaceRenderer,
        stand_in: np.ndarray,
        stand_in_normals: np.ndarray,
        eyes: EyePart | None,
        textured: bool,
    ):
        super().__init__(name="solid_mesh")
        self._renderer, self._textured = renderer, textured
        counts = (len(model.mean_shape), hair_module.VERTICES, glasses_module.VERTICES, body_module.VERTICES)
        starts = np.cumsum((0, *counts, len(stand_in_normals)))
        is_eye = _named(model, _EYES)[model.triangles].all(1)
        head, head_kinds = model.triangles, np.where(is_eye, EYE, HEAD)
        if eyes is not None:
            replaced = is_eye | _named(model, ("lash",))[model.triangles].all(1)
            head, head_kinds = head[~replaced], head_kinds[~replaced]
        mean = renderer.shape(np.zeros((1, model.layout.size), np.float32)).numpy()[0]
        dressed = _shoulders(model, mean)[head].all(1)
        head, head_kinds = head[~dressed], head_kinds[~dressed]
        parts = [head, hair_module.triangles(), glasses_module.triangles(), body_module.triangles(), stand_in]
        parts += [] if eyes is None else [eyes.triangles]
        part_kinds = [HEAD, HAIR, GLASSES, BODY, HEAD, EYE_PART]
        meshes = [mesh + start for mesh, start in zip(parts, starts, strict=False)]
        self.triangles = tf.constant(np.concatenate(meshes), tf.int32)
        repeated = [np.full(len(mesh), kind) for mesh, kind in zip(parts[1:], part_kinds[1:], strict=False)]
        self.kinds = tf.constant(np.concatenate([head_kinds, *repeated]), tf.int32)
        casters = np.concatenate([meshes[0], meshes[1], meshes[4]])  # neither frames nor clothes
        self.casters = tf.constant(casters, tf.int32)
        self._stand_in_normals = tf.constant(stand_in_normals[None], tf.float32)
        self._strands = tf.constant(hair_module.strand_coordinates())
        self._eye_uv = None if eyes is None else tf.constant(eyes.uv)
        self._uv = tf.constant(model.uv, tf.float32)
        self._occlusion = tf.constant(_occlusion(model, mean), tf.float32)
        self._gloss = tf.constant(_gloss(model, mean), tf.float32)

    def positions(self, scene: Scene, rotation: tf.Tensor) -> tf.Tensor:
        """[B, N, 3] in world coordinates."""
        turned = rotate(tf.concat([scene.shape, scene.hair, scene.glasses], 1), rotation)
        more = rotate(tf.concat([scene.stand_in, scene.eyes], 1), rotation)
        return tf.concat([turned, scene.body, more], 1)

    def attributes(self, scene: Scene, rotation: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """[B, N, C], the channels of SolidValues."""
        batch = tf.shape(rotation)[0]

        def part(count: int, colour: tf.Tensor, normals: tf.Tensor, **others: tf.Tensor) -> tf.Tensor:
            widths = {"uv": 2, "tangents": 3, "occlusion": 1, "roots": 1, "beard": 1, "gloss": 1, "bare": 1}
            values = {key: tf.zeros([batch, count, width]) for key, width in widths.items()}
            values["occlusion"] += 1.0
            for key, value in others.items():
                value = value if value.shape.rank == 3 else value[..., None] if widths[key] == 1 else value[None]
                values[key] = tf.broadcast_to(value, [batch, count, widths[key]])
            colour = tf.broadcast_to(colour, [batch, count, 3])
            v = values
            return tf.concat([colour, v["uv"], tf.broadcast_to(normals, [batch, count, 3]), v["tangents"],
                              tf.zeros([batch, count, 3]), v["occlusion"], v["roots"], v["beard"], v["gloss"],
                              v["bare"]], -1)  # fmt: skip

        albedo = scene.detail * (1.0 if self._textured else self._renderer.texture(scene.coefficients))
        front = tf.constant([0.0, 0.3, 0.954])  # thin and glossy: frames take the light that comes from the front
        hair_normals, tangents = rotate(scene.hair_normals, rotation), rotate(scene.hair_tangents, rotation)
        skull = rotate(tf.repeat(self._stand_in_normals, batch, 0), rotation)
        parts = [
            part(scene.shape.shape[1], albedo, self._renderer.normals(scene.coefficients, scene.shape), uv=self._uv,
                 occlusion=self._occlusion[None], roots=scene.roots, beard=scene.beard, gloss=self._gloss[None]),
            part(hair_module.VERTICES, scene.colours[:, :1], hair_normals, uv=self._strands, tangents=tangents,
                 occlusion=scene.hair_occlusion),
            part(glasses_module.VERTICES, scene.glasses_colour[:, None], front),
            part(body_module.VERTICES, scene.body_colours, scene.body_normals, bare=scene.body_skin),
            part(scene.stand_in.shape[1], scene.stand_in_colours, skull, roots=scene.stand_in_roots),
        ]  # fmt: skip
        if self._eye_uv is not None:
            normals = rotate(scene.eye_normals, rotation)
            # Lids and lashes keep the sky from the upper part of the eye, and less of it from the lower.
            sky = 0.62 + 0.33 * tf.clip_by_value(1 - tf.abs(scene.eye_normals[..., 1] + 0.12) * 2.2, 0.0, 1.0)
            parts.append(part(scene.eyes.shape[1], tf.ones([1, 1, 3]), normals, uv=self._eye_uv, occlusion=sky))
        values = tf.concat(parts, 1)
        return tf.concat([values[..., :11], positions, values[..., 14:]], -1)


def _named(model: FaceModel, starts: tuple[str, ...]) -> np.ndarray:
    """[V] bool: vertices of the regions whose names begin so."""
    return np.array([name.lower().startswith(starts) for name in model.region_names])[model.region]


def _shoulders(model: FaceModel, mean: np.ndarray) -> np.ndarray:
    """[V] bool: what clothes cover, which turn less than the head does."""
    chin = mean[model.landmarks[8]]
    low = np.clip((chin[1] - mean[:, 1] - 0.2) / 0.5, 0, 1)  # 0 under the chin … 1 at the collar
    wide = np.abs(mean[:, 0]) > 0.95 - 0.3 * low
    return (low >= 1) | ((low > 0) & wide)


def _occlusion(model: FaceModel, mean: np.ndarray) -> np.ndarray:
    """[V] share of the sky that is open on the mean head; eyes have theirs from the lids, if not from here."""
    share = sky_share(mean, model.triangles, directions=64, size=192)
    jaw = [number for number, name in enumerate(model.expression_names) if name == _JAW]
    if jaw:  # what is in the mouth is only looked at when it is open
        wide = mean + _GAPE * model.expression_basis[..., jaw[0]]
        inside = sky_share(wide, model.triangles, directions=64, size=192)
        share = np.where(_named(model, _MOUTH), np.maximum(share, inside), share)
    used = np.unique(model.triangles)
    share[np.setdiff1d(np.arange(len(share)), used)] = 1
    middle = np.median(share[used])
    share = np.clip(share / max(middle, 1e-3), 0.12, 1.0) ** 0.8
    return np.where(_named(model, ("teeth", "tooth")), np.maximum(share, _ENAMEL), share)


def _gloss(model: FaceModel, mean: np.ndarray) -> np.ndarray:
    """[V]: how much the surface shines; most on lips, then along the nose and forehead."""
    points = mean[model.landmarks]
    width = np.linalg.norm(points[16] - points[0]) + 1e-6
    nose, brow = points[30], points[[21, 22]].mean(0) + np.array([0, 0.12 * width, 0])
    near = [np.exp(-(((mean - place) / (reach * width)) ** 2).sum(1)) for place, reach in ((nose, 0.16), (brow, 0.25))]
    gloss = 0.75 + 0.9 * np.maximum(*near)
    gloss = np.where(_named(model, _WET), 2.2, gloss)
    return np.where(_named(model, _MATT), 0.4, gloss)
