from __future__ import annotations

import math

import numpy as np
import pytest

from renderer import Camera


def test_generator_camera_has_the_published_field_of_view_at_any_size():
    for size in (32, 64, 256, 1024):
        assert Camera.generator(size).field_of_view == pytest.approx(2 * math.atan(128 / (1015 * 1.22)))


def test_reconstruction_camera():
    camera = Camera.reconstruction()
    assert (camera.image_size, camera.focal) == (224, 1015)
    # One decimetre up and half a decimetre nearer, by hand: 112 + 1015 · 1 / 9.5.
    np.testing.assert_allclose(camera.project(np.array([0, 1, 0.5], np.float32)), [112, 112 + 1015 / 9.5], rtol=1e-6)


@pytest.mark.parametrize("camera", [Camera.generator(64), Camera.reconstruction(), Camera(100, 300.0, 4.0)])
def test_projection_agrees_with_the_clip_matrix(camera):
    points = np.random.default_rng(0).uniform(-1, 1, [50, 3]).astype(np.float32)
    clip = np.c_[points, np.ones(50)] @ camera.view_projection().numpy().T
    pixels = (clip[:, :2] / clip[:, 3:] + 1) / 2 * camera.image_size
    np.testing.assert_allclose(camera.project(points), pixels, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("arguments", [(0, 100.0), (64, 0.0), (64, 100.0, 0.0)])
def test_impossible_cameras_are_refused(arguments):
    with pytest.raises(ValueError, match="camera: expected"):
        Camera(*arguments)
