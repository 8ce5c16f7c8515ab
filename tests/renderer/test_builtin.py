"""The built-in face model: symmetry, proportions, a sound mesh, and movements that do what their names say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.spatial import cKDTree

from renderer import load_face_model
from renderer.builtin import build
from renderer.builtin.surface import EYE_CENTRE, EYE_RADIUS
from renderer.face_model import FaceModel

LANDMARK_FILE = Path(__file__).resolve().parents[2] / ".." / "shared/reference/bfm/similarity_Lm3D_all.mat"


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return build()


@pytest.fixture(scope="module")
def twin(model: FaceModel) -> np.ndarray:
    """[V] the vertex at the mirrored place; where two vertices coincide (on the lips) the one that moves alike."""

    def describe(sign: float) -> np.ndarray:
        jaw = model.expression_basis[:, :, model.expression_names.index("jaw_open")]
        return np.concatenate([model.mean_shape * [sign, 1, 1], jaw * [sign, 1, 1]], 1)

    distance, index = cKDTree(describe(1.0)).query(describe(-1.0))
    assert distance.max() < 1e-4
    return index


def _expression(model: FaceModel, **activations: float) -> np.ndarray:
    """[V, 3] the mean face with the named activations."""
    weights = np.zeros(len(model.expression_names))
    for name, value in activations.items():
        weights[model.expression_names.index(name)] = value
    return model.mean_shape + model.expression_basis @ weights


def _edges(triangles: np.ndarray) -> np.ndarray:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def test_sizes(model: FaceModel) -> None:
    assert 3500 <= len(model.mean_shape) <= 6000
    assert 7000 <= len(model.triangles) <= 10000
    assert 5000 <= model.face_triangles.sum() <= 7500
    assert len(model.shape_names) >= 24
    assert len(model.texture_names) >= 12
    assert len(model.expression_names) >= 16
    names = (*model.shape_names, *model.texture_names, *model.expression_names)
    assert len(set(names)) == len(names)


def test_mirror_pairs(model: FaceModel, twin: np.ndarray) -> None:
    flip = np.array([-1.0, 1.0, 1.0])
    assert np.array_equal(np.sort(twin), np.arange(len(twin)))
    np.testing.assert_allclose(model.mean_shape[twin] * flip, model.mean_shape, atol=1e-6)
    np.testing.assert_allclose(model.shape_basis[twin] * flip[:, None], model.shape_basis, atol=1e-6)
    np.testing.assert_allclose(model.mean_texture[twin], model.mean_texture, atol=1e-3)
    np.testing.assert_array_equal(model.region[twin], model.region)
    skin = model.triangles[model.in_region("skin", "scalp", "neck", "brow", "lid")[model.triangles].all(1)]
    mirrored = {tuple(np.roll(t, -t.argmin())) for t in twin[skin][:, ::-1]}
    assert mirrored == {tuple(np.roll(t, -t.argmin())) for t in skin}


def test_expressions_of_both_sides_mirror_each_other(model: FaceModel, twin: np.ndarray) -> None:
    pairs = [name for name in model.expression_names if name.endswith("_left")]
    assert len(pairs) >= 8
    for name in pairs:
        left = model.expression_basis[:, :, model.expression_names.index(name)]
        right = model.expression_basis[:, :, model.expression_names.index(name[: -len("left")] + "right")]
        np.testing.assert_allclose(left[twin] * [-1, 1, 1], right, atol=1e-6)


def test_landmarks_have_human_proportions(model: FaceModel) -> None:
    points = model.mean_shape[model.landmarks]
    published = {8: (0, -0.82, 0.20), 30: (0, -0.05, 0.55), 54: (0.25, -0.38, 0.22), 48: (-0.25, -0.38, 0.22)}
    for number, place in published.items():
        assert np.linalg.norm(points[number] - place) < 0.06
    np.testing.assert_allclose(points[42:48].mean(0), (0.31, 0.30, 0.17), atol=0.04)
    assert abs(points[[0, 16], 0]).min() > 0.68
    # mirrored numbers of the jaw, brows, eyes and mouth lie at mirrored places
    pairs = [
        *zip(range(17), range(16, -1, -1), strict=True),
        (17, 26),
        (21, 22),
        (36, 45),
        (39, 42),
        (41, 46),
        (60, 64),
    ]
    for a, b in pairs:
        np.testing.assert_allclose(points[a] * [-1, 1, 1], points[b], atol=1e-6)


def test_landmarks_near_the_standard_ones(model: FaceModel) -> None:
    if not LANDMARK_FILE.is_file():
        pytest.skip(f"there is no {LANDMARK_FILE}")
    distance = np.linalg.norm(model.mean_shape[model.landmarks] - loadmat(LANDMARK_FILE)["lm"], axis=1)
    assert distance.max() < 0.08
    assert distance.mean() < 0.03


def test_the_mesh_is_a_manifold_without_degenerate_triangles(model: FaceModel) -> None:
    directed = _edges(model.triangles)
    assert len(np.unique(directed, axis=0)) == len(directed)  # so each edge has at most two triangles, which agree
    corners = model.mean_shape[model.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    assert area.min() > 1e-7
    assert len(np.unique(model.triangles)) == len(model.mean_shape)


def test_triangles_face_outwards(model: FaceModel) -> None:
    corners = model.mean_shape[model.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    middle = corners.mean(1)
    cranium = (middle[:, 1] > 0.55) & (model.in_region("skin", "scalp")[model.triangles]).all(1)
    assert (np.einsum("ij,ij->i", normal, middle - [0, 0.3, -0.45])[cranium] > 0).all()
    eye = (middle[:, 0] > 0) & model.in_region("iris", "pupil", "eye_white")[model.triangles].all(1)
    assert (np.einsum("ij,ij->i", normal, middle - EYE_CENTRE)[eye] > 0).all()
    front = model.in_region("skin")[model.triangles].all(1) & (np.abs(middle[:, 0]) < 0.4) & (middle[:, 2] > 0.1)
    assert (normal[front & (np.abs(middle[:, 1]) < 0.7), 2] > 0).mean() > 0.98


def test_the_skin_is_smooth(model: FaceModel) -> None:
    skin = model.in_region("skin", "scalp")[model.triangles].all(1) & (model.mean_shape[model.triangles, 1] > 0.52).all(
        1
    )
    triangles = model.triangles[skin]
    corners = model.mean_shape[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    owner: dict[tuple[int, int], int] = {}
    angles = []
    for number, triangle in enumerate(triangles):
        for a, b in zip(triangle, np.roll(triangle, -1), strict=True):
            other = owner.setdefault((min(a, b), max(a, b)), number)
            if other != number:
                angles.append(normal[other] @ normal[number])
    assert np.degrees(np.arccos(np.min(angles))) < 35


def test_a_blink_covers_the_eyeball(model: FaceModel) -> None:
    """Seen from the front, no point of the eyeball stays in the open when the lids are shut."""
    for side, sign in (("left", 1.0), ("right", -1.0)):
        open_, closed = (_visible_eye(_expression(model, **{f"blink_{side}": v}), model, sign) for v in (0.0, 1.0))
        assert open_ > 0.25
        assert closed < 0.02


def _visible_eye(points: np.ndarray, model: FaceModel, sign: float) -> float:
    """Share of a grid over one eyeball's front where no skin lies before the ball."""
    centre = EYE_CENTRE * [sign, 1, 1]
    grid = np.stack(np.meshgrid(np.linspace(-0.1, 0.1, 25), np.linspace(-0.05, 0.05, 21)), -1).reshape(-1, 2)
    ball = centre[2] + np.sqrt(EYE_RADIUS**2 - (grid**2).sum(1))
    grid = grid + centre[:2]
    lids = model.triangles[~model.in_region("iris", "pupil", "eye_white", "eye_light")[model.triangles].any(1)]
    near = np.linalg.norm(points[lids].mean(1) - (centre + np.array([0, 0, 0.1])), axis=1) < 0.25
    covered = np.zeros(len(grid), bool)
    for a, b, c in points[lids[near]]:
        matrix = np.stack([b - a, c - a], 1)
        if abs(np.linalg.det(matrix[:2])) < 1e-12:
            continue
        weights = np.linalg.solve(matrix[:2], (grid - a[:2]).T)
        inside = (weights >= -1e-6).all(0) & (weights.sum(0) <= 1 + 1e-6)
        covered |= inside & (a[2] + matrix[2] @ weights > ball)
    return 1.0 - covered.mean()


