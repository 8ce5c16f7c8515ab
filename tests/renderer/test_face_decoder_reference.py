"""Every intermediate against the numbers that the reference code computes from a made-up face model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from renderer import Camera, FaceModel, FaceRenderer
from renderer.lighting import shade
from renderer.normals import vertex_normals
from renderer.pose import rotation_matrix

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "reference" / "face_decoder"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the reference's numbers are not here: {FOLDER}")


def read_model() -> FaceModel:
    """`model.mat`, in the layout of the reference's `BFM_model_front_gan.mat`."""
    stored = scipy.io.loadmat(str(FOLDER / "model.mat"))
    count = stored["meanshape"].size // 3

    def vertices(key: str) -> np.ndarray:
        return stored[key].reshape(count, 3, -1).astype(np.float32)

    identity, expression, texture = vertices("idBase"), vertices("exBase"), vertices("texBase")
    triangles = stored["tri"].astype(np.int32) - 1
    drawn = {tuple(triangle) for triangle in stored["gan_tl"] - 1}
    return FaceModel(
        mean_shape=vertices("meanshape")[..., 0],
        shape_basis=identity,
        shape_std=np.ones(identity.shape[-1], np.float32),
        expression_basis=expression,
        expression_std=np.ones(expression.shape[-1], np.float32),
        mean_texture=vertices("meantex")[..., 0],
        texture_basis=texture,
        texture_std=np.ones(texture.shape[-1], np.float32),
        triangles=triangles,
        landmarks=stored["keypoints"].ravel().astype(np.int32) - 1,
        region=np.zeros(count, np.int32),
        uv=np.zeros([count, 2], np.float32),
        face_triangles=np.array([tuple(triangle) in drawn for triangle in triangles]),
        region_names=("skin",),
        shape_names=tuple(f"shape {i}" for i in range(identity.shape[-1])),
        texture_names=tuple(f"texture {i}" for i in range(texture.shape[-1])),
        expression_names=tuple(f"expression {i}" for i in range(expression.shape[-1])),
        name="reference",
    )


@pytest.fixture(scope="module")
def renderer() -> FaceRenderer:
    return FaceRenderer(read_model(), 256)


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "expected.npz") as stored:
        return dict(stored)


def assert_close(found, wanted) -> None:
    """Within 1e-4 of the largest value."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


def test_shape(renderer, expected):
    assert_close(renderer.shape(expected["coeff"]), expected["shape"])


def test_texture(renderer, expected):
    assert_close(renderer.texture(expected["coeff"]), expected["texture"])


def test_rotation(renderer, expected):
    angles = expected["coeff"][:, renderer.layout.slice("angles")]
    assert_close(np.transpose(rotation_matrix(angles), [0, 2, 1]), expected["rotation_T"])


def test_normals(renderer, expected):
    assert_close(vertex_normals(expected["shape"], renderer.adjacency), expected["normal"])
    assert_close(renderer.normals(expected["coeff"], renderer.shape(expected["coeff"])), expected["normal_rotated"])


def test_pose(renderer, expected):
    assert_close(renderer.vertices(expected["coeff"]), expected["shape_posed"])


def test_colours(renderer, expected):
    assert_close(renderer.colours(expected["coeff"], renderer.shape(expected["coeff"])), expected["color"])
    gamma = expected["coeff"][:, renderer.layout.slice("lighting")]
    assert_close(shade(expected["texture"], expected["normal_rotated"], gamma), expected["color"])


def test_projection(renderer, expected):
    assert_close(renderer.camera.project(expected["shape_posed"]), expected["projection_256"])


def test_landmarks_of_both_cameras(renderer, expected):
    assert_close(renderer.landmarks(expected["coeff"]), expected["landmarks_256"])
    assert_close(renderer.landmarks(expected["coeff"], Camera.reconstruction()), expected["landmarks_224"])
