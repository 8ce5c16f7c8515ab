"""A script as a process of its own would run it, but in this one: TensorFlow is imported already."""

import contextlib
import io
import runpy
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock


def run_script(script: str | Path, arguments: Sequence[str | Path]) -> tuple[int, str]:
    """Exit code and stderr of `script`, the name of a module or the path of a file."""
    hook, handler, modules = sys.excepthook, signal.getsignal(signal.SIGTERM), dict(sys.modules)
    interrupt, err = signal.getsignal(signal.SIGINT), io.StringIO()
    sys.modules.pop(str(script), None)  # as if run afresh
    code: object = 0
    try:
        with mock.patch.object(sys, "argv", [str(script), *map(str, arguments)]), contextlib.redirect_stderr(err):
            try:
                try:
                    if isinstance(script, Path):
                        runpy.run_path(str(script), run_name="__main__")
                    else:
                        runpy.run_module(script, run_name="__main__")
                except SystemExit:
                    raise
                except BaseException as error:
                    sys.excepthook(type(error), error, error.__traceback__)
                    code = 1
            except SystemExit as stopped:
                code = stopped.code
    finally:
        sys.excepthook = hook
        signal.signal(signal.SIGTERM, handler)
        signal.signal(signal.SIGINT, interrupt)
        sys.modules.update(modules)
    if isinstance(code, str):  # a text, which Python prints
        return 1, err.getvalue() + code + "\n"
    return int(code or 0), err.getvalue()  # type: ignore[call-overload]
