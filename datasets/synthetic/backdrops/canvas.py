"""Where a place is painted: linear light on a square larger than the picture, seen by a camera inside the place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

MARGIN = 4 / 3  # canvas over picture, so that defocus finds light beyond the border
_NEAR = 0.25  # metres; nothing nearer to the camera is painted


@dataclass(frozen=True, eq=False)
class Place:
    """A painted place and the light in it.

    Directions are the renderer's: x to the picture's right, y up, z to the camera. Light is in multiples of full
    daylight on white, as in `LabelDistribution`.
    """

    light: np.ndarray  # [3, M, M] float32 linear light, in any exposure
    ambient: np.ndarray  # [3] even light on a person
    key: np.ndarray  # [3] main light on a person
    key_direction: np.ndarray  # [3] unit, to the main light
    level: float  # RGB value (0-255) of the typical light of the picture
    blur: tuple[float, float] = (0.016, 0.05)  # radius of the defocus, share of the picture's side
    blades: int = 0  # of the aperture; 0 is round


class View:
    """A camera that stands at `position` (metres, y up) and looks along −z, turned by yaw and then pitch (radians).

    zoom: tangent of half the picture's angle. Image-plane coordinates are ±1 on the picture and ±MARGIN on the canvas.
    """

    def __init__(self, position: np.ndarray, yaw: float, pitch: float, zoom: float):
        self.position, self.zoom = np.asarray(position, float), zoom
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        self.rotation = turn @ nod  # columns: the camera's right, up and backward

    def rays(self, canvas: Canvas) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Directions x, y and z, [M, M] each, of length 1 along the optical axis."""
        scaled = self.rotation * [self.zoom, self.zoom, -1]
        across, up = canvas.x * scaled[:, :1, None], canvas.y * scaled[:, 1:2, None]  # [3, 1, M], [3, M, 1]
        rays = (across + up + scaled[:, 2, None, None]).astype(np.float32)
        return rays[0], rays[1], rays[2]

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image-plane coordinates [..., 2] and depths [...] of points [..., 3]."""
        seen = (points - self.position) @ self.rotation
        depth = -seen[..., 2]
        return seen[..., :2] / (np.maximum(depth, 1e-3) * self.zoom)[..., None], depth

    def towards(self, point: np.ndarray, person: float = 1.2) -> np.ndarray:
        """[3] unit, in the camera's axes: to `point` from a person who stands `person` metres before the camera."""
        seen = (np.asarray(point) - self.position) @ self.rotation + [0, 0, person]
        return seen / np.linalg.norm(seen)


