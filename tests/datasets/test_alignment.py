from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datasets.alignment import (
    FrameBox,
    align,
    fit_weak_perspective,
    five_landmarks,
    generator_box,
    read_landmarks,
    reconstruction_box,
)
from renderer import load_face_model
from renderer.camera import Camera
from renderer.face_renderer import FaceRenderer
from renderer.pose import rotation_matrix

# A plausible face in decimetres: eyes, nose tip, mouth corners.
FACE = np.array([[-0.31, 0.29, 0.15], [0.31, 0.29, 0.15], [0, -0.05, 0.55], [-0.25, -0.38, 0.22], [0.25, -0.38, 0.22]])


def _rotation(pitch: float, yaw: float, roll: float) -> np.ndarray:
    return np.asarray(rotation_matrix(tf.constant([[pitch, yaw, roll]], tf.float32))[0], np.float64)


def _photograph(points: np.ndarray, size: tuple[int, int], radius: float) -> Image.Image:
    """Black, with a white blob at each of `points` (x, y down, continuous)."""
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    blobs = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * radius**2)) for u, v in points)
    return Image.fromarray((255 * np.clip(blobs, 0, 1) + 0.5).astype(np.uint8)).convert("RGB")


def _centroids(pixels: np.ndarray, near: np.ndarray, reach: float) -> np.ndarray:
    x, y = np.meshgrid(*(np.arange(pixels.shape[0]) + 0.5,) * 2)
    found = []
    for u, v in near:
        weight = pixels[..., 0] * ((x - u) ** 2 + (y - v) ** 2 < reach**2)
        found.append([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()])
    return np.array(found)


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.2, -0.5, 0.3), (-0.3, 0.7, -1.0), (0, 0, 3.0)])
def test_pos_recovers_scale_and_translation(angles: tuple[float, float, float]) -> None:
    picture = 87.0 * (FACE @ _rotation(*angles).T)[:, :2] + (140.0, -95.0)
    scale, translation = fit_weak_perspective(picture, FACE)
    assert scale == pytest.approx(87.0, rel=1e-5)
    np.testing.assert_allclose(translation, [140, -95], atol=1e-3)


def test_points_without_a_projection() -> None:
    picture = 80 * FACE[:, :2]
    with pytest.raises(ValueError, match="flipped or in another order"):
        fit_weak_perspective(picture * (-1, 1), FACE)
    with pytest.raises(ValueError, match="flipped or in another order"):
        fit_weak_perspective(picture[[1, 0, 2, 4, 3]], FACE)
    for degenerate in (np.zeros((5, 2)), picture * (1, 0)):
        with pytest.raises(ValueError, match="on one line or in one point"):
            fit_weak_perspective(degenerate, FACE)
    with pytest.raises(ValueError, match="4 or more pairs"):
        fit_weak_perspective(picture[:3], FACE[:3])


def test_a_photograph_in_the_generators_frame_already_is_left_alone() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    np.testing.assert_array_equal(align(Image.fromarray(noise), FrameBox(0.0, 0.0, 256.0), 256), noise)


@pytest.mark.parametrize("zoom", [0.4, 1.0, 2.7, 9.0])
def test_off_scale_photograph_puts_the_landmarks_where_the_camera_sees_them(zoom: float) -> None:
    """Through the pixels: blobs at another scale and place come out where the camera projects the face."""
    size = 64
    expected = Camera.generator(size).project(FACE) * (1, -1) + (0, size)  # y down
    points = zoom * expected + (31.3, 12.7)
    image = _photograph(points, (int(64 * zoom) + 70, int(64 * zoom) + 50), radius=1.5 * zoom)
    box = FrameBox(31.3, 12.7, size * zoom)
    np.testing.assert_allclose(box.to_frame(points, size), expected, atol=1e-6)
    np.testing.assert_allclose(_centroids(align(image, box, size), expected, reach=5), expected, atol=0.15)


def test_render_at_another_scale_is_brought_back_to_the_generators_render() -> None:
    """The built-in face, drawn large in a corner of a canvas, aligned, against its render at 64 pixels."""
    model = load_face_model("builtin")
    coefficients = np.zeros((1, model.layout.size), np.float32)
    large, small = (FaceRenderer(model, size)(coefficients) for size in (160, 64))
    canvas = np.zeros((300, 400, 3), np.uint8)
    canvas[90:250, 215:375] = np.asarray(large.image[0]).clip(0, 255)
    points = five_landmarks(np.asarray(large.landmarks[0])) * (1, -1) + (215, 90 + 160)
    box = FrameBox(215.0, 90.0, 160.0)
    expected = five_landmarks(np.asarray(small.landmarks[0])) * (1, -1) + (0, 64)
    np.testing.assert_allclose(box.to_frame(points, 64), expected, atol=0.05)
    aligned = align(Image.fromarray(canvas), box, 64).astype(np.float32)
    inside = np.asarray(small.mask[0, ..., 0]) > 0
    assert np.abs(aligned - np.asarray(small.image[0]))[inside].mean() < 12  # one render is sampled finer


