"""FLAME (Li et al., SIGGRAPH Asia 2017) as a face model of this project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from renderer.face_model import FaceModel
from renderer.importers import outlines
from renderer.importers.colours import MELANIN, SKIN
from renderer.importers.flame_file import (
    JOINTS,
    PARENTS,
    VERTICES,
    FlameLandmarks,
    FlameModel,
    FlameTexture,
    read_landmarks,
    read_model,
    read_texture,
)
from renderer.landmarks import offset_to_standard
from renderer.skeleton import Skeleton, first_order
from renderer.texture_map import TextureMap, bilinear

# What DECA, GIF and Exp-GAN use of the 300, 100 and 200 components there are.
SHAPE, EXPRESSION, TEXTURE = 100, 50, 50
ATLAS = 256  # texels along each side of the texture map
LICENCE = (
    "as its download says: CC BY 4.0, or Max Planck's own, not for commercial use; its texture space CC BY-NC-SA 4.0"
)
REGIONS = ("skin", "neck", "brow", "lips", "eye_white", "iris", "pupil")
LANDMARK_FILES = ("landmark_embedding.npy", "landmark_embedding.npz")
_METRES = 10.0  # decimetres in one
# Rotations: name -> (joints, axis, how far the angle spreads in radians). Both eyes look the same way.
_UNITS = {
    "jaw_x": (("jaw",), 0, 0.10), "jaw_y": (("jaw",), 1, 0.03), "jaw_z": (("jaw",), 2, 0.02),
    "eye_pitch": (("left eye", "right eye"), 0, 0.10), "eye_yaw": (("left eye", "right eye"), 1, 0.20),
}  # fmt: skip
_IRIS, _PUPIL = 0.50, 0.20  # radians from the axis of the eye


def import_flame(source: Path, texture: Path | None = None, landmarks: Path | None = None) -> FaceModel:
    """FLAME's head with joints for jaw and eyes, in the renderer's units and place.

    Shape, expression and texture coefficients are unit normal, as FLAME's are; after the expressions come five
    rotations in radians. The neck stays straight, and a head turns about the renderer's centre, not about the root.
    Vertices keep FLAME's numbers; behind them come those that seams of uv double, then one for each landmark.

    Args:
        source: the model, `.pkl` or `.npz`.
        texture: FLAME_texture.npz; None gives plain skin, lips, brows and irises.
        landmarks: landmark_embedding.npy or the like; None looks for LANDMARK_FILES beside the source.

    Raises:
        FileNotFoundError, ValueError: one line that names the file and what is wrong with it.
    """
    if landmarks is None:
        places = [source.parent / name for name in LANDMARK_FILES]
        landmarks = next((path for path in places if path.is_file()), None)
    if landmarks is None:
        raise FileNotFoundError(
            f"--landmarks: FLAME's model holds no landmarks. Expected DECA's {LANDMARK_FILES[0]}, which is not beside "
            f"{source}; docs/face_models.md says where it comes from"
        )
    flame, points = read_model(source), read_landmarks(landmarks)
    space = None if texture is None else read_texture(texture, TEXTURE, ATLAS)
    model = _assemble(flame, points, space)
    return replace(model, source=f"FLAME, from {source.name}" + (f" and {texture.name}" if texture else ""))


@dataclass(frozen=True, eq=False)
class _Mesh:
    """FLAME's vertices, doubled where uv has seams, and the landmarks behind them."""

    base: np.ndarray  # [V - 68] int64: FLAME's number of each vertex
    triangles: np.ndarray  # [9976, 3] int64, of vertices
    uv: np.ndarray  # [V, 2]
    corners: np.ndarray  # [68, 3] int64: FLAME's numbers around each landmark
    places: np.ndarray  # [68, 3] barycentrics of the landmarks

    def spread(self, values: np.ndarray) -> np.ndarray:
        """[V, …] of `values` [5023, …] per vertex of FLAME."""
        mixed = np.einsum("lk,lk...->l...", self.places, values[self.corners])
        return np.concatenate([values[self.base], mixed.astype(values.dtype)])


