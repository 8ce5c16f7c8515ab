"""A made-up Basel Face Model 2009 in the true files' format: nobody's face, on the published triangles.

The licensed files cannot be in a test. This writes 01_MorphableModel.mat and Exp_Pca.bin with all 53,490 and 53,215
vertices and puts links to the published index files beside them. The front face is another model's, wrapped onto the
published triangles by its landmarks.

    python -m tests.helpers.made_up_bfm --index ../shared/reference/bfm --out DIR [--face_model donor.npz]
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import scipy.io
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from renderer import FaceModel, load_face_model

VERTICES, EXPRESSION_VERTICES, FRONT = 53490, 53215, 35709
INDEX_FILES = ("BFM_front_idx.mat", "BFM_exp_idx.mat", "facemodel_info.mat", "gan_mask.mat", "gan_tl.mat",
               "std_exp.txt")  # fmt: skip


def write_files(folder: Path, index: Path, front: dict[str, np.ndarray], components: int = 82) -> None:
    """The two licensed files' stand-ins, with `front` on the front face and zeros elsewhere.

    Args:
        folder: where to write.
        index: folder of the published index files.
        front: shape [FRONT, 3] and texture [FRONT, 3] means; shapes, tones, moves [FRONT, 3, K] unit-scaled bases, in
            decimetres and RGB; fewer than the recipe asks for are filled up with zeros.
        components: of shape and texture; the real file has 199.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in INDEX_FILES:
        shutil.copyfile(index / name, folder / name)
    of_expression = scipy.io.loadmat(str(index / "BFM_front_idx.mat"))["idx"].ravel().astype(int) - 1
    trim = scipy.io.loadmat(str(index / "BFM_exp_idx.mat"))["trimIndex"].ravel().astype(int) - 1
    of_shape = trim[of_expression]
    spread = np.linspace(8.0, 2.0, components, dtype=np.float32)

    def full(values: np.ndarray, scale: float) -> np.ndarray:
        whole = np.zeros((VERTICES, *values.shape[1:]), np.float32)
        whole[of_shape] = values * scale
        return whole.reshape(3 * VERTICES, -1)

    def basis(values: np.ndarray, scale: float) -> np.ndarray:
        kept = min(values.shape[-1], components)
        result = np.zeros((3 * VERTICES, components), np.float32)
        result[:, :kept] = full(values[..., :kept], scale) / spread[:kept]
        return result

    scipy.io.savemat(
        str(folder / "01_MorphableModel.mat"),
        {
            "shapeMU": full(front["shape"], 1e5), "shapePC": basis(front["shapes"], 1e5), "shapeEV": spread[:, None],
            "texMU": full(front["texture"], 1.0), "texPC": basis(front["tones"], 1.0), "texEV": spread[:, None],
            "segbin": np.ones((VERTICES, 4), np.uint8), "tl": np.ones((10, 3), np.int32),
        },
    )  # fmt: skip
    deviations = np.loadtxt(index / "std_exp.txt").ravel()
    moves = np.zeros((len(deviations), EXPRESSION_VERTICES, 3), np.float32)
    kept = min(front["moves"].shape[-1], len(deviations))
    scaled = np.moveaxis(front["moves"][..., :kept], -1, 0) * 1e5 / deviations[:kept, None, None]
    moves[:kept, of_expression] = scaled
    with open(folder / "Exp_Pca.bin", "wb") as file:
        np.array([len(deviations)], "<i4").tofile(file)
        np.zeros(3 * EXPRESSION_VERTICES, "<f4").tofile(file)
        moves.astype("<f4").tofile(file)


def wrap(donor: FaceModel, index: Path) -> dict[str, np.ndarray]:
    """The `front` of `write_files`: the donor's skin on the published triangles.

    A smooth surface through the donor's landmarks is drawn to the donor's skin, twice; the donor's bases and colours
    are read at the nearest vertices of its skin and smoothed along the mesh.
    """
    info = scipy.io.loadmat(str(index / "facemodel_info.mat"))
    triangles, landmarks = info["tri"].astype(int) - 1, info["keypoints"].ravel().astype(int) - 1
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    graph = coo_matrix((np.ones(len(edges)), edges.T), shape=(FRONT, FRONT)).tocsr()
    graph = ((graph + graph.T) > 0).astype(float)
    degree = np.asarray(graph.sum(1)).ravel()
    laplacian = diags(np.ones(FRONT)) - diags(1 / np.maximum(degree, 1)) @ graph
    bending = (laplacian.T @ laplacian).tocsc()
    inner = ("mouth", "gum", "teeth", "eye", "iris", "pupil", "lash", "lid")
    skin = np.array([not name.startswith(inner) or name == "eye_white" for name in donor.region_names])[donor.region]
    places = np.flatnonzero(skin & (donor.mean_shape[:, 1] > -1.3))
    tree = cKDTree(donor.mean_shape[places])
    wanted = donor.mean_shape[donor.landmarks].astype(float)

    def solve(target: np.ndarray, weight: np.ndarray, stiffness: float) -> np.ndarray:
        matrix = (stiffness * bending + diags(weight + 1e-9)).tocsc()
        return spsolve(matrix, weight[:, None] * target)

    target, weight = np.zeros((FRONT, 3)), np.zeros(FRONT)
    target[landmarks], weight[landmarks] = wanted, 1.0
    surface = solve(target, weight, 1.0)
    for stiffness in (30.0, 3.0):
        nearest = places[tree.query(surface)[1]]
        target, weight = donor.mean_shape[nearest].astype(float), np.full(FRONT, 0.05)
        target[landmarks], weight[landmarks] = wanted, 1.0
        surface = solve(target, weight, stiffness)
    distance, near = tree.query(surface, 4)
    share = 1 / np.maximum(distance, 1e-4) ** 2
    share /= share.sum(1, keepdims=True)

    def at(values: np.ndarray) -> np.ndarray:
        values = values.reshape(len(values), -1)
        return sum(share[:, k : k + 1] * values[places[near[:, k]]] for k in range(4)).reshape(FRONT, 3, -1)

    # Expressions as a population shows them: principal components of a few actions at a time.
    rng = np.random.default_rng(0)
    size = len(donor.expression_std)
    active = np.abs(rng.normal(0, donor.expression_std, (400, size))) * (rng.random((400, size)) < 0.15)
    _, values, directions = np.linalg.svd(active - active.mean(0), full_matrices=False)
    moves = at(donor.expression_basis @ (directions.T * values / 20.0))
    mean_of_ring = diags(1 / np.maximum(degree, 1)) @ graph
    moves = moves.reshape(FRONT, -1)
    for _ in range(12):  # lips that touch move apart, each along its own skin
        moves = 0.5 * moves + 0.5 * (mean_of_ring @ moves)
    moves = moves.reshape(FRONT, 3, -1)
    return {
        "shape": surface, "texture": at(donor.mean_texture)[..., 0], "shapes": at(donor.shape_basis * donor.shape_std),
        "tones": at(donor.texture_basis * donor.texture_std), "moves": moves,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", required=True, type=Path, help="folder of the published index files")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--face_model", default="builtin", help="whose face is wrapped (default: %(default)s)")
    parser.add_argument("--components", type=int, default=199)
    arguments = parser.parse_args()
    front = wrap(load_face_model(arguments.face_model), arguments.index)
    write_files(arguments.out, arguments.index, front, arguments.components)


if __name__ == "__main__":
    main()
