"""Many items at once: processes that outlive neither their master nor an item that ends one of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pickle import PicklingError
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_READY = "ready"
_TRIES = 2  # an item whose process ended is tried once more: the process may have been ended for another's sake
_START_LIMIT = 600.0  # seconds until a process has loaded its networks


@dataclass(frozen=True)
class Failure:
    """Why there is no result: one line."""

    reason: str


class _Ended(Failure):
    """The process ended without an answer."""


def work(
    make: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    workers: int,
    limit: float = 600.0,
    fatal: tuple[type[BaseException], ...] = (),
) -> Generator[tuple[Item, Result | Failure], None, None]:
    """Yields (item, result) as results come, in any order.

    Args:
        make: makes the function that turns an item into a result; called once in each process. It, the items and the
            results are pickled between the processes.
        items: what to do.
        workers: number of processes; 0 does everything in this one, without a limit of time.
        limit: seconds for an item; a process that takes longer is ended.
        fatal: errors that end everything. Any other error, or the end of a process, is that item's `Failure`.
    """
    if not items:
        return
    if workers < 1:
        function = make()
        for item in items:
            yield item, _guarded(function, item, fatal)
        return
    processes = [_Process(make, limit, fatal) for _ in range(min(workers, len(items)))]
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    for process in processes:
        idle.put(process)

    def ask(item: Item) -> Result | Failure:
        process = idle.get()
        try:
            return process.ask(item)
        finally:
            idle.put(process)

    threads = ThreadPoolExecutor(len(processes))  # each waits for one process
    try:
        asked = {threads.submit(ask, item): item for item in items}
        for answered in as_completed(asked):
            yield asked[answered], answered.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.close()


class _Process:
    """A process for one item at a time. Where it ends, or takes too long, there is another for the next item."""

    def __init__(self, make: Callable[[], Callable], limit: float, fatal: tuple[type[BaseException], ...]):
        self._arguments, self._limit = (make, fatal), limit
        self._process: BaseProcess | None = None
        self._closed = False

    def ask(self, item: Any) -> Any:
        """The process's answer, or a `Failure` where none comes. Raises what is fatal, or keeps it from starting."""
        for _ in range(_TRIES):
            if self._process is None:
                self._start()
            with contextlib.suppress(OSError):  # it has ended, as the answer will say
                self._pipe.send(item)
            answer = self._answer(self._limit)
            if not isinstance(answer, _Ended) or self._closed:
                break
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Ends it at once."""
        self._closed, process = True, self._process
        if process is not None:
            process.kill()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        if self._closed:
            self._process.kill()
        answer = self._answer(_START_LIMIT)
        if isinstance(answer, BaseException):
            raise answer
        if answer != _READY:
            raise ChildProcessError(f"a worker could not start: {answer.reason}")

    def _answer(self, limit: float) -> Any:
        """What the process sends within `limit` seconds; a `Failure` where it sends nothing: then it is gone."""
        assert self._process is not None
        try:
            if self._pipe.poll(limit):
                return self._pipe.recv()
            failure = Failure(f"it took longer than {limit:g} seconds")
            self._process.kill()
        except (EOFError, OSError):
            self._process.join()
            failure = _Ended(f"the process that read it ended ({_ending(self._process.exitcode)})")
        self._pipe.close()
        self._process = None
        return failure


def _serve(pipe: Connection, make: Callable[[], Callable], fatal: tuple[type[BaseException], ...]) -> None:
    """A worker: takes items until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the master decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    use_one_thread()
    try:
        function = make()
    except BaseException as error:  # told to the master, which raises it
        _send(pipe, error)
        return
    _send(pipe, _READY)
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = _guarded(function, item, fatal)
        except BaseException as error:  # one of `fatal`
            answer = error
        _send(pipe, answer)


def _send(pipe: Connection, answer: object) -> None:
    with contextlib.suppress(OSError):  # the master is gone
        try:
            pipe.send(answer)
        except (TypeError, AttributeError, PicklingError) as error:
            pipe.send(Failure(f"{type(answer).__name__}: {error}"))


def _guarded(
    function: Callable[[Item], Result], item: Item, fatal: tuple[type[BaseException], ...]
) -> Result | Failure:
    try:
        return function(item)
    except fatal:
        raise
    except Exception as error:  # one item's trouble, whatever it is, must not stop the others
        return Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")


def usable_cores() -> int:
    """How many cores this process may use: all of the machine's where the system does not say (macOS, Windows)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_one_thread() -> None:
    """One thread for this process: as many processes as cores, and the same sums at any number of them.

    Before TensorFlow runs anything: it reads the variables then.
    """
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-code).name}" + (", perhaps for lack of memory" if code == -9 else "")
    return f"exit code {code}"
