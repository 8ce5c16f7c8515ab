"""The benchmarks run, on tiny settings, and print what they promise. Nothing here looks at a clock."""

import numpy as np
import pytest

import train
from benchmarks import contrast, generation


def test_generation(capsys):
    generation.main(["--batch", "1", "3", "--repeats", "1"])
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["batch", "images/s"]
    assert [int(row.split()[0]) for row in rows] == [1, 3]
    for row in rows:
        rate, wall = (float(number) for number in row.split()[1:3])
        assert rate * wall == pytest.approx(1000, rel=0.05)


def test_wrong_flags(capsys):
    with pytest.raises(SystemExit, match="2"):
        generation.main(["--batch", "0"])
    assert "--batch and --repeats should be 1 or more" in capsys.readouterr().err


def test_contrast_measures_what_lies_outside_both_meshes():
    images = np.zeros([3, 4, 4, 3])
    masks = np.zeros([3, 4, 4, 1])
    masks[0, :2], masks[1, 1:3] = 1, 1  # free in both: row 3; of images 1 and 2: rows 0 and 3
    images[1, :3] = 200.0  # under a mask of the first two, but row 0 is not under one of the last two
    images[1, 3] = 10.0
    expected = np.mean([*[10.0] * 4, *[200.0] * 4, *[10.0] * 4])
    assert contrast.outside(images, masks) == pytest.approx(expected)


def test_contrast_asks_for_what_train_has(tmp_path):
    """Every command of stage 2 is one of train.py, and the settings differ in the two weights of the pairs alone."""
    configs = {}
    for setting in contrast.SETTINGS:
        script, *flags = contrast.stage_2(tmp_path, setting, 1, 5)
        args = train.make_parser().parse_args(flags)
        assert script == "train.py" and (args.seed, args.kimg, args.run_id) == (1, 5, str(tmp_path / "stage1"))
        configs[setting] = {name: getattr(args, name) for name in train.WEIGHT_FLAGS}
    assert configs["without"] == {**configs["with"], "w_exp_warp": 0.0, "w_gamma_change": 0.0}
    assert not any(configs["with"].values())  # the preset's


def test_contrast_prints_means_and_spreads():
    lines = contrast.table(
        {"identity": 0.5, "pose": 2.0}, {"without": [{"identity": 0.2, "pose": 1.0}, {"identity": 0.4, "pose": 3.0}]},
        {"pose": 1.0},
    ).splitlines()  # fmt: skip
    assert lines[0] == "| | stage 1 | without | held-out images |"
    assert lines[2:] == ["| identity | 0.500 | 0.300 ± 0.141 |  |", "| pose | 2.00 | 2.00 ± 1.41 | 1.00 |"]
