"""The built-in face model over 1,000 random people and expressions within ±2.5 standard deviations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

from renderer.builtin import build
from renderer.builtin.assembly import Head, build_head
from renderer.builtin.parts import EYE_SEGMENTS
from renderer.camera import Camera
from renderer.face_model import FaceModel
from renderer.rasterizer import rasterize

PEOPLE, LIMIT, BATCH = 1000, 2.5, 50


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


@pytest.fixture(scope="module")
def samples(model: FaceModel) -> np.ndarray:
    """[PEOPLE, S + E] shape and expression coefficients together; activations of either sign."""
    spread = np.concatenate([model.shape_std, model.expression_std])
    drawn = np.random.default_rng(7).normal(size=(PEOPLE, len(spread)))
    return (np.clip(drawn, -LIMIT, LIMIT) * spread).astype(np.float32)


@pytest.fixture(scope="module")
def movements(model: FaceModel) -> np.ndarray:
    """[V, 3, S + E] both bases."""
    return np.concatenate([model.shape_basis, model.expression_basis], -1)


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


def test_no_sample_turns_skin_inside_out(
    model: FaceModel, head: Head, samples: np.ndarray, movements: np.ndarray
) -> None:
    """Identity and expression together: no triangle of the face's skin turns by a right angle or more."""
    triangles = _skin_of_the_face(model, head)
    rest = _face_normals(model.mean_shape, triangles)
    for faces in _batches(samples, movements, model.mean_shape):
        assert np.einsum("nfc,fc->nf", _face_normals(faces, triangles), rest).min() > 0.0


def test_no_single_action_turns_skin_inside_out(model: FaceModel, head: Head) -> None:
    """Each action of the mean face alone: 2.5 standard deviations both ways, and full."""
    triangles = _skin_of_the_face(model, head)
    rest = _face_normals(model.mean_shape, triangles)
    full, far = np.eye(len(model.expression_std)), np.diag(LIMIT * model.expression_std)
    weights = np.concatenate([full, far, -far]).astype(np.float32)
    for faces in _batches(weights, model.expression_basis, model.mean_shape):
        assert np.einsum("nfc,fc->nf", _face_normals(faces, triangles), rest).min() > 0.0


def test_eyeballs_stay_behind_the_lids(
    model: FaceModel, head: Head, samples: np.ndarray, movements: np.ndarray
) -> None:
    """The lids' edges, and the ring next to them, lie before the ball wherever they look, blink or widen."""
    ball = np.flatnonzero(head.part == "eye_left")[-EYE_SEGMENTS:]  # a great circle of the ball
    for ring, margin in (("eye_left", 0.0), ("lid_1", -0.002)):
        ids = np.concatenate([head.loops[ring], ball])
        for points in _batches(samples, movements[ids], model.mean_shape[ids]):
            lid, circle = points[:, : -len(ball)], points[:, -len(ball) :]
            centre = circle.mean(1, keepdims=True)
            radius = np.linalg.norm(circle - centre, axis=-1).mean(1)[:, None]
            beside = ((lid - centre)[..., :2] ** 2).sum(-1)
            depth = np.sqrt(np.maximum(radius**2 - beside, 0.0))
            before = (lid - centre)[..., 2] - depth
            assert before[beside < radius**2].min() > margin


def test_lips_hide_the_mouth(model: FaceModel, head: Head, samples: np.ndarray, movements: np.ndarray) -> None:
    """Drawn from the front, teeth, gums and the mouth's inside are seen between the lips and nowhere else, and the
    inside of the skin hardly anywhere: an edge's pixel at most."""
    size, batch = 64, 20
    camera = Camera.generator(size)
    part = head.part[model.triangles[:, 0]]
    inside = np.char.startswith(part.astype(str), "teeth") | (part == "bag")
    skin = (head.part[model.triangles] == "skin").all(1) & model.face_triangles
    matrix = np.repeat(camera.view_projection()[None], batch, 0)
    for start in range(0, 200, batch):
        chosen = samples[start : start + batch]
        points = model.mean_shape + (chosen @ movements.reshape(-1, chosen.shape[1]).T).reshape(batch, -1, 3)
        layer = rasterize(tf.constant(points), tf.constant(model.triangles), matrix, (size, size), False)
        shown = np.where(layer.foreground_mask.numpy() > 0, layer.triangle_id.numpy(), -1).reshape(batch, size, size)
        places = camera.project(tf.constant(points)).numpy()
        for face, place, number in zip(points, places, shown, strict=True):
            opening = np.concatenate([place[head.loops["lip_upper"]], place[head.loops["lip_lower"][::-1]]])
            picture = Image.new("L", (size, size))
            ImageDraw.Draw(picture).polygon([tuple(p) for p in opening], fill=1, outline=1, width=3)
            assert not (inside[number] & (number >= 0) & (np.asarray(picture) == 0)).any()
            a, b, c = (face[model.triangles[:, k]] for k in range(3))
            away = np.einsum("ij,ij->i", np.cross(b - a, c - a), (a + b + c) / 3 - [0.0, 0.0, camera.distance]) > 0
            assert ((away & skin)[number] & (number >= 0)).sum() <= 3


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
