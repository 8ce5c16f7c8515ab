"""The whitelist of names. tests/stylegan1/test_network_file.py has the hostile files."""

from __future__ import annotations

import io
import pickle

import pytest

from renderer import unpickling
from renderer.unpickling import RefusedError, Whitelist, load_pickle


class Record:
    def __setstate__(self, state):
        self.state = state


def test_only_names_of_the_table_exist_and_mean_what_it_says(tmp_path):
    content = pickle.dumps([io.BytesIO(b"content"), {"a": (1, 2.5, None)}])
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    record, plain = load_pickle(path, {("_io", "BytesIO"): Record})
    assert type(record) is Record and record.state[0] == b"content" and plain == {"a": (1, 2.5, None)}
    with pytest.raises(RefusedError, match=r"file\.pkl: the file asks for _io\.BytesIO\. Nothing in the file was run"):
        load_pickle(path, {})


def test_a_class_that_a_file_could_change_is_no_part_of_a_table():
    with pytest.raises(TypeError, match="without __setstate__"):
        Whitelist(b"N.", {("module", "name"): type("Bare", (), {})})


def test_files_beyond_the_limit_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickling, "_LIMIT", 5)
    (tmp_path / "file.pkl").write_bytes(pickle.dumps(list(range(10))))
    with pytest.raises(RefusedError, match=r"expected 5 bytes at most\. Received: \d\d"):
        load_pickle(tmp_path / "file.pkl", {})
