from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from renderer import FaceModel, load_face_model


@pytest.fixture
def saved(sphere, tmp_path):
    path = tmp_path / "deeper" / "model.npz"
    replace(sphere, source="made up", licence="CC0", manifest={"centre": [0.0, 0.1, 0.0]}).save(path)
    return path


def test_save_and_load_give_the_same_model(sphere, saved):
    loaded = load_face_model(saved)
    for field in fields(FaceModel):
        mine, theirs = getattr(sphere, field.name), getattr(loaded, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    assert (loaded.source, loaded.licence, loaded.name) == ("made up", "CC0", "test")
    assert loaded.expression_names == sphere.expression_names
    assert loaded.manifest == {"centre": [0.0, 0.1, 0.0]}
    assert loaded.checksum() == sphere.checksum()


def rewrite(path, **changes):
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def test_missing_file():
    with pytest.raises(FileNotFoundError, match=r"no file nowhere\.npz"):
        load_face_model("nowhere.npz")


def test_truncated_file(saved):
    content = saved.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 30):
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"model\.npz: not a face model written by FaceModel\.save"):
            load_face_model(saved)


def test_flipped_bits(saved):
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 0xFF
    saved.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.npz: "):
        load_face_model(saved)


def test_changed_array_does_not_match_its_checksum(sphere, saved):
    rewrite(saved, mean_shape=sphere.mean_shape + 1)
    with pytest.raises(ValueError, match="checksum; the file is damaged"):
        load_face_model(saved)


def test_missing_array(saved):
    rewrite(saved, uv=None)
    with pytest.raises(ValueError, match=r"not a face model .*uv"):
        load_face_model(saved)


def test_other_format(saved):
    rewrite(saved, manifest=np.array(json.dumps({"format": "something else"})))
    with pytest.raises(ValueError, match="Received: 'something else'"):
        load_face_model(saved)


class Trap:
    """Its pickle raises an error of its own when it is opened."""

    def __reduce__(self):
        return (exec, ("raise AssertionError('the pickle was opened')",))


def test_a_pickle_inside_is_refused_unopened(saved):
    rewrite(saved, mean_shape=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="not a face model"):
        load_face_model(saved)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mean_texture", np.zeros([3, 3], np.float32), "mean_texture should have shape"),
        ("triangles", np.full([2400, 3], 5000, np.int32), "triangles should lie in 0…1270"),
        ("landmarks", np.zeros(67, np.int32), "landmarks should have shape \\(68,\\)"),
        ("shape_std", np.full(4, np.nan, np.float32), "shape_std holds NaN"),
    ],
)
def test_arrays_that_disagree_are_refused(sphere, field, value, message):
    with pytest.raises(ValueError, match=message):
        replace(sphere, **{field: value})


def test_regions(sphere):
    assert sphere.in_region("skin").all()
    with pytest.raises(ValueError, match="Received: \\['horn'\\]"):
        sphere.in_region("skin", "horn")
