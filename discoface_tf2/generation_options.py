"""Which images are generated. It imports nothing that takes time, so that scripts can check their flags with it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from renderer.options import SEED, Choice, check_options, number, option, whole

# `factor`, and the factors that differ along a row of it.
VARYING = {
    "all": ("expression", "lighting", "pose"),
    **{factor: (factor,) for factor in ("expression", "lighting", "pose", "identity")},
}
SAMPLES = whole(4, 10**7)
VARIATION = whole(2, 10_000)
TRUNCATION = number(-10, 10)
BATCH = whole(1, 4096)


@dataclass(frozen=True)
class GenerationOptions:
    """Which images: `subjects` rows of `variations` columns.

    A row keeps one identity and one noise (what the mesh does not know), and draws `factor` anew in each column:
    "expression", "lighting" or "pose"; "all" draws these three; "identity" keeps the rest of the row and varies it.
    `truncation` is ψ of the attribute-preserving truncation; 1 leaves w as it is.
    """

    factor: str = option("all", "what varies along a row", Choice(tuple(VARYING)))
    subjects: int = option(20, "rows", whole(1, 10**6))
    variations: int = option(5, "images per row", whole(1, 10_000))
    seed: int = option(0, "another seed gives other subjects", SEED)
    truncation: float = option(0.7, "ψ: 1 gives the most varied identities, 0 the average one", TRUNCATION)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def count(self) -> int:
        """Number of images; image k is variation k % variations of subject k // variations."""
        return self.subjects * self.variations

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts."""
        return dataclasses.asdict(self)
