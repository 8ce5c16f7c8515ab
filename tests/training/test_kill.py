"""A run that is killed twice ends with the weights of one that was left alone; the whole is benchmarks/kill_test.py."""

import numpy as np

import train
from benchmarks.kill_test import checkpoint_values, command, life, make_assets


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path, tiny_assets):
    assets, killed, whole = tmp_path / "assets", tmp_path / "killed", tmp_path / "whole"
    face_model = tiny_assets / "face.npz"
    make_assets(assets, str(face_model))
    # Imitation alone, which starts soonest; the other phases are killed in the script.
    options = [f"--face_model={face_model}", "--imitate_kimg=1", "--snapshot_kimg=0.016"]

    def run(out):
        return command(assets, out, 0.4, options)

    for number, (moment, delay) in enumerate((("save", 0.01), ("train", 0.3))):
        assert life(run(killed), killed, tmp_path / f"{number}.log", moment, delay), (
            tmp_path / f"{number}.log"
        ).read_text()
    for out in (killed, whole):
        train.main(run(out)[2:])
    ours, theirs = checkpoint_values(killed), checkpoint_values(whole)
    assert set(ours) == set(theirs) and len(theirs) > 100
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
