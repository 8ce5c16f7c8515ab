from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from renderer import Camera, FaceRenderer, load_face_model
from renderer.import_model import main
from renderer.importers.bfm import import_bfm09, import_bfm_front
from renderer.normals import vertex_normals
from renderer.pose import rotation_matrix

SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference"
VERTICES, EXPRESSION_VERTICES, FRONT = 53490, 53215, 35709


# ---- the reference's ready-made front face -----------------------------------------------------------------


def front_arrays(count: int = 80, seed: int = 0) -> dict[str, np.ndarray]:
    """A small made-up model in the layout of BFM_model_front_gan.mat."""
    rng = np.random.default_rng(seed)
    tri = np.array([rng.permutation(count)[:3] for _ in range(60)]) + 1
    return {
        "meanshape": rng.normal(size=(1, 3 * count)).astype(np.float32),
        "idBase": rng.normal(0, 0.01, (3 * count, 6)).astype(np.float32),
        "exBase": rng.normal(0, 0.01, (3 * count, 5)).astype(np.float32),
        "meantex": rng.uniform(60, 200, (1, 3 * count)).astype(np.float32),
        "texBase": rng.normal(0, 5, (3 * count, 4)).astype(np.float32),
        "tri": tri.astype(np.int32),
        "keypoints": rng.permutation(count)[None, :68] + 1,
        "gan_mask": np.arange(count, 0, -1)[None],  # backwards: gan_tl counts the mask's vertices, not the mesh's
        "gan_tl": count + 1 - tri[:40],
    }


def saved(folder: Path, **changes) -> Path:
    arrays = {key: value for key, value in (front_arrays() | changes).items() if value is not None}
    scipy.io.savemat(str(folder / "BFM_model_front_gan.mat"), arrays)
    return folder


def test_front_arrays_land_where_they_belong(tmp_path):
    arrays, model = front_arrays(), import_bfm_front(saved(tmp_path))
    assert (model.layout.shape, model.layout.texture, model.layout.expression) == (6, 4, 5)
    np.testing.assert_array_equal(model.mean_shape.ravel(), arrays["meanshape"][0])
    np.testing.assert_array_equal(model.shape_basis[7, 2], arrays["idBase"][23])
    np.testing.assert_array_equal(model.texture_basis[7, 2], arrays["texBase"][23])
    np.testing.assert_array_equal(model.landmarks, arrays["keypoints"][0] - 1)
    np.testing.assert_array_equal(model.triangles, arrays["tri"] - 1)
    np.testing.assert_array_equal(np.flatnonzero(model.face_triangles), np.arange(40))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"idBase": None}, "expected the variable 'idBase'"),
        ({"idBase": np.zeros((9, 6))}, "idBase should have 240 x any numbers. Received: 9 x 6"),
        ({"meanshape": np.zeros((1, 241))}, "meanshape should have three numbers a vertex"),
        ({"meanshape": np.full((1, 240), np.nan)}, "meanshape should be finite"),
        ({"tri": np.full((4, 3), 81)}, "tri should hold whole numbers in 1…80"),
        ({"gan_tl": np.zeros((4, 3))}, "gan_tl should hold whole numbers in 1…80"),
        ({"keypoints": np.ones((1, 67))}, "keypoints should have 1 x 68 numbers"),
        (
            {"texBase": np.array([[{"a": 1}]], dtype=object)},
            "texBase: expected an array of real numbers. Received: cells",
        ),
    ],
)
def test_front_files_that_are_wrong(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message) as error:
        import_bfm_front(saved(tmp_path, **changes))
    assert "BFM_model_front_gan.mat" in str(error.value) and "\n" not in str(error.value)


def test_the_command_writes_a_model_and_a_sheet(tmp_path, capsys):
    main(["bfm-front", "--source", str(saved(tmp_path)), "--out", str(tmp_path / "deep" / "face.npz"), "--size", "16"])
    printed = capsys.readouterr().out
    model = load_face_model(tmp_path / "deep" / "face.npz")
    assert model.name == "bfm-front" and (tmp_path / "deep" / "face.png").stat().st_size > 1000
    assert "80 vertices, 60 triangles, 40 of them" in printed and "6 shape + 4 texture + 5 expression" in printed
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["face.npz", "face.png"]


@pytest.mark.skipif(not (SHARED / "face_decoder").is_dir(), reason="the reference's numbers are not here")
def test_every_intermediate_of_the_reference_through_the_imported_file(tmp_path):
    import_bfm_front(SHARED / "face_decoder" / "model.mat").save(tmp_path / "face.npz")
    renderer = FaceRenderer(load_face_model(tmp_path / "face.npz"), 256)
    with np.load(SHARED / "face_decoder" / "expected.npz") as stored:
        wanted = dict(stored)
    coefficients = wanted["coeff"]
    shape = renderer.shape(coefficients)
    found = {
        "shape": shape,
        "texture": renderer.texture(coefficients),
        "rotation_T": np.transpose(rotation_matrix(coefficients[:, renderer.layout.slice("angles")]), [0, 2, 1]),
        "normal": vertex_normals(shape, renderer.adjacency),
        "normal_rotated": renderer.normals(coefficients, shape),
        "shape_posed": renderer.vertices(coefficients),
        "color": renderer.colours(coefficients, shape),
        "projection_256": renderer.camera.project(renderer.vertices(coefficients)),
        "landmarks_256": renderer.landmarks(coefficients),
        "landmarks_224": renderer.landmarks(coefficients, Camera.reconstruction()),
    }
    assert set(found) | {"coeff"} == set(wanted)
    for key, value in found.items():
        np.testing.assert_allclose(value, wanted[key], rtol=0, atol=1e-4 * np.abs(wanted[key]).max(), err_msg=key)


