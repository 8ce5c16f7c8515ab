"""FLAME's files: every form of them that is read, and what is refused."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderer.importers import flame_pickle
from renderer.importers.flame_file import read_landmarks, read_model, read_texture
from renderer.unpickling import Array
from tests.helpers import made_up_flame


def same(one: object, other: object) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


def small_arrays() -> dict[str, np.ndarray]:
    """Of the true sizes, quick to write: flat bases, and joints that follow their numbers."""
    regressor = np.zeros((5, 5023))
    regressor[range(5), range(0, 50, 10)] = 1.0
    return {
        "v_template": np.random.default_rng(0).normal(size=(5023, 3)), "posedirs": np.zeros((5023, 3, 36), np.float32),
        "J_regressor": regressor, "weights": np.eye(5)[np.arange(5023) % 5],
        "kintree_table": np.array([made_up_flame.PARENTS, range(5)]), "f": np.zeros((9976, 3), np.uint32),
        "shapedirs": np.ones((5023, 3, 400), np.float16),
    }  # fmt: skip


def test_every_form_of_the_model_gives_the_same(flame_arrays, flame_folder, tmp_path):
    read = read_model(flame_folder / "generic_model.pkl")
    np.testing.assert_array_equal(read.template, flame_arrays[0]["v_template"])
    np.testing.assert_array_equal(read.shapes, flame_arrays[0]["shapedirs"][..., :300])
    np.testing.assert_array_equal(read.regressor, flame_arrays[0]["J_regressor"])
    arrays = small_arrays()
    np.savez(tmp_path / "flame.npz", **arrays)
    expected = read_model(tmp_path / "flame.npz")
    for name, made, options in (
        ("wrapped", made_up_flame.wrapped(arrays), {}),
        ("protocol_1", made_up_flame.wrapped(arrays), {"protocol": 1}),
        ("python3", made_up_flame.wrapped(arrays), {"python2": False, "protocol": 4}),
        ("rows", arrays | {"J_regressor": scipy.sparse.csr_matrix(arrays["J_regressor"])}, {}),
        ("selected", arrays | {"v_template": selected(arrays["v_template"])}, {}),
    ):
        (tmp_path / f"{name}.pkl").write_bytes(made_up_flame.dumps(made, **options))
        same(read_model(tmp_path / f"{name}.pkl"), expected)


def selected(values: np.ndarray) -> made_up_flame.Select:
    some = np.random.default_rng(0).permutation(values.size)
    source = np.zeros(values.size + 5)
    source[some] = values.ravel()
    return made_up_flame.Select(made_up_flame.Ch(source), some, values.shape)


class Tensor:
    """Pickles as PyTorch's tensors do."""

    def __reduce__(self):
        return (_rebuild_tensor_v2, (b"not looked into", 0, (79, 17), (17, 1), False))


def _rebuild_tensor_v2(*_):
    raise AssertionError("it ran")


_rebuild_tensor_v2.__module__ = "torch._utils"


