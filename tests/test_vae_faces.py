"""Faces of factor VAEs: that a sheet varies in its factor alone, and what the command line writes and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from discoface_tf2.vae_faces import factor_rows, main, spread
from vae import FACTORS


@pytest.mark.parametrize("factor", FACTORS)
def test_only_the_factor_varies(factor, tiny_face_model, tiny_sampler):
    layout = tiny_face_model.layout
    where = np.zeros(layout.size, bool)
    where[layout.slice(factor)] = True
    real = np.arange(40 * where.sum(), dtype=np.float32).reshape(40, -1)
    sampled = factor_rows(tiny_sampler, tiny_face_model, factor, 200)
    taken = factor_rows(tiny_sampler, tiny_face_model, factor, 30, real=real)
    for rows in (sampled, taken):
        np.testing.assert_array_equal(rows[:, ~where], np.broadcast_to(sampled[0, ~where], rows[:, ~where].shape))
        assert (rows[:, where].std(0) > 0).all()
    numbers = {tuple(row) for row in taken[:, where]}
    assert len(numbers) == 30 and numbers <= {tuple(row) for row in real}  # each row once
    np.testing.assert_array_equal(sampled[:20], factor_rows(tiny_sampler, tiny_face_model, factor, 20))


def test_spread_is_of_known_poses_and_lights():
    angles = np.radians([[10, -20, 0], [30, 20, 0]])
    assert spread("pose", angles) == "pitch 20.0 ± 10.0°, yaw 0.0 ± 20.0°, roll 0.0 ± 0.0°"
    line = spread("lighting", np.zeros((5, 27), np.float32))  # the even light: 0.8 of π / √(4π)
    assert f"camera {0.8 * np.pi / np.sqrt(4 * np.pi):.2f} ± 0.00" in line
    assert "1.00, 1.00, 1.00" in line and line.endswith("right 0.00")


def test_command_line_draws_the_sheets(tiny_assets, tiny_face_model, tmp_path, capsys):
    layout, rng = tiny_face_model.layout, np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    coefficients = rng.normal(0, 0.3, (20, layout.size)).astype(np.float32)
    np.savez(tmp_path / "data" / "coefficients.npz", coeff=coefficients)
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"layout": layout.to_dict()}))
    arguments = ["--vae_dir", str(tiny_assets / "vae"), "--face_model", str(tiny_assets / "face.npz"), "--count", "3",
                 "--columns", "2", "--size", "16", "--out", str(tmp_path / "out")]  # fmt: skip
    main([*arguments, "--factor", "rot", "gamma", "--data", str(tmp_path / "data")])
    assert "real (20): pitch" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["gamma.png", "rot.png"]
    picture = Image.open(tmp_path / "out" / "rot.png")
    assert (picture.width, picture.height % 4) == (32, 0)  # two rows of real faces, two of sampled ones
    assert np.asarray(picture).std() > 5

    (tmp_path / "data" / "dataset.json").write_text(
        json.dumps({"layout": {**layout.to_dict(), "shape": 2, "texture": 3}})
    )
    with pytest.raises(ValueError, match="expected coefficients of"):
        main([*arguments, "--factor", "rot", "--data", str(tmp_path / "data")])
    with pytest.raises(ValueError, match="trained for another face model"):
        main([*arguments[:2], *arguments[4:], "--face_model", "builtin"])
    with pytest.raises(SystemExit) as usage:
        main([*arguments, "--size", "3"])
    assert usage.value.code == 2
