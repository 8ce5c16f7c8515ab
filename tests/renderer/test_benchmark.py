from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from benchmarks.renderer import main, measure_memory


def test_the_table_has_every_measurement_for_each_batch_and_mode(capsys):
    sizes = ["--triangles", "60", "--image_size", "16", "--batch", "1", "2"]
    main(["--face_model", "sphere", *sizes, "--repeats", "2", "--modes", "graph"])
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].endswith("triangles, 16x16; milliseconds per image")
    assert lines[1].split() == ["mode", "batch", "wall", "cpu", "reference", "memory"]
    rows = [line.rsplit(maxsplit=8) for line in lines[2:]]
    names = ("rasterize", "whole step", "with gradient")
    expected = [(name, "graph", batch) for batch in "12" for name in names]
    assert [(name.strip(), mode, batch) for name, mode, batch, *_ in rows] == expected
    for row in rows:
        assert all(float(row[i]) > 0 for i in (3, 4, 5)) and row[6] == "ms" and row[8] == "MB"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_memory_of_a_call():
    def need(megabytes: int) -> float:
        return measure_memory(lambda: np.ones([megabytes, 2**20], np.uint8))

    if math.isnan(need(1)):
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert 95 < need(100) < 115
    assert need(1) < 20  # the peak of the call before is forgotten
