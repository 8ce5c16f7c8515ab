"""A made-up FLAME in the true files' format and sizes: nobody's face, on a mesh that is not FLAME's.

The licensed files cannot be in a test. The head is the built-in model's, cut to as many vertices and triangles as FLAME
has; pose correctives and what is beyond its bases are seeded noise.

    python tests/renderer/made_up_flame.py --out DIR
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pickle
import struct
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.sparse

from renderer import FaceModel, load_face_model

VERTICES, FACES = 5023, 9976
PARENTS = (2**32 - 1, 0, 1, 1, 1)  # as the file has them


def make_arrays(donor: FaceModel | None = None, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What generic_model.pkl holds, J_regressor dense, in metres; and what landmark_embedding.npy holds."""
    donor, rng = donor or load_face_model(), np.random.default_rng(seed)
    # The landmarks lie on vertices that have to stay; what goes first is the furthest from the face.
    order = np.argsort(np.linalg.norm(donor.mean_shape - [0, 0, 0.2], axis=1), kind="stable")
    kept = np.sort(order[:VERTICES])
    number = np.full(len(order), -1)
    number[kept] = np.arange(VERTICES)
    triangles = number[donor.triangles]
    triangles = triangles[(triangles >= 0).all(1)]
    back = np.argsort(donor.mean_shape[kept][triangles].mean(1)[:, 2], kind="stable")
    triangles = np.delete(triangles, back[: max(0, len(triangles) - FACES)], 0)
    triangles = np.concatenate([triangles, np.repeat(triangles[:1], FACES - len(triangles), 0)])
    shift = np.array([0.003, -0.02, 0.05])  # FLAME's origin is not the renderer's
    template = donor.mean_shape[kept] / 10.0 + shift

    def basis(values: np.ndarray, count: int) -> np.ndarray:
        noise = rng.normal(0, 1e-5, (VERTICES, 3, count))
        noise[..., : values.shape[-1]] += values[kept] / 10.0
        return noise

    shapes = basis(donor.shape_basis * donor.shape_std, 300)
    moves = basis(0.5 * donor.expression_basis, 100)
    eyes = donor.in_region("eye")[kept]
    left = eyes & (donor.mean_shape[kept, 0] > 0)
    jaw = np.linalg.norm(donor.expression_basis[kept][..., donor.expression_names.index("jawOpen")], axis=1)
    weights = np.zeros((VERTICES, 5))
    weights[:, 2] = np.where(eyes, 0, np.clip(jaw / jaw.max() * 1.2, 0, 1))
    weights[:, 0] = (1 - weights[:, 2]) * np.clip((-0.05 - template[:, 1]) / 0.05, 0, 1)
    weights[:, 1] = 1 - weights[:, 2] - weights[:, 0]
    weights[left], weights[eyes & ~left] = np.eye(5)[3], np.eye(5)[4]
    middle = np.array([[0, -0.09, -0.02], [0, -0.08, -0.02], [0, -0.02, -0.01]])  # of root, neck, jaw
    regressor = np.zeros((5, VERTICES))
    for joint, place in enumerate(middle):
        near = np.argsort(np.linalg.norm(template - place, axis=1))[:12]
        regressor[joint, near] = rng.dirichlet(np.ones(len(near)))
    for joint, ball in ((3, left), (4, eyes & ~left)):
        regressor[joint, ball] = 1 / ball.sum()
    arrays = {
        "v_template": template, "shapedirs": np.concatenate([shapes, moves], -1),
        "posedirs": rng.normal(0, 1e-4, (VERTICES, 3, 36)), "J_regressor": regressor, "weights": weights,
        "kintree_table": np.array([PARENTS, range(5)], np.uint32), "f": triangles.astype(np.uint32),
    }  # fmt: skip
    faces = [int(np.flatnonzero((triangles == vertex).any(1))[0]) for vertex in number[donor.landmarks]]
    places = np.where(triangles[faces] == number[donor.landmarks][:, None], 0.7, 0.15)
    angles = 79
    landmarks = {
        "full_lmk_faces_idx": np.array(faces)[None], "full_lmk_bary_coords": places[None],
        "static_lmk_faces_idx": np.array(faces[17:]), "static_lmk_bary_coords": places[17:],
        "dynamic_lmk_faces_idx": np.tile(faces[:17], (angles, 1)),
        "dynamic_lmk_bary_coords": np.tile(places[:17], (angles, 1, 1)),
    }  # fmt: skip
    return arrays, landmarks