def test_jaw_open_parts_the_lips_and_keeps_the_upper_face(model: FaceModel) -> None:
    rest, wide = model.mean_shape[model.landmarks], _expression(model, jaw_open=1.0)[model.landmarks]
    assert abs(rest[62, 1] - rest[66, 1]) < 0.01
    assert wide[62, 1] - wide[66, 1] > 0.12
    assert rest[8, 1] - wide[8, 1] > 0.12
    np.testing.assert_allclose(wide[17:48], rest[17:48], atol=0.01)


@pytest.mark.parametrize(
    ("name", "moves", "stays"),
    [
        ("blink_left", [43, 44], [8, 30, 54, 37, 38]),
        ("brow_raise_right", [18, 19, 20], [8, 23, 24, 25, 48]),
        ("smile_left", [54], [48, 8, 19, 24]),
        ("pucker", [48, 54], [8, 19, 24, 27]),
    ],
)
def test_movements_are_local(model: FaceModel, name: str, moves: list[int], stays: list[int]) -> None:
    shift = np.linalg.norm(model.expression_basis[model.landmarks, :, model.expression_names.index(name)], axis=1)
    assert shift[moves].min() > 0.02
    assert shift[stays].max() < 0.006


def test_gaze_turns_the_eyeballs(model: FaceModel) -> None:
    """Either way alike: a linear model cannot turn a ball rigidly, but iris and pupil keep their shape and place."""
    ball = model.in_region("iris", "pupil") & (model.mean_shape[:, 0] > 0)
    rest = model.mean_shape[ball] - EYE_CENTRE
    for name, axis in (("look_left_right", 0), ("look_up_down", 1)):
        for sign in (1.0, -1.0):
            after = _expression(model, **{name: sign})[ball] - EYE_CENTRE
            np.testing.assert_allclose(np.linalg.norm(after, axis=1), np.linalg.norm(rest, axis=1), rtol=0.085)
            assert sign * (after - rest).mean(0)[axis] > 0.02
            spread, before = after - after.mean(0), rest - rest.mean(0)
            ratio = np.linalg.norm(spread, axis=1) / np.linalg.norm(before, axis=1)
            assert ratio.min() > 0.94 and ratio.max() < 1.12


