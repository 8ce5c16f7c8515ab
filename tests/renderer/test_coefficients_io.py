from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from renderer.coefficients_io import load_coefficients
from renderer.layout import CoefficientLayout

LAYOUT = CoefficientLayout(shape=4, texture=2, expression=3)


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=[3, LAYOUT.size]).astype(np.float32)


def write(path, coeff):
    """`coeff` under its key, in the format of the path's suffix."""
    if path.suffix == ".npz":
        np.savez(path, coeff=coeff)
    elif path.suffix == ".mat":
        savemat(path, {"coeff": coeff, "other": np.ones(3)})
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({"coeff": row}) for row in np.atleast_2d(coeff).tolist()) + "\n\n")
    else:
        path.write_text(json.dumps({"coeff": np.asarray(coeff).tolist()}))
    return path


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".npz", ".mat"])
def test_round_trip(tmp_path, rows, suffix):
    np.testing.assert_array_equal(load_coefficients(write(tmp_path / f"many{suffix}", rows), LAYOUT), rows)
    np.testing.assert_array_equal(load_coefficients(write(tmp_path / f"one{suffix}", rows[0]), LAYOUT), rows[:1])
    short = rows[:, : LAYOUT.lambda_size]
    loaded = load_coefficients(write(tmp_path / f"lambda{suffix}", short), LAYOUT)
    np.testing.assert_array_equal(loaded, np.pad(short, [(0, 0), (0, 3)]))


def test_named_groups_as_generate_images_writes_them(tmp_path, rows):
    lines, names = [], LAYOUT.split(rows)
    for k in range(3):
        record = {
            "file": f"{k:05d}.png", "subject": k, "variation": 0, "noise": [0.5],
            "identity": rows[k, LAYOUT.slice("identity")].tolist(),
            "expression": names["expression"][k].tolist(),
            "lighting": names["lighting"][k].tolist(),
            "angles_radians": names["angles"][k].tolist(),
            "angles_degrees": np.degrees(names["angles"][k]).round(1).tolist(),
        }  # fmt: skip
        lines.append(json.dumps(record))
    path = tmp_path / "coefficients.jsonl"
    path.write_text("\n".join(lines))
    wanted = rows.copy()
    wanted[:, LAYOUT.slice("translation")] = 0
    np.testing.assert_array_equal(load_coefficients(path, LAYOUT), wanted)


def test_groups_left_out_are_zero_and_degrees_are_turned(tmp_path):
    path = tmp_path / "some.json"
    path.write_text(json.dumps([{"angles_degrees": [0, 90, 0]}, {"shape": [1, 2, 3, 4], "translation": [0, 0, 1]}]))
    first, second = load_coefficients(path, LAYOUT)
    assert np.count_nonzero(first) == 1
    assert first[LAYOUT.slice("angles")][1] == np.float32(np.pi / 2)
    np.testing.assert_array_equal(second[:4], [1, 2, 3, 4])
    assert np.count_nonzero(second) == 5


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".npz", ".mat"])
@pytest.mark.parametrize("what", ["nan", "infinity", "short", "deep", "text"])
def test_wrong_numbers_are_refused(tmp_path, rows, suffix, what):
    wrong = {
        "nan": np.where(np.arange(LAYOUT.size) == 5, np.nan, rows),
        "infinity": np.where(np.arange(LAYOUT.size) == 5, 1e300, rows.astype(float)),
        "short": rows[:, :-1],
        "deep": np.stack([[rows, rows]] * 2) if suffix != ".jsonl" else rows[:, 1:],
        "text": np.array([["a"] * LAYOUT.size]),
    }[what]
    assert_refused(write(tmp_path / f"wrong{suffix}", wrong), "coeff: expected")


def assert_refused(path, *words):
    with pytest.raises(ValueError) as caught:
        load_coefficients(path, LAYOUT)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message


