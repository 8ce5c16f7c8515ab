"""Metrics by name: which images, and where the figures go."""

import json
import re

import numpy as np
import pytest

from discoface_tf2.metrics.control import coefficient_errors
from discoface_tf2.metrics.protocols import Control, append_figures, commit
from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_generator
from discoface_tf2.systems.disco.system import DiscoGenerator
from renderer import CoefficientLayout


def test_identity_needs_rows():
    with pytest.raises(ValueError, match="samples should be at least twice"):
        Control(7)


def test_control_draws_rows_of_one_identity(tiny_face_model, tiny_sampler, tiny_perception):
    layout = tiny_face_model.layout
    config = NetworkConfig(layout.lambda_size + 4, 16, 128, 8, mapping_layers=2, mapping_width=16, w_dim=16)
    faces = DiscoGenerator(build_generator(config), layout, 4, np.zeros(16))
    protocol = Control(7, variation=3)
    images, lambdas, subjects = (np.concatenate(x) for x in zip(*protocol.batches(faces, tiny_sampler), strict=True))
    assert images.shape == (7, 16, 16, 3) and np.abs(images).max() <= 1
    np.testing.assert_array_equal(subjects, [0, 0, 0, 1, 1, 1, 2])
    identity, expression = layout.slice("identity"), layout.slice("expression")
    np.testing.assert_array_equal(lambdas[:3, identity], lambdas[:1, identity].repeat(3, 0))
    assert np.abs(lambdas[0, expression] - lambdas[1, expression]).max() > 0
    figures = protocol.measure(faces, tiny_sampler, tiny_perception)
    assert figures["samples"] == 7 and np.isfinite(list(figures.values())).all()
    assert figures == protocol.measure(faces, tiny_sampler, tiny_perception)


def test_errors_in_degrees_and_percent():
    layout = CoefficientLayout(2, 2, 3)
    asked = np.random.default_rng(1).normal(size=(2000, layout.lambda_size))
    seen = asked.copy()
    seen[:, layout.slice("angles")] += np.radians([2.0, -4.0, 0.0])
    seen[:, layout.slice("expression")] = asked[:, layout.slice("expression")].mean(0)  # knows nothing
    errors = coefficient_errors(asked, np.pad(seen, [(0, 0), (0, 3)]), layout)
    assert errors == {
        "pose_degrees": pytest.approx(2.0),
        "lighting_percent": pytest.approx(0.0),
        "expression_percent": pytest.approx(100.0, rel=1e-6),
        "identity_percent": pytest.approx(0.0),
    }


def test_figures_are_added_line_by_line(tmp_path):
    for kimg in (1.0, 2.0):
        append_figures(tmp_path, "control10", {"kimg": kimg})
    lines = (tmp_path / "metric-control10.jsonl").read_text().splitlines()
    assert [json.loads(line)["kimg"] for line in lines] == [1.0, 2.0]


def test_the_commit_is_that_of_the_checkout(monkeypatch):
    found = commit()
    assert found is None or re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", found)
    monkeypatch.setenv("PATH", "")
    assert commit() is None
