from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from datasets.synthetic.labels import LabelDistribution

LAW = LabelDistribution()


@pytest.mark.parametrize("left,right", [("_L", "_R"), ("Left", "Right")])
def test_the_kits_that_have_arkits_names_smile_blink_and_look_about(tiny_face_model, left, right):
    sided = ("mouthSmile", "eyeBlink", "eyeLookOut", "eyeLookIn", "eyeLookUp", "eyeLookDown")
    names = (
        *(stem + side for stem in sided for side in (left, right)),
        "jawOpen",
        "jawLeft",
        "mouthClose",
        "tongueOut",
    )
    model = dataclasses.replace(
        tiny_face_model,
        expression_basis=np.zeros((len(tiny_face_model.mean_shape), 3, len(names)), np.float32),
        expression_std=np.ones(len(names), np.float32),
        expression_names=names,
        manifest={"activations": "one-way"},
    )
    rng = np.random.default_rng(0)
    drawn = np.stack([LAW.expression(model, rng) for _ in range(600)])
    column = {name: drawn[:, place] for place, name in enumerate(names)}
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert 0.2 < (column["mouthSmile" + left] > 0.3).mean() < 0.45 > (column["eyeBlink" + right] > 0.5).mean() > 0.03
    assert np.corrcoef(column["mouthSmile" + left], column["mouthSmile" + right])[0, 1] > 0.7
    # Both eyes look the same way, and never two ways at once.
    np.testing.assert_array_equal(column["eyeLookOut" + left], column["eyeLookIn" + right])
    assert (
        column["eyeLookOut" + left].max() > 0.5
        and not (column["eyeLookUp" + left] * column["eyeLookDown" + left]).any()
    )
    assert not column["tongueOut"].any() and (column["mouthClose"] <= column["jawOpen"]).all()
