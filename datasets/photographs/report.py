"""The status of each photograph: `report.csv` for programs, `report.html`, its pages and pictures for people."""

from __future__ import annotations

import csv
import html
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from datasets.alignment import FrameBox
from datasets.photographs.files import write_bytes
from datasets.photographs.journal import FaceStatus, Status
from renderer.face_model import FaceModel
from renderer.face_renderer import FaceRenderer

PAGE = 200  # faces a page: a browser opens it at once, and a report of 70,000 has 350
_NUMBERS = ("pitch", "yaw", "roll", "left", "top", "side", *(f"{axis}{k}" for k in range(1, 6) for axis in "xy"))
_COLUMNS = ("name", "face", "width", "height", "status", "reason", "landmarks_from", "confidence", "coefficients",
            "disagreement", *_NUMBERS, "file", "seconds")  # fmt: skip
_STYLE = """
body { font: 14px sans-serif; margin: 1.5em; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: 2px 10px 2px 0; text-align: left; vertical-align: top }
figure { display: inline-block; margin: 0 12px 12px 0; vertical-align: top; width: 384px }
figure img { display: block; max-width: 384px; min-height: 60px; background: #eee }
figcaption { overflow-wrap: anywhere; font-size: 12px } .bad { color: #a00 } a { margin-right: .4em }
"""
_LEGEND = (
    "Each strip: the photograph with its landmarks (red) and the frame (yellow); the aligned face with the face "
    "model's landmarks (green); the render of the coefficients, over it."
)

_MARGIN = 1.5  # the photograph is shown this many times as wide as the reconstruction crop
_DOT = 0.012  # radius of a landmark, of the picture's side
_GIVEN, _MODEL, _FRAME = (255, 40, 40), (60, 255, 120), (255, 220, 0)
_FIVE = (36, 39, 42, 45, 30, 48, 54)  # the model's landmarks that the five are made of


def write_report(folder: Path, statuses: Sequence[Status], others: Counter[str] | None = None) -> None:
    """Writes `report.csv`, `report.html` and `report/page-0001.html`, … into `folder`.

    Pictures are loaded as they come into view. Rejected photographs have pages of their own, which come first. Raises
    TargetError when the folder cannot be written to.
    """
    write_bytes(folder / "report.csv", _table(statuses).encode("utf-8-sig"))
    rejected = [_rejected(status) for status in statuses if not status.faces]
    used = [_used(face, status) for status in statuses for face in status.faces]
    pages = [*_pages(rejected, "rejected"), *_pages(used, "page")]
    for number, (name, title, figures) in enumerate(pages):
        around = " ".join(
            f'<a href="{pages[other][0]}">{word}</a>'
            for other, word in ((number - 1, "before"), (number + 1, "next"))
            if 0 <= other < len(pages)
        )
        navigation = f'<p><a href="../report.html">all pages</a> {around}</p>'
        body = f"<h1>{title}</h1><p>{_LEGEND}</p>{navigation}{''.join(figures)}{navigation}"
        write_bytes(folder / "report" / name, _document(title, body))
    wanted = {name for name, _, _ in pages}
    for path in (folder / "report").glob("*.html"):
        if path.name not in wanted:  # of a longer report
            path.unlink()
    write_bytes(folder / "report.html", _document("Photographs", _summary(statuses, pages, others or Counter())))


def _kind(reason: str) -> str:
    """A reason without the numbers and names that do not tell it apart from others."""
    short = re.sub(r" \(.*\)", "", re.sub(r"^\S+\.txt: ", "landmarks: ", reason))
    return " ".join(re.sub(r"-?\d[\d.,×]*", "#", short).split())


