from __future__ import annotations

import csv
import dataclasses
import errno
import os
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.photographs import files, report
from datasets.photographs.files import Photograph, TargetError, write_bytes
from datasets.photographs.journal import JOURNAL, FaceStatus, Journal, Status
from datasets.photographs.preparing import mat_bytes
from renderer.coefficients_io import load_coefficients

OPTIONS = {"image_size": 64, "limit": 0.1}


def prepared(folder: Path, name: str, reason: str = "") -> tuple[Photograph, Status]:
    """A photograph, its status, and the files that they tell of."""
    path = folder / "in" / f"{name}.jpg"
    write_bytes(path, b"photograph")
    photograph = Photograph(name, path)
    if reason:
        return photograph, Status(name, photograph.stamp(), reason=reason, width=3, height=2)
    write_bytes(folder / "out" / f"aligned/{name}.png", b"12345")
    face = FaceStatus(
        name, f"aligned/{name}.png", 5, "0" * 64, (0.5,) * 10, "detected", 0.99, "network", 0.031, (1.0, 2.0, 3.0),
        (0.0, 0.0, 9.5), f"report/pictures/{name}.jpg",
    )  # fmt: skip
    return photograph, Status(name, photograph.stamp(), (face,), "", 40, 30, "", 0.1)


def test_a_line_cut_short_is_forgotten_and_written_over(tmp_path: Path) -> None:
    made = [prepared(tmp_path, name) for name in ("a", "b/c", "глаз")]
    with Journal(tmp_path / "out", OPTIONS) as journal:
        for _, result in made:
            journal.add(result)
    path = tmp_path / "out" / JOURNAL
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in (1, 20, last - 1, last):
        path.write_bytes(whole[:-cut])
        with Journal(tmp_path / "out", OPTIONS) as journal:
            assert sorted(journal.done(p for p, _ in made)) == ["a", "b/c"]
            journal.add(made[2][1])
        assert path.read_bytes() == whole
        with Journal(tmp_path / "out", OPTIONS) as journal:
            assert journal.done(p for p, _ in made) == {p.name: result for p, result in made}


def test_what_has_changed_is_not_done(tmp_path: Path) -> None:
    (a, done_a), (b, done_b), (c, done_c) = (prepared(tmp_path, name) for name in "abc")
    d, done_d = prepared(tmp_path, "d", "no face was found")
    with Journal(tmp_path / "out", OPTIONS) as journal:
        for result in (done_a, done_b, done_c, done_d):
            journal.add(result)
        a.path.write_bytes(b"another photograph")
        (tmp_path / "out/aligned/b.png").write_bytes(b"1")
        (tmp_path / "out/aligned/c.png").unlink()
        assert sorted(journal.done([a, b, c, d])) == ["d"]
        with_landmarks = Photograph("d", d.path, tmp_path / "d.txt")
        assert not journal.done([with_landmarks])


def test_other_options_a_second_run_and_other_files_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, OPTIONS), pytest.raises(ValueError, match="another run is writing there"):
        Journal(tmp_path, OPTIONS)
    with pytest.raises(ValueError, match=r"other options \(limit: there 0.1, asked 0.2\)"):
        Journal(tmp_path, {**OPTIONS, "limit": 0.2})
    (tmp_path / JOURNAL).write_text("something else\n")
    with pytest.raises(ValueError, match="expected the format"):
        Journal(tmp_path, OPTIONS)
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot write there"):
        Journal(tmp_path / "file", OPTIONS)


def test_a_full_target_is_no_photographs_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        with open(self, "wb") as file:
            file.write(content[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.Path, "write_bytes", full)
        with pytest.raises(TargetError, match=r"cannot write .*face.png: No space left"):
            write_bytes(tmp_path / "face.png", b"content")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="its name cannot be written"):
        write_bytes(tmp_path / ("x" * 300), b"")
    write_bytes(tmp_path / ("x" * 251 + ".png"), b"just fits")
    (tmp_path / ".0123.tmp").write_bytes(b"left by a run that was killed")
    files.remove_unfinished(tmp_path)
    assert [path.name[-4:] for path in tmp_path.iterdir()] == [".png"]


