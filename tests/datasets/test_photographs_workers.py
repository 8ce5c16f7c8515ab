"""What one item does to its process must not touch the others."""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import partial

import pytest

from datasets.photographs import workers
from datasets.photographs.workers import Failure, work


class FatalError(OSError):
    pass


def _act(item: tuple[str, int]) -> int:
    what, number = item
    if what == "raise":
        raise ValueError("two\nlines")
    if what == "kill":
        os.kill(os.getpid(), 9)
    if what == "exit":
        os._exit(3)
    if what == "sleep":
        time.sleep(60)
    if what == "fatal":
        raise FatalError(28, "no space left")
    return number * number


def make():
    return _act


def _broken():
    raise FileNotFoundError("there is no such network")


def test_bad_items_cost_themselves_alone() -> None:
    items = [("square", n) for n in range(12)]
    items[3:3] = [("kill", 0), ("raise", 0), ("exit", 0), ("sleep", 0)]
    results = dict(work(make, items, workers=2, limit=1.0))
    assert {item: results[item] for item in items if item[0] == "square"} == {("square", n): n * n for n in range(12)}
    failed = {item[0]: result.reason for item, result in results.items() if isinstance(result, Failure)}
    assert failed == {
        "kill": "the process that read it ended (by SIGKILL, perhaps for lack of memory)",
        "exit": "the process that read it ended (exit code 3)",
        "raise": "ValueError: two lines",
        "sleep": "it took longer than 1 seconds",
    }


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_fatal_ends_everything(workers: int) -> None:
    seen = []
    with pytest.raises(FatalError, match="no space left"):
        for item, _ in work(make, [("square", 1), ("fatal", 0), ("square", 2)], workers, fatal=(FatalError,)):
            seen.append(item)
    assert seen == [("square", 1)]


def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(FileNotFoundError, match="no such network"):
        list(work(_broken, [1, 2], workers=1))


def test_in_this_process() -> None:
    results = dict(work(partial(make), [("square", 3), ("raise", 0)], workers=0))
    assert results == {("square", 3): 9, ("raise", 0): Failure("ValueError: two lines")}


def test_a_worker_whose_master_is_gone_while_it_loads_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.signal, "signal", lambda *_: None)
    monkeypatch.setattr(workers, "use_one_thread", lambda: None)
    theirs, ours = multiprocessing.Pipe()
    ours.close()
    workers._serve(theirs, lambda: len, ())
