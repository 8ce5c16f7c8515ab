from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from renderer.face_model import FaceModel
from renderer.importers import ict_colours, ict_mesh
from renderer.importers.ict import import_ict
from renderer.importers.ict_mesh import FACES, PARTS, VERTICES, read_head
from renderer.importers.occlusion import sky_share
from renderer.importers.outlines import brow_distance, closed_curve, signed_distance

KIT = Path(__file__).resolve().parents[3] / "shared" / "morphable_models" / "ICT-FaceKit"
EXPRESSIONS = ["jawOpen", "eyeBlink_L", "mouthClose"]


# ---- a made-up checkout: the kit's counts and files ------------------------------------------------------------


def write_kit(folder: Path, *, faces: int = FACES, identities: int = 2, **tables) -> Path:
    rng = np.random.default_rng(0)
    vertices = rng.normal(size=(VERTICES, 3)) * [7, 9, 7] + [0, 0, 5]
    quads = np.arange(faces)[:, None] + [1, 2, 3, 4]
    parts = np.full(VERTICES, -1)
    for number, (first, last) in enumerate(PARTS.values()):
        parts[first : last + 1] = number
    uv = rng.uniform(size=(VERTICES, 2))
    uv[PARTS["teeth"][0] :, 0] += 3
    (folder / "FaceXModel").mkdir(parents=True)

    def write(name, points, rest=()):
        lines = ["mtllib x.mtl", *(f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in points), *rest]
        (folder / "FaceXModel" / f"{name}.obj").write_text("\n".join(lines) + "\n")

    rest = [f"vt {u:.4f} {v:.4f}" for u, v in uv]
    rest += ["f " + " ".join(f"{corner}/{corner}" for corner in quad) for quad in quads.tolist()]
    write("generic_neutral_mesh", vertices, rest)
    for number in range(identities):
        write(f"identity{number:03d}", vertices + np.array([1 + number, 0, 0]))
    for number, name in enumerate(EXPRESSIONS):
        write(name, vertices + np.array([0, 2 + number, 0]))
    content = {"expressions": EXPRESSIONS, "idx_to_landmark_verts": list(range(0, 6800, 100))} | tables
    (folder / "FaceXModel" / "vertex_indices.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return write_kit(tmp_path_factory.mktemp("kit"))


def test_the_kits_parts_units_and_differences(kit):
    head = read_head(kit)
    assert set(head.part) == set(PARTS) and head.triangles.max() == len(head.vertices) - 1
    assert set(np.unique(head.triangles)) == set(range(len(head.vertices)))
    np.testing.assert_allclose(
        head.shapes, np.broadcast_to([[[0.1, 0.2], [0, 0], [0, 0]]], head.shapes.shape), atol=2e-6
    )
    np.testing.assert_allclose(head.moves[..., 2], np.broadcast_to([0, 0.4, 0], head.vertices.shape), atol=2e-6)
    assert head.expression_names == tuple(EXPRESSIONS) and head.shape_names == ("identity000", "identity001")
    assert head.uv.min() >= 0 and head.uv.max() <= 1 and set(head.tile) == {0, 3}
    bald = read_head(kit / "FaceXModel", lashes=False)
    assert set(bald.part) == {name for name in PARTS if not name.startswith("lashes")}


def test_any_geometry_becomes_a_face_model(kit, monkeypatch):
    monkeypatch.setattr(ict_colours, "sky_share", lambda vertices, triangles: np.full(len(vertices), 0.5))
    model = import_ict(kit)
    assert isinstance(model, FaceModel) and model.layout.expression == 3 and model.layout.texture == 20
    assert model.expression_std.tolist() == pytest.approx([0.30, 0.25, 0.35])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"expressions": ["../secret"]}, "expressions should be a list of distinct names of letters"),
        ({"expressions": ["jawOpen", "jawOpen"]}, "distinct names"),
        ({"expressions": []}, "distinct names"),
        ({"idx_to_landmark_verts": [1] * 67}, "idx_to_landmark_verts should be 68 whole numbers"),
        ({"idx_to_landmark_verts": [1.5] * 68}, "idx_to_landmark_verts should be 68"),
        ({"idx_to_landmark_verts": [30000] * 68}, "in 0…26718"),
        ({"idx_to_landmark_verts": [24600] * 68}, "names vertices that are not drawn"),
        ({"expressions": ["noSuchFile"]}, r"noSuchFile\.obj: there is no such file"),
    ],
)
def test_wrong_tables(kit, tmp_path, tables, message):
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    for path in (kit / "FaceXModel").glob("*.obj"):
        (folder / path.name).symlink_to(path)
    content = json.loads((kit / "FaceXModel" / "vertex_indices.json").read_text())
    (folder / "vertex_indices.json").write_text(json.dumps(content | tables))
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        ict_mesh._read_tables(folder / "vertex_indices.json")
        read_head(tmp_path)
    assert "\n" not in str(error.value)


