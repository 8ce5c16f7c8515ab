from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from renderer.outputs import FaceDrawer
from renderer.turntable import check_writer, draw_turn, turntable_rows, write_film


def frames(count: int, side: int = 32) -> list[Image.Image]:
    """A bar that wanders over a gradient of few colours."""
    images = []
    for k in range(count):
        pixels = np.zeros([side, side, 3], np.uint8)
        pixels[..., 1] = np.arange(side) * 4
        pixels[:, k * side // count : (k + 2) * side // count] = (200, 40, 40)
        images.append(Image.fromarray(pixels))
    return images


def test_a_turn_is_even_and_meets_its_start(sphere, draw):
    drawer = FaceDrawer(sphere, 32)
    start = draw(sphere, 1)[0]
    rows = turntable_rows(start, drawer.renderer, 12)
    groups, own = sphere.layout.split(rows), sphere.layout.split(start)
    np.testing.assert_allclose(np.diff(groups["angles"][:, 1]), np.pi / 6, atol=1e-6)
    np.testing.assert_array_equal(groups["angles"][:, [0, 2]], np.tile(own["angles"][[0, 2]], (12, 1)))
    np.testing.assert_array_equal(groups["lighting"], np.tile(own["lighting"], (12, 1)))
    again = turntable_rows(rows[0], drawer.renderer, 12)  # row 0 stands where the others do
    np.testing.assert_allclose(drawer.geometry(again[:1])["vertices"], drawer.geometry(rows[:1])["vertices"], atol=1e-6)


def test_the_head_turns_on_the_spot(sphere):
    drawer = FaceDrawer(sphere, 32)
    start = np.zeros(sphere.layout.size, np.float32)
    start[sphere.layout.slice("shape")] = 2
    posed = drawer.geometry(turntable_rows(start, drawer.renderer, 8))["posed_vertices"]
    # The box's middle in the first frame; afterwards every point circles about the vertical through it.
    middle = (posed[0].min(0) + posed[0].max(0)) / 2
    assert abs(middle[0]) < 1e-5
    radii = np.linalg.norm((posed - middle)[..., [0, 2]], axis=-1)
    np.testing.assert_allclose(radii, np.tile(radii[0], (8, 1)), atol=1e-5)


def test_frames_go_round_smoothly(sphere):
    start = np.zeros(sphere.layout.size, np.float32)
    images = [np.asarray(image, float) for image in draw_turn(FaceDrawer(sphere, 32), start, 24)]
    assert len(images) == 24
    steps = [np.abs(images[k] - images[k - 1]).mean() for k in range(24)]  # with the last to the first
    assert min(steps) > 0
    assert max(steps) < 2.5 * np.median(steps)


def test_gif(tmp_path):
    path, images = tmp_path / "new" / "turn.gif", frames(12)
    write_film(path, images, fps=25)
    with Image.open(path) as film:
        assert (film.n_frames, film.info["duration"], film.info["loop"]) == (12, 40, 0)
        for k, image in enumerate(images):
            film.seek(k)
            assert np.abs(np.asarray(film.convert("RGB"), float) - np.asarray(image)).max() <= 8
    assert [file.name for file in path.parent.iterdir()] == ["turn.gif"]


def test_mp4(tmp_path):
    av = pytest.importorskip("av", reason="PyAV is an optional extra")
    path, images = tmp_path / "turn.mp4", frames(12, side=64)
    write_film(path, images, fps=20)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.average_rate, stream.codec_context.name) == (20, "h264")
        shown = [frame.to_ndarray(format="rgb24").astype(float) for frame in film.decode(stream)]
    assert len(shown) == 12
    for k, image in enumerate(images):
        assert np.abs(shown[k] - np.asarray(image)).mean() < 8


def test_a_film_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "turn.gif"
    path.write_bytes(b"before")

    def broken():
        yield from frames(2)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_film(path, broken())
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("turn.gif", b"before")]


def test_what_cannot_be_written_is_said_before_drawing(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"\.gif or \.mp4"):
        check_writer(tmp_path / "turn.avi", 64)
    with pytest.raises(ValueError, match="even"):
        check_writer(tmp_path / "turn.mp4", 65)
    check_writer(tmp_path / "turn.gif", 65)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError, match="pip install av"):
        check_writer(tmp_path / "turn.mp4", 64)
