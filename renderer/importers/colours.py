"""Colours for meshes that come without any, RGB 0-255."""

from __future__ import annotations

import numpy as np

SKIN = np.array([172.0, 129.0, 104.0])
# One deviation darker, towards brown: two of them lead from (242, 192, 158) to (102, 66, 50).
MELANIN = np.array([-35.0, -31.5, -27.0])


def smoothstep(low: float | np.ndarray, high: float | np.ndarray, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, with zero slope at both."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
