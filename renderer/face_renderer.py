"""Coefficients in; picture, mask, landmarks and flow out."""

from __future__ import annotations

from typing import Literal, NamedTuple

import tensorflow as tf
from tensorflow_graphics.rendering import framebuffer as fb

from renderer.camera import Camera, Projection
from renderer.face_model import FaceModel
from renderer.geometry import Geometry, Linear
from renderer.lighting import shade
from renderer.normals import one_rings, vertex_normals
from renderer.pose import rotate, rotation_matrix
from renderer.rasterizer import interpolate, rasterize
from renderer.texture_map import TextureSampler


class Rendering(NamedTuple):
    """What a FaceRenderer draws; B images of H = W = image_size pixels, row 0 at the top."""

    image: tf.Tensor  # [B, H, W, 3] RGB in 0-255, 0 outside the mask
    mask: tf.Tensor  # [B, H, W, 1] 1.0 where the face is, else 0.0
    landmarks: tf.Tensor  # [B, 68, 2] pixels, origin at the bottom left, y up
    framebuffer: fb.Framebuffer  # of tensors [B, H, W, C], row 0 at the top
    vertices: tf.Tensor  # [B, V, 3] posed


class Flow(NamedTuple):
    """Where the pixels of one picture come from in another; row 0 at the top."""

    flow: tf.Tensor  # [B, H, W, 2] pixels (x right, y down), 0 outside mask_to; for `renderer.warp.warp`
    mask_from: tf.Tensor  # [B, H, W, 1] 1.0 where the face is in the picture that is warped
    mask_to: tf.Tensor  # [B, H, W, 1] 1.0 where the face is in the picture that it is warped to


