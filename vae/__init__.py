"""Factor VAEs: from normal numbers to plausible identities, expressions, lightings and poses."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae.model import FACTORS, FactorConfig, FactorVAE
    from vae.sampler import FactorSampler

# Imported when first used: TensorFlow takes seconds, and a wrong flag, --help and Ctrl-C are answered before.
_HOMES = {
    "FACTORS": "vae.model",
    "FactorConfig": "vae.model",
    "FactorSampler": "vae.sampler",
    "FactorVAE": "vae.model",
}

__all__ = ["FACTORS", "FactorConfig", "FactorSampler", "FactorVAE"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
