"""How photographs are prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAX_PIXELS = 180_000_000


@dataclass(frozen=True)
class Settings:
    """What decides about the pixels and numbers of a prepared photograph."""

    image_size: int = 256
    image_format: Literal["png", "jpeg"] = "png"
    quality: int = 95  # of JPEG
    all_faces: bool = False
    max_disagreement: float = 0.10  # of the eye distance; beyond it, pose and place come from the landmarks alone
    thumbnail: int = 128  # pixels of each of the report's three pictures; 0 for none
    max_pixels: int = MAX_PIXELS
