"""The benchmarks run, on tiny settings, and print what they promise. Nothing here looks at a clock."""

import pytest

from benchmarks import generation


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