def _mesh(flame: FlameModel, points: FlameLandmarks, uv: np.ndarray, uv_triangles: np.ndarray) -> _Mesh:
    """The mesh in which each vertex has one place in the texture; `uv` [U, 2] by `uv_triangles` [9976, 3]."""
    pairs = np.column_stack([flame.triangles.reshape(-1), uv_triangles.reshape(-1)])
    kept, corner = np.unique(pairs, axis=0, return_inverse=True)  # by vertex
    is_first = np.concatenate([[True], kept[1:, 0] != kept[:-1, 0]])
    number = np.where(is_first, kept[:, 0], VERTICES + np.cumsum(~is_first) - 1)
    base = np.concatenate([np.arange(VERTICES), kept[~is_first, 0]])
    coordinates = np.zeros((len(base), 2))
    coordinates[number] = uv[kept[:, 1]]
    triangles = number[corner.reshape(-1, 3)]
    at_landmarks = np.einsum("lk,lkc->lc", points.barycentrics, coordinates[triangles[points.triangles]])
    return _Mesh(base, triangles, np.concatenate([coordinates, at_landmarks]), flame.triangles[points.triangles],
                 points.barycentrics)  # fmt: skip


def _assemble(flame: FlameModel, points: FlameLandmarks, space: FlameTexture | None) -> FaceModel:
    template = flame.template.astype(np.float64) * _METRES
    around = template[flame.triangles[points.triangles]]
    move = offset_to_standard(np.einsum("lk,lkc->lc", points.barycentrics, around))
    template = template + move
    flat, flat_triangles = (_unrolled(template), flame.triangles) if space is None else (space.uv, space.uv_triangles)
    mesh = _mesh(flame, points, flat, flat_triangles)
    mean, count = mesh.spread(template), len(mesh.base)
    regressor = np.concatenate([flame.regressor, np.zeros((len(JOINTS), len(mean) - VERTICES))], 1)
    skeleton = Skeleton(
        parents=np.array(PARENTS, np.int32),
        regressor=regressor.astype(np.float32),
        weights=mesh.spread(flame.weights).astype(np.float32),
        pose_basis=mesh.spread(flame.correctives * _METRES).astype(np.float32),
        units=_units(),
    )
    moves = mesh.spread(flame.expressions[..., :EXPRESSION] * _METRES)
    region = _regions(mean, mean[count:], skeleton)
    mean_texture, tones, names, texture_map = _texture(mesh, region, space)
    nearest = mesh.corners[np.arange(68), mesh.places.argmax(1)]

    def f32(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, np.float32)

    return FaceModel(
        mean_shape=f32(mean),
        shape_basis=f32(mesh.spread(flame.shapes[..., :SHAPE] * _METRES)),
        shape_std=np.ones(SHAPE, np.float32),
        expression_basis=f32(np.concatenate([moves, first_order(skeleton, mean)], -1)),
        expression_std=f32(np.array([1.0] * EXPRESSION + [spread for _, _, spread in _UNITS.values()])),
        mean_texture=f32(mean_texture),
        texture_basis=f32(tones),
        texture_std=np.ones(len(names), np.float32),
        triangles=mesh.triangles.astype(np.int32),
        landmarks=np.arange(count, count + 68, dtype=np.int32),
        region=region.astype(np.int32),
        uv=f32(mesh.uv),
        face_triangles=_face(mean, mean[count:], region)[mesh.triangles].all(1),
        region_names=REGIONS,
        shape_names=tuple(f"shape_{number:03d}" for number in range(SHAPE)),
        texture_names=names,
        expression_names=(*(f"expression_{number:02d}" for number in range(EXPRESSION)), *_UNITS),
        name="flame",
        licence=LICENCE,
        manifest={
            "centre": [0.0, 0.0, 0.0],
            "origin": move.tolist(),  # where FLAME's own origin lies
            "flame_vertices": VERTICES,
            "one_way": ["jaw_x"],
            "texture_space": space is not None,
        },
        texture_map=texture_map,
        welded=np.concatenate([mesh.base, nearest]).astype(np.int32),
        skeleton=skeleton,
    )


def _units() -> np.ndarray:
    """[5, 3, R]: radians per unit of each rotation."""
    units = np.zeros((len(JOINTS), 3, len(_UNITS)), np.float32)
    for number, (joints, axis, _) in enumerate(_UNITS.values()):
        for joint in joints:
            units[JOINTS.index(joint), axis, number] = 1.0
    return units


def _unrolled(template: np.ndarray) -> np.ndarray:
    """[5023, 2] in the unit square: the head unrolled from a vertical cylinder, cut open at the back."""
    x, y, z = (template - template.mean(0)).T
    return np.stack([np.arctan2(x, z) / (2 * np.pi) + 0.5, (y - y.min()) / np.ptp(y)], -1)


