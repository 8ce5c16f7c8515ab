"""What is in a picture: coefficients, identity, and where skin and hair are."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from discoface_tf2.perception.identity import Identity
    from discoface_tf2.perception.parsing import CLASSES, Parsing
    from discoface_tf2.perception.perception import Perception
    from discoface_tf2.perception.reconstruction import Reconstruction

# Imported when first used: TensorFlow takes seconds, and a wrong flag, --help and Ctrl-C are answered before.
_HOMES = {
    "CLASSES": "discoface_tf2.perception.parsing",
    "Identity": "discoface_tf2.perception.identity",
    "Parsing": "discoface_tf2.perception.parsing",
    "Perception": "discoface_tf2.perception.perception",
    "Reconstruction": "discoface_tf2.perception.reconstruction",
}

__all__ = ["CLASSES", "Identity", "Parsing", "Perception", "Reconstruction"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