def make_texture(arrays: dict[str, np.ndarray], size: int = 64, components: int = 60, seed: int = 0) -> dict:
    """What FLAME_texture.npz holds, smaller: blue, green and red of 0-255, one uv for each vertex but for a seam."""
    rng = np.random.default_rng(seed)
    x, y, z = (arrays["v_template"] - arrays["v_template"].mean(0)).T
    uv = np.stack([np.arctan2(x, z) / (2 * np.pi) + 0.5, (y - y.min()) / np.ptp(y)], -1)
    ft = arrays["f"].astype(np.int64)
    crosses = np.ptp(uv[ft][..., 0], axis=1) > 0.5  # at the back: the left part's vertices get a second place
    low = np.unique(ft[crosses][uv[ft[crosses], 0] < 0.5])
    second = np.full(len(uv), -1)
    second[low] = len(uv) + np.arange(len(low))
    ft[crosses] = np.where(uv[ft[crosses], 0] < 0.5, second[ft[crosses]], ft[crosses])
    v, u = np.meshgrid(np.linspace(1, 0, size), np.linspace(0, 1, size), indexing="ij")
    mean = np.stack([90 + 0 * u, 120 + 20 * v, 150 + 60 * u], -1)  # blue, green, red
    basis = rng.normal(0, 1, (size, size, 3, components)) + rng.normal(0, 4, (1, 1, 3, components))
    return {
        "mean": mean, "tex_dir": basis.astype(np.float32),
        "vt": np.concatenate([uv, np.minimum(uv[low] + [1.0, 0.0], 1.0)]), "ft": ft,
    }  # fmt: skip


class Ch:
    """What chumpy's array leaves of itself when it is pickled."""

    def __init__(self, x: np.ndarray):
        self.x, self._dirty_vars, self._itr, self._depends_on_deps = x, {"x"}, None, False
        self._status, self._make_dense, self._make_sparse = "new", False, False


class Select:
    """The same of a selection: a.ravel()[idxs].reshape(preferred_shape)."""

    def __init__(self, a: Ch, idxs: np.ndarray, preferred_shape: tuple[int, ...]):
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


Ch.__module__, Select.__module__ = "chumpy.ch", "chumpy.reordering"


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Pickle looks classes up when it writes them."""
    modules = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}
    modules["chumpy.ch"].Ch, modules["chumpy.reordering"].Select = Ch, Select  # type: ignore[attr-defined]
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


class _Python2(pickle._Pickler):  # type: ignore[name-defined, misc]
    """Writes texts and bytes as Python 2 wrote its strings, of which both were one kind."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, value: str | bytes) -> None:
        data = value if isinstance(value, bytes) else value.encode("latin1")
        head = b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<i", len(data))
        self.write(head + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def dumps(content: object, python2: bool = True, protocol: int = 2) -> bytes:
    """A pickle as Python 2 wrote it, or as Python 3 does, with the modules' names of that time."""
    buffer = io.BytesIO()
    with _importable():
        (_Python2 if python2 else pickle.Pickler)(buffer, protocol).dump(content)
    data = buffer.getvalue()
    if python2:
        for new, old in ((b"numpy._core.", b"numpy.core."), (b"scipy.sparse._csc\n", b"scipy.sparse.csc\n")):
            data = data.replace(new, old)
    return data


def wrapped(arrays: dict[str, np.ndarray]) -> dict[str, object]:
    """The arrays as generic_model.pkl holds them: some by chumpy, the regressor as a sparse matrix of scipy."""
    result: dict[str, object] = dict(arrays)
    for key in ("v_template", "shapedirs", "posedirs", "weights"):
        result[key] = Ch(arrays[key])
    result["J_regressor"] = scipy.sparse.csc_matrix(arrays["J_regressor"])
    return {"bs_style": "lbs", "bs_type": "lrotmin", **result}


def write_files(folder: Path, seed: int = 0) -> None:
    """generic_model.pkl, landmark_embedding.npy and FLAME_texture.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays, landmarks = make_arrays(seed=seed)
    (folder / "generic_model.pkl").write_bytes(dumps(wrapped(arrays)))
    np.save(folder / "landmark_embedding.npy", np.array(landmarks, dtype=object), allow_pickle=True)
    np.savez(folder / "FLAME_texture.npz", **make_texture(arrays))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    write_files(parser.parse_args().out)


if __name__ == "__main__":
    main()
