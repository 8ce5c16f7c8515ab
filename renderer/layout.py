"""The one place that knows where each group of numbers lives in a coefficient vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

GROUPS = ("shape", "texture", "expression", "angles", "lighting", "translation")
FACTORS = ("identity", "expression", "lighting", "pose")
FACTOR_ABBREVIATIONS = {"identity": "id", "expression": "exp", "lighting": "gamma", "pose": "rot"}
_FACTOR_GROUPS = {
    "identity": ("shape", "texture"),
    "expression": ("expression",),
    "lighting": ("lighting",),
    "pose": ("angles",),
}


@dataclass(frozen=True)
class CoefficientLayout:
    """Sizes of the coefficient groups of a face model, in the order of the reference's vector.

    A vector of `size` numbers is [shape, texture, expression, angles, lighting, translation]. Angles are (pitch, yaw,
    roll) in radians; lighting is channel-major, 3 colour channels times 9 spherical-harmonic terms; translation is in
    decimetres. The generator's λ is the same vector without the translation, which is zero for aligned photographs.
    For the Basel model this is 80 + 80 + 64 + 3 + 27 + 3 = 257 and a λ of 254.
    """

    shape: int
    texture: int
    expression: int
    angles: int = 3
    lighting: int = 27
    translation: int = 3

    def __post_init__(self) -> None:
        for name, size in self.to_dict().items():
            if not isinstance(size, int) or size < 1:
                raise ValueError(f"layout: {name} must be a positive whole number. Received: {size!r}")
        if (self.angles, self.lighting, self.translation) != (3, 27, 3):
            raise ValueError(
                "layout: pose has 3 angles, lighting 27 terms and translation 3 numbers. Received: "
                f"angles={self.angles}, lighting={self.lighting}, translation={self.translation}"
            )

    @property
    def size(self) -> int:
        """Length of a whole coefficient vector."""
        return sum(self.to_dict().values())

    @property
    def lambda_size(self) -> int:
        """Length of the generator's λ: everything but the translation."""
        return self.size - self.translation

    def slice(self, name: str) -> slice:
        """Where a group (see GROUPS) or a factor (see FACTORS) lies, in a coefficient vector or a λ."""
        sizes = self.to_dict()
        # `expression` is a group and a factor; both are the same range.
        groups = _FACTOR_GROUPS.get(name, (name,))
        if groups[0] not in sizes:
            raise ValueError(f"layout: expected one of {sorted({*GROUPS, *FACTORS})}. Received: {name!r}")
        start = sum(sizes[group] for group in GROUPS[: GROUPS.index(groups[0])])
        return slice(start, start + sum(sizes[group] for group in groups))

    def factor_size(self, factor: str) -> int:
        """Number of coefficients of a factor."""
        where = self.slice(factor)
        return where.stop - where.start

    def split(self, coefficients: Any) -> dict[str, Any]:
        """Views of the groups of `coefficients` [..., size], a numpy array or a tensor; of a λ, all but translation."""
        width = coefficients.shape[-1]
        if width not in (self.size, self.lambda_size):
            raise ValueError(
                f"layout: expected {self.size} coefficients (or a λ of {self.lambda_size}) in the last axis. "
                f"Received: shape {tuple(coefficients.shape)}"
            )
        groups = GROUPS if width == self.size else GROUPS[:-1]
        return {group: coefficients[..., self.slice(group)] for group in groups}

    def to_dict(self) -> dict[str, int]:
        """Sizes by group name, in order; `from_dict` takes it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, sizes: Mapping[str, int]) -> CoefficientLayout:
        """The layout that `to_dict` wrote. Raises ValueError on unknown or missing groups."""
        unknown, missing = set(sizes) - set(GROUPS), set(GROUPS) - set(sizes)
        if unknown or missing:
            raise ValueError(
                f"layout: expected the groups {GROUPS}. Unknown: {sorted(unknown)}, missing: {sorted(missing)}"
            )
        return cls(**{group: int(sizes[group]) for group in GROUPS})
