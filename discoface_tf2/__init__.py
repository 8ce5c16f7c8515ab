"""Controllable face images: identity, expression, head pose and light, each exactly and each alone.

import discoface_tf2 as df
model = df.load("runs/stage2")                                # a run, a snapshot, or a .zip of one
people = model.sample(8, seed=0)
images = model.generate(people.with_(yaw=20, light="left"))   # uint8 [8, R, R, 3]
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discoface_tf2.model import Model, load
    from discoface_tf2.people import People

_HOMES = {"Model": "discoface_tf2.model", "People": "discoface_tf2.people", "load": "discoface_tf2.model"}

__all__ = ["Model", "People", "load"]


def __getattr__(name: str) -> Any:
    """Imported when first used: TensorFlow takes seconds, and a wrong flag, --help and Ctrl-C are answered before."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
