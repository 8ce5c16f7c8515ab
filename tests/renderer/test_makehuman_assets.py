from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderer.makehuman.assets import BASE_VERTICES, read_assets, read_part, read_texture
from tests.helpers.made_up_parts import write_part, write_parts

BASE = np.random.default_rng(0).uniform(-1, 1, (60, 3))
MOVE = np.array([1.0, 2.0, 3.0])


def base_mesh(vertices=BASE):
    base = np.zeros((1, BASE_VERTICES, 3))
    base[0, : len(vertices)] = vertices
    return base


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("parts")
    write_parts(path, BASE)
    return path


def test_a_folder_is_read_whole(folder):
    assets = read_assets(folder)
    assert list(assets.hair) == ["long01", "short02"] and list(assets.irises) == ["blue", "brown"]
    assert "eyebrows/eyebrow002" in assets.names() and "eyes/brown" in assets.names()
    part = assets.hair["long01"]
    assert part.triangles.shape == part.uv_triangles.shape == (14, 3) and part.texture.shape == (16, 16, 4)
    assert assets.eyes.texture is None and assets.checksum() == read_assets(folder).checksum()


def test_a_part_on_its_own_head_is_as_drawn_and_follows_others(folder):
    for part in read_assets(folder).parts():
        fitted = part.binding.fit(base_mesh())
        np.testing.assert_allclose(fitted[0, 1:], part.vertices[1:], atol=2e-5)  # vertex 0 sits on a vertex
        assert set(part.binding.base_vertices()) <= set(range(60))
        moved = part.binding.fit(base_mesh(BASE + MOVE))
        np.testing.assert_allclose(moved, fitted + MOVE, atol=1e-5)
        wide = part.binding.fit(base_mesh(BASE * [1.5, 1, 1]))
        np.testing.assert_allclose(wide, fitted * [1.5, 1, 1], atol=2e-5)  # offsets grow along x


def test_several_heads_are_fitted_as_each_alone(folder):
    part = read_assets(folder).hair["long01"]
    heads = np.concatenate([base_mesh(), base_mesh(BASE * 1.2), base_mesh(BASE - 0.3)])
    together = part.binding.fit(heads)
    for number in range(3):
        np.testing.assert_array_equal(together[number], part.binding.fit(heads[number : number + 1])[0])


@settings(max_examples=25, deadline=None)
@given(count=st.integers(2, 9), seed=st.integers(0, 1000), size=st.sampled_from([4, 16]))
def test_parts_of_any_layout_survive_writing_and_reading(count, seed, size, tmp_path_factory):
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-2, 2, (2 * count, 3))
    folder = tmp_path_factory.mktemp("part")
    write_part(folder, "sheet", vertices, BASE, picture=size)
    part = read_part(folder / "sheet" / "sheet.obj")
    np.testing.assert_allclose(part.vertices, vertices, atol=1e-6)
    assert len(part.triangles) == 2 * (count - 1) and part.uv.shape == (2 * count, 2)
    np.testing.assert_array_equal(part.triangles, part.uv_triangles)
    np.testing.assert_allclose(part.binding.fit(base_mesh())[0, 1:], vertices[1:], atol=2e-5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bindings_are_refused_in_one_line_or_read(folder, tmp_path, data):
    source = folder / "hair" / "long01"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changed = bytearray((source / "long01.mhclo").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "long01.mhclo").write_bytes(bytes(changed[: data.draw(st.integers(0, len(changed)))]))
    try:
        part = read_part(tmp_path / "long01.obj")
    except (ValueError, FileNotFoundError) as error:
        assert str(tmp_path) in str(error) and "\n" not in str(error)
    else:
        assert np.isfinite(part.binding.fit(base_mesh())).all()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("long01.mhclo", None, "there is no such file"),
        ("long01.mhclo", "verts 0\n1\n2\n", "expected 16 bound vertices, as the .obj has. Received: 2"),
        ("long01.mhclo", "verts 0\n" + "99999\n" * 16, r"expected base vertices 0…19157. Received: 99999"),
        ("long01.mhclo", "x_scale 1 2 0\nverts 0\n", "line 1: expected a binding. Received: 'x_scale 1 2 0'"),
        ("long01.mhmat", "diffuseTexture nothing.png", "nothing.png: there is no such file"),
        ("long01.png", "no picture", "expected a picture"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, tmp_path, name, text, message):
    for path in (folder / "hair" / "long01").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        read_part(tmp_path / "long01.obj")
    assert "\n" not in str(caught.value)


def test_missing_kinds_and_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        read_assets(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"hair/NAME/NAME\.obj"):
        read_assets(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_texture(tmp_path / "no.png")