@dataclass(eq=False)
class Canvas:
    """Flat-coloured shapes over a lit background; shapes painted later cover earlier ones."""

    side: int
    x: np.ndarray = field(init=False)  # [1, M] image-plane coordinates of the columns
    y: np.ndarray = field(init=False)  # [M, 1] of the rows; up

    def __post_init__(self) -> None:
        axis = ((np.arange(self.side) + 0.5) / self.side * 2 - 1) * MARGIN
        self.x, self.y = axis[None].astype(np.float32), -axis[:, None].astype(np.float32)
        self._image = Image.new("I", (self.side, self.side))
        self._draw = ImageDraw.Draw(self._image)
        self._colours: list[np.ndarray] = [np.zeros((1, 3))]
        self._glows: list[np.ndarray] = [np.zeros(1, bool)]
        self._count = 1  # shapes, and 0 for where none is
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def ellipses(self, middles: np.ndarray, radii: np.ndarray, colours: np.ndarray, glow: bool = False) -> None:
        """Paints ellipses about `middles` [K, 2] with half axes `radii` [K, 2]."""
        self._paint_shapes()
        scale = self.side / (2 * MARGIN)
        pixels = (middles * [1, -1] + MARGIN) * scale - 0.5
        reach = np.maximum(radii * scale - 0.5, 0)  # Pillow paints the pixels at both ends of a box
        boxes = np.concatenate([pixels - reach, pixels + reach], 1)
        for number, box in enumerate(boxes.tolist(), self._count):
            self._draw.ellipse(box, fill=number)
        self._add(np.broadcast_to(colours, (len(boxes), 3)), np.full(len(boxes), glow))

    def shapes(self, view: View, points: np.ndarray, colours: np.ndarray, glow: bool = False) -> None:
        """Paints polygons [K, P, 3] of a place (metres) in `colours` [K, 3] or [3]. Those that glow need no light.

        What reaches behind the camera is left out. One canvas knows one view.
        """
        if self._waiting and self._waiting[0][0].shape[1] != points.shape[1]:
            self._paint_shapes()
        self._view = view
        self._waiting.append((points, np.broadcast_to(colours, (len(points), 3)), np.full(len(points), glow)))

    def _paint_shapes(self) -> None:
        """Projects and paints the waiting shapes, all at once: there are many, of a few polygons each."""
        if not self._waiting:
            return
        points, colours, glows = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        flat, depth = self._view.project(points)
        seen = (depth > _NEAR).all(1) & (flat.min(1) < MARGIN).all(1) & (flat.max(1) > -MARGIN).all(1)
        pixels = (np.clip(flat[seen], -40, 40) * [1, -1] + MARGIN) * (self.side / (2 * MARGIN)) - 0.5
        for number, polygon in enumerate(pixels.reshape(-1, 2 * points.shape[1]).tolist(), self._count):
            self._draw.polygon(polygon, fill=number)
        self._add(colours[seen], glows[seen])

    def compose(self, background: np.ndarray, shade: np.ndarray | float = 1.0) -> np.ndarray:
        """[3, M, M] float32: `background` [3, M, M] where no shape is, elsewhere the shapes times `shade` [3, M, M]."""
        self._paint_shapes()
        number = np.asarray(self._image)
        shapes = np.take(np.concatenate(self._colours).astype(np.float32).T.copy(), number, axis=1)
        if not np.isscalar(shade):
            shapes = np.where(np.concatenate(self._glows)[number], shapes, shapes * shade)
        return np.where(number > 0, shapes, background).astype(np.float32)

    def _add(self, colours: np.ndarray, glows: np.ndarray) -> None:
        self._colours.append(colours)
        self._glows.append(glows)
        self._count += len(colours)


def plane(colour: ArrayLike) -> np.ndarray:
    """A colour or light [3] as [3, 1, 1] float32, to go with fields [M, M]."""
    return np.asarray(colour, np.float32).reshape(3, 1, 1)


def pick(palette: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[3]: one of the colours [K, 3], a little lighter or darker and of another hue."""
    return palette[rng.integers(len(palette))] * np.exp(rng.normal(0, 0.14) + rng.normal(0, 0.04, 3))


def rectangles(corner: np.ndarray, along: np.ndarray, up: np.ndarray) -> np.ndarray:
    """[K, 4, 3] corners of rectangles; arguments [K, 3] or [3], K = 1 if all are [3]."""
    corners = corner[..., None, :] + along[..., None, :] * _FIRST + up[..., None, :] * _SECOND
    return corners.reshape(-1, 4, 3)


def box(low: np.ndarray, high: np.ndarray, eye: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The faces of an upright box [3] to [3] that `eye` [3] sees: corners [F, 4, 3] and outward normals [F, 3]."""
    seen = np.concatenate([eye < low, eye > high])
    return low + _FACES[seen] * (high - low), _NORMALS[seen]


_FIRST, _SECOND = np.array([[0.0], [1.0], [1.0], [0.0]]), np.array([[0.0], [0.0], [1.0], [1.0]])
_NORMALS = np.concatenate([-np.eye(3), np.eye(3)])
# Of the unit cube, in the order of _NORMALS: the other two axes span a face.
_FACES = np.concatenate(
    [rectangles(np.maximum(normal, 0), *np.delete(np.eye(3), axis % 3, 0)) for axis, normal in enumerate(_NORMALS)]
)
