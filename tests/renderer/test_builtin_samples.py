"""The built-in face model over 1,000 random people within ±2.5 standard deviations: geometry alone, in numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from renderer.builtin import build
from renderer.builtin.assembly import Head, build_head
from renderer.builtin.parts import EYE_SEGMENTS
from renderer.face_model import FaceModel

PEOPLE, LIMIT, BATCH = 1000, 2.5, 50
BOTH_WAYS = ("look_", "jaw_shift", "mouth_shift")  # the other activations are positive in the population


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return build()


@pytest.fixture(scope="module")
def head() -> Head:
    return build_head()


@pytest.fixture(scope="module")
def people(model: FaceModel) -> np.ndarray:
    """[PEOPLE, S] shape coefficients."""
    drawn = np.random.default_rng(7).normal(size=(PEOPLE, len(model.shape_names)))
    return (np.clip(drawn, -LIMIT, LIMIT) * model.shape_std).astype(np.float32)


def _activation(model: FaceModel, **activations: float) -> np.ndarray:
    """[V, 3] the displacement of the named activations."""
    weights = np.array([activations.get(name, 0.0) for name in model.expression_names], np.float32)
    return model.expression_basis @ weights


def _places(model: FaceModel, people: np.ndarray, ids: np.ndarray, move: np.ndarray | None = None) -> np.ndarray:
    """[PEOPLE, N, 3] the vertices `ids` of everyone, displaced by `move` [V, 3]."""
    basis = model.shape_basis[ids].reshape(-1, people.shape[1])
    points = model.mean_shape[ids] + (people @ basis.T).reshape(len(people), len(ids), 3)
    return points if move is None else points + move[ids]


def _face_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[..., triangles[:, k], :] for k in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)


def _skin_of_the_face(model: FaceModel, head: Head) -> np.ndarray:
    skin = (head.part[model.triangles] == "skin").all(1)
    return model.triangles[skin & model.face_triangles]


def _batches(weights: np.ndarray, basis: np.ndarray, mean: np.ndarray) -> Iterator[np.ndarray]:
    matrix = basis.reshape(-1, basis.shape[-1]).T
    for start in range(0, len(weights), BATCH):
        yield mean + (weights[start : start + BATCH] @ matrix).reshape(-1, *mean.shape)


def test_nobodys_skin_turns_inside_out(model: FaceModel, head: Head, people: np.ndarray) -> None:
    triangles = _skin_of_the_face(model, head)
    rest = _face_normals(model.mean_shape, triangles)
    for shapes in _batches(people, model.shape_basis, model.mean_shape):
        assert np.einsum("nfc,fc->nf", _face_normals(shapes, triangles), rest).min() > 0.0


def test_no_expression_turns_skin_inside_out(model: FaceModel, head: Head) -> None:
    """Random expressions of the mean face, and each action alone at full strength."""
    triangles = _skin_of_the_face(model, head)
    rest = _face_normals(model.mean_shape, triangles)
    drawn = np.clip(np.random.default_rng(8).normal(size=(300, len(model.expression_names))), -LIMIT, LIMIT)
    one_way = ~np.array([name.startswith(BOTH_WAYS) for name in model.expression_names])
    drawn = np.where(one_way, np.abs(drawn), drawn) * model.expression_std
    weights = np.concatenate([drawn, np.eye(len(one_way))]).astype(np.float32)
    for faces in _batches(weights, model.expression_basis, model.mean_shape):
        assert np.einsum("nfc,fc->nf", _face_normals(faces, triangles), rest).min() > -0.05


def test_everyones_lids_close(model: FaceModel, head: Head, people: np.ndarray) -> None:
    """Along the whole slit the upper lid's edge reaches the lower one's, and both lie before the eyeball."""
    move = _activation(model, blink_left=1.0, blink_right=1.0)
    ball = np.flatnonzero(head.part == "eye_left")
    loop = head.loops["eye_left"]
    half = len(loop) // 2
    edges = _places(model, people, loop, move)
    upper, lower = edges[:, : half + 1], edges[:, np.r_[0, len(loop) - 1 : half - 1 : -1]]
    gap = [u[:, 1] - np.interp(u[:, 0], w[:, 0], w[:, 1]) for u, w in zip(upper, lower, strict=True)]
    assert np.max(gap) < 0.01  # decimetres, at the corners: a third of a pixel at 64
    open_edges = _places(model, people, loop)
    assert np.mean(open_edges[:, half // 2, 1] - open_edges[:, half + half // 2, 1]) > 0.08
    rim = _places(model, people, ball[-EYE_SEGMENTS:])  # a great circle of the ball, so its mean is the centre
    centre = rim.mean(1, keepdims=True)
    radius = np.linalg.norm(rim - centre, axis=-1).mean(1)
    assert (np.linalg.norm(upper[:, 5:-5] - centre, axis=-1).min(1) > radius).all()


def test_everyones_mouth_opens_onto_teeth(model: FaceModel, head: Head, people: np.ndarray) -> None:
    """The teeth stand behind the lips, show below (above) them, and their gums reach beyond the lips' edges."""
    move = _activation(model, jaw_open=1.0)
    for side, sign in (("upper", 1.0), ("lower", -1.0)):
        teeth = np.flatnonzero(head.part == f"teeth_{side}")
        teeth = teeth[np.abs(model.mean_shape[teeth, 0]) < 0.2]
        rows, edge = _places(model, people, teeth, move), _places(model, people, head.loops[f"lip_{side}"], move)
        for row, lip in zip(rows, edge, strict=True):
            height = sign * (row[:, 1] - np.interp(row[:, 0], lip[:, 0], lip[:, 1]))
            assert (row[:, 2] < np.interp(row[:, 0], lip[:, 0], lip[:, 2]) - 0.02).all()
            assert height.max() > 0.06
            assert height.min() < -0.008


def test_the_mouth_has_no_hole(model: FaceModel, head: Head) -> None:
    """Lips and the mouth's inside are one closed surface: no border runs along them."""
    edges = np.concatenate([model.triangles[:, [0, 1]], model.triangles[:, [1, 2]], model.triangles[:, [2, 0]]])
    pairs, count = np.unique(np.sort(edges, 1), axis=0, return_counts=True)
    border = np.unique(pairs[count == 1])
    lips = np.concatenate([head.loops["lip_upper"], head.loops["lip_lower"]])
    assert not np.isin(lips, border).any()
    assert not (head.part[border] == "bag").any()
    assert np.isin(head.loops["neck"], border).all()