def _table(statuses: Sequence[Status]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    for status in statuses:
        known = {"name": status.name, "width": status.width, "height": status.height, "seconds": status.seconds}
        if not status.faces:
            writer.writerow({**known, "status": "rejected", "reason": status.reason})
        for face in status.faces:
            numbers = dict(zip(_NUMBERS, (*face.angles, *face.box, *face.landmarks), strict=True))
            found = {key: getattr(face, key) for key in ("confidence", "coefficients", "disagreement", "file")}
            found |= {"face": face.name, "status": "used", "landmarks_from": face.source}
            writer.writerow({**known, **found, **numbers})
    return text.getvalue()


def _used(face: FaceStatus, status: Status) -> str:
    pitch, yaw, roll = face.angles
    known = {"network": "coefficients by the network", "none": "coefficients unknown"}.get(
        face.coefficients, "pose by the landmarks, the rest by the network"
    )
    found = "given landmarks" if face.source == "given" else f"detected ({face.confidence:.3f})"
    words = (
        f"{status.width}×{status.height}, {found}; {known}; pose {pitch:.0f}°, {yaw:.0f}°, {roll:.0f}°; "
        f"disagreement {face.disagreement:.0%} of the eye distance"
    )
    return _figure(face.thumbnail, f"<b>{html.escape(face.name)}</b><br>{html.escape(words)}")


def _rejected(status: Status) -> str:
    size = f" ({status.width}×{status.height})" if status.width else ""
    words = f'<b>{html.escape(status.name)}</b>{size}<br><span class="bad">{html.escape(status.reason)}</span>'
    return _figure(status.thumbnail, words)


def _figure(picture: str, words: str) -> str:
    image = f'<img loading="lazy" src="../{quote(picture)}" alt="">' if picture else ""
    return f"<figure>{image}<figcaption>{words}</figcaption></figure>\n"


def _pages(figures: Sequence[str], stem: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(file name, title, figures) of each page."""
    for number, first in enumerate(range(0, len(figures), PAGE), 1):
        last = min(first + PAGE, len(figures))
        what = "Rejected" if stem == "rejected" else "Faces"
        yield f"{stem}-{number:04d}.html", f"{what} {first + 1} to {last} of {len(figures)}", figures[first:last]


def _summary(statuses: Sequence[Status], pages: Sequence[tuple[str, str, Sequence[str]]], others: Counter[str]) -> str:
    faces = [face for status in statuses for face in status.faces]
    rows = {
        "photographs": len(statuses),
        "with a face": sum(bool(status.faces) for status in statuses),
        "rejected": sum(not status.faces for status in statuses),
        "faces": len(faces),
    }
    rows |= sorted(Counter(f"landmarks {face.source}" for face in faces).items())
    rows |= sorted(Counter(f"coefficients: {face.coefficients}" for face in faces).items())
    rows |= {f"files of other kinds ({kind}), left out": count for kind, count in sorted(others.items())}
    table = "".join(f"<tr><td>{html.escape(key)}</td><td>{value}</td></tr>" for key, value in rows.items())
    reasons = Counter(_kind(status.reason) for status in statuses if not status.faces)
    why = "".join(f"<tr><td>{n}</td><td>{html.escape(reason)}</td></tr>" for reason, n in reasons.most_common())
    why = f"<h2>Why photographs were rejected</h2><table>{why}</table>" if why else ""
    links = "".join(f'<li><a href="report/{name}">{title}</a></li>' for name, title, _ in pages)
    return (
        f'<h1>Photographs</h1><table>{table}</table>{why}<h2>Pages</h2><ul>{links}</ul><p><a href="report.csv">'
        "report.csv</a> has one row for each face, and one for each rejected photograph.</p>"
    )


def _document(title: str, body: str) -> bytes:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    return f"{head}<style>{_STYLE}</style>{body}</html>\n".encode()


class Illustrator:
    """Plots a strip of three square images as a JPEG file.

    First the photograph with the given or detected landmarks (red) and the frame (yellow); then the aligned face with
    the model's landmarks (green); then the render of the coefficients, over the aligned face.
    """

    def __init__(self, model: FaceModel, size: int):
        self.size = size
        renderer = FaceRenderer(model, size)
        coefficients = tf.TensorSpec([1, model.layout.size], tf.float32)

        def render(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            rendering = renderer(values)
            return rendering.image, rendering.mask, rendering.landmarks

        self._render = tf.function(render, input_signature=[coefficients])

    def __call__(
        self,
        image: Image.Image,
        landmarks: np.ndarray,
        seen: FrameBox,
        frame: FrameBox,
        aligned: np.ndarray,
        coefficients: np.ndarray,
    ) -> bytes:
        """The strip [size, 3 · size] of a face.

        image: the photograph. landmarks: [5, 2] of it. seen, frame: its reconstruction crop and the generator's.
        aligned: [H, W, 3] uint8. coefficients: [size].
        """
        size = self.size
        side = seen.side * _MARGIN
        shift = (side - seen.side) / 2
        around = FrameBox(seen.left - shift, seen.top - shift, side)
        first = _part(image, around, size)
        pen = ImageDraw.Draw(first)
        corners = around.to_frame(np.array([[frame.left, frame.top]]), size)[0]
        pen.rectangle((*corners, *(corners + frame.side * size / side)), outline=_FRAME)
        _dots(pen, around.to_frame(landmarks, size), _GIVEN, size)
        second = Image.fromarray(aligned).resize((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        rendered, mask, points = (value[0].numpy() for value in self._render(coefficients[None].astype(np.float32)))
        over = np.where(mask > 0, rendered, np.asarray(second)).clip(0, 255).astype(np.uint8)
        _dots(ImageDraw.Draw(second), points[list(_FIVE)] * (1, -1) + (0, size), _MODEL, size)
        strip = Image.new("RGB", (3 * size, size))
        for number, picture in enumerate((first, second, Image.fromarray(over))):
            strip.paste(picture, (number * size, 0))
        return _jpeg(strip)

    def plain(self, image: Image.Image) -> bytes:
        """A small copy of a photograph in which nothing was found."""
        image = image.copy()
        image.thumbnail((3 * self.size, self.size), Image.Resampling.BILINEAR)
        return _jpeg(image)


def _part(image: Image.Image, box: FrameBox, size: int) -> Image.Image:
    """A square of a photograph, black where there is none."""
    factor = max(1, int(box.side / size))  # the transform itself does not average
    corners = np.array([box.left, box.top, box.left + box.side, box.top + box.side]) / factor
    extent = tuple(corners.tolist())
    return image.reduce(factor).transform((size, size), Image.Transform.EXTENT, extent, Image.Resampling.BILINEAR)


def _dots(pen: ImageDraw.ImageDraw, points: np.ndarray, colour: tuple[int, int, int], size: int) -> None:
    radius = max(1.0, _DOT * size)
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
