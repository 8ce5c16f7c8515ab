"""The Basel Face Model: from the licensed file of 2009, or from the reference's ready-made front face."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from renderer.face_model import FaceModel
from renderer.importers import outlines
from renderer.importers.reading import ANY, indices, read_expression_basis, read_mat, read_text_numbers

BFM09_FILES = {
    "model": ("01_MorphableModel.mat",),
    "expressions": ("Exp_Pca.bin",),
    "front": ("BFM_front_idx.mat",),
    "trim": ("BFM_exp_idx.mat",),
    "info": ("facemodel_info.mat",),
    "mask": ("gan_mask.mat",),
    "drawn": ("gan_tl.mat",),
    "spread": ("std_exp.txt",),
}
VERTICES, EXPRESSION_VERTICES, FRONT = 53490, 53215, 35709
SHAPE, TEXTURE, EXPRESSION = 80, 80, 64
_MICROMETRES = 1e5  # in a decimetre
_EXPRESSIONS = 79  # standard deviations in std_exp.txt
LICENCE = "Basel Face Model agreement, not for commercial use; expressions for research only"
REGIONS = ("skin", "eye", "brow", "lips")


def import_bfm09(source: Path) -> FaceModel:
    """The front face of BFM 2009 with Guo et al.'s expressions, by the method's recipe.

    Bases are multiplied by their standard deviations, so coefficients are unit normal; lengths come from micrometres.

    Args:
        source: a folder with 01_MorphableModel.mat (from Basel), Exp_Pca.bin (Guo et al.) and the published index
            files: BFM_front_idx.mat, BFM_exp_idx.mat, facemodel_info.mat, gan_mask.mat, gan_tl.mat, std_exp.txt. All
            may lie in sub-folders.

    Raises:
        FileNotFoundError, ValueError: one line that names the file and what is wrong with it.
    """
    where = find_files(source, BFM09_FILES)
    front = read_mat(where["front"], {"idx": (FRONT, 1)})["idx"]
    trim = read_mat(where["trim"], {"trimIndex": (EXPRESSION_VERTICES, 1)})["trimIndex"]
    # The front face's numbers are those of the trimmed mesh, whose numbers are those of BFM's.
    of_expression = indices(front.ravel(), EXPRESSION_VERTICES, where["front"], "idx")
    of_shape = indices(trim.ravel(), VERTICES, where["trim"], "trimIndex")[of_expression]

    def front_of(values: np.ndarray, columns: int) -> np.ndarray:
        return values[:, :columns].reshape(VERTICES, 3, -1)[of_shape]

    rows = 3 * VERTICES
    means = read_mat(where["model"], {"shapeMU": (rows, 1), "texMU": (rows, 1)})
    bases = {}
    for name, kept in (("shape", SHAPE), ("tex", TEXTURE)):  # one basis at a time: each is a hundred megabytes
        stored = read_mat(where["model"], {f"{name}PC": (rows, ANY), f"{name}EV": (ANY, 1)})
        components, spread = stored[f"{name}PC"], stored[f"{name}EV"].ravel()
        if components.shape[1] != len(spread) or len(spread) < kept:
            raise ValueError(
                f"{where['model']}: {name}PC and {name}EV should have the same number of components, {kept} or more. "
                f"Received: {components.shape[1]} and {len(spread)}"
            )
        bases[name] = front_of(components, kept) * spread[:kept]
        del components, stored
    moves = read_expression_basis(where["expressions"], EXPRESSION_VERTICES)
    deviations = read_text_numbers(where["spread"], _EXPRESSIONS)
    if moves.shape[-1] < EXPRESSION:
        raise ValueError(
            f"{where['expressions']}: expected {EXPRESSION} components or more. Received: {moves.shape[-1]}"
        )
    info = read_mat(where["info"], {"tri": (ANY, 3), "keypoints": (1, 68)})
    triangles = indices(info["tri"], FRONT, where["info"], "tri")
    mask = indices(read_mat(where["mask"], {"idx": (ANY, 1)})["idx"].ravel(), FRONT, where["mask"], "idx")
    drawn = indices(read_mat(where["drawn"], {"f": (ANY, 3)})["f"], len(mask), where["drawn"], "f")
    landmarks = indices(info["keypoints"].ravel(), FRONT, where["info"], "keypoints")
    mean = front_of(means["shapeMU"], 1)[..., 0] / _MICROMETRES
    return _assemble(
        mean=mean,
        shapes=bases["shape"] / _MICROMETRES,
        moves=moves[of_expression, :, :EXPRESSION] * (deviations[:EXPRESSION] / _MICROMETRES),
        colours=front_of(means["texMU"], 1)[..., 0],
        tones=bases["tex"],
        triangles=triangles,
        landmarks=landmarks,
        drawn=mask[drawn],
        name="bfm09",
        source="Basel Face Model 2009 (Paysan et al.), expressions of Guo et al. 2018, front face of Deng et al. 2020",
    )


def import_bfm_front(source: Path) -> FaceModel:
    """The front face as the reference stores it, ready-made: `BFM_model_front_gan.mat`.

    Fields, N vertices: meanshape [1, 3N], idBase [3N, S], exBase [3N, E] in decimetres, meantex [1, 3N], texBase
    [3N, T] in RGB of 0-255; tri [F, 3], keypoints [1, 68], gan_mask [1, M] and gan_tl [G, 3], from 1; gan_tl counts the
    vertices of gan_mask. Bases are scaled by their standard deviations already.

    Args:
        source: the file, or a folder that holds it.

    Raises:
        FileNotFoundError, ValueError: one line that names the file, the field and what is wrong with it.
    """
    names = ("BFM_model_front_gan.mat", "BFM_model_front.mat", "model.mat")
    path = source if source.is_file() else find_files(source, {"model": names})["model"]
    columns = 3 * _vertex_count(path)
    count = columns // 3
    stored = read_mat(
        path,
        {
            "meanshape": (1, columns), "idBase": (columns, ANY), "exBase": (columns, ANY), "meantex": (1, columns),
            "texBase": (columns, ANY), "tri": (ANY, 3), "keypoints": (1, 68), "gan_mask": (1, ANY), "gan_tl": (ANY, 3),
        },
    )  # fmt: skip

    def vertices(key: str) -> np.ndarray:
        return stored[key].reshape(count, 3, -1)

    mask = indices(stored["gan_mask"].ravel(), count, path, "gan_mask")
    triangles = indices(stored["tri"], count, path, "tri")
    return _assemble(
        mean=vertices("meanshape")[..., 0],
        shapes=vertices("idBase"),
        moves=vertices("exBase"),
        colours=vertices("meantex")[..., 0],
        tones=vertices("texBase"),
        triangles=triangles,
        landmarks=indices(stored["keypoints"].ravel(), count, path, "keypoints"),
        drawn=mask[indices(stored["gan_tl"], len(mask), path, "gan_tl")],
        name="bfm-front",
        source="the reference's ready-made front face of the Basel Face Model 2009 (Deng et al. 2020)",
    )


def find_files(source: Path, files: Mapping[str, tuple[str, ...]]) -> dict[str, Path]:
    """Where in the folder `source`, or below it, each file lies. Raises FileNotFoundError that names missing ones."""
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: expected a folder with {', '.join(names[0] for names in files.values())}")
    found: dict[str, Path] = {}
    for key, names in files.items():
        for name in names:
            places = [source / name] if (source / name).is_file() else sorted(source.rglob(name))
            if places:
                found.setdefault(key, places[0])
    missing = [names[0] for key, names in files.items() if key not in found]
    if missing:
        raise FileNotFoundError(
            f"{source}: missing {', '.join(missing)}; `python -m renderer.assets` says where to get them"
        )
    return found


def _vertex_count(path: Path) -> int:
    size = read_mat(path, {"meanshape": (1, ANY)})["meanshape"].shape[1]
    if size % 3 or not size:
        raise ValueError(f"{path}: meanshape should have three numbers a vertex. Received: {size} numbers")
    return size // 3


def _assemble(
    *, mean: np.ndarray, shapes: np.ndarray, moves: np.ndarray, colours: np.ndarray, tones: np.ndarray,
    triangles: np.ndarray, landmarks: np.ndarray, drawn: np.ndarray, name: str, source: str,
) -> FaceModel:  # fmt: skip
    """The face model of these arrays; triangles that are drawn but not in the mesh are added to it."""
    known = {frozenset(triangle): place for place, triangle in enumerate(triangles.tolist())}
    places = [known.get(frozenset(triangle), -1) for triangle in drawn.tolist()]
    face = np.zeros(len(triangles), bool)
    face[[place for place in places if place >= 0]] = True
    extra = drawn[np.array(places, int) < 0]
    centred = mean - mean.mean(0)
    # The file has no flat coordinates: the face is unrolled from a vertical cylinder, which keeps its area.
    turn = np.arctan2(centred[:, 0], np.maximum(centred[:, 2] - centred[:, 2].min() + 0.5, 1e-3))
    flat = np.stack([turn, centred[:, 1]], -1)
    flat = (flat - flat.min(0)) / np.maximum(np.ptp(flat, axis=0), 1e-9)

    def f32(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values, np.float32)

    def numbered(what: str, basis: np.ndarray) -> tuple[str, ...]:
        return tuple(f"{what}_{number}" for number in range(basis.shape[-1]))

    return FaceModel(
        mean_shape=f32(mean),
        shape_basis=f32(shapes),
        shape_std=np.ones(shapes.shape[-1], np.float32),
        expression_basis=f32(moves),
        expression_std=np.ones(moves.shape[-1], np.float32),
        mean_texture=f32(colours),
        texture_basis=f32(tones),
        texture_std=np.ones(tones.shape[-1], np.float32),
        triangles=np.concatenate([triangles, extra]).astype(np.int32),
        landmarks=landmarks.astype(np.int32),
        region=_regions(mean, landmarks).astype(np.int32),
        uv=f32(flat),
        face_triangles=np.concatenate([face, np.ones(len(extra), bool)]),
        region_names=REGIONS,
        shape_names=numbered("shape", shapes),
        texture_names=numbered("texture", tones),
        expression_names=numbered("expression", moves),
        name=name,
        source=source,
        licence=LICENCE,
        # No "centre": the mean vertex is it, as in the reference.
        manifest={"drawn_triangles_not_in_mesh": len(extra)},
    )


def _regions(mean: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """[V] index into REGIONS, by the landmarks' outlines seen from the front."""
    points, places = mean[landmarks, :2], mean[:, :2]
    unit = np.linalg.norm(points[45] - points[36])  # from one outer corner of the eyes to the other
    region = np.zeros(len(mean), np.int64)
    for brow in (outlines.RIGHT_BROW, outlines.LEFT_BROW):
        region[outlines.brow_distance(places, points[list(brow)])[0] < 0.04 * unit] = REGIONS.index("brow")
    for name, corners in (("eye", outlines.RIGHT_EYE), ("eye", outlines.LEFT_EYE), ("lips", outlines.MOUTH)):
        inside = outlines.signed_distance(places, outlines.closed_curve(points[list(corners)])) > 0
        region[inside] = REGIONS.index(name)
    return region