def test_every_form_of_the_landmarks_gives_the_same(flame_arrays, flame_folder, tmp_path, monkeypatch):
    arrays = flame_arrays[1]
    expected = read_landmarks(flame_folder / "landmark_embedding.npy")
    np.testing.assert_array_equal(expected.triangles, arrays["full_lmk_faces_idx"][0])
    np.savez(tmp_path / "all.npz", **arrays)
    same(read_landmarks(tmp_path / "all.npz"), expected)
    np.savez(tmp_path / "parts.npz", **{key: value for key, value in arrays.items() if not key.startswith("full")})
    same(read_landmarks(tmp_path / "parts.npz"), expected)
    other = {"lmk_face_idx": arrays["full_lmk_faces_idx"][0], "lmk_b_coords": arrays["full_lmk_bary_coords"][0]}
    (tmp_path / "other.pkl").write_bytes(made_up_flame.dumps(other))
    same(read_landmarks(tmp_path / "other.pkl"), expected)
    # In DECA's file the contour lies in tensors of PyTorch.
    for name in ("torch", "torch._utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    tensors = {key: Tensor() if key.startswith("dynamic") else value for key, value in arrays.items()}
    np.save(tmp_path / "deca.npy", np.array(tensors, dtype=object), allow_pickle=True)
    same(read_landmarks(tmp_path / "deca.npy"), expected)
    without = {key: value for key, value in tensors.items() if not key.startswith("full")}
    np.save(tmp_path / "tensors.npy", np.array(without, dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"dynamic_lmk_faces_idx: expected numbers\. Received: a set, or a tensor"):
        read_landmarks(tmp_path / "tensors.npy")


class Trap:
    def __reduce__(self):
        return (exec, ("raise AssertionError('the pickle was opened')",))


NAN = np.full((5023, 5), np.nan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"J_regressor": None, "f": None}, r"FLAME's model: v_template, .*\. Missing: J_regressor, f$"),
        ({"v_template": np.zeros((5, 3))}, r"v_template should have 5023 x 3 numbers\. Received: 5 x 3"),
        ({"shapedirs": np.zeros((5023, 3, 10))}, r"shapedirs should have 5023 x 3 x 400"),
        ({"weights": NAN}, "weights should be finite"),
        ({"weights": np.zeros((5023, 5))}, "weights should be at least 0 and sum to 1"),
        ({"kintree_table": np.zeros((2, 5), int)}, "kintree_table should say that root, neck, jaw"),
        ({"f": np.full((9976, 3), 5023)}, r"f should hold whole numbers in 0…5022\. Received: 5023…5023"),
        ({"weights": "text"}, r"weights: expected numbers\. Received: a str"),
        ({"weights": Trap()}, r"asks for __builtin__\.exec\. Nothing in the file was run"),
        ({"J_regressor": scipy.sparse.csc_matrix((5, 9))}, r"J_regressor: expected 5 x 5023"),
        ({"posedirs": made_up_flame.Select(made_up_flame.Ch(np.zeros(3)), np.array([7]), (5023, 3, 36))},
         "a selection that does not fit its array"),
    ],
)  # fmt: skip
def test_a_wrong_model_is_named(tmp_path, changes, message):
    path = tmp_path / "generic_model.pkl"
    kept = {key: value for key, value in (small_arrays() | changes).items() if value is not None}
    path.write_bytes(made_up_flame.dumps(kept))
    with pytest.raises(ValueError, match=message) as error:
        read_model(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_sparse_matrix_with_places_outside_it_is_refused(tmp_path):
    matrix = scipy.sparse.csc_matrix(np.ones((5, 5023)))
    for name, place, value in (("indices", 7, 5), ("indices", 7, -1), ("indptr", 3, 99999), ("indptr", 0, 1)):
        broken = matrix.copy()
        getattr(broken, name)[place] = value
        record = flame_pickle._Columns()
        record.__setstate__({"_shape": (5, 5023), **{key: as_read(getattr(broken, key)) for key in
                                                     ("data", "indices", "indptr")}})  # fmt: skip
        with pytest.raises(ValueError, match="whose numbers have no place in it"):
            flame_pickle.array(record, "J_regressor", (5, 5023))


def as_read(values: np.ndarray) -> Array:
    array = Array()
    array.value = values
    return array


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pkl", b"", "damaged, or not FLAME's landmarks|ends too early"),
        ("a.pkl", b"<!DOCTYPE html>", "FLAME's landmarks"),
        ("a.pkl", b"\x80\x02K\x01.", r"expected FLAME's landmarks, arrays by name\. Received: a int"),
        ("a.npy", b"\x93NUMPY\x01", "damaged, or not FLAME's landmarks"),
        ("a.npz", b"PK\x03\x04", "damaged, or not FLAME's landmarks"),
        ("a.npz", {"full_lmk_faces_idx": np.zeros(68), "full_lmk_bary_coords": np.zeros((68, 3))}, "should sum to 1"),
        ("a.npz", {"full_lmk_faces_idx": np.zeros(68), "full_lmk_bary_coords": np.zeros((9, 3))}, "3 numbers per"),
        ("a.npz", {"full_lmk_faces_idx": np.full(68, 9976), "full_lmk_bary_coords": np.eye(3)[np.zeros(68, int)]},
         r"full_lmk_faces_idx should hold whole numbers in 0…9975"),
        ("a.npz", {"lmk_face_idx": np.zeros(51), "lmk_b_coords": np.eye(3)[np.zeros(51, int)]},
         r"Missing: static_lmk_faces_idx, static_lmk_bary_coords, dynamic_lmk"),
        ("a.npz", {"full_lmk_faces_idx": np.array([None])}, "Python objects in a .npz, which are never read"),
    ],
)  # fmt: skip
def test_wrong_landmarks_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(ValueError, match=message) as error:
        read_landmarks(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_landmarks_end_in_one_line(flame_folder, tmp_path, data):
    content = bytearray((flame_folder / "landmark_embedding.npy").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "landmark_embedding.npy"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        landmarks = read_landmarks(path)  # a changed number may be no damage
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    else:
        assert landmarks.triangles.shape == (68,) and np.isfinite(landmarks.barycentrics).all()


def test_a_wrong_texture_is_named(flame_arrays, tmp_path):
    arrays = made_up_flame.make_texture(flame_arrays[0], size=8, components=3)
    for changes, message in (
        ({"mean": np.zeros((8, 4, 3))}, "A a power of 2. Received: 8 x 4 x 3 and 8 x 8 x 3 x 3"),
        ({"tex_dir": np.zeros((8, 8, 3, 0))}, "A a power of 2"),
        ({"vt": arrays["vt"] + 1}, "vt should lie in 0…1"),
        ({"ft": arrays["ft"] + 10**6}, "ft should hold whole numbers"),
    ):
        np.savez(tmp_path / "texture.npz", **(arrays | changes))
        with pytest.raises(ValueError, match=message):
            read_texture(tmp_path / "texture.npz", 3, 8)
