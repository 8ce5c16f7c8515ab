from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from renderer.controls import Controls
from renderer.face_renderer import FaceRenderer
from renderer.files import save_png
from renderer.lights import LightSetup
from renderer.outputs import DEPTH_RANGE, OUTPUTS, FaceDrawer, pictures, sheet, thumbnail


def test_one_sample_a_pixel_draws_as_the_renderer(sphere, draw):
    coefficients = draw(sphere, 2)
    layers = FaceDrawer(sphere, 48, "face", supersample=1)(coefficients)
    rendering = FaceRenderer(sphere, 48, "face")(coefficients)
    np.testing.assert_allclose(layers.image, rendering.image, atol=1e-3)
    np.testing.assert_array_equal(layers.mask, rendering.mask)
    np.testing.assert_allclose(layers.landmarks, rendering.landmarks, atol=1e-4)


def test_supersampling_averages_what_is_covered(sphere, draw):
    coefficients = draw(sphere, 2)
    fine = FaceDrawer(sphere, 72, supersample=1)(coefficients)
    coarse = FaceDrawer(sphere, 24, supersample=3)(coefficients)

    def means(values):
        return values.reshape(2, 24, 3, 24, 3, -1).mean((2, 4))

    mask = means(fine.mask)
    np.testing.assert_allclose(coarse.mask, mask, atol=1e-6)
    assert ((mask > 0) & (mask < 1)).any()
    for name in ("image", "depth", "uv"):
        wanted = means(getattr(fine, name)) / np.maximum(mask, 1e-6)
        np.testing.assert_allclose(getattr(coarse, name), wanted, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(coarse.landmarks, fine.landmarks / 3, atol=1e-4)


def test_depth_normals_and_uv_of_a_plate(plate):
    flat = dataclasses.replace(
        plate,
        shape_basis=np.zeros_like(plate.shape_basis),
        uv=(plate.mean_shape[:, :2] / 1.2 + 0.5).astype(np.float32),
    )
    coefficients = Controls(yaw=30).apply(flat, np.zeros([1, flat.layout.size]))
    drawer = FaceDrawer(flat, 64, supersample=1)
    layers = drawer(coefficients)
    seen = layers.mask[0, ..., 0] > 0
    assert 200 < seen.sum() < 2000
    normal = np.array([np.sin(np.pi / 6), 0, np.cos(np.pi / 6)])  # yaw turns it to the picture's right
    np.testing.assert_allclose(layers.normals[0][seen], np.tile(normal, (seen.sum(), 1)), atol=1e-5)
    # The ray of each pixel cut with the plane n · p = 0, the exact answer.
    y, x = np.mgrid[31.5:-32:-1, -31.5:32]
    rays = np.stack([x / drawer.camera.focal, y / drawer.camera.focal, -np.ones_like(x)], -1)
    depth = -10 * normal[2] / (rays @ normal)
    np.testing.assert_allclose(layers.depth[0, ..., 0][seen], depth[seen], atol=1e-4)
    points = rays * depth[..., None] + [0, 0, 10]
    u = (points @ [np.cos(np.pi / 6), 0, -np.sin(np.pi / 6)]) / 1.2 + 0.5
    np.testing.assert_allclose(layers.uv[0][seen], np.stack([u, points[..., 1] / 1.2 + 0.5], -1)[seen], atol=1e-4)


def test_geometry_against_plain_numpy(sphere, draw):
    coefficients = draw(sphere, 2)
    arrays = FaceDrawer(sphere, 100, zoom=0.8).geometry(coefficients)
    groups = sphere.layout.split(coefficients.astype(float))
    focal = 0.8 * 1015 * 1.22 * 100 / 256
    for k in range(2):
        shape = sphere.mean_shape + sphere.shape_basis @ groups["shape"][k]
        shape = shape + sphere.expression_basis @ groups["expression"][k] - sphere.mean_shape.mean(0)
        (cx, cy, cz), (sx, sy, sz) = np.cos(groups["angles"][k]), np.sin(groups["angles"][k])
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        posed = shape @ (about_z @ about_y @ about_x).T + groups["translation"][k]
        projections = posed[:, :2] * (focal / (10 - posed[:, 2:])) + 50
        albedo = sphere.mean_texture + sphere.texture_basis @ groups["texture"][k]
        np.testing.assert_allclose(arrays["vertices"][k], shape, atol=1e-5)
        np.testing.assert_allclose(arrays["posed_vertices"][k], posed, atol=1e-5)
        np.testing.assert_allclose(arrays["projections"][k], projections, atol=1e-3)
        np.testing.assert_allclose(arrays["landmarks"][k], projections[sphere.landmarks], atol=1e-3)
        np.testing.assert_allclose(arrays["albedo"][k], albedo, atol=1e-3)
    lengths = np.linalg.norm(arrays["normals"], axis=-1)
    np.testing.assert_allclose(lengths[:, 41:-41], 1, atol=1e-5)  # between the poles
    np.testing.assert_array_equal(arrays["triangles"], sphere.triangles)
    assert arrays["colours"].shape == arrays["albedo"].shape


def ball(model, light, yaw=0.0):
    """The model evenly coloured, lit and drawn."""
    grey = dataclasses.replace(
        model,
        mean_texture=np.full_like(model.mean_texture, 128),
        texture_basis=np.zeros_like(model.texture_basis),
    )
    controls = Controls(yaw=yaw, lights=LightSetup.parse(light))
    return FaceDrawer(grey, 64)(controls.apply(grey, np.zeros([1, grey.layout.size]))).image[0].mean(-1)


@pytest.mark.parametrize("yaw", [0, 60])
def test_named_lights_brighten_the_side_of_the_picture_they_are_called_after(sphere, yaw):
    halves = {
        "left": (np.s_[:, :32], np.s_[:, 32:]),
        "right": (np.s_[:, 32:], np.s_[:, :32]),
        "top": (np.s_[:32], np.s_[32:]),
        "bottom": (np.s_[32:], np.s_[:32]),
        "top-left": (np.s_[:32, :32], np.s_[32:, 32:]),
        "bottom-right": (np.s_[32:, 32:], np.s_[:32, :32]),
    }
    for name, (near, far) in halves.items():  # wherever the head looks
        image = ball(sphere, f"{name}=0.6", yaw)
        assert image[near].mean() > 1.3 * image[far].mean(), name
    front, back = ball(sphere, "front=0.6"), ball(sphere, "back=0.6")
    assert front[28:36, 28:36].mean() > 1.5 * front[28:36, 3:6].mean()
    assert back[28:36, 28:36].mean() < 0.5 * front[28:36, 28:36].mean()


def test_pictures_modes_and_backgrounds(sphere):
    layers = FaceDrawer(sphere, 64)(
        Controls(lights=LightSetup.parse("front")).apply(sphere, np.zeros([1, sphere.layout.size]))
    )
    shown = pictures(layers, OUTPUTS, (255, 0, 0))[0]
    assert {name: image.mode for name, image in shown.items()} == {
        "image": "RGB", "normals": "RGB", "depth": "I;16", "uv": "RGB", "mask": "L", "landmarks": "RGB",
    }  # fmt: skip
    assert shown["image"].getpixel((0, 0)) == (255, 0, 0)
    assert shown["normals"].getpixel((0, 0)) == (0, 0, 0)
    assert shown["depth"].getpixel((0, 0)) == 0
    x, y, z = shown["normals"].getpixel((32, 32))
    assert abs(x - 128) < 16 and abs(y - 128) < 16 and z > 250  # the ball's seam is in the middle
    near, far = DEPTH_RANGE
    assert far - (far - near) * shown["depth"].getpixel((32, 32)) / 65535 == pytest.approx(9.1, abs=0.03)
    clear = pictures(layers, ("image", "landmarks"), None)[0]
    assert clear["image"].getpixel((0, 0)) == (0, 0, 0, 0)
    assert clear["image"].getpixel((32, 32)) == (*shown["image"].getpixel((32, 32)), 255)
    alpha = np.asarray(clear["image"])[..., 3]
    np.testing.assert_array_equal(alpha, np.asarray(shown["mask"]))
    assert len(np.unique(alpha)) > 3  # edges are smooth
    with pytest.raises(ValueError, match=r"outputs: expected some of image, .* Received: 'dept'"):
        pictures(layers, ("dept",))


def test_landmarks_are_drawn_where_they_are(sphere):
    layers = FaceDrawer(sphere, 200)(np.zeros([1, sphere.layout.size]))
    plain, marked = (np.asarray(image, float) for image in pictures(layers, ("image", "landmarks"))[0].values())
    changed = np.abs(marked - plain).sum(-1)
    for x, y in layers.landmarks[0]:
        column, row = int(x), int(200 - y)
        assert changed[row - 1 : row + 2, column - 1 : column + 2].max() > 60
    assert (changed == 0).mean() > 0.3


def test_sheet_and_files(tmp_path):
    cell = Image.fromarray(np.full([20, 20], 30_000, np.uint16))
    small = thumbnail(cell, 10)
    assert (small.size, small.mode) == ((10, 10), "L")
    made = sheet([[small, small], [small]], [["a", "b"], ["c"]])
    assert made.size == (20, 2 * 26)
    enlarged = sheet([[small, small]], [["a", "b"]], title="two", side=25)
    assert enlarged.size == (60, 16 + 46)
    np.testing.assert_array_equal(np.asarray(enlarged)[16:46, 30:, 0], np.asarray(small.resize((30, 30))))
    save_png(made, tmp_path / "deeper" / "sheet.png")
    with Image.open(tmp_path / "deeper" / "sheet.png") as opened:
        np.testing.assert_array_equal(np.asarray(opened), np.asarray(made))
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["sheet.png"]


@pytest.mark.parametrize("options", [{"size": 0}, {"supersample": 0}, {"zoom": 0}, {"part": "nose"}])
def test_wrong_options(sphere, options):
    with pytest.raises(ValueError, match="Received"):
        FaceDrawer(sphere, **options)
