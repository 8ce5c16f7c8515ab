from __future__ import annotations

import builtins

import numpy as np
import pytest
import tensorflow as tf
import trimesh

from discoface_tf2.fields import Box
from discoface_tf2.fields.meshes import extract_mesh, save_mesh

CENTRE, RADIUS = np.array([0.1, 0.2, -0.1], np.float32), 0.7


def ball(centre, points, directions):
    """Smoothly denser inward: 1 at the radius; its values are colours of the place, and the direction."""
    d = tf.norm(points - centre[:, None], axis=-1)
    return tf.concat([points, directions], -1), tf.exp(4 * (RADIUS - d))


@pytest.fixture(scope="module")
def mesh():
    return extract_mesh(ball, tf.constant(CENTRE[None]), Box((1.0, 1.2, 0.9)), 1.0, 32)


def test_the_surface_of_a_ball(mesh):
    outwards = (mesh.vertices - CENTRE) / RADIUS
    np.testing.assert_allclose(np.linalg.norm(outwards, axis=-1), 1, atol=5e-3)
    assert (mesh.normals * outwards).sum(-1).min() > 0.99
    np.testing.assert_allclose(mesh.values[:, :3], mesh.vertices, atol=1e-6)
    np.testing.assert_allclose(mesh.values[:, 3:], -mesh.normals, atol=1e-6)  # seen from outside
    solid = trimesh.Trimesh(mesh.vertices, mesh.triangles, process=False)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.02)  # positive: triangles face outwards


@pytest.mark.parametrize(("suffix", "scale"), [(".obj", 1.0), (".ply", 1.0), (".glb", 0.1)])
def test_files_are_read_back(mesh, suffix, scale, tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, mesh.vertices.shape, np.uint8)
    save_mesh(tmp_path / f"ball{suffix}", mesh, colours)
    assert [path.name for path in tmp_path.iterdir()] == [f"ball{suffix}"]
    read = trimesh.load_mesh(tmp_path / f"ball{suffix}", process=False)
    np.testing.assert_allclose(read.vertices, mesh.vertices * scale, atol=1e-6)
    np.testing.assert_array_equal(read.faces, mesh.triangles)
    np.testing.assert_array_equal(read.visual.vertex_colors[:, :3], colours)
    save_mesh(tmp_path / f"plain{suffix}", mesh)
    assert len(trimesh.load_mesh(tmp_path / f"plain{suffix}").faces) == len(mesh.triangles)


def test_what_cannot_be_is_said_in_one_line(mesh, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"a level between the densities of the field, 0.* to .* Received: 99"):
        extract_mesh(ball, tf.constant(CENTRE[None]), Box.cube(1.0), 99.0, 4)
    with pytest.raises(ValueError, match=r"ends in .obj, .ply, .glb. Received: .*ball.stl"):
        save_mesh(tmp_path / "ball.stl", mesh)
    usual = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] in ("skimage", "trimesh"):
            raise ImportError(name)
        return usual(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"scikit-image: pip install 'discoface_tf2\[meshes\]'"):
        extract_mesh(ball, tf.constant(CENTRE[None]), Box.cube(1.0), 1.0, 4)
    with pytest.raises(ImportError, match=r"trimesh: pip install 'discoface_tf2\[meshes\]'"):
        save_mesh(tmp_path / "ball.obj", mesh)
