from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

LAYOUT = {"shape": 5, "texture": 3, "expression": 4, "angles": 3, "lighting": 27, "translation": 3}


@pytest.fixture
def layout() -> dict[str, int]:
    return dict(LAYOUT)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset folder with 600 made-up coefficient vectors; each value tells its column by its mean."""
    rng = np.random.default_rng(0)
    size = sum(LAYOUT.values())
    vectors = rng.standard_normal((600, size)) * 0.3
    light = slice(sum(LAYOUT[group] for group in ("shape", "texture", "expression", "angles")), size - 3)
    vectors[:, light] = np.repeat(vectors[:, light][:, :9], 3, axis=1)  # as white light: its channels go together
    vectors += np.arange(size)
    folder = tmp_path / "dataset"
    folder.mkdir()
    np.savez(folder / "coefficients.npz", coeff=vectors.astype(np.float32), subject=np.repeat(np.arange(300), 2))
    (folder / "dataset.json").write_text(json.dumps({"count": 600, "layout": LAYOUT}))
    return folder