class FaceRenderer(tf.Module):
    """Draws the coefficients of a face model: shape, texture, pose, light, camera, pixels.

    Every output is differentiable with respect to the coefficients, except for which triangle a pixel shows.

    Args:
        face_model: the model; its arrays become constants of the renderer.
        image_size: pixels of the (square) picture; the field of view is the generator camera's at any size.
        part: "face" draws the model's face_triangles, "head" all of its triangles.
        camera: another camera, which has its own image size; None is the generator's.

    Raises:
        ValueError: on another part.
    """

    def __init__(
        self,
        face_model: FaceModel,
        image_size: int = 64,
        part: Literal["face", "head"] = "face",
        camera: Projection | None = None,
    ):
        super().__init__(name="face_renderer")
        if part not in ("face", "head"):
            raise ValueError(f"FaceRenderer: part should be 'face' or 'head'. Received: {part!r}")
        self.face_model, self.layout, self.part = face_model, face_model.layout, part
        self.camera: Projection = camera or Camera.generator(image_size)
        self._view_projection = _batch(self.camera.view_projection())
        triangles = face_model.triangles
        self.triangles = tf.constant(triangles[face_model.face_triangles] if part == "face" else triangles, tf.int32)
        # Normals come from all triangles, so that the border of the face is shaded like the rest of it.
        self._welded = None if face_model.welded is None else tf.constant(face_model.welded, tf.int32)
        self.adjacency = one_rings(triangles if face_model.welded is None else face_model.welded[triangles])
        self._shape = Geometry(face_model)
        self._landmarks = Geometry(face_model, face_model.landmarks)
        self._texture = Linear(face_model.mean_texture, face_model.texture_basis)
        texture_map = face_model.texture_map
        self.texture_sampler = None if texture_map is None else TextureSampler(texture_map, self.camera.image_size)
        self._uv = tf.constant(face_model.uv, tf.float32)

    def shape(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Re-centred, unposed vertices [B, V, 3] in decimetres, of `coefficients` [B, size or lambda_size]."""
        groups = self.layout.split(coefficients)
        return self._shape(tf.concat([groups["shape"], groups["expression"]], -1))

    def texture(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Albedo per vertex [B, V, 3], RGB 0-255 (not clipped), of `coefficients` [B, size or lambda_size]."""
        return self._texture(self.layout.split(coefficients)["texture"])

    def pose(self, points: tf.Tensor, coefficients: tf.Tensor) -> tf.Tensor:
        """Turns and moves `points` [B, N, 3] by the angles and (if there) the translation of `coefficients`."""
        groups = self.layout.split(coefficients)
        points = rotate(points, rotation_matrix(groups["angles"]))
        return points + groups["translation"][:, None, :] if "translation" in groups else points

    def vertices(self, coefficients: tf.Tensor) -> tf.Tensor:
        """Posed vertices [B, V, 3] in decimetres."""
        return self.pose(self.shape(coefficients), coefficients)

    def landmarks(self, coefficients: tf.Tensor, camera: Projection | None = None) -> tf.Tensor:
        """The 68 iBUG landmarks [B, 68, 2], pixels of `camera` (this renderer's if None), y up from the bottom left."""
        groups = self.layout.split(coefficients)
        points = self._landmarks(tf.concat([groups["shape"], groups["expression"]], -1))
        return (camera or self.camera).project(self.pose(points, coefficients))

    def normals(self, coefficients: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """Unit normals [B, V, 3] after the pose, of unposed vertices `shape` [B, V, 3]."""
        rotation = rotation_matrix(self.layout.split(coefficients)["angles"])
        normals = vertex_normals(shape, self.adjacency)
        if self._welded is not None:
            normals = tf.gather(normals, self._welded, axis=1)
        return rotate(normals, rotation)

    def colours(self, coefficients: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """Lit colours per vertex [B, V, 3], not clipped, of unposed vertices `shape` [B, V, 3]."""
        normals = self.normals(coefficients, shape)
        return shade(self.texture(coefficients), normals, self.layout.split(coefficients)["lighting"])

    def rasterize(self, vertices: tf.Tensor, camera: Projection | None = None) -> fb.Framebuffer:
        """The framebuffer of posed `vertices` [B, V, 3]: tensors [B, H, W, C] with row 0 at the top.

        `camera` is this renderer's if None. Raises ValueError for one of another image size.
        """
        size = self.camera.image_size
        if camera is not None and camera.image_size != size:
            raise ValueError(f"camera: expected an image of {size} pixels. Received: {camera.image_size}")
        matrices = self._view_projection if camera is None else _batch(camera.view_projection())
        framebuffer = rasterize(vertices, self.triangles, matrices, (size, size), differentiable=True)
        return upright(framebuffer)

    def lit_image(self, framebuffer: fb.Framebuffer, coefficients: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """Lit albedo [B, H, W, 3] at the pixels of a framebuffer, not clipped, of unposed vertices `shape` [B, V, 3].

        A model with a texture map is lit at its vertices and coloured at the pixels; another is both at its vertices.
        """
        if self.texture_sampler is None:
            return interpolate(framebuffer, self.colours(coefficients, shape))
        groups = self.layout.split(coefficients)
        normals = self.normals(coefficients, shape)
        light = shade(tf.ones_like(normals), normals, groups["lighting"])
        uv = tf.broadcast_to(self._uv, [tf.shape(shape)[0], *self._uv.shape])
        values = interpolate(framebuffer, tf.concat([light, uv], -1))
        return self.texture_sampler(groups["texture"], values[..., 3:]) * values[..., :3]

    def normal_image(self, framebuffer: fb.Framebuffer, coefficients: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """Unit normals [B, H, W, 3] (x right, y up, z to the camera) at the pixels of a framebuffer, 0 off the mesh.

        Of unposed vertices `shape` [B, V, 3].
        """
        return tf.math.l2_normalize(interpolate(framebuffer, self.normals(coefficients, shape)), -1)

    def __call__(self, coefficients: tf.Tensor, camera: Projection | None = None) -> Rendering:
        """Draws `coefficients` [B, size], or [B, lambda_size] (no translation), as `camera` (or this renderer's) does.

        A camera of the call may have one setting per image.
        """
        shape = self.shape(coefficients)
        vertices = self.pose(shape, coefficients)
        framebuffer = self.rasterize(vertices, camera)
        image = self.lit_image(framebuffer, coefficients, shape)
        return Rendering(
            image=tf.clip_by_value(image, 0.0, 255.0),
            mask=framebuffer.foreground_mask,
            landmarks=self.landmarks(coefficients, camera),
            framebuffer=framebuffer,
            vertices=vertices,
        )

    def flow(self, from_coefficients: tf.Tensor, to_coefficients: tf.Tensor) -> Flow:
        """The motion that warps the picture of `from_coefficients` to that of `to_coefficients`, both [B, size].

        The displacement of each vertex, its place in the first picture minus its place in the second, is rasterised
        over the second mesh: a backward warp fills the second picture's pixel p from the first at p + flow(p).
        """
        first, second = self.vertices(from_coefficients), self.vertices(to_coefficients)
        framebuffer = self.rasterize(second)
        motion = (self.camera.project(first) - self.camera.project(second)) * tf.constant([1.0, -1.0])
        mask_from = self.rasterize(first).foreground_mask
        return Flow(interpolate(framebuffer, motion), mask_from, framebuffer.foreground_mask)


def upright(framebuffer: fb.Framebuffer) -> fb.Framebuffer:
    """The first layer of a framebuffer with row 0 at the top, as pictures are stored: tensors [B, H, W, C]."""
    layer = framebuffer.layer(0)
    return fb.Framebuffer(
        foreground_mask=tf.reverse(layer.foreground_mask, [1]),
        triangle_id=tf.reverse(layer.triangle_id, [1]),
        vertex_ids=tf.reverse(layer.vertex_ids, [1]),
        barycentrics=fb.RasterizedAttribute(tf.reverse(layer.barycentrics.value, [1])),
    )


def _batch(matrices: tf.Tensor) -> tf.Tensor:
    """[B, 4, 4] of [4, 4] or [B, 4, 4]."""
    return matrices[None] if matrices.shape.rank == 2 else matrices
