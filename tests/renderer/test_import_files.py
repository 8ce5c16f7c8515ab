"""What `load_face_model` makes of files that are not what they seem; and the importer's command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderer import load_face_model
from renderer.import_model import main


@pytest.fixture(scope="module")
def contents(plate, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "face.npz"
    plate.save(path)
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_truncated_and_changed_files_are_refused_in_one_line(contents, plate, tmp_path, data):
    changed = bytearray(contents)
    for _ in range(data.draw(st.integers(0, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "face.npz"
    path.write_bytes(bytes(changed[: data.draw(st.integers(0, len(changed)))]))
    try:
        model = load_face_model(path)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:  # the change was in what does not matter, such as a date
        assert model.checksum() == plate.checksum()


def rewritten(contents, tmp_path, edit):
    path = tmp_path / "face.npz"
    path.write_bytes(contents)
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored}
    manifest = json.loads(str(arrays["manifest"]))
    manifest = edit(arrays, manifest) or manifest
    np.savez(path, **{**arrays, "manifest": np.array(json.dumps(manifest))})
    return path


def _set(key, value):
    def edit(arrays, manifest):
        target = arrays if key in arrays else manifest
        target[key] = value(target[key]) if callable(value) else value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set("mean_shape", lambda a: a.astype(int)), "mean_shape should be of numpy's kind 'f'. Received: int64"),
        (_set("triangles", lambda a: a.astype(float)), "triangles should be of numpy's kind 'i'"),
        (_set("region", lambda a: a.astype(str)), "region should be of numpy's kind 'i'"),
        (_set("mean_shape", lambda a: a * np.nan), "mean_shape holds NaN"),
        (_set("shape_basis", lambda a: a[:-1]), "shape_basis should have shape"),
        (_set("shape_basis", np.zeros(3, np.float32)), "shape_basis should have shape|shape_std should have shape"),
        (_set("shape_basis", np.zeros((), np.float32)), "face.npz: "),
        (_set("shape_names", ["one"]), "expected 4 shape_names. Received: 1"),
        (_set("expression_names", "abc"), "expression_names, in its manifest, should be a list of names"),
        (_set("region_names", [1, 2]), "region_names, in its manifest, should be a list of names"),
        (_set("name", None), "name, in its manifest, should be a text"),
        (_set("extra", [1]), "extra, in its manifest, should be an object"),
        (_set("checksum", None), "the file is damaged"),
        (lambda arrays, manifest: ["a list"], "expected the format"),
    ],
)
def test_what_disagrees_is_named(contents, tmp_path, edit, message):
    path = rewritten(contents, tmp_path, edit)
    with pytest.raises(ValueError, match=message) as error:
        load_face_model(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_plain_array_file_is_no_face_model(tmp_path):
    path = tmp_path / "face.npz"
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="not a face model"):
        load_face_model(path)


@pytest.mark.parametrize(
    "arguments",
    [["bfm99", "--source", "x", "--out", "y.npz"], ["ict", "--source", "x"], ["ict", "--source", "x", "--out", "y.mat"],
     ["ict", "--source", "x", "--out", "y.npz", "--size", "4"]],
)  # fmt: skip
def test_wrong_usage(arguments):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


@pytest.mark.parametrize("kind", ["bfm09", "bfm-front", "ict"])
def test_missing_sources(kind, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is nothing there"):
        main([kind, "--source", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out.npz")])
    with pytest.raises(FileNotFoundError, match=r"missing|expected"):
        main([kind, "--source", str(tmp_path), "--out", str(tmp_path / "out.npz")])
    assert not list(tmp_path.iterdir())