def _regions(mean: np.ndarray, points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """[V] index into REGIONS: eyes by their joints, the rest by the landmarks' outlines seen from the front."""
    places = mean[:, :2]
    unit = np.linalg.norm(points[45] - points[36])  # from one outer corner of the eyes to the other
    region = np.zeros(len(mean), np.int64)
    region[mean[:, 1] < points[8, 1] - 0.1 * unit] = REGIONS.index("neck")
    front = mean[:, 2] > points[[36, 45], 2].mean() - 0.3 * unit
    for brow in (outlines.RIGHT_BROW, outlines.LEFT_BROW):
        near = outlines.brow_distance(places, points[list(brow), :2])[0] < 0.04 * unit
        region[near & front] = REGIONS.index("brow")
    lips = outlines.signed_distance(places, outlines.closed_curve(points[list(outlines.MOUTH), :2])) > 0
    region[lips & front] = REGIONS.index("lips")
    joints = skeleton.regressor @ mean
    for name in ("left eye", "right eye"):
        joint = JOINTS.index(name)
        ball = skeleton.weights[:, joint] > 0.9
        axis = mean - joints[joint]
        angle = np.arctan2(np.linalg.norm(axis[:, :2], axis=1), axis[:, 2])
        region[ball] = REGIONS.index("eye_white")
        region[ball & (angle < _IRIS)] = REGIONS.index("iris")
        region[ball & (angle < _PUPIL)] = REGIONS.index("pupil")
    return region


def _face(mean: np.ndarray, points: np.ndarray, region: np.ndarray) -> np.ndarray:
    """[V] bool: the face between the contour's landmarks and an arc over the forehead, and the eyes."""
    ends = points[[16, 0]]
    height = points[27, 1] + 0.62 - ends[:, 1].mean()  # the arc's top is where the hairline is on other models
    turn = np.linspace(0, np.pi, 32)[1:-1]
    middle, half = ends[:, :2].mean(0), (ends[0, 0] - ends[1, 0]) / 2
    arc = middle + np.stack([half * np.cos(turn), height * np.sin(turn)], -1)
    inside = outlines.signed_distance(mean[:, :2], np.concatenate([points[:17, :2], arc])) > -0.02
    eyes = [REGIONS.index(name) for name in ("eye_white", "iris", "pupil")]
    return (inside & (mean[:, 2] > ends[:, 2].mean() - 0.02)) | np.isin(region, eyes)


def _texture(
    mesh: _Mesh, region: np.ndarray, space: FlameTexture | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], TextureMap | None]:
    """Mean colours [V, 3], basis [V, 3, T], names and the map, if there is a texture space."""
    if space is not None:
        count, side = space.basis.shape[-1], len(space.mean)
        layers = np.concatenate([space.mean[..., None], space.basis], -1).reshape(1, side, side, -1)
        values = bilinear(layers.astype(np.float32), mesh.uv[None, None].astype(np.float32)).numpy()
        values = values.reshape(len(mesh.uv), 3, 1 + count)
        texture_map = TextureMap(space.mean, space.basis.astype(np.float16))
        return values[..., 0], values[..., 1:], tuple(f"texture_{number:02d}" for number in range(count)), texture_map
    colours = {"lips": (164, 97, 88), "brow": (88, 66, 53), "eye_white": (218, 211, 206), "iris": (96, 76, 54),
               "pupil": (12, 10, 10)}  # fmt: skip
    mean = np.array([colours.get(name, SKIN) for name in REGIONS], float)[region]
    named = np.array(REGIONS)[region][:, None]
    skin, lips, brow, iris = (np.isin(named, names) * 1.0 for names in (("skin", "neck"), "lips", "brow", "iris"))
    tones = {
        "melanin": skin * MELANIN + lips * [-24, -15, -13] + brow * [-14, -12, -10],
        "undertone": skin * [1.5, 0.6, -4.0],
        "blood": skin * [2.5, -2.4, -1.8],
        "lip_red": lips * [8.0, -6.0, -3.5],
        "brow_dark": brow * [-15.0, -14.0, -12.0],
        "iris_blue": iris * [-11.0, 5.0, 23.0],
    }
    return mean, np.stack(list(tones.values()), -1), tuple(tones), None
