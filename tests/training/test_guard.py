"""Signals end a run between steps; a folder has one process."""

import os
import signal
import subprocess
import sys

import pytest

from discoface_tf2.training.guard import LOCK, StopSignals, only_process


@pytest.fixture(autouse=True)
def _usual_handlers():
    """Signals as a terminal gives them, also where the tests run in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_remembered_and_the_old_handler_comes_back(signum):
    before = signal.getsignal(signum)
    with StopSignals() as stop:
        assert stop.received is None
        os.kill(os.getpid(), signum)
        assert stop.received == signum
    assert signal.getsignal(signum) is before


def test_the_second_interrupt_does_not_wait():
    with StopSignals(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_what_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGINT, before)


HOLD = """
import sys, time, pathlib
from discoface_tf2.training.guard import only_process
with only_process(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        refused = pytest.raises(OSError, match=f"another process .number {other.pid}. writes into this folder")
        with refused, only_process(tmp_path):
            pass
        assert int((tmp_path / LOCK).read_text()) == other.pid
    finally:
        other.kill()
        other.wait()
    with only_process(tmp_path):
        assert int((tmp_path / LOCK).read_text()) == os.getpid()
