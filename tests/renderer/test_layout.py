from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer import CoefficientLayout
from renderer.layout import FACTORS, GROUPS

sizes = st.integers(1, 300)
layouts = st.builds(CoefficientLayout, shape=sizes, texture=sizes, expression=sizes)


@settings(deadline=None)  # the machine may be busy
@given(layouts)
def test_groups_partition_the_vector_in_order(layout):
    vector = np.arange(layout.size)
    np.testing.assert_array_equal(np.concatenate([vector[layout.slice(group)] for group in GROUPS]), vector)


@settings(deadline=None)  # the machine may be busy
@given(layouts)
def test_factors_partition_the_lambda(layout):
    vector = np.arange(layout.lambda_size)
    pieces = np.concatenate([vector[layout.slice(factor)] for factor in FACTORS])  # pose lies before lighting
    np.testing.assert_array_equal(np.sort(pieces), vector)
    assert sum(layout.factor_size(factor) for factor in FACTORS) == layout.lambda_size


@settings(deadline=None)  # the machine may be busy
@given(layouts)
def test_dictionary_round_trip(layout):
    assert CoefficientLayout.from_dict(layout.to_dict()) == layout


def test_basel_sizes():
    layout = CoefficientLayout(80, 80, 64)
    assert (layout.size, layout.lambda_size, layout.factor_size("identity")) == (257, 254, 160)
    assert layout.slice("angles") == layout.slice("pose") == slice(224, 227)
    assert layout.slice("lighting") == slice(227, 254)


def test_split_takes_vectors_and_lambdas():
    layout = CoefficientLayout(5, 4, 3)
    vector = tf.random.stateless_normal([2, layout.size], [0, 0])
    parts = layout.split(vector)
    assert tuple(parts) == GROUPS
    np.testing.assert_array_equal(tf.concat(list(parts.values()), -1), vector)
    without = layout.split(vector[:, : layout.lambda_size])
    assert tuple(without) == GROUPS[:-1]
    np.testing.assert_array_equal(without["lighting"], parts["lighting"])
    with pytest.raises(ValueError, match=r"expected 45 coefficients .* Received: shape \(2, 44\)"):
        layout.split(vector[:, :44])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hair": 3}, "Unknown: \\['hair'\\]"),
        ({"shape": None}, "missing: \\['shape'\\]"),
        ({"angles": 4}, "pose has 3 angles"),
        ({"texture": 0}, "texture must be a positive"),
    ],
)
def test_wrong_dictionaries_are_refused(change, message):
    sizes = CoefficientLayout(5, 4, 3).to_dict() | change
    with pytest.raises(ValueError, match=message):
        CoefficientLayout.from_dict({key: value for key, value in sizes.items() if value is not None})


def test_unknown_group_is_refused():
    with pytest.raises(ValueError, match="Received: 'hair'"):
        CoefficientLayout(5, 4, 3).slice("hair")