def test_identities_keep_sane_colours_and_shapes(model: FaceModel) -> None:
    rng = np.random.default_rng(3)
    skin = model.in_region("skin")
    for _ in range(20):
        colour = model.mean_texture + model.texture_basis @ rng.normal(size=len(model.texture_names))
        red, green, blue = colour[skin].mean(0)
        assert 255 > red > green > blue > 0
        shape = model.mean_shape + model.shape_basis @ rng.normal(size=len(model.shape_names))
        landmarks = shape[model.landmarks]
        assert landmarks[19, 1] > landmarks[37, 1] > landmarks[41, 1] > landmarks[33, 1] > landmarks[51, 1]
        assert landmarks[51, 1] > landmarks[57, 1] > landmarks[8, 1]
        assert landmarks[39, 0] < 0 < landmarks[42, 0]


def test_flat_coordinates_of_the_skin_do_not_overlap(model: FaceModel) -> None:
    skin = model.in_region("skin", "scalp", "neck", "lips", "brow")[model.triangles].all(1)
    a, b, c = (model.uv[model.triangles[skin, k]].astype(float) for k in range(3))
    turn = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert max((turn > 0).mean(), (turn < 0).mean()) > 0.99
    assert model.uv.min() >= 0
    assert model.uv.max() <= 1


def test_two_builds_agree(model: FaceModel) -> None:
    assert build.__wrapped__().checksum() == model.checksum()
    assert load_face_model("builtin") is model


def test_save_and_load(model: FaceModel, tmp_path: Path) -> None:
    path = tmp_path / "face.npz"
    model.save(path)
    loaded = load_face_model(path)
    assert loaded.checksum() == model.checksum()
    assert loaded.manifest == {"centre": [0.0, 0.0, 0.0]}
    assert loaded.expression_names == model.expression_names
