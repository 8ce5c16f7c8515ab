"""Many photographs at once: processes that outlive neither their master nor a photograph that ends one of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_READY = "ready"
_TRIES = 2  # a photograph whose process ended is tried once more: the process may have been ended for another's sake
_START_LIMIT = 600.0  # seconds until a process has loaded its networks


@dataclass(frozen=True)
class Failure:
    """Why there is no result: one line."""

    reason: str


@dataclass
class _Worker(Generic[Item]):
    process: BaseProcess
    pipe: Connection
    item: Item | None = None
    since: float = 0.0
    ready: bool = False


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
    pool = _Pool(make, min(workers, len(items)), limit, fatal)
    try:
        yield from pool.run(deque((item, 1) for item in items))
    finally:
        pool.close()


class _Pool(Generic[Item, Result]):
    def __init__(
        self,
        make: Callable[[], Callable[[Item], Result]],
        workers: int,
        limit: float,
        fatal: tuple[type[BaseException], ...],
    ):
        self._make, self._limit, self._fatal = make, limit, fatal
        self._context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        self._workers: list[_Worker[Item]] = [self._start() for _ in range(workers)]

    def _start(self) -> _Worker[Item]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._make, self._fatal), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, since=time.monotonic())

    def run(self, waiting: deque[tuple[Item, int]]) -> Iterator[tuple[Item, Result | Failure]]:
        tries: dict[int, int] = {}  # by the place in self._workers: of the item that it has
        while waiting or any(worker.item is not None for worker in self._workers):
            for place, worker in enumerate(self._workers):
                if worker.ready and worker.item is None and waiting:
                    worker.item, tries[place] = waiting.popleft()
                    worker.since = time.monotonic()
                    with contextlib.suppress(OSError):  # it has ended: seen below
                        worker.pipe.send(worker.item)
            wait([worker.pipe for worker in self._workers], timeout=1.0)
            for place, worker in enumerate(self._workers):
                item, was_ready = worker.item, worker.ready
                try:
                    if not worker.pipe.poll():
                        late = time.monotonic() - worker.since > (self._limit if worker.ready else _START_LIMIT)
                        if (item is None and worker.ready) or not late:
                            continue
                        worker.process.kill()
                        answer: object = Failure(f"it took longer than {self._limit:g} seconds")
                        tries[place] = _TRIES
                        self._workers[place] = self._start()
                    else:
                        answer = worker.pipe.recv()
                        worker.item, worker.ready = None, True
                except (EOFError, OSError):
                    worker.process.join()
                    answer = Failure(f"the process that read it ended ({_ending(worker.process.exitcode)})")
                    self._workers[place] = self._start()
                if isinstance(answer, BaseException):
                    raise answer
                if item is None:
                    if not was_ready and answer != _READY:
                        reason = getattr(answer, "reason", answer)
                        raise ChildProcessError(f"a worker could not start: {reason}")
                    continue
                if isinstance(answer, Failure) and answer.reason.startswith("the process") and tries[place] < _TRIES:
                    waiting.append((item, tries[place] + 1))
                    continue
                yield item, answer  # type: ignore[misc]

    def close(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
            worker.pipe.close()


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
    pipe.send(_READY)
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
        except OSError:
            raise
        except Exception as error:  # what cannot be pickled
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
