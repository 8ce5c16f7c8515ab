"""The kinds of generator that this project trains, by name. What one is to the rest: `base`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discoface_tf2.config import TrainingConfig
    from discoface_tf2.systems.base import System

NAMES = ("disco", "gif")


def config_class(name: str) -> type[TrainingConfig]:
    """The options and presets of a system, without TensorFlow. Raises ValueError for an unknown one."""
    return _module(name, "config").CONFIG


def find_system(name: str) -> System:
    """A system. Raises ValueError for an unknown one."""
    return _module(name, "system").SYSTEM


def _module(name: str, part: str) -> Any:
    if name not in NAMES:
        raise ValueError(f"system: expected one of {', '.join(NAMES)}. Received: {name!r}")
    return importlib.import_module(f"discoface_tf2.systems.{name}.{part}")
