"""What every script does around its work: one line for an error or Ctrl-C, and TensorFlow's start-up lines unseen.

    from renderer.command import begin

    if __name__ == "__main__":
        begin("train_perception.py")  # before the imports that take seconds, so that Ctrl-C is a line then, too

It imports nothing that takes time. Exit codes: 0, 1 for a failure, 2 for wrong usage (argparse's), 130 for Ctrl-C and
143 for SIGTERM, as shells have it.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import FrameType, ModuleType, TracebackType

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_OURS = "DISCOFACE_QUIET"  # tells a process that this one starts that nobody but this one has set the level
# Errors whose message is meant for the person at the keyboard; any other is a fault of ours, and shows its traceback.
EXPECTED = (OSError, ValueError, FloatingPointError, ImportError)
# What h5py, TensorFlow and Pillow say, in exceptions of their own, when a file system takes no more.
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
# What TensorFlow's libraries write before their log has a level: information, and a line that announces it.
_STARTUP = re.compile(rb"I\d{4} |WARNING: All log messages before absl|To enable the following instructions:")


class Interrupted(KeyboardInterrupt):
    """The process was asked to end, by the signal `signum`."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def begin(program: str, resumes: str = "") -> None:
    """Makes this process a script's.

    Args:
        program: its name, in front of each error.
        resumes: what to add to the line of an interrupted run, such as "the same command goes on from here".

    SIGTERM raises Interrupted from now on, unless it is ignored.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        told = describe(program, error, resumes)
        if told is None:
            sys.__excepthook__(kind, error, trace)
            return
        with contextlib.suppress(ValueError, OSError):  # nothing stops the exit from here on
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print(told[0], file=sys.stderr, flush=True)
        raise SystemExit(told[1])

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    sys.excepthook = hook
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)
    quiet_tensorflow()


def describe(program: str, error: BaseException, resumes: str = "") -> tuple[str, int] | None:
    """The one line and the exit code of what ended a script, or None where it is a fault of the script itself."""
    if isinstance(error, KeyboardInterrupt):
        return f"{program}: interrupted" + (f"; {resumes}" if resumes else ""), 128 + getattr(error, "signum", 2)
    full = isinstance(error, Exception) and any(text in str(error) for text in _FULL)
    if not full and not isinstance(error, EXPECTED):
        return None
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif full and not isinstance(error, EXPECTED):  # many lines of C++
        text = next(reason for reason in _FULL if reason in text)
    advice = f"; {resumes}, once there is room" if full and resumes else ""
    return f"{program}: error: {' '.join(text.split())}{advice}", 1


def quiet_tensorflow() -> None:
    """Keeps TensorFlow's start-up lines off the console, unless TF_CPP_MIN_LOG_LEVEL is set: then all is as it says.

    Call it before TensorFlow is imported. Its errors are Python's exceptions; what it logs beside them is of no use to
    who runs a script. Processes that this one starts do the same when they import this module.
    """
    if "tensorflow" in sys.modules or (_LEVEL in os.environ and _OURS not in os.environ):
        return
    os.environ[_LEVEL] = "3"
    os.environ[_OURS] = "1"
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `tensorflow` as the others do, once, and has it imported without its lines."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _without_startup_lines():
            self._loader.exec_module(module)


@contextlib.contextmanager
def _without_startup_lines() -> Iterator[None]:
    """What C++ writes to stderr in here is written afterwards, without the start-up lines."""
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115  # closed below
        stderr = os.dup(2)
    except OSError:  # no room, or no stderr: then they are seen, or nothing is
        yield
        return
    with held:
        try:
            os.dup2(held.fileno(), 2)
            yield
        finally:
            with contextlib.suppress(OSError, AttributeError, ValueError):
                sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            rest = b"".join(line for line in held if not _STARTUP.match(line))
            with contextlib.suppress(OSError):
                os.write(2, rest)


if _OURS in os.environ:  # started by a script of ours: multiprocessing imports that one anew, but not as `__main__`
    quiet_tensorflow()
