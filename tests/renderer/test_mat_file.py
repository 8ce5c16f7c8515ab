from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.io import loadmat, savemat

from renderer.mat_file import read_mat


def mat_bytes(do_compression=False, **variables) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=do_compression)
    return buffer.getvalue()


def assert_refused(path, *words):
    with pytest.raises(ValueError, match=path.name) as caught:
        read_mat(path, ["x"])
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@given(
    values=npst.arrays(
        st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]),
        npst.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=5),
    ),
    compressed=st.booleans(),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_what_scipy_writes(tmp_path, values, compressed):
    path = tmp_path / "a.mat"
    path.write_bytes(mat_bytes(compressed, before=np.ones([50, 50]), x=values, after="text"))
    read = read_mat(path, ["x", "before"])
    np.testing.assert_array_equal(read["x"], values)
    assert read["x"].dtype == values.dtype
    np.testing.assert_array_equal(read["before"], 1)


def test_reads_big_endian_and_narrow_storage(tmp_path):
    # Written by hand: MATLAB stores whole doubles as bytes, and machines of the other byte order wrote files too.
    for order in "<>":
        flags = struct.pack(order + "IIII", 6, 8, 6, 0)
        sizes = struct.pack(order + "IIii", 5, 8, 2, 3)
        name = struct.pack(order + "I", 1 << 16 | 1) + b"x\0\0\0"
        numbers = struct.pack(order + "II", 2, 6) + bytes([1, 2, 3, 4, 5, 255, 0, 0])
        body = flags + sizes + name + numbers
        header = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + struct.pack(order + "H", 0x0100)
        header += b"IM" if order == "<" else b"MI"
        (tmp_path / "hand.mat").write_bytes(header + struct.pack(order + "II", 14, len(body)) + body)
        wanted = np.array([[1, 3, 5], [2, 4, 255]], float)
        read = read_mat(tmp_path / "hand.mat", ["x"])["x"]
        assert read.dtype == np.float64
        np.testing.assert_array_equal(read, wanted)
        np.testing.assert_array_equal(loadmat(tmp_path / "hand.mat")["x"], wanted)  # scipy agrees


def test_reads_a_file_that_others_wrote(pytestconfig):
    path = pytestconfig.rootpath.parent / "shared" / "reference" / "face_decoder" / "model.mat"
    if not path.is_file():
        pytest.skip("the reference's face model lies outside the checkout and is not there")
    wanted = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    read = read_mat(path, list(wanted))
    for name, value in wanted.items():
        np.testing.assert_array_equal(read[name], value)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (np.array([[1.0, "a"]], object), "cells"),
        ({"a": 1}, "a structure"),
        ("words", "text"),
        (np.ones(3) * 1j, "complex"),
    ],
)
def test_other_things_than_numbers_are_refused(tmp_path, value, word):
    (tmp_path / "a.mat").write_bytes(mat_bytes(x=value))
    assert_refused(tmp_path / "a.mat", "x: expected an array of real numbers", word)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(mat_bytes(y=np.ones(3)))
    assert_refused(path, "expected the variable 'x'. Received: 'y'")
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    assert_refused(path, "-v7")
    path.write_bytes(b"")
    assert_refused(path, "not a .mat file")
    whole = mat_bytes(x=np.arange(100.0))
    path.write_bytes(whole[:-8])
    assert_refused(path, "truncated")
    path.write_bytes(whole[:128])
    assert_refused(path, "no variables")
    huge = bytearray(whole)
    place = huge.index(struct.pack("<ii", 1, 100))
    huge[place : place + 8] = struct.pack("<ii", 2**31 - 1, 2**31 - 1)
    path.write_bytes(huge)
    assert_refused(path, "x: damaged: 800 bytes")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_mat(tmp_path / "absent.mat", ["x"])


def test_the_byte_that_crashes_scipy(tmp_path):
    content = bytearray(mat_bytes(x=np.arange(100.0)))
    place = content.index(struct.pack("<II", 9, 800))
    content[place + 1] = 0xB5  # the type of the numbers is now 0xb509
    (tmp_path / "a.mat").write_bytes(content)
    assert_refused(tmp_path / "a.mat", "x: damaged: numbers of type")


@pytest.fixture(scope="module")
def whole_files() -> list[bytes]:
    values = np.random.default_rng(0).normal(size=[3, 20])
    return [mat_bytes(compressed, before=np.ones(3), x=values) for compressed in (False, True)]


@given(
    which=st.integers(0, 1),
    keep=st.floats(0, 1.2),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=5),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_give_numbers_or_one_line(tmp_path, whole_files, which, keep, changes):
    content = bytearray(whole_files[which])
    for place, byte in changes:
        content[int(place * len(content))] = byte
    (tmp_path / "a.mat").write_bytes(content[: round(min(keep, 1) * len(content))])
    try:
        read = read_mat(tmp_path / "a.mat", ["x"])["x"]
    except ValueError as error:
        assert str(error).startswith(str(tmp_path / "a.mat"))
        assert "\n" not in str(error)
    else:
        assert read.size * read.itemsize < sys.getsizeof(content) * 9  # nothing grows out of what is not there
