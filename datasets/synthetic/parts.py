"""MakeHuman's hair, brows, lashes and eyes, prepared for one face model and fitted to its heads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from datasets.synthetic.looks import HairLook
from datasets.synthetic.scene import SHEET_VALUES, EyePart, Sheets
from datasets.synthetic.textures import iris_picture, sheet_picture
from renderer.face_model import FaceModel
from renderer.makehuman.assets import BASE_VERTICES, Assets, Part

_EDGE = 0.05  # decimetres behind the front of the eyes: hair before that hangs before the face


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A part on the mean head, T triangles, N vertices; mirrored or not."""

    part: Part
    mirrored: bool
    triangles: np.ndarray  # [T, 3] int, vertices; those that hang on missing vertices are left out
    places: np.ndarray  # [N, 3] on the mean head
    skin: np.ndarray  # [N] the nearest vertex of the mean head
    values: np.ndarray  # [3·T, SHEET_VALUES] float32; see there


class FittedParts:
    """The parts of a folder for one face model.

    Args:
        assets: the folder's.
        model: a face model whose `extras` have `base_vertex`, MakeHuman's number of each vertex.
        mean: [V, 3] mean vertices, re-centred.
        image_size: of the images; pictures are reduced to what these can show.

    Raises:
        ValueError: the face model has no such vertices.
    """

    def __init__(self, assets: Assets, model: FaceModel, mean: np.ndarray, image_size: int):
        check_fit(model)
        self._base_vertex = model.extras["base_vertex"]
        self._mean = mean
        used = np.zeros(len(mean), bool)
        used[np.unique(model.triangles)] = True
        self._skin_vertices = np.nonzero(used)[0]
        self._skin_tree = cKDTree(mean[used])
        self._known = np.zeros(BASE_VERTICES, bool)
        self._known[self._base_vertex] = True
        base = self.base(mean[None])[0]
        places = np.nonzero(self._known)[0]
        self._opposite = np.arange(BASE_VERTICES)
        self._opposite[places] = places[cKDTree(base[places]).query(base[places] * [-1, 1, 1])[1]]
        self.hair, self.brows, self.lashes = assets.hair, assets.brows, assets.lashes
        self._prepare = lru_cache(maxsize=None)(self._prepare_part)
        counts = [max(len(part.triangles) for part in kind.values()) for kind in (self.hair, self.brows, self.lashes)]
        kinds = [(part, hairy) for kind, hairy in ((self.hair, True), (self.brows, False), (self.lashes, False))
                 for part in kind.values()]  # fmt: skip
        self._number = {part.name: number for number, (part, _) in enumerate(kinds)}
        pictures = [sheet_picture(part, image_size, hairy) for part, hairy in kinds]
        self.sheets = Sheets((counts[0], counts[1], counts[2]), np.stack(pictures))
        self.irises = {name: iris_picture(name, picture, image_size) for name, picture in assets.irises.items()}
        self._eyes = assets.eyes
        # A corner of a face has one texture coordinate; so has each vertex of these eyes.
        uv = np.zeros((len(assets.eyes.vertices), 2), np.float32)
        uv[assets.eyes.triangles] = assets.eyes.uv[assets.eyes.uv_triangles]
        self.eye_part = EyePart(assets.eyes.triangles, uv)

    def base(self, shapes: np.ndarray) -> np.ndarray:
        """[B, 19158, 3] base meshes of heads [B, V, 3]; vertices that the model lacks are 0."""
        base = np.zeros((len(shapes), BASE_VERTICES, 3), np.float32)
        base[:, self._base_vertex] = shapes
        return base

    def sheets_of(self, shape: np.ndarray, look: HairLook | None, brow: str, lash: str) -> tuple[np.ndarray, ...]:
        """Vertices [T, 3], values [T, SHEET_VALUES] and pictures [3] of a person's sheets.

        Args:
            shape: [V, 3] unposed head.
            look: of the hair, or None.
            brow, lash: names of those parts.
        """
        base = self.base(shape[None])
        points = np.zeros((self.sheets.vertices, 3), np.float32)
        values = np.zeros((self.sheets.vertices, SHEET_VALUES), np.float32)
        names = [look.part if look else next(iter(self.hair)), brow, lash]
        start = 0
        for kind, count in enumerate(self.sheets.counts):
            if kind or look:
                mirrored = bool(look and look.mirrored) and kind == 0
                prepared = self._prepare(names[kind], mirrored)
                fitted = self._fit(prepared, base)
                own = prepared.values
                if kind == 0 and look:
                    near = shape[prepared.skin]
                    fitted = near + look.volume * (fitted - near) + 0.01 * (fitted - near) / 0.3
                    own = own.copy()
                    own[:, 8] = _inside(prepared.places, look)[prepared.triangles.ravel()]
                rows = slice(start, start + len(own))
                points[rows], values[rows] = fitted[prepared.triangles.ravel()], own
            start += 3 * count
        return points, values, np.array([self._number[name] for name in names], np.int32)

    def eyes_of(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [E, 3] and unit normals [E, 3] of the eyeballs, which are spheres but for the cornea."""
        points = self._eyes.binding.fit(self.base(shape[None]))[0]
        normals = np.empty_like(points)
        for side in (points[:, 0] < points[:, 0].mean(), points[:, 0] >= points[:, 0].mean()):
            rows = np.column_stack([2 * points[side], np.ones(side.sum())])
            centre = np.linalg.lstsq(rows, (points[side] ** 2).sum(1), rcond=None)[0][:3]
            normals[side] = points[side] - centre
        return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)

    def _fit(self, prepared: _Prepared, base: np.ndarray) -> np.ndarray:
        if not prepared.mirrored:
            return prepared.part.binding.fit(base)[0]
        flip = np.array([-1, 1, 1], np.float32)
        return prepared.part.binding.fit(base[:, self._opposite] * flip)[0] * flip

    def _prepare_part(self, name: str, mirrored: bool) -> _Prepared:
        part = next(kind[name] for kind in (self.hair, self.brows, self.lashes) if name in kind)
        rows = np.arange(len(part.triangles))
        bound = self._known[part.binding.corners].all(1)
        rows = rows[bound[part.triangles].all(1)]
        triangles, uv = part.triangles[rows], part.uv[part.uv_triangles[rows]]
        first = _Prepared(part, mirrored, triangles, np.zeros(0), np.zeros(0), np.zeros(0))
        places = self._fit(first, self.base(self._mean[None]))
        skin = self._skin_vertices[self._skin_tree.query(places)[1]]
        normals, tangents = _frames(places, triangles, uv)
        values = np.zeros((3 * len(triangles), SHEET_VALUES), np.float32)
        corners = triangles.ravel()
        values[:, 0:3], values[:, 3:6], values[:, 6:8] = normals[corners], tangents[corners], uv.reshape(-1, 2)
        values[:, 8] = 1.0
        hairy = name in self.hair
        values[:, 9] = _openness(places, bound)[corners] if hairy else 0.9
        values[:, 10] = _tips(places, bound)[corners] if hairy else 0.0
        return _Prepared(part, mirrored, triangles, places, skin, values)


def check_fit(model: FaceModel) -> None:
    """Raises ValueError, in one line, unless the model has MakeHuman's vertices, which its parts are bound to."""
    if "base_vertex" not in model.extras:
        raise ValueError(
            f"face model {model.name!r}: MakeHuman's parts fit a model imported from MakeHuman alone. Leave --assets "
            "out, or import one: python -m renderer.import_model makehuman"
        )


def _inside(places: np.ndarray, look: HairLook) -> np.ndarray:
    """[N] decimetres above what is cut off, of hair at `places` [N, 3] on the mean head."""
    inside = np.full(len(places), 1.0)
    x, y, z = places.T
    if look.cut is not None:
        inside = np.minimum(inside, y - look.cut)
    if look.fringe is not None:  # only what hangs before the face
        inside = np.minimum(
            inside, y - look.fringe + 2.5 * np.maximum(np.abs(x) - 0.5, 0) + 3 * np.maximum(_EDGE - z, 0)
        )
    return inside


def _frames(places: np.ndarray, triangles: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normals and tangents [N, 3], unit: outwards, and along v away from the crown."""
    a, b, c = (places[triangles[:, k]] for k in range(3))
    first, second = b - a, c - a
    (u1, v1), (u2, v2) = ((uv[:, k] - uv[:, 0]).T for k in (1, 2))
    face = np.cross(first, second)
    determinant = u1 * v2 - u2 * v1
    along = (second * u1[:, None] - first * u2[:, None]) * np.sign(determinant)[:, None]
    centre, crown = np.array([0.0, 0.35, -0.45]), np.array([0.0, 1.35, -0.5])
    radial = _unit(places - centre)
    face *= np.sign((face * radial[triangles].mean(1)).sum(1, keepdims=True) + 1e-9)
    along = _unit(along) * np.linalg.norm(face, axis=1, keepdims=True)
    along *= np.sign((along * (places[triangles].mean(1) - crown)).sum(1, keepdims=True) + 1e-9)
    normals, tangents = np.zeros_like(places), np.zeros_like(places)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
        np.add.at(tangents, triangles[:, k], along)
    return _unit(0.75 * _unit(normals) + 0.55 * radial), _unit(tangents)


def _openness(places: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """[N] 0-1: hair near the outside is in the open, hair under other hair is not."""
    centre = np.array([0.0, 0.35, -0.45])
    offset = places - centre
    radius = np.linalg.norm(offset, axis=1)
    directions = offset / np.maximum(radius, 1e-6)[:, None]
    near = cKDTree(directions[bound]).query(directions, min(48, int(bound.sum())))[1].reshape(len(places), -1)
    outer = radius[bound][near].max(1)
    return np.clip(1.05 - 1.9 * (outer - radius), 0.35, 1.0)


def _tips(places: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """[N] 0 at the crown … 1 at what is furthest from it."""
    distance = np.linalg.norm(places - [0.0, 1.3, -0.5], axis=1)
    return np.clip((distance - 0.2) / max(np.percentile(distance[bound], 97) - 0.2, 1e-3), 0, 1) ** 1.3


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
