"""A run folder belongs to one set of options."""

import pytest

from discoface_tf2.training.run_folder import OPTIONS, open_run, read_json


def test_a_folder_is_made_once_and_then_recognised(tmp_path):
    options = {"training": {"kimg": 1.0, "seed": 0, "sizes": (1, 2)}, "assets": {"data": "x"}}
    assert open_run(tmp_path / "run", options) is False
    assert open_run(tmp_path / "run", options) is True


def test_a_run_may_go_on_longer_but_not_otherwise_differ(tmp_path):
    open_run(tmp_path, {"training": {"kimg": 1.0, "seed": 0}})
    assert open_run(tmp_path, {"training": {"kimg": 2.0, "seed": 0}})
    assert read_json(tmp_path / OPTIONS)["training"]["kimg"] == 2.0
    with pytest.raises(ValueError, match=r"training.seed: 0 there, 1 asked for"):
        open_run(tmp_path, {"training": {"kimg": 2.0, "seed": 1}})


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_damaged_options_are_named(tmp_path, content):
    (tmp_path / OPTIONS).write_text(content)
    with pytest.raises(ValueError, match=OPTIONS):
        open_run(tmp_path, {})


def test_an_option_that_came_later_had_its_default(tmp_path):
    open_run(tmp_path, {"training": {"kimg": 1.0}})
    defaults = {"training": {"kimg": 300.0, "ada_target": 0.0}}
    assert open_run(tmp_path, {"training": {"kimg": 1.0, "ada_target": 0.0}}, defaults=defaults)
    with pytest.raises(ValueError, match=r"training.ada_target: 0.0 there, 0.6 asked for"):
        open_run(tmp_path, {"training": {"kimg": 1.0, "ada_target": 0.6}}, defaults=defaults)
