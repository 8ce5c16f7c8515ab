"""Small face models that the tests of the renderer draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from renderer import FaceModel
from tests.helpers import made_up_flame


def make_model(points: np.ndarray, triangles: np.ndarray, seed: int = 0, **changes: object) -> FaceModel:
    """A face model on any mesh, with smooth bases: sines of the place, each in its own direction."""
    random = np.random.default_rng(seed)

    def basis(count: int, scale: float) -> np.ndarray:
        waves = np.sin(points @ random.normal(0, 1.5, [3, count]) + random.uniform(0, 6, count))  # [V, count]
        return (waves[:, None, :] * random.normal(0, scale, [1, 3, count])).astype(np.float32)

    fields: dict[str, object] = {
        "mean_shape": points.astype(np.float32),
        "shape_basis": basis(4, 0.05),
        "shape_std": np.ones(4, np.float32),
        "expression_basis": basis(3, 0.08),
        "expression_std": np.ones(3, np.float32),
        "mean_texture": (150 + 60 * np.sin(3 * points)).astype(np.float32),
        "texture_basis": basis(2, 10.0),
        "texture_std": np.ones(2, np.float32),
        "triangles": triangles.astype(np.int32),
        "landmarks": random.integers(0, len(points), 68).astype(np.int32),
        "region": np.zeros(len(points), np.int32),
        "uv": np.zeros([len(points), 2], np.float32),
        "face_triangles": points[triangles].mean(1)[:, 2] > 0,
        "region_names": ("skin",),
        "shape_names": tuple("abcd"),
        "texture_names": tuple("ab"),
        "expression_names": tuple("abc"),
        "name": "test",
    }
    return FaceModel(**(fields | changes))  # type: ignore[arg-type]


def grid(rows: int, columns: int) -> np.ndarray:
    """[2·rows·columns, 3] triangles over a grid of (rows + 1)·(columns + 1) vertices, row by row."""
    r, c = (i.ravel() for i in np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"))
    a = r * (columns + 1) + c
    b, d = a + 1, a + columns + 1
    return np.concatenate([np.stack([a, d, b], -1), np.stack([b, d, d + 1], -1)])


@pytest.fixture(scope="session")
def sphere() -> FaceModel:
    """A textured ball of radius 0.9, 2,400 triangles; its face is the half towards the camera."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, 31), np.linspace(0, 2 * np.pi, 41), indexing="ij")
    points = np.stack([np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], -1)
    return make_model(0.9 * points.reshape(-1, 3), grid(30, 40))


@pytest.fixture(scope="session")
def plate() -> FaceModel:
    """A flat square of side 1.2 at z = 0, facing the camera."""
    y, x = np.meshgrid(np.linspace(0.6, -0.6, 13), np.linspace(-0.6, 0.6, 13), indexing="ij")
    points = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
    return make_model(points, grid(12, 12), face_triangles=np.ones(288, bool))


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    """Random coefficients [count, size] of a model, small enough for its mesh to stay smooth."""

    def coefficients(model: FaceModel, count: int, seed: int = 0) -> np.ndarray:
        layout = model.layout
        scale = np.full(layout.size, 0.5)
        scale[layout.slice("angles")] = 0.3
        scale[layout.slice("lighting")] = 0.1
        scale[layout.slice("translation")] = 0.05
        return np.random.default_rng(seed).normal(0, scale, [count, layout.size]).astype(np.float32)

    return coefficients


@pytest.fixture(scope="session")
def flame_arrays() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    return made_up_flame.make_arrays()


@pytest.fixture(scope="session")
def flame_folder(flame_arrays, tmp_path_factory) -> Path:
    """generic_model.pkl as Python 2 wrote it with chumpy, and DECA's landmark_embedding.npy."""
    path = tmp_path_factory.mktemp("flame")
    (path / "generic_model.pkl").write_bytes(made_up_flame.dumps(made_up_flame.wrapped(flame_arrays[0])))
    np.save(path / "landmark_embedding.npy", np.array(flame_arrays[1], dtype=object), allow_pickle=True)
    return path