# ---- the licensed files, in format and size, with made-up numbers -------------------------------------------------


@pytest.fixture(scope="module")
def bfm09(tmp_path_factory):
    """A folder of made-up files, and what the recipe should select: vertex v has the values v, v + 0.25, v + 0.5."""
    folder, rng = tmp_path_factory.mktemp("bfm"), np.random.default_rng(0)
    (folder / "BFM").mkdir()
    front = np.sort(rng.permutation(EXPRESSION_VERTICES)[:FRONT])
    trim = np.sort(rng.permutation(VERTICES)[:EXPRESSION_VERTICES])
    spread = np.linspace(3, 1, 80, dtype=np.float32)
    value = (np.arange(VERTICES)[:, None] + [0.0, 0.25, 0.5]).astype(np.float32).reshape(-1, 1)
    basis = np.empty((3 * VERTICES, 80), np.float32)
    basis[:] = value * np.float32(1e-3)
    model = {"shapeMU": value, "shapePC": basis, "shapeEV": spread[:, None], "texMU": value / 1000, "texPC": basis,
             "texEV": spread[:, None], "tl": np.ones((2, 3))}  # fmt: skip
    scipy.io.savemat(str(folder / "01_MorphableModel.mat"), model)
    moves = np.arange(EXPRESSION_VERTICES, dtype="<f4")[None, :, None] * np.array([1, 2, 3], "<f4")
    with open(folder / "Exp_Pca.bin", "wb") as file:
        file.write(np.array([64], "<i4").tobytes() + bytes(12 * EXPRESSION_VERTICES))
        for _ in range(64):
            file.write(moves.tobytes())
    mask = np.arange(0, FRONT, 2)
    triangles = np.stack([mask[:-2], mask[1:-1], mask[2:]], -1)[:500]
    for name, arrays in {
        "BFM_front_idx.mat": {"idx": (front[:, None] + 1).astype(np.float32)},
        "BFM_exp_idx.mat": {"trimIndex": (trim[:, None] + 1).astype(np.uint16)},
        "facemodel_info.mat": {"tri": triangles + 1, "keypoints": np.arange(1, 69)[None] * 300.0},
        "gan_mask.mat": {"idx": mask[:, None] + 1},
        "gan_tl.mat": {"f": triangles[:200] // 2 + 1},
    }.items():
        scipy.io.savemat(str(folder / "BFM" / name), arrays)
    (folder / "BFM" / "std_exp.txt").write_text(" ".join(str(100.0 + k) for k in range(79)))
    return folder, front, trim[front], spread


def test_bfm09_selects_and_scales_as_the_recipe_says(bfm09):
    folder, of_expression, of_shape, spread = bfm09
    model = import_bfm09(folder)
    assert (model.layout.shape, model.layout.texture, model.layout.expression) == (80, 80, 64)
    assert model.layout.size == 257 and model.layout.lambda_size == 254 and len(model.mean_shape) == FRONT
    place = of_shape[:, None] + [0.0, 0.25, 0.5]
    np.testing.assert_allclose(model.mean_shape, place / 1e5, rtol=1e-6)
    np.testing.assert_allclose(model.mean_texture, place / 1e3, rtol=1e-6)
    for k in (0, 79):
        np.testing.assert_allclose(model.shape_basis[..., k], place * 1e-3 * spread[k] / 1e5, rtol=1e-5)
        np.testing.assert_allclose(model.texture_basis[..., k], place * 1e-3 * spread[k], rtol=1e-5)
    moved = of_expression[:, None] * np.array([1, 2, 3]) * (100 + 63) / 1e5
    np.testing.assert_allclose(model.expression_basis[..., 63], moved, rtol=1e-6)
    np.testing.assert_array_equal(model.landmarks, np.arange(1, 69) * 300 - 1)
    np.testing.assert_array_equal(np.flatnonzero(model.face_triangles), np.arange(200))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("std_exp.txt", b"1 2 3", r"std_exp\.txt: expected 79 numbers"),
        ("BFM_front_idx.mat", None, r"BFM_front_idx\.mat: idx should have 35709 x 1 numbers"),
        ("facemodel_info.mat", b"MATLAB 5.0", r"facemodel_info\.mat: not a \.mat file"),
        ("Exp_Pca.bin", b"\x40\x00\x00\x00", r"Exp_Pca\.bin: expected a number K"),
    ],
)
def test_bfm09_names_the_wrong_file(bfm09, tmp_path, name, content, message):
    for path in bfm09[0].rglob("*.*"):
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    if content is None:
        scipy.io.savemat(str(tmp_path / name), {"idx": np.ones((5, 1))})
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        import_bfm09(tmp_path)
    assert "\n" not in str(error.value)


def test_bfm09_names_all_missing_files(tmp_path):
    (tmp_path / "std_exp.txt").write_text("1")
    with pytest.raises(FileNotFoundError, match=r"missing 01_MorphableModel\.mat, Exp_Pca\.bin, BFM_front_idx\.mat"):
        import_bfm09(tmp_path)


@pytest.mark.skipif(not (SHARED / "bfm").is_dir(), reason="the published index files are not here")
def test_the_published_indices_compose_to_the_published_selection():
    def read(name, key):
        return scipy.io.loadmat(str(SHARED / "bfm" / name))[key].ravel().astype(int)

    composed = read("BFM_exp_idx.mat", "trimIndex")[read("BFM_front_idx.mat", "idx") - 1]
    np.testing.assert_array_equal(composed, read("select_vertex_id.mat", "select_id"))
