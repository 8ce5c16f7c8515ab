"""A face model of two hundred vertices for the perception tests: half an egg with marks, symmetric, quick to draw."""

from __future__ import annotations

import numpy as np

from renderer.face_model import FaceModel


def toy_face(lopsided: bool = False) -> FaceModel:
    rows, columns = 13, 17
    down, across = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    x, y = 0.75 * np.sin(across * 1.3) * np.sqrt(1.2 - down**2 * 0.6), -down * 1.0
    z = 0.8 * np.cos(across * 1.3) * np.sqrt(1.2 - down**2 * 0.6)
    mean = np.stack([x, y, z], -1).reshape(-1, 3)
    mean -= mean.mean(0)
    left, lower = (across.ravel() > 0.2).astype(float), np.maximum(down.ravel(), 0)
    zero = np.zeros_like(lower)
    nose = np.exp(-8 * (across.ravel() ** 2 + down.ravel() ** 2))
    right = left.reshape(rows, columns)[:, ::-1].ravel()
    # wide, nose, a jaw that leans to one side (its mirror image: the negative coefficient)
    shape = np.stack(
        [np.stack([mean[:, 0], zero, zero], -1), np.stack([zero, zero, nose], -1), np.stack([lower, zero, zero], -1)],
        -1,
    )
    # the two corners of a smile swap in the mirror, a dropped jaw stays
    expression = np.stack(
        [
            np.stack([zero, left * lower, zero], -1),
            np.stack([zero, right * lower, zero], -1),
            np.stack([zero, -lower, zero], -1),
        ],
        -1,
    )
    skin, cheeks = np.ones((len(mean), 3)) * [40, 35, 30], np.stack([30 * left + 30 * right, zero, zero], -1)
    if lopsided:
        cheeks = np.stack([30 * left, zero, zero], -1)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:])
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))]).astype(np.int32)
    landmarks = np.linspace(0, len(mean) - 1, 68).astype(np.int32)
    landmarks[36], landmarks[45] = index[5, 4], index[5, 12]
    mouth = (np.abs(down.ravel() - 0.5) < 0.1) & (np.abs(across.ravel()) < 0.4)
    colour = np.where(mouth[:, None], [170.0, 70, 70], [200.0, 150, 120])
    as_float = np.float32
    return FaceModel(
        mean_shape=mean.astype(as_float),
        shape_basis=(0.15 * shape).astype(as_float),
        shape_std=np.array([1, 1, 0.5], as_float),
        expression_basis=(0.2 * expression).astype(as_float),
        expression_std=np.ones(3, as_float),
        mean_texture=colour.astype(as_float),
        texture_basis=np.stack([skin, cheeks], -1).astype(as_float),
        texture_std=np.ones(2, as_float),
        triangles=triangles,
        landmarks=landmarks,
        region=np.zeros(len(mean), np.int32),
        uv=np.stack([(across.ravel() + 1) / 2, (1 - down.ravel()) / 2], -1).astype(as_float),
        face_triangles=np.ones(len(triangles), bool),
        region_names=("skin",),
        shape_names=("wide", "nose", "jaw to the left"),
        texture_names=("light", "cheeks"),
        expression_names=("smile left", "smile right", "jaw open"),
        name="toy",
    )


def random_coefficients(model: FaceModel, count: int, seed: int, subjects: np.ndarray | None = None) -> np.ndarray:
    """[count, size]; rows of one subject share their identity."""
    rng, layout = np.random.default_rng(seed), model.layout
    result = np.zeros((count, layout.size), np.float32)
    identity = rng.normal(size=(count if subjects is None else subjects.max() + 1, layout.factor_size("identity")))
    result[:, layout.slice("identity")] = identity if subjects is None else identity[subjects]
    result[:, layout.slice("expression")] = rng.uniform(0, 1, (count, layout.expression))
    result[:, layout.slice("angles")] = rng.normal(size=(count, 3)) * [0.15, 0.3, 0.1]
    result[:, layout.slice("lighting")] = rng.normal(size=(count, 27)) * 0.08
    return result
