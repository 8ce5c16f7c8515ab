"""What a renderer can show of a face: colour, normals, depth, uv, mask and landmarks, as smooth-edged pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from renderer.camera import Camera
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer, upright
from renderer.rasterizer import interpolate, rasterize

OUTPUTS = ("image", "normals", "depth", "uv", "mask", "landmarks")
GREY = (96, 96, 96)
DEPTH_RANGE = (8.0, 12.0)  # decimetres before the camera; a face lies about 9 to 10 from it
_PIXELS_AT_ONCE = 1 << 22  # of the supersampled pictures, which bounds the memory
_LABEL = 16
# The iBUG landmarks that are joined in the overlay; True closes the line.
_LINES = (
    (range(0, 17), False), (range(17, 22), False), (range(22, 27), False), (range(27, 31), False),
    (range(31, 36), False), (range(36, 42), True), (range(42, 48), True), (range(48, 60), True), (range(60, 68), True),
)  # fmt: skip


class Layers(NamedTuple):
    """What FaceDrawer draws; B pictures of H = W pixels, row 0 at the top. Values are means over what is covered."""

    image: np.ndarray  # [B, H, W, 3] RGB in 0-255, 0 where nothing is covered
    mask: np.ndarray  # [B, H, W, 1] the share of the pixel that the face covers, 0 to 1
    normals: np.ndarray  # [B, H, W, 3] unit normals in world coordinates: x right, y up, z to the camera; or 0
    depth: np.ndarray  # [B, H, W, 1] decimetres before the camera, along its axis; 0 where nothing is covered
    uv: np.ndarray  # [B, H, W, 2] in [0, 1], v up; 0 where nothing is covered
    landmarks: np.ndarray  # [B, 68, 2] pixels, origin at the bottom left, y up


class FaceDrawer:
    """Draws every output of coefficients at once, at several samples a pixel.

    Args:
        face_model: the model.
        size: pixels of the (square) pictures; the field of view is the generator camera's at any size.
        part: "face" draws the model's face_triangles, "head" all of its triangles.
        supersample: samples a pixel along each axis; 1 draws as FaceRenderer does, with hard edges.
        zoom: factor of the generator camera's focal length; that camera frames the face, 0.6 shows the whole head.

    Raises:
        ValueError: on another part, a size or supersample below 1, or a zoom that is not above 0.
    """

    def __init__(
        self,
        face_model: FaceModel,
        size: int = 256,
        part: Literal["face", "head"] = "head",
        supersample: int = 2,
        zoom: float = 1.0,
    ) -> None:
        if size < 1 or supersample < 1:
            raise ValueError(f"size and supersample: expected 1 or more. Received: {size} and {supersample}")
        self.size, self.supersample = size, supersample
        self.samples = size * supersample  # along one side
        self.renderer = FaceRenderer(face_model, self.samples, part)
        self.camera = Camera(size, zoom * Camera.generator(size).focal)
        self._view_projection = Camera(self.samples, self.camera.focal * supersample).view_projection()[None]

    @property
    def batch_size(self) -> int:
        """How many pictures to ask for at a time, for the memory's sake."""
        return max(1, _PIXELS_AT_ONCE // self.samples**2)

    def __call__(self, coefficients: np.ndarray) -> Layers:
        """Draws `coefficients` [B, size], or [B, lambda_size]."""
        renderer, given = self.renderer, tf.convert_to_tensor(coefficients, tf.float32)
        shape = renderer.shape(given)
        vertices = renderer.pose(shape, given)
        size = (self.samples, self.samples)
        framebuffer = upright(rasterize(vertices, renderer.triangles, self._view_projection, size))
        uv = tf.broadcast_to(tf.constant(renderer.face_model.uv), [*vertices.shape[:2], 2])
        depth = self.camera.distance - vertices[..., 2:]
        mask = self._mean(framebuffer.foreground_mask)
        covered = tf.maximum(mask, 1e-6)

        def layer(attribute: tf.Tensor) -> tf.Tensor:
            return self._mean(interpolate(framebuffer, attribute)) / covered

        # Clipped as a picture of single samples would be.
        image = tf.clip_by_value(renderer.lit_image(framebuffer, given, shape), 0.0, 255.0)
        normals = layer(renderer.normals(given, shape))
        return Layers(
            image=(self._mean(image) / covered).numpy(),
            mask=mask.numpy(),
            normals=tf.math.l2_normalize(normals, -1).numpy(),
            depth=layer(depth).numpy(),
            uv=layer(uv).numpy(),
            landmarks=renderer.landmarks(given, self.camera).numpy(),
        )

    def geometry(self, coefficients: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of `--dump`, of `coefficients` [B, size]; V vertices, F triangles.

        coefficients [B, size]; vertices [B, V, 3] re-centred and unposed, posed_vertices [B, V, 3], decimetres;
        normals [B, V, 3] after the pose; albedo and colours [B, V, 3], RGB 0-255 before and after the light, not
        clipped; projections [B, V, 2] and landmarks [B, 68, 2], pixels of the picture with the origin at the bottom
        left and y up; triangles [F, 3] of the part that is drawn; uv [V, 2]; image_size, pixels.
        """
        renderer, given = self.renderer, tf.convert_to_tensor(coefficients, tf.float32)
        shape = renderer.shape(given)
        posed = renderer.pose(shape, given)
        arrays = {
            "coefficients": given,
            "vertices": shape,
            "posed_vertices": posed,
            "normals": renderer.normals(given, shape),
            "albedo": renderer.texture(given),
            "colours": renderer.colours(given, shape),
            "projections": self.camera.project(posed),
            "landmarks": renderer.landmarks(given, self.camera),
            "triangles": renderer.triangles,
        }
        result = {name: array.numpy() for name, array in arrays.items()}
        return result | {"uv": renderer.face_model.uv, "image_size": np.array(self.size)}

    def _mean(self, samples: tf.Tensor) -> tf.Tensor:
        """[B, H, W, C] means over the samples of each pixel."""
        if self.supersample == 1:
            return samples
        return tf.nn.avg_pool2d(samples, self.supersample, self.supersample, "VALID")


def pictures(
    layers: Layers, outputs: Sequence[str] = ("image",), background: tuple[int, int, int] | None = GREY
) -> list[dict[str, Image.Image]]:
    """The named outputs of each face as images.

    Args:
        layers: from FaceDrawer.
        outputs: of OUTPUTS. `image` and `landmarks` are RGB, or RGBA without a background; `normals` RGB, n in [-1, 1]
            as 255 (n + 1) / 2; `uv` RGB, (u, v, 0) as 255 (u, v, 0); `mask` 8 bits; `depth` 16 bits, DEPTH_RANGE from
            65535 (near) to 0 (far). All but the first two are 0 outside the face.
        background: RGB in 0-255 behind the face; None is transparent.

    Raises:
        ValueError: for an unknown output.
    """
    unknown = [name for name in outputs if name not in OUTPUTS]
    if unknown:
        raise ValueError(f"outputs: expected some of {', '.join(OUTPUTS)}. Received: {', '.join(map(repr, unknown))}")
    return [{name: _picture(layers, row, name, background) for name in outputs} for row in range(len(layers.image))]


def _picture(layers: Layers, row: int, name: str, background: tuple[int, int, int] | None) -> Image.Image:
    mask = layers.mask[row]
    if name == "mask":
        return Image.fromarray(_bytes(255 * mask[..., 0]))
    if name == "depth":
        near, far = DEPTH_RANGE
        share = np.clip((far - layers.depth[row, ..., 0]) / (far - near), 0, 1)
        return Image.fromarray(np.where(mask[..., 0] > 0, 65535 * share + 0.5, 0).astype(np.uint16))
    if name == "normals":
        return Image.fromarray(_bytes(np.where(mask > 0, 127.5 * (layers.normals[row] + 1), 0)))
    if name == "uv":
        return Image.fromarray(_bytes(255 * np.pad(layers.uv[row], [(0, 0), (0, 0), (0, 1)])))
    if background is None:
        image = Image.fromarray(np.concatenate([_bytes(layers.image[row]), _bytes(255 * mask)], -1))
    else:
        image = Image.fromarray(_bytes(mask * layers.image[row] + (1 - mask) * np.asarray(background, float)))
    return _with_landmarks(image, layers.landmarks[row]) if name == "landmarks" else image


def _with_landmarks(image: Image.Image, landmarks: np.ndarray) -> Image.Image:
    """The picture with the 68 points, and lines along jaw, brows, nose, eyes and lips; drawn large and shrunk."""
    scale = 4
    size = image.width * scale
    overlay = Image.new("RGBA", (size, size))
    pen = ImageDraw.Draw(overlay)
    points = np.stack([landmarks[:, 0], image.height - landmarks[:, 1]], -1) * scale
    width, radius = max(2, round(size / 512)), max(4.0, size / 200)
    for numbers, closed in _LINES:
        line = [tuple(points[k]) for k in numbers]
        pen.line(line + line[:1] if closed else line, (255, 255, 255, 200), width)
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), (0, 200, 80, 255))
    overlay = overlay.resize(image.size, Image.Resampling.BOX)
    return Image.alpha_composite(image.convert("RGBA"), overlay).convert(image.mode)


def sheet(
    cells: Sequence[Sequence[Image.Image]], labels: Sequence[Sequence[str]], *, title: str = "", side: int = 0
) -> Image.Image:
    """Rows of pictures of one size with a label under each, and a title over all; the last row may be shorter.

    Pictures narrower than `side` pixels are enlarged by whole numbers until a label fits under them.
    """
    width = cells[0][0].width
    width *= -(-side // width) if side else 1
    columns, top = max(map(len, cells)), _LABEL if title else 0
    result = Image.new("RGB", (columns * width, top + len(cells) * (width + _LABEL)), (32, 32, 32))
    pen, font = ImageDraw.Draw(result), ImageFont.load_default(size=11)
    pen.text((3, 1), title, (235, 235, 235), font)
    for i, (line, texts) in enumerate(zip(cells, labels, strict=True)):
        for j, (cell, text) in enumerate(zip(line, texts, strict=True)):
            x, y = j * width, top + i * (width + _LABEL)
            if side:
                cell = cell.resize((width, width), Image.Resampling.NEAREST)
            result.paste(cell, (x, y), cell if cell.mode == "RGBA" else None)
            pen.text((x + 3, y + width + 1), text, (235, 235, 235), font)
    return result


def thumbnail(image: Image.Image, side: int) -> Image.Image:
    """The picture at most `side` pixels wide and 8 bits deep, for a sheet; depth with all the contrast it can have."""
    if image.mode == "I;16":
        depth = np.asarray(image, float)
        near, far = depth.max(), depth[depth > 0].min(initial=depth.max())
        image = Image.fromarray(_bytes(np.where(depth > 0, 40 + 215 * (depth - far) / max(near - far, 1), 0)))
    return image if image.width <= side else image.resize((side, side), Image.Resampling.BOX)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)