def test_mat_files_are_the_same_bytes_for_the_same_numbers(tmp_path: Path, tiny_face_model) -> None:
    import numpy as np

    values = np.random.default_rng(0).normal(size=(1, tiny_face_model.layout.size)).astype(np.float32)
    (tmp_path / "a.mat").write_bytes(mat_bytes("coeff", values))
    np.testing.assert_array_equal(load_coefficients(tmp_path / "a.mat", tiny_face_model.layout), values)
    assert b"Created" not in mat_bytes("coeff", values)


class _Reader(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_report_of_many_has_pages_that_lead_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PAGE", 4)
    names = [f"p{number}" for number in range(9)] + ['a "b" <i>&', "写真,1"]
    statuses = [prepared(tmp_path, name)[1] for name in names]
    statuses += [prepared(tmp_path, f"bad{n}", f"the eyes are {n}.5 pixels apart (x{n})")[1] for n in range(5)]
    out = tmp_path / "out"
    report.write_report(out, statuses, Counter({".txt": 3}))
    first = _Reader((out / "report.html").read_text())
    links = [values["href"] for tag, values in first.found if tag == "a"]
    assert links == [f"report/rejected-000{k}.html" for k in (1, 2)] + [
        *(f"report/page-000{k}.html" for k in (1, 2, 3)),
        "report.csv",
    ]
    assert "the eyes are # pixels apart" in first.text
    pictures = []
    for link in links[:-1]:
        page = _Reader((out / link).read_text())
        for tag, values in page.found:
            if tag == "a":
                assert (out / "report" / values["href"]).is_file()
            if tag == "img":
                assert values["loading"] == "lazy"
                pictures.append(values["src"])
    assert len(pictures) == 11  # as many as have one
    assert "../report/pictures/a%20%22b%22%20%3Ci%3E%26.jpg" in pictures
    assert 'a "b" <i>&' in _Reader((out / links[4]).read_text()).text
    rows = list(csv.DictReader((out / "report.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == 16
    assert {row["status"] for row in rows[:11]} == {"used"}
    assert rows[10]["name"] == "写真,1"
    assert (rows[0]["yaw"], rows[0]["side"], rows[0]["x1"], rows[0]["seconds"]) == ("2.0", "9.5", "0.5", "0.1")
    assert (rows[11]["status"], rows[11]["reason"]) == ("rejected", "the eyes are 0.5 pixels apart (x0)")
    assert rows[11]["seconds"] == "0.0"
    report.write_report(out, statuses[:2])
    assert sorted(path.name for path in (out / "report").glob("*.html")) == ["page-0001.html"]


@given(st.text(max_size=30).filter(lambda text: "\0" not in text), st.text(max_size=60))
def test_statuses_survive_the_journal(name: str, reason: str) -> None:
    result = Status(name, (1, 2), (), reason, 3, 4, "", 0.5)
    try:
        line = result.to_json()
        line.encode()
    except UnicodeEncodeError:
        return  # finding names has replaced what is not UTF-8
    assert "\n" not in line
    assert Status.from_json(line) == result


def test_what_was_not_the_photographs_fault_is_tried_again(tmp_path: Path) -> None:
    photograph, done = prepared(tmp_path, "a", "the process that read it ended (by SIGKILL)")
    faulty, faulty_done = prepared(tmp_path, "b", "no face was found")
    with Journal(tmp_path / "out", OPTIONS) as journal:
        journal.add(dataclasses.replace(done, transient=True))
        journal.add(faulty_done)
        assert list(journal.done([photograph, faulty])) == ["b"]
    with Journal(tmp_path / "out", OPTIONS) as journal:
        assert list(journal.done([photograph, faulty])) == ["b"]


def test_another_limit_of_pixels_examines_again_what_it_decided(tmp_path: Path) -> None:
    """3 × 2 pixels: too large under a limit of 5, which 6 is not; a smaller limit concerns whatever is larger."""
    photograph, done = prepared(tmp_path, "a", "3×2 pixels; expected 5e-06 million at most (--max_megapixels)")
    fine, fine_done = prepared(tmp_path, "b")  # 40 × 30
    with Journal(tmp_path / "out", OPTIONS, 5) as journal:
        journal.add(dataclasses.replace(done, limit=5, width=0, height=0))
        journal.add(fine_done)
        assert list(journal.done([photograph, fine])) == ["a"]
    for limit, known in ((6, []), (2000, ["b"]), (5, ["a"])):
        with Journal(tmp_path / "out", OPTIONS, limit) as journal:
            assert list(journal.done([photograph, fine])) == known
