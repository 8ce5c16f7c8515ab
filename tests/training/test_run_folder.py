"""A run folder belongs to one set of options."""

import pytest

from discoface_tf2.training.guard import LOCK
from discoface_tf2.training.run_folder import OPTIONS, open_run, own_folder, read_json


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


def test_a_refused_start_leaves_nothing_so_that_the_corrected_command_is_taken(tmp_path):
    run = tmp_path / "runs" / "a"
    with pytest.raises(ValueError, match="no memory"), own_folder(run, begun=lambda: False):
        open_run(run, {"training": {"batch_size": 64}})
        (run / "tensorboard").mkdir()
        (run / "tensorboard" / "events").touch()
        raise ValueError("no memory for that")
    assert not run.exists()
    with own_folder(run, begun=lambda: False):
        assert open_run(run, {"training": {"batch_size": 32}}) is False


def test_what_was_there_before_a_refused_start_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt), own_folder(tmp_path, begun=lambda: False):
        open_run(tmp_path, {"seed": 0})
        raise KeyboardInterrupt
    assert {path.name for path in tmp_path.iterdir()} <= {"notes.txt", LOCK}
    assert not (tmp_path / OPTIONS).exists()


def test_a_run_that_has_begun_is_kept(tmp_path):
    with pytest.raises(ValueError), own_folder(tmp_path / "run", begun=lambda: True):
        open_run(tmp_path / "run", {"seed": 0})
        raise ValueError
    assert open_run(tmp_path / "run", {"seed": 0})


def test_a_second_process_is_refused_and_removes_nothing(tmp_path):
    with own_folder(tmp_path / "run", begun=lambda: False):
        open_run(tmp_path / "run", {"seed": 0})
        with pytest.raises(OSError, match="another process"), own_folder(tmp_path / "run", begun=lambda: False):
            pass
        assert (tmp_path / "run" / OPTIONS).is_file()


def of(data="1a", name="photographs", **more):
    return {"training": {"seed": 0}, "assets": {"data": name}, "checksums": {"data": data}, **more}


def test_other_content_under_the_same_name_is_refused_and_both_are_named(tmp_path):
    open_run(tmp_path, of())
    with pytest.raises(ValueError, match=r"data: 'photographs', checksum 1a there, .*, checksum 2b asked for"):
        open_run(tmp_path, of(data="2b"))


def test_the_same_content_may_lie_elsewhere(tmp_path):
    open_run(tmp_path, of())
    assert open_run(tmp_path, of(name="moved"))


def test_a_run_of_before_checksums_goes_on_with_a_line_and_notes_them(tmp_path, capsys):
    open_run(tmp_path, {"training": {"seed": 0}, "assets": {"data": "photographs"}})
    assert open_run(tmp_path, of())
    assert "does not say what was in its data; taken to be what is there now" in capsys.readouterr().err
    assert read_json(tmp_path / OPTIONS)["checksums"] == {"data": "1a"}
    assert open_run(tmp_path, of())
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match=r"assets.data: 'photographs' there, 'others' asked for"):
        open_run(tmp_path, of(data=None, name="others"))
