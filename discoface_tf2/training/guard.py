"""What keeps a run whole: a signal ends it between two steps, and no second process writes into its folder."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from renderer.files import lock

LOCK = "run.lock"


class Stopped(KeyboardInterrupt):
    """The run was asked to end, and has saved itself. `signum` is the signal that asked."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopSignals:
    """While entered, SIGINT and SIGTERM are remembered in `received` instead of ending the process.

    The loop looks at it between steps, so nothing is interrupted in the middle of a file. A second SIGINT ends the
    process at once. Signals that were ignored before (`nohup`, a job in the background) stay ignored. Outside of the
    main thread nothing changes.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, signal.Handlers | object] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        del frame
        if signum == signal.SIGINT and self.received is not None:
            raise KeyboardInterrupt
        self.received = signum


@contextlib.contextmanager
def only_process(directory: Path) -> Iterator[None]:
    """Holds the lock of a run folder; the system lets go of it however the process ends.

    Raises OSError with one line that names the other process when the folder is in use.
    """
    path = directory / LOCK
    with open(path, "a+", encoding="utf-8") as file:
        if not lock(file):
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise OSError(
                f"{directory}: another process (number {owner}) writes into this folder. Wait for it, stop it, or give "
                "another --out"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
