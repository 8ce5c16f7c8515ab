"""What became of each photograph: `report.csv` for programs, `report.html` and its pages for people."""

from __future__ import annotations

import csv
import html
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from datasets.photographs.outcome import FaceOutcome, Outcome
from datasets.photographs.target import write_bytes

PAGE = 200  # faces a page: a browser opens it at once, and a report of 70,000 has 350
_COLUMNS = (
    "name", "face", "width", "height", "status", "reason", "landmarks_from", "confidence",
    "coefficients", "disagreement", "pitch", "yaw", "roll", "left", "top", "side",
    *(f"{axis}{number}" for number in range(1, 6) for axis in "xy"), "file", "seconds",
)  # fmt: skip
_STYLE = """
body { font: 14px sans-serif; margin: 1.5em; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: 2px 10px 2px 0; text-align: left; vertical-align: top }
figure { display: inline-block; margin: 0 12px 12px 0; vertical-align: top; width: 384px }
figure img { display: block; max-width: 384px; min-height: 60px; background: #eee }
figcaption { overflow-wrap: anywhere; font-size: 12px } .bad { color: #a00 } a { margin-right: .4em }
"""
_LEGEND = (
    "Each strip: the photograph with its landmarks (red) and the frame (yellow); the aligned face with the face "
    "model's landmarks (green); the face that the renderer draws of the coefficients, over it."
)


def write_report(folder: Path, outcomes: Sequence[Outcome], others: Counter[str] | None = None) -> None:
    """Writes `report.csv`, `report.html` and `report/page-0001.html`, … into `folder`.

    Pictures are loaded as they come into view. Rejected photographs have pages of their own, which come first. Raises
    TargetError when the folder cannot be written to.
    """
    write_bytes(folder / "report.csv", _table(outcomes).encode("utf-8-sig"))
    rejected = [_rejected(outcome) for outcome in outcomes if not outcome.faces]
    used = [_used(face, outcome) for outcome in outcomes for face in outcome.faces]
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
    write_bytes(folder / "report.html", _document("Photographs", _summary(outcomes, pages, others or Counter())))


def reasons(outcomes: Sequence[Outcome]) -> Counter[str]:
    """How many photographs were rejected for each reason; numbers and names in a reason do not tell it apart."""
    return Counter(_kind(outcome.reason) for outcome in outcomes if not outcome.faces)


def _kind(reason: str) -> str:
    short = re.sub(r" \(.*\)", "", re.sub(r"^\S+\.txt: ", "landmarks: ", reason))
    return " ".join(re.sub(r"-?\d[\d.,×]*", "#", short).split())


def _table(outcomes: Sequence[Outcome]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for outcome in outcomes:
        begin = [outcome.name, "", outcome.width, outcome.height]
        if not outcome.faces:
            gap = len(_COLUMNS) - len(begin) - 3
            writer.writerow([*begin, "rejected", outcome.reason, *[""] * gap, outcome.seconds])
        for face in outcome.faces:
            begin[1] = face.name
            found = [face.source, face.confidence, face.coefficients, face.disagreement]
            writer.writerow(
                [*begin, "used", "", *found, *face.angles, *face.box, *face.landmarks, face.file, outcome.seconds]
            )
    return text.getvalue()


def _used(face: FaceOutcome, outcome: Outcome) -> str:
    pitch, yaw, roll = face.angles
    known = {"network": "coefficients by the network", "none": "coefficients unknown"}.get(
        face.coefficients, "pose by the landmarks, the rest by the network"
    )
    found = "given landmarks" if face.source == "given" else f"detected ({face.confidence:.3f})"
    words = (
        f"{outcome.width}×{outcome.height}, {found}; {known}; pose {pitch:.0f}°, {yaw:.0f}°, {roll:.0f}°; "
        f"disagreement {face.disagreement:.0%} of the eye distance"
    )
    return _figure(face.thumbnail, f"<b>{html.escape(face.name)}</b><br>{html.escape(words)}")


def _rejected(outcome: Outcome) -> str:
    size = f" ({outcome.width}×{outcome.height})" if outcome.width else ""
    words = f'<b>{html.escape(outcome.name)}</b>{size}<br><span class="bad">{html.escape(outcome.reason)}</span>'
    return _figure(outcome.thumbnail, words)


def _figure(picture: str, words: str) -> str:
    image = f'<img loading="lazy" src="../{quote(picture)}" alt="">' if picture else ""
    return f"<figure>{image}<figcaption>{words}</figcaption></figure>\n"


def _pages(figures: Sequence[str], stem: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(file name, title, figures) of each page."""
    for number, first in enumerate(range(0, len(figures), PAGE), 1):
        last = min(first + PAGE, len(figures))
        what = "Rejected" if stem == "rejected" else "Faces"
        yield f"{stem}-{number:04d}.html", f"{what} {first + 1} to {last} of {len(figures)}", figures[first:last]


def _summary(outcomes: Sequence[Outcome], pages: Sequence[tuple[str, str, Sequence[str]]], others: Counter[str]) -> str:
    faces = [face for outcome in outcomes for face in outcome.faces]
    rows = {
        "photographs": len(outcomes),
        "with a face": sum(bool(outcome.faces) for outcome in outcomes),
        "rejected": sum(not outcome.faces for outcome in outcomes),
        "faces": len(faces),
    }
    rows |= {f"landmarks {kind}": count for kind, count in sorted(Counter(face.source for face in faces).items())}
    rows |= {f"coefficients: {kind}": n for kind, n in sorted(Counter(face.coefficients for face in faces).items())}
    rows |= {f"files of other kinds ({kind}), left aside": count for kind, count in sorted(others.items())}
    table = "".join(f"<tr><td>{html.escape(key)}</td><td>{value}</td></tr>" for key, value in rows.items())
    why = "".join(
        f"<tr><td>{count}</td><td>{html.escape(reason)}</td></tr>" for reason, count in reasons(outcomes).most_common()
    )
    why = f"<h2>Why photographs were rejected</h2><table>{why}</table>" if why else ""
    links = "".join(f'<li><a href="report/{name}">{title}</a></li>' for name, title, _ in pages)
    return (
        f'<h1>Photographs</h1><table>{table}</table>{why}<h2>Pages</h2><ul>{links}</ul><p><a href="report.csv">'
        "report.csv</a> has one row for each face, and one for each rejected photograph.</p>"
    )


def _document(title: str, body: str) -> bytes:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
    return f"{head}<style>{_STYLE}</style>{body}</html>\n".encode()
