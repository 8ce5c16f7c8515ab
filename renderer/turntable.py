"""One turn of a head about its vertical axis, as an animated GIF or an MP4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from renderer.face_renderer import FaceRenderer
from renderer.files import atomic_path
from renderer.outputs import GREY, FaceDrawer, pictures

SUFFIXES = (".gif", ".mp4")
_PALETTE_FRAMES = 8


def turntable_rows(coefficients: np.ndarray, renderer: FaceRenderer, frames: int) -> np.ndarray:
    """[frames, size]: `coefficients` [size] turned by k/frames of a whole turn, so that the last meets the first.

    A face model turns about a point behind the face. Each row's translation moves the middle of the head back to the
    middle of the picture, at the distance where it was, so that the head turns on the spot.
    """
    layout = renderer.layout
    rows = np.tile(np.asarray(coefficients, np.float32), (frames, 1))
    rows[:, layout.slice("angles").start + 1] += 2 * np.pi * np.arange(frames) / frames
    shape = renderer.shape(tf.constant(rows[:1])).numpy()[0]
    middle = (shape.min(0) + shape.max(0)) / 2
    moved = renderer.pose(tf.tile(tf.constant(middle[None, None]), [frames, 1, 1]), tf.constant(rows)).numpy()[:, 0]
    translation = rows[:, layout.slice("translation")]
    translation[:, 0] -= moved[:, 0]
    translation[:, 2] -= moved[:, 2] - middle[2]
    return rows


def draw_turn(
    drawer: FaceDrawer, coefficients: np.ndarray, frames: int, background: tuple[int, int, int] = GREY
) -> Iterator[Image.Image]:
    """The frames of one turn of `coefficients` [size], RGB."""
    rows = turntable_rows(coefficients, drawer.renderer, frames)
    for start in range(0, frames, drawer.batch_size):
        for shown in pictures(drawer(rows[start : start + drawer.batch_size]), ("image",), background):
            yield shown["image"]


def check_writer(path: Path, size: int) -> None:
    """Raises ValueError, with what to do, if `write_film` could not write frames of `size` pixels to `path`."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"turntable: expected a file {' or '.join(SUFFIXES)}. Received: {path}")
    if path.suffix.lower() == ".mp4":
        if size % 2:
            raise ValueError(f"turntable: an .mp4 needs an even --size. Received: {size}")
        try:
            import av  # noqa: F401
        except ImportError:
            raise ModuleNotFoundError(
                "turntable: an .mp4 needs PyAV: pip install av (or discoface_tf2[video]), or write a .gif"
            ) from None


def write_film(path: Path, frames: Iterable[Image.Image], fps: int = 25) -> None:
    """Writes RGB `frames` of one size, an endless .gif or an .mp4 (H.264), atomically.

    A GIF's frames last whole hundredths of a second, so its `fps` is rounded to 100, 50, 33.3, 25, 20, …

    Raises:
        ValueError: see `check_writer`.
        ModuleNotFoundError: for an .mp4 without PyAV.
    """
    writer: Callable[[Path, Iterable[Image.Image], int], None] = (
        _write_mp4 if path.suffix.lower() == ".mp4" else _write_gif
    )
    with atomic_path(path) as temporary:
        writer(temporary, frames, fps)


def _write_gif(path: Path, frames: Iterable[Image.Image], fps: int) -> None:
    images = list(frames)
    # One palette for all frames: one of its own for each would make the colours flicker.
    some = images[:: max(1, len(images) // _PALETTE_FRAMES)]
    palette = Image.fromarray(np.concatenate([np.asarray(image) for image in some])).quantize(256)
    first, *rest = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    duration = 10 * max(1, round(100 / fps))  # milliseconds
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=duration, loop=0, optimize=False)


def _write_mp4(path: Path, frames: Iterable[Image.Image], fps: int) -> None:
    import av

    with av.open(str(path), "w", format="mp4") as film:
        stream = None
        for image in frames:
            if stream is None:
                stream = film.add_stream("libx264", rate=Fraction(fps), options={"crf": "18"})
                stream.width, stream.height, stream.pix_fmt = image.width, image.height, "yuv420p"
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")))
        if stream is not None:
            film.mux(stream.encode())
