"""What every script does around its work: one line for errors and signals, and TensorFlow's start-up lines unseen."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from renderer.command import Interrupted, _without_startup_lines, describe, quiet_tensorflow

ROOT = Path(__file__).parents[1]
FOLDERS = ("renderer", "vae", "datasets", "discoface_tf2", "benchmarks")
SCRIPTS = [
    path
    for path in sorted([*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))])
    if "__main__" in path.read_text(encoding="utf-8")
]


def quiet_environment():
    """As a person's: without the level that tests have."""
    return {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}


@pytest.mark.parametrize("error, line, code", [
    (ValueError("out:\n no such thing"), "a.py: error: out: no such thing", 1),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "x/y"),
     "a.py: error: x/y: No such file or directory", 1),
    (FloatingPointError("l1 is not finite"), "a.py: error: l1 is not finite", 1),
    (KeyboardInterrupt(), "a.py: interrupted; go on", 130),
    (Interrupted(signal.SIGTERM), "a.py: interrupted; go on", 143),
    (RuntimeError("C++ line\nUnable to write (errno 28): No space left on device\nmore"),
     "a.py: error: No space left on device; go on, once there is room", 1),
    (OSError("f: cannot be written (No space left on device)"),
     "a.py: error: f: cannot be written (No space left on device); go on, once there is room", 1),
])  # fmt: skip
def test_one_line_and_the_exit_code(error, line, code):
    assert describe("a.py", error, "go on") == (line, code)


def test_a_fault_of_ours_keeps_its_traceback():
    assert describe("a.py", KeyError("x")) is None
    assert describe("a.py", RuntimeError("x")) is None


PROGRAM = """
from renderer.command import begin
if __name__ == "__main__":
    begin("a.py", "go on")
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
exec(sys.argv[1])
"""


@pytest.mark.parametrize("code, status, last", [
    ("print('done')", 0, ""),
    ("open('/nowhere/x')", 1, "a.py: error: /nowhere/x: No such file or directory"),
    ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", 130, "a.py: interrupted; go on"),
    ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", 143, "a.py: interrupted; go on"),
    ("sys.exit(3)", 3, ""),
    ("{}['x']", 1, "KeyError: 'x'"),
])  # fmt: skip
def test_a_process_that_began_ends_so(tmp_path, code, status, last):
    (tmp_path / "a.py").write_text(PROGRAM)
    run = subprocess.run([sys.executable, tmp_path / "a.py", code], capture_output=True, text=True,
                         env={**quiet_environment(), "PYTHONPATH": str(ROOT)}, timeout=60)  # fmt: skip
    lines = run.stderr.splitlines()
    assert (run.returncode, lines[-1] if lines else "") == (status, last)
    assert len(lines) <= 1 or "KeyError" in last


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_script_begins_before_the_imports_that_take_seconds(path):
    """So that Ctrl-C is one line at any time, and TensorFlow is quiet."""
    text = path.read_text(encoding="utf-8")
    begun = max(text.find('    begin("'), text.find("    begin(_PROGRAM"))
    assert begun > 0, "it does not call renderer.command.begin"
    heavy = ("import tensorflow", "import keras", "from datasets.re", "from vae", "from discoface_tf2.perception")
    assert not [line for line in text[:begun].splitlines() if line.startswith(heavy)]


# ---- TensorFlow's start-up lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [
    ["train.py", "--help"], ["preprocess_data.py", "--help"], ["train.py", "--dry-run"],
    ["-m", "renderer.render", "--seed=1", "--size=16", "--out=face.png"],  # renders: TensorFlow is there
], ids=" ".join)  # fmt: skip
def test_nothing_but_the_scripts_own_words_reaches_the_console(command, tmp_path):
    run = subprocess.run([sys.executable, *(str(ROOT / word) if word.endswith(".py") else word for word in command)],
                         cwd=tmp_path, env={**quiet_environment(), "PYTHONPATH": str(ROOT)}, capture_output=True,
                         text=True, timeout=300)  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")


def test_the_processes_that_a_script_starts_are_as_quiet(tmp_path):
    command = ["-m", "datasets.make_synthetic", "--out=records", "--count=2", "--shards=2", "--image_size=16",
               "--workers=2"]  # fmt: skip
    run = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                         env={**quiet_environment(), "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert run.returncode == 0
    assert not re.search(r"oneDNN|absl::InitializeLog|cudart", run.stderr), run.stderr


def test_start_up_lines_are_dropped_and_others_kept(capfd):
    with _without_startup_lines():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
                    b"I0000 00:00:1795274695.498499    5534 port.cc:153] oneDNN custom operations are on.\n"
                    b"To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow\n"
                    b"a library says something else\n")  # fmt: skip
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "a library says something else\nafter\n"


def test_what_is_said_by_an_import_that_fails_is_kept(capfd):
    with pytest.raises(ImportError), _without_startup_lines():
        os.write(2, b"undefined symbol: x\n")
        raise ImportError("no")
    assert capfd.readouterr().err == "undefined symbol: x\n"


@pytest.mark.parametrize("level, expected", [(None, "3"), ("0", "0"), ("2", "2")])
def test_a_level_of_ones_own_is_kept(level, expected, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level or "")
    if level is None:
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    monkeypatch.delenv("DISCOFACE_QUIET", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    finders = len(sys.meta_path)
    quiet_tensorflow()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == expected
    assert len(sys.meta_path) == finders + (level is None)