def test_other_meshes_and_gaps_are_refused(kit, tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a checkout of ICT-FaceKit"):
        read_head(tmp_path)
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    (folder / "vertex_indices.json").write_bytes((kit / "FaceXModel" / "vertex_indices.json").read_bytes())
    (folder / "generic_neutral_mesh.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(ValueError, match=r"expected 26719 vertices and 26384 faces.*Received: 3 and 1"):
        read_head(tmp_path)
    (folder / "identity001.obj").touch()
    with pytest.raises(FileNotFoundError, match=r"without a gap\. There are 1 such files"):
        ict_mesh._identities(folder)
    for text in ("{", "[]", '{"expressions": 1}'):
        (folder / "vertex_indices.json").write_text(text)
        with pytest.raises(ValueError, match="expected JSON with expressions"):
            read_head(tmp_path)


# ---- the real one -----------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The kit with few of its shapes, so that reading it is quick."""
    if not KIT.is_dir():
        pytest.skip(f"ICT-FaceKit is not here: {KIT}")
    folder = tmp_path_factory.mktemp("ict") / "FaceXModel"
    folder.mkdir()
    names = ["jawOpen", "eyeBlink_L", "eyeLookUp_L"]
    for name in ["generic_neutral_mesh", "identity000", *names]:
        (folder / f"{name}.obj").symlink_to(KIT / "FaceXModel" / f"{name}.obj")
    tables = json.loads((KIT / "FaceXModel" / "vertex_indices.json").read_text())
    (folder / "vertex_indices.json").write_text(json.dumps(tables | {"expressions": names}))
    return import_ict(folder)


def test_the_face_is_where_the_camera_expects_it(real):
    points = real.mean_shape[real.landmarks]
    eyes, nose, mouth = points[36:48].mean(0), points[30], points[[48, 54]].mean(0)
    for found, wanted in ((eyes, (0, 0.297, 0.155)), (nose, (0, -0.046, 0.552)), (mouth, (0, -0.381, 0.223))):
        np.testing.assert_allclose(found, wanted, atol=0.06)
    assert np.all(np.diff(points[:17, 0]) > 0) and points[8, 1] == points[:17, 1].min()  # the jaw, picture's left first
    np.testing.assert_allclose(points[[36, 48, 17]] * [-1, 1, 1], points[[45, 54, 26]], atol=2e-3)


def test_colours_lie_on_their_parts(real):
    def mean(*names):
        return real.mean_texture[real.in_region(*names)].mean(0)

    skin, lips, white, iris, pupil, teeth = (mean(n) for n in ("skin", "lips", "eye_white", "iris", "pupil", "teeth"))
    assert lips[0] / lips[1] > 1.1 * skin[0] / skin[1]  # redder
    assert mean("brow").max() < 0.75 * skin.max() and white.min() > 1.2 * iris.max() > 1.2 * 1.2 * pupil.max()
    assert mean("nostril").mean() < 0.75 * skin.mean() and teeth[0] > teeth[2]
    eye = real.mean_shape[real.landmarks[42:48]]
    pupils = real.mean_shape[real.in_region("pupil")]
    left = pupils[pupils[:, 0] > 0]
    assert (
        eye[:, 0].min() < left[:, 0].mean() < eye[:, 0].max() and eye[:, 1].min() < left[:, 1].mean() < eye[:, 1].max()
    )
    brow = real.mean_shape[real.in_region("brow")]
    assert (brow[:, 1] > eye[:, 1].max()).all() and len(brow) > 80
    tones = {name: real.texture_basis[..., k] for k, name in enumerate(real.texture_names)}
    assert np.abs(tones["iris_blue"][~real.in_region("iris", "pupil", "eye_white", "eye_light")]).max() == 0
    assert (tones["melanin"][real.in_region("skin")] < 0).all()


def test_actions_move_their_parts(real):
    moves = dict(zip(real.expression_names, np.moveaxis(real.expression_basis, -1, 0), strict=True))
    points = real.landmarks
    assert moves["jawOpen"][points[57], 1] < -0.2 < -0.05 < moves["jawOpen"][points[51], 1]
    assert (
        moves["eyeBlink_L"][points[[43, 44]], 1].max() < -0.03 and np.abs(moves["eyeBlink_L"][points[:27]]).max() < 0.02
    )
    lower = np.abs(moves["jawOpen"][real.in_region("teeth")][:, 1])
    assert lower.max() > 0.2 and lower.min() < 1e-6  # lower teeth go with the jaw, upper ones stay


# ---- the tools it is made with -----------------------------------------------------------------


def test_sky_share_of_a_ball_and_of_a_pit():
    polar, around = np.meshgrid(np.linspace(0, np.pi, 25), np.linspace(0, 2 * np.pi, 41), indexing="ij")
    ball = np.stack([np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], -1).reshape(-1, 3)
    r, c = (i.ravel() for i in np.meshgrid(np.arange(24), np.arange(40), indexing="ij"))
    a = r * 41 + c
    triangles = np.concatenate([np.stack([a, a + 41, a + 1], -1), np.stack([a + 1, a + 41, a + 42], -1)])
    outside = sky_share(ball, triangles, directions=48, size=96)
    assert outside[41:-41].min() > 0.9  # nothing is in front of a ball
    # Turned inside out, with its front open, it is a bowl: its bottom sees what the hole shows.
    kept = ball[triangles].mean(1)[:, 2] < 0.6
    inside = sky_share(ball, triangles[kept][:, ::-1], directions=96, size=96)
    bottom = inside[(ball[:, 2] < -0.9)]
    assert 0.1 < bottom.mean() < 0.35  # seen from -z, a hole of half-angle about 27 degrees: sin² 27° = 0.2


def test_distances_from_outlines():
    turn = np.arange(12) / 12 * 2 * np.pi
    circle = closed_curve(np.stack([np.cos(turn), np.sin(turn)], -1))
    places = np.array([[0, 0], [0.5, 0], [2, 0], [0, -1.5]])
    np.testing.assert_allclose(signed_distance(places, circle), [1, 0.5, -1, -0.5], atol=0.01)
    line = np.stack([np.linspace(0, 4, 5), np.zeros(5)], -1)
    distance, along = brow_distance(np.array([[1.0, 0.5], [5, 0]]), line)
    np.testing.assert_allclose(distance, [0.5, 1], atol=0.01)
    np.testing.assert_allclose(along, [0.25, 1], atol=0.01)
