"""How photographs are prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from renderer.options import SWITCH, Choice, check_options, number, option, whole

MAX_PIXELS = 180_000_000


@dataclass(frozen=True)
class Settings:
    """What decides about the pixels and numbers of a prepared photograph."""

    image_size: int = option(256, "pixels of the aligned square", whole(8, 4096))
    image_format: Literal["png", "jpeg"] = option("png", "of the aligned images", Choice(("png", "jpeg")))
    quality: int = option(95, "of JPEG", whole(1, 100))
    all_faces: bool = option(False, "every face of a photograph, not the largest alone", SWITCH)
    max_disagreement: float = option(
        0.10,
        "of the network's pose with the landmarks, in eye distances; beyond, the landmarks alone decide",
        number(0, 10),
    )
    thumbnail: int = option(128, "pixels of each of the report's three pictures; 0: none", whole(0, 1024))
    max_pixels: int = option(MAX_PIXELS, "of a photograph, at most", whole(1000, 4 * 10**9))

    def __post_init__(self) -> None:
        check_options(self)