def test_border_is_mirrored_and_the_photograph_untouched() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
    aligned = align(Image.fromarray(pixels), FrameBox(-20.0, -15.0, 80.0), 80)
    np.testing.assert_array_equal(aligned[15:55, 20:70], pixels)
    np.testing.assert_allclose(aligned[14, 20:70], pixels[0], atol=48)  # the nearest row is hardly blurred yet
    assert aligned[:3].std() < 0.5 * pixels.std()
    assert aligned.min(axis=(0, 1)).max() < 60  # no black or white filling: the border has the picture's range
    constant = align(Image.new("RGB", (40, 30), (10, 200, 90)), FrameBox(-30.0, -30.0, 100.0), 64)
    assert (constant == (10, 200, 90)).all()


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    aligned = align(Image.fromarray(stripes), FrameBox(1.3, 0.4, 890.0), 64)
    assert np.abs(aligned.astype(int) - 127).max() <= 3


def test_boxes_away_from_the_photograph() -> None:
    image = Image.new("RGB", (100, 100))
    for box in (FrameBox(200, 0, 50), FrameBox(-1e4, -1e4, 2e4), FrameBox(10, 10, 0.5)):
        with pytest.raises(ValueError, match=r"ask for a square of .* inside the photograph of 100×100"):
            align(image, box, 64)


def test_five_landmarks_are_the_middles_of_the_eyes_the_nose_tip_and_the_corners_of_the_mouth() -> None:
    points = np.random.default_rng(0).normal(size=(68, 3))
    expected = [(points[36] + points[39]) / 2, (points[42] + points[45]) / 2, points[30], points[48], points[54]]
    np.testing.assert_allclose(five_landmarks(points), expected, atol=1e-12)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=2), min_size=5, max_size=5))
def test_landmark_files_round_trip(tmp_path_factory: pytest.TempPathFactory, points: list[list[float]]) -> None:
    path = tmp_path_factory.getbasetemp() / "points.txt"
    path.write_text("\n".join(f"{x!r}\t{y!r} " for x, y in points) + "\n\n")
    np.testing.assert_array_equal(read_landmarks(path), points)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Received: 0 lines of no words"),
        (b"1 2\n3 4\n5 6\n7 8\n", "Received: 4 lines of 2 words"),
        (b"1 2\n3 4\n5 6\n7 8\n9 10 11\n", "Received: 5 lines of 2 or 3 words"),
        (b"1 2\n3 4\n5 six\n7 8\n9 10\n", "could not convert string to float"),
        (b"1 2\n3 4\n5 nan\n7 8\n9 10\n", "finite"),
        (b"\xff\xfe\x00\x81", "a binary file"),
    ],
)
def test_bad_landmark_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "face.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_landmarks(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="expected 5 lines"):
        read_landmarks(path)


@pytest.mark.parametrize("translation", [(0, 0, 0), (0.3, -0.2, 0), (-0.1, 0.4, 1.2), (0.2, 0.1, -0.9)])
def test_generators_crop_takes_the_translation_away(translation: tuple[float, float, float]) -> None:
    """Points in the plane of the origin: exact, since there the projection is a similarity."""
    flat = FACE * (1, 1, 0)
    theirs, ours = Camera.reconstruction(), Camera.generator(256)
    seen = FrameBox(31.0, -7.0, 500.0)
    crop = theirs.project(flat + translation) * (1, -1) + (0, 224)
    photograph = np.asarray(crop) * (500 / 224) + (31, -7)
    frame = generator_box(seen, np.array(translation)).to_frame(photograph, 256)
    np.testing.assert_allclose(frame, ours.project(flat) * (1, -1) + (0, 256), atol=1e-6)


def test_generators_crop_is_the_references_formula() -> None:
    """Shift (−f·tx/(10−tz), +f·ty/(10−tz)) of a 512-pixel crop, scale 1.22·224/512·(10−tz)/10, middle 256 pixels."""
    tx, ty, tz = 0.25, -0.15, 0.7
    focal = 1015 * 512 / 224
    scale = 1.22 * 224 / 512 * (10 - tz) / 10
    point = np.array([300.0, 180.0])  # of the crop, y down
    shifted = point + np.array([-focal * tx, focal * ty]) / (10 - tz)
    expected = (shifted - 256) * scale + 128
    box = generator_box(FrameBox(0, 0, 512), np.array([tx, ty, tz]))
    np.testing.assert_allclose(box.to_frame(point[None], 256)[0], expected, atol=1e-9)
    with pytest.raises(ValueError, match="behind the camera"):
        generator_box(FrameBox(0, 0, 512), np.array([0, 0, 11.0]))


def test_reconstruction_crop_has_102_pixels_a_decimetre_and_the_origin_in_its_middle() -> None:
    turned = FACE @ _rotation(0.2, -0.4, 0.3).T
    picture = (70.0 * turned[:, :2] + (400, -310)) * (1, -1)
    box = reconstruction_box(picture, FACE)
    assert box.side == pytest.approx(224 * 70 / 102, rel=1e-5)
    np.testing.assert_allclose(box.to_frame(np.array([[400, 310]]), 224), [[112, 112]], atol=1e-3)
