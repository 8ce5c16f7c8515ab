from __future__ import annotations

import io

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderer.importers.reading import (
    ANY,
    indices,
    read_expression_basis,
    read_mat,
    read_obj,
    read_obj_vertices,
    read_text_numbers,
)

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
OBJ = b"# made up\nv 0 0 0\nv 1 0 0 0.5\nv 1 1 0\nv 0 1 0.25\nvt 0.1 0.2\nvt 0.3 0.4\nf 1/1 2/2 3/2 4\nf 1/2 3/1/1 4\n"


def mat_bytes(compress: bool = False, **arrays) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=compress)
    return buffer.getvalue()


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 600
    return text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made_up.mat"


@pytest.mark.parametrize("compress", [False, True])
def test_numbers_come_back(path, compress):
    floats = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    path.write_bytes(mat_bytes(compress, a=floats, b=np.array([[1, 2]], np.uint16), other="text"))
    read = read_mat(path, {"a": (3, ANY), "b": (1, 2)})
    np.testing.assert_array_equal(read["a"], floats)
    assert read["a"].dtype == np.float32 and read["b"].dtype == np.int64 and set(read) == {"a", "b"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([[np.zeros(3), "cell"]], dtype=object), "a: expected an array of real numbers. Received: cells"),
        ({"inner": np.zeros(2)}, "a: expected an array of real numbers. Received: a structure"),
        ("some text", "a: expected an array of real numbers. Received: text"),
        (np.zeros((2, 3)), "a should have 3 x any numbers. Received: 2 x 3"),
        (np.zeros((3, 2, 2)), "a should have 3 x any numbers. Received: 3 x 2 x 2"),
        (np.array([[1.0], [np.nan], [2.0]]), "a should be finite"),
        (np.array([[1.0], [2.0], [np.inf]]), "a should be finite"),
        (np.ones((3, 1)) * 1j, "a: expected an array of real numbers. Received: complex"),
    ],
)
def test_other_contents_are_refused(path, value, message):
    path.write_bytes(mat_bytes(a=value))
    with pytest.raises(ValueError, match=message) as error:
        read_mat(path, {"a": (3, ANY)})
    assert str(path) in one_line(error)


def test_missing_field_file_and_version(path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_mat(path, {"a": (1, 1)})
    path.write_bytes(mat_bytes(b=np.zeros(3), c=np.zeros(3)))
    with pytest.raises(ValueError, match=r"expected the variable 'a'\. Received: 'b', 'c'"):
        read_mat(path, {"a": (1, 1)})
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match=r"7\.3 file; save it again with -v7"):
        read_mat(path, {"a": (1, 1)})


@FEW
@given(data=st.data(), compress=st.booleans())
def test_truncated_and_changed_mat_files_never_get_through_as_something_else(path, data, compress):
    whole = mat_bytes(compress, a=np.arange(12.0).reshape(3, 4), b=np.arange(5, dtype=np.int32))
    changed = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(changed))
    try:
        read = read_mat(path, {"a": (3, 4), "b": (1, 5)})
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert read["a"].shape == (3, 4) and np.isfinite(read["a"]).all() and read["b"].dtype.kind in "if"


def test_indices_count_from_one(path):
    np.testing.assert_array_equal(indices(np.array([[1.0, 5.0]]), 5, path, "idx"), [[0, 4]])
    for wrong in ([0, 1], [1, 6], [1.5, 2]):
        with pytest.raises(ValueError, match="idx should hold whole numbers in 1…5"):
            indices(np.array(wrong), 5, path, "idx")


def test_text_of_numbers(tmp_path):
    path = tmp_path / "std.txt"
    path.write_text("1 2.5\n3e2\n")
    np.testing.assert_array_equal(read_text_numbers(path, 3), [1, 2.5, 300])
    with pytest.raises(ValueError, match=r"expected 4 numbers\. Received: 3"):
        read_text_numbers(path, 4)
    path.write_text("1 two 3")
    with pytest.raises(ValueError, match="expected a text of numbers"):
        read_text_numbers(path, 3)


def test_expression_basis_is_as_long_as_it_says(tmp_path):
    path = tmp_path / "Exp_Pca.bin"
    components = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("<f4")
    whole = np.array([2], "<i4").tobytes() + np.full(15, 7, "<f4").tobytes() + components.tobytes()
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_expression_basis(path, 5), np.moveaxis(components, 0, -1))
    for wrong in (b"", whole[:3], whole[:-1], whole + b"0", b"\xff\xff\xff\xff" + whole[4:]):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="expected a number K") as error:
            read_expression_basis(path, 5)
        one_line(error)
    path.write_bytes(whole[:-4] + np.array([np.nan], "<f4").tobytes())
    with pytest.raises(ValueError, match="components should be finite"):
        read_expression_basis(path, 5)


def test_obj(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_bytes(OBJ)
    mesh = read_obj(path)
    np.testing.assert_array_equal(mesh.vertices, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.25]])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2, 3], [0, 2, 3, -1]])
    np.testing.assert_allclose(mesh.uv, [[0.1, 0.2], [0.3, 0.4], [0.3, 0.4], [0, 0]])  # the first of several
    np.testing.assert_array_equal(read_obj_vertices(path, 4), mesh.vertices)
    with pytest.raises(ValueError, match=r"expected 5 vertices, as the neutral mesh has\. Received: 4"):
        read_obj_vertices(path, 5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"v 1 1 0", b"v 1 1", r"line 4: expected 3 finite numbers. Received: 'v 1 1'"),
        (b"v 1 1 0", b"v 1 one 0", r"line 4: expected 3 finite"),
        (b"v 1 1 0", b"v 1 nan 0", r"line 4: expected 3 finite"),
        (b"vt 0.3 0.4", b"vt 0.3", r"line 7: expected 2 finite"),
        (b"f 1/1 2/2 3/2 4", b"f 1 2 9", r"line 8: expected a triangle or quad of vertices 1…4"),
        (b"f 1/1 2/2 3/2 4", b"f 0 1 2", r"line 8: expected a triangle or quad"),
        (b"f 1/1 2/2 3/2 4", b"f 1 2", r"line 8: expected a triangle or quad"),
        (b"f 1/1 2/2 3/2 4", b"f 1 2 3 4 1", r"line 8: expected a triangle or quad"),
        (b"f 1/1 2/2 3/2 4", b"f 1/9 2 3", r"line 8: expected texture coordinates 1…2"),
        (OBJ, b"v 0 0 0\nvt 0 0\n", "It has no faces"),
        (OBJ, b"", "It has no faces"),
    ],
)
def test_broken_obj(tmp_path, old, new, message):
    path = tmp_path / "mesh.obj"
    path.write_bytes(OBJ.replace(old, new))
    with pytest.raises(ValueError, match=message) as error:
        read_obj(path)
    assert str(path) in one_line(error)


@FEW
@given(cut=st.integers(0, len(OBJ)), place=st.integers(0, len(OBJ) - 1), byte=st.integers(0, 255))
def test_truncated_and_changed_obj_files(path, cut, place, byte):
    changed = bytearray(OBJ)
    changed[place] = byte
    path.write_bytes(bytes(changed[:cut]))
    try:
        mesh = read_obj(path)
    except ValueError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(mesh.vertices).all() and mesh.faces.max() < len(mesh.vertices)