class Trap:
    """A pickle of it would write a file when read."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


def test_objects_and_pickles_are_refused_and_never_run(tmp_path):
    target = tmp_path / "sprung"
    objects = np.array([Trap(target)], object)
    np.savez(tmp_path / "objects.npz", coeff=objects)
    assert_refused(tmp_path / "objects.npz", "coeff", "objects")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"coeff": Trap(target)}))
    assert_refused(tmp_path / "pickle.npz", "pickle")
    np.save(tmp_path / "array.npy", objects)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    assert_refused(tmp_path / "array.npz", "pickle")
    (tmp_path / "pickle.mat").write_bytes(pickle.dumps({"coeff": Trap(target)}))
    assert_refused(tmp_path / "pickle.mat", ".mat")
    savemat(tmp_path / "cell.mat", {"coeff": np.array([[1.0, "a"], [np.ones(3), 2]], object)})
    assert_refused(tmp_path / "cell.mat", "coeff", "cells")
    savemat(tmp_path / "struct.mat", {"coeff": {"a": np.ones(3)}})
    assert_refused(tmp_path / "struct.mat", "coeff", "expected")
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["not JSON"]),
        ("[" * 100_000, ["not JSON"]),
        ("[]", ["expected an object with 'coeff'"]),
        ("3", ["expected an object"]),
        ("{}", ["expected 'coeff'"]),
        ('{"coeff": null}', ["coeff: expected numbers"]),
        ('{"coeff": true}', ["coeff: expected real numbers"]),
        ('{"coeff": 1}', ["coeff: expected 42 numbers a row, or 39"]),
        ('{"coeff": []}', ["coeff: expected 42 numbers"]),
        ('{"coeff": [[1, 2], [1]]}', ["coeff: expected rows of one length"]),
        ('{"coeff": [NaN]}', ["coeff: expected finite"]),
        ('{"coeff": [1], "angles": [0, 0, 0]}', ["'coeff' alone"]),
        ('{"expresion": [0, 0, 0]}', ["'expresion'"]),
        ('{"expression": [0, 0]}', ["expression: expected 3 numbers"]),
        ('{"identity": [0, 0, 0, 0, 0, 0], "shape": [0, 0, 0, 0]}', ["identity is shape and texture"]),
        ('[{"angles": [0, 0, 0]}, {"angles": [0, 0]}]', ["record 1: angles: expected 3 numbers"]),
    ],
)
def test_wrong_json_is_refused(tmp_path, content, words):
    path = tmp_path / "wrong.json"
    path.write_text(content)
    assert_refused(path, *words)


def test_a_wrong_line_is_named(tmp_path):
    path = tmp_path / "wrong.jsonl"
    path.write_text('{"angles": [0, 0, 0]}\n\n{"angles": [0, NaN, 0]}\n')
    assert_refused(path, "line 3: angles: expected finite")
    path.write_text("\n")
    assert_refused(path, "one row")


def test_other_files_are_refused(tmp_path, rows):
    np.savez(tmp_path / "other.npz", gamma=rows)
    assert_refused(tmp_path / "other.npz", "expected the array 'coeff'. Received: 'gamma'")
    savemat(tmp_path / "other.mat", {"gamma": rows})
    assert_refused(tmp_path / "other.mat", "expected the variable 'coeff'. Received: 'gamma'")
    np.savez(tmp_path / "none.npz", coeff=np.zeros([0, LAYOUT.size]))
    assert_refused(tmp_path / "none.npz", "one row")
    np.savez(tmp_path / "complex.npz", coeff=rows + 1j)
    assert_refused(tmp_path / "complex.npz", "coeff: expected real numbers. Received: complex")
    savemat(tmp_path / "complex.mat", {"coeff": rows + 1j})
    assert_refused(tmp_path / "complex.mat", "coeff: expected an array of real numbers. Received: complex")
    (tmp_path / "latin.json").write_bytes(b'{"coeff": "\xe9"}')
    assert_refused(tmp_path / "latin.json", "UTF-8")
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM" + bytes(512))
    assert_refused(tmp_path / "new.mat", "7.3")
    assert_refused(tmp_path / "rows.txt", "should be in a file .json")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_coefficients(tmp_path / "absent.npz", LAYOUT)


@pytest.fixture(scope="module")
def whole_files() -> dict[str, bytes]:
    values = np.random.default_rng(1).normal(size=[2, LAYOUT.size]).astype(np.float32)
    files = {}
    for suffix, save in ((".npz", lambda f: np.savez_compressed(f, coeff=values)),
                         (".mat", lambda f: savemat(f, {"coeff": values}))):  # fmt: skip
        buffer = io.BytesIO()
        save(buffer)
        files[suffix] = buffer.getvalue()
    return files


@given(
    suffix=st.sampled_from([".npz", ".mat"]),
    keep=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_read_rightly_or_refused_in_one_line(tmp_path, whole_files, suffix, keep, changes):
    content = bytearray(whole_files[suffix])
    for place, byte in changes:
        content[int(place * len(content))] = byte
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(content[: round(keep * len(content))] if keep < 0.9 else content)
    try:
        loaded = load_coefficients(path, LAYOUT)
    except ValueError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
    else:
        assert loaded.shape[1] == LAYOUT.size
        assert np.isfinite(loaded).all()
