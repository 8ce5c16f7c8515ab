"""A folder of `.mat` files against the array that it was written from, and folders with something wrong in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from renderer.face_model import load_face_model
from vae.coefficient_folder import folder_layout, gather
from vae.data import BASEL_LAYOUT, factor_slice, load_factor
from vae.sampler import load_factor_vae
from vae.train import main

COUNT = 300


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (COUNT, 257)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, vectors: np.ndarray) -> Path:
    """As the original's preprocessing leaves it: one [1, 257] file a photograph; here some are in a folder below."""
    for number, vector in enumerate(vectors):
        path = tmp_path / "photos" / "coeff" / ("more" if number >= 290 else ".") / f"{number:05d}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        row = vector[None] if number % 2 else vector[None].astype(np.float64)
        savemat(path, {"coeff": row}, do_compression=number % 3 == 0)
    (tmp_path / "photos" / "coeff" / "00000.png").write_bytes(b"not ours")
    return tmp_path / "photos" / "coeff"


def stored(out: Path) -> np.ndarray:
    with np.load(out / "coefficients.npz", allow_pickle=False) as archive:
        return archive["coeff"]


def test_the_array_is_the_files(folder: Path, vectors: np.ndarray, tmp_path: Path) -> None:
    out = gather(folder, tmp_path / "out", BASEL_LAYOUT)
    np.testing.assert_array_equal(stored(out), vectors)
    data = load_factor(out, "lighting")
    where = factor_slice(BASEL_LAYOUT, "lighting")
    assert (where, len(data.held_out)) == (slice(227, 254), 15)
    together = np.concatenate([data.train, data.held_out])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(vectors[:, where], axis=0))


def test_read_once_unless_a_file_changes(
    folder: Path, vectors: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = gather(folder, tmp_path / "out", BASEL_LAYOUT)
    written = (out / "coefficients.npz").stat().st_mtime_ns
    capsys.readouterr()
    gather(folder, out, BASEL_LAYOUT)
    assert "read before" in capsys.readouterr().out
    assert (out / "coefficients.npz").stat().st_mtime_ns == written
    savemat(folder / "00007.mat", {"coeff": vectors[None, 8]})
    os.utime(folder / "00007.mat", ns=(1, 1))  # whatever the clock's resolution is
    assert "read before" not in capsys.readouterr().out
    np.testing.assert_array_equal(stored(gather(folder, out, BASEL_LAYOUT))[7], vectors[8])
    (out / "dataset.json").write_text("{")
    np.testing.assert_array_equal(stored(gather(folder, out, BASEL_LAYOUT))[7], vectors[8])


def test_files_that_cannot_be_used_are_named_and_left_out(
    folder: Path, vectors: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    whole = (folder / "00001.mat").read_bytes()
    (folder / "00001.mat").write_bytes(whole[:500])
    (folder / "00002.mat").write_bytes(b"")
    savemat(folder / "00003.mat", {"coeff": np.full((1, 257), np.nan, np.float32)})
    savemat(folder / "00004.mat", {"gamma": np.zeros((1, 27))})
    savemat(folder / "00005.mat", {"coeff": np.zeros((1, 300), np.float32)})
    savemat(folder / "00006.mat", {"coeff": {"a": 1}})
    out = gather(folder, tmp_path / "out", BASEL_LAYOUT)
    np.testing.assert_array_equal(stored(out), np.delete(vectors, range(1, 7), axis=0))
    left_out = json.loads((out / "dataset.json").read_text())["left_out"]
    assert [Path(path).name for path in left_out] == [f"0000{number}.mat" for number in range(1, 7)]
    errors = capsys.readouterr().err
    for reason in (
        "truncated",
        "not a .mat file",
        "finite numbers",
        "Received: 'gamma'",
        "expected 257 numbers (shape 80",
    ):
        assert reason in errors
    assert "6 files left out" not in errors
    assert all("\n" not in reason for reason in left_out.values())


def test_too_many_bad_files_end_it(folder: Path, tmp_path: Path) -> None:
    for number in range(0, 22, 2):
        (folder / f"{number:05d}.mat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^11 of the first 21 files cannot be used; .*00000\.mat: not a \.mat file"):
        gather(folder, tmp_path / "out", BASEL_LAYOUT)
    assert not (tmp_path / "out").exists()


def test_another_face_models_files_say_so_at_once(folder: Path, tmp_path: Path) -> None:
    layout = {**BASEL_LAYOUT, "shape": 100}
    with pytest.raises(ValueError, match=r"^11 of the first 11 files .*expected 277 numbers .*shape 100.*--face_model"):
        gather(folder, tmp_path / "out", layout)


def test_no_folder_and_no_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        gather(tmp_path / "nowhere", tmp_path / "out", BASEL_LAYOUT)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"expected \.mat files with 'coeff'.*there are none"):
        gather(tmp_path / "empty", tmp_path / "out", BASEL_LAYOUT)
    savemat(tmp_path / "empty" / "a.mat", {"coeff": np.zeros((2, 2))})
    with pytest.raises(ValueError, match=r"1 of the first 1 files .*Received: 2 x 2"):
        gather(tmp_path / "empty", tmp_path / "out", BASEL_LAYOUT)


def test_sizes_come_from_face_model_or_dataset_or_are_basels(folder: Path, tmp_path: Path) -> None:
    assert folder_layout(folder) == BASEL_LAYOUT
    assert folder_layout(folder, "builtin") == load_face_model("builtin").layout.to_dict()
    other = {**BASEL_LAYOUT, "shape": 7}
    np.savez(tmp_path / "face.npz", manifest=json.dumps({"layout": other, "checksum": "x"}))
    assert folder_layout(folder, tmp_path / "face.npz") == other
    with pytest.raises(FileNotFoundError, match="There is no file"):
        folder_layout(folder, tmp_path / "nowhere.npz")
    (folder.parent / "dataset.json").write_text(json.dumps({"layout": None}))
    assert folder_layout(folder) == BASEL_LAYOUT
    (folder.parent / "dataset.json").write_text(json.dumps({"layout": {**BASEL_LAYOUT, "texture": 9}}))
    assert folder_layout(folder)["texture"] == 9
    with pytest.raises(ValueError, match=r"its coefficients are .*'texture': 9.*; those of builtin are"):
        folder_layout(folder, "builtin")


def test_command_line_trains_from_the_folder(folder: Path, vectors: np.ndarray, tmp_path: Path) -> None:
    out = tmp_path / "vaes"
    main(["--factor", "rot", "--datapath", str(folder), "--out", str(out), "--epochs", "2", "--batch_size", "285"])
    vae = load_factor_vae(out / "rot")
    np.testing.assert_allclose(vae.config.std, vectors[:, 224:227].std(0), rtol=0.1)
    assert (out / "coefficients" / "coefficients.npz").is_file()
    manifest = json.loads((out / "rot" / "factor.json").read_text())
    assert (manifest["layout"], manifest["vectors"]) == (BASEL_LAYOUT, COUNT)
    for wrong in ([], ["--data", "a", "--datapath", "b"]):
        with pytest.raises(SystemExit) as usage:
            main(["--factor", "rot", "--out", str(out), *wrong])
        assert usage.value.code == 2
