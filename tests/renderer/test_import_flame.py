"""The importer of FLAME on a made-up file of the true format and sizes, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from renderer import FaceModel, FaceRenderer, WeakPerspectiveCamera, load_face_model
from renderer.geometry import Geometry
from renderer.import_model import main
from renderer.importers.flame import EXPRESSION, SHAPE, import_flame
from renderer.importers.flame_file import read_texture
from tests.helpers import made_up_flame

VERTICES, COUNT = 5023, SHAPE + EXPRESSION + 5


@pytest.fixture(scope="module")
def model(flame_folder) -> FaceModel:
    return import_flame(flame_folder / "generic_model.pkl")


def rodrigues(turn: np.ndarray) -> np.ndarray:
    """[3, 3] of an axis-angle, written out."""
    angle = np.linalg.norm(turn)
    if angle == 0:
        return np.eye(3)
    x, y, z = turn / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def flame_vertices(arrays, shape, expression, pose) -> np.ndarray:
    """[5023, 3] metres, by Li et al. 2017: M = W(T + B_S + B_P + B_E, J, θ, W), `pose` [5, 3] axis-angles.

    The published implementations regress joints from T + B_S + B_E.
    """
    blend = np.zeros(400)
    blend[: len(shape)], blend[300 : 300 + len(expression)] = shape, expression
    shaped = arrays["v_template"] + arrays["shapedirs"] @ blend
    turns = [rodrigues(row) for row in pose]
    posed = shaped + arrays["posedirs"] @ np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
    joints = arrays["J_regressor"] @ shaped
    parents, worlds = [None, 0, 1, 1, 1], []
    for joint, parent in enumerate(parents):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent is not None else 0)
        worlds.append(local if parent is None else worlds[parent] @ local)
    result = np.zeros_like(posed)
    for joint, world in enumerate(worlds):
        moved = (posed - joints[joint]) @ world[:3, :3].T + world[:3, 3]
        result += arrays["weights"][:, joint, None] * moved
    return result


def in_metres(model: FaceModel, vertices: np.ndarray) -> np.ndarray:
    return (vertices - model.manifest["origin"]) / 10.0


def test_vertices_are_flames(flame_arrays, model):
    arrays, rng = flame_arrays[0], np.random.default_rng(1)
    coefficients = np.zeros((4, model.layout.size), np.float32)
    weights = rng.normal(size=(4, COUNT)).astype(np.float32)
    weights[:, -5:] = [[0.3, 0.05, -0.02, 0.2, -0.4], [0, 0, 0, 0, 0], [0.5, 0, 0, 0, 0], [0, 0, 0, -0.3, 0.5]]
    for group, part in (("shape", weights[:, :SHAPE]), ("expression", weights[:, SHAPE:])):
        coefficients[:, model.layout.slice(group)] = part
    received = FaceRenderer(model, 16).shape(coefficients).numpy()
    for row, numbers in enumerate(weights):
        jaw, eye = numbers[-5:-2], np.array([*numbers[-2:], 0.0])
        pose = np.stack([np.zeros(3), np.zeros(3), jaw, eye, eye])
        expected = flame_vertices(arrays, numbers[:SHAPE], numbers[SHAPE:-5], pose)
        np.testing.assert_allclose(in_metres(model, received[row])[:VERTICES], expected, atol=2e-7)


def test_joints_move_what_they_should(model):
    geometry = Geometry(model)

    def moved(**angles: float) -> np.ndarray:
        weights = np.zeros((2, COUNT), np.float32)
        for name, angle in angles.items():
            weights[1, SHAPE + model.expression_names.index(name)] = angle
        first, second = geometry(weights).numpy()
        return second - first

    chin, brow = model.landmarks[8], model.landmarks[19]
    opened = moved(jaw_x=0.3)
    assert opened[chin, 1] < -0.05 and np.linalg.norm(opened[brow]) < 0.02
    pupils = model.in_region("pupil")
    assert pupils.sum() > 4
    assert moved(eye_yaw=0.3)[pupils, 0].min() > 0.01 and moved(eye_pitch=0.3)[pupils, 1].max() < -0.01


def test_the_landmarks_are_points_of_the_mesh(flame_arrays, model):
    arrays, landmarks = flame_arrays
    corners = arrays["v_template"][arrays["f"][landmarks["full_lmk_faces_idx"][0]]]
    expected = np.einsum("lk,lkc->lc", landmarks["full_lmk_bary_coords"][0], corners)
    np.testing.assert_allclose(in_metres(model, model.mean_shape[model.landmarks]), expected, atol=1e-7)
    # They move with the skin around them, turned jaw and all; skinning is not linear, so not to the last digit.
    weights = np.random.default_rng(2).normal(size=(1, COUNT)).astype(np.float32)
    weights[:, -5:] = [0.3, 0.05, 0.02, 0.1, 0.1]
    shape = Geometry(model)(weights)[0].numpy()
    np.testing.assert_allclose(shape[model.landmarks], Geometry(model, model.landmarks)(weights)[0], atol=1e-5)
    corners = shape[arrays["f"][landmarks["full_lmk_faces_idx"][0]]]
    around = np.einsum("lk,lkc->lc", landmarks["full_lmk_bary_coords"][0], corners)
    np.testing.assert_allclose(shape[model.landmarks], around, atol=5e-3)


def test_the_camera_of_gif_and_deca(model):
    """docs/face_models.md says how: theirs is (x, y) -> s (x + t) in metres, of a picture from -1 to 1."""
    rng, origin = np.random.default_rng(5), model.manifest["origin"]
    vertices = in_metres(model, Geometry(model)(rng.normal(size=(2, COUNT)).astype(np.float32)).numpy())
    s, t = np.array([7.9, 8.4], np.float32), np.array([[0.01, -0.02], [-0.015, 0.03]], np.float32)
    camera = WeakPerspectiveCamera(256, s / 10, 10 * t - np.float32(origin[:2]))
    pixels = camera.project(tf.constant(10 * vertices + origin, tf.float32)).numpy()
    expected = (s[:, None, None] * (vertices[..., :2] + t[:, None]) + 1) * 128
    np.testing.assert_allclose(pixels, expected, atol=1e-3)


def test_gradients_reach_the_jaw(model):
    landmarks = Geometry(model, model.landmarks)

    def loss(values):
        return tf.reduce_sum(landmarks(values) ** 2)

    for angles in ([0, 0, 0, 0, 0], [0.2, 0.03, -0.05, 0, 0]):
        weights = tf.constant([[0.0] * (COUNT - 5) + angles])
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss(weights)
        gradient = tape.gradient(value, weights).numpy()
        assert np.isfinite(gradient).all()
        for place in range(COUNT - 5, COUNT - 2):
            step = np.zeros((1, COUNT), np.float32)
            step[0, place] = 0.02
            numeric = (loss(weights + step) - loss(weights - step)) / 0.04
            np.testing.assert_allclose(gradient[0, place], numeric, rtol=0.02, atol=0.02)


def test_the_basis_has_the_first_order_of_the_rotations(model):
    """What adds up bases, as fitting and alignment do, sees a jaw that opens."""
    step = np.zeros((10, COUNT), np.float32)
    for unit in range(5):
        step[2 * unit : 2 * unit + 2, COUNT - 5 + unit] = 0.01, -0.01
    shape = Geometry(model)(step).numpy()
    numeric = np.moveaxis((shape[::2] - shape[1::2]) / 0.02, 0, -1)
    np.testing.assert_allclose(model.expression_basis[..., -5:], numeric, atol=2e-4)


def test_place_and_regions(model):
    points = model.mean_shape[model.landmarks]
    np.testing.assert_allclose(points[36:48, 1].mean(), 0.297, atol=0.1)
    assert abs(points[[36, 45], 0].mean()) < 1e-6 and points[30, 2] > points[8, 2]
    for name in ("skin", "neck", "lips", "brow", "eye_white", "iris", "pupil"):
        assert model.in_region(name).any(), name
    assert not model.in_region("lips")[model.landmarks[30]]
    face = np.unique(model.triangles[model.face_triangles])
    height = model.mean_shape[face, 1]
    assert height.min() > points[8, 1] - 0.1 and points[:, 1].max() < height.max() < points[27, 1] + 0.7
    assert 0.2 < model.face_triangles.mean() < 0.9
    assert model.one_way_expressions.tolist() == [name == "jaw_x" for name in model.expression_names]


# ---- the texture space ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def textured(flame_arrays, flame_folder) -> FaceModel:
    np.savez(flame_folder / "FLAME_texture.npz", **made_up_flame.make_texture(flame_arrays[0]))
    return import_flame(flame_folder / "generic_model.pkl", flame_folder / "FLAME_texture.npz")


def test_colours_are_red_green_blue_with_row_0_at_the_top(textured, flame_arrays):
    mean = textured.texture_map.mean
    assert mean.shape == (64, 64, 3) and textured.texture_map.components == textured.layout.texture == 50
    u, v = (np.arange(64) + 0.0) / 63, 1 - np.arange(64) / 63
    np.testing.assert_allclose(mean[10, :, 0], 150 + 60 * u, atol=1e-3)  # red grows to the right
    np.testing.assert_allclose(mean[:, 10, 1], 120 + 20 * v, atol=1e-3)  # green to the top
    np.testing.assert_allclose(mean[..., 2], 90, atol=1e-3)
    right = textured.uv[:, 0] > 0.6
    assert textured.mean_texture[right, 0].min() > textured.mean_texture[textured.uv[:, 0] < 0.4, 0].max()
    given = made_up_flame.make_texture(flame_arrays[0])["tex_dir"]
    np.testing.assert_allclose(textured.texture_map.basis[3, 4], given[3, 4, ::-1, :50], rtol=1e-3, atol=1e-2)


def test_seams_double_vertices_and_nothing_else_changes(textured, model):
    extra = len(textured.mean_shape) - len(model.mean_shape)
    assert extra > 5 and len(model.mean_shape) == VERTICES + 68
    np.testing.assert_array_equal(textured.mean_shape[:VERTICES], model.mean_shape[:VERTICES])
    doubled = slice(VERTICES, VERTICES + extra)
    np.testing.assert_array_equal(textured.mean_shape[textured.welded[doubled]], textured.mean_shape[doubled])
    np.testing.assert_array_equal(textured.welded[textured.triangles], model.triangles)
    assert np.ptp(textured.uv[textured.triangles][..., 0], axis=1).max() <= 0.5
    assert np.ptp(model.uv[model.triangles][..., 0], axis=1).max() > 0.9  # unrolled: one place for each vertex
    weights = np.random.default_rng(4).normal(0, 0.5, (1, COUNT)).astype(np.float32)
    weights[0, -5] = 0.3
    both = [Geometry(one)(weights)[0].numpy() for one in (textured, model)]
    np.testing.assert_allclose(both[0][:VERTICES], both[1][:VERTICES], atol=1e-5)
    np.testing.assert_allclose(both[0][textured.landmarks], both[1][model.landmarks], atol=1e-5)


def test_texels_are_averaged(flame_arrays, tmp_path):
    arrays = made_up_flame.make_texture(flame_arrays[0], size=16, components=3)
    np.savez(tmp_path / "texture.npz", **arrays)
    small = read_texture(tmp_path / "texture.npz", 2, 8)
    np.testing.assert_allclose(small.mean[0, 0], arrays["mean"][:2, :2].mean((0, 1))[::-1], rtol=1e-6)
    assert small.basis.shape == (8, 8, 3, 2)


# ---- the command ---------------------------------------------------------------------------------------------


def test_command(flame_folder, model, tmp_path, capsys):
    main(
        [
            "flame",
            "--source",
            str(flame_folder / "generic_model.pkl"),
            "--out",
            str(tmp_path / "flame.npz"),
            "--size",
            "16",
        ]
    )
    printed = capsys.readouterr().out
    assert "jaw_x, jaw_y, jaw_z, eye_pitch, eye_yaw (radians" in printed and "100 shape + 6 texture + 55" in printed
    assert (tmp_path / "flame.png").stat().st_size > 1000
    loaded = load_face_model(tmp_path / "flame.npz")
    assert loaded.checksum() == model.checksum() and loaded.manifest == model.manifest
    assert loaded.skeleton is not None
    np.testing.assert_array_equal(loaded.skeleton.parents, [-1, 0, 1, 1, 1])
    weights = np.random.default_rng(3).normal(0, 0.3, (1, COUNT)).astype(np.float32)
    np.testing.assert_array_equal(Geometry(loaded)(weights), Geometry(model)(weights))


def test_command_says_what_is_missing(flame_folder, tmp_path, capsys):
    alone = tmp_path / "generic_model.pkl"
    alone.symlink_to(flame_folder / "generic_model.pkl")
    with pytest.raises(FileNotFoundError, match=r"--landmarks: .* Expected DECA's landmark_embedding\.npy"):
        main(["flame", "--source", str(alone), "--out", str(tmp_path / "flame.npz")])
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz: expected FLAME's texture space"):
        main(
            ["flame", "--source", str(flame_folder / "generic_model.pkl"), "--texture", "nowhere.npz", "--out", "a.npz"]
        )
    with pytest.raises(SystemExit) as exit_:
        main(["ict", "--source", "x", "--out", "a.npz", "--texture", "FLAME_texture.npz"])
    assert exit_.value.code == 2 and "--texture goes with flame" in capsys.readouterr().err
