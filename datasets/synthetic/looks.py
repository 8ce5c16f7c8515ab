"""Hair of the parts as people wear it: a style, how it is parted, how long, how full, where a fringe ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class HairLook:
    """One way to wear a part. Heights are decimetres in the frame of the mean head, whose eyes are at 0.3."""

    part: str
    mirrored: bool = False
    volume: float = 1.0  # factor of the distance from the skin
    cut: float | None = None  # the height below which nothing hangs
    fringe: float | None = None  # the height below which nothing hangs before the face

    @property
    def name(self) -> str:
        """A word for each thing that differs, such as `bob01-mirrored-chin`."""
        words = [self.part, "mirrored" if self.mirrored else "", f"volume{self.volume:g}" if self.volume != 1 else ""]
        words += [f"cut{self.cut:g}" if self.cut is not None else ""]
        words += [f"fringe{self.fringe:g}" if self.fringe is not None else ""]
        return "-".join(word for word in words if word)


# Of each part: share of women and of men who wear it, volumes, cuts and fringes.
_EYES, _BROWS, _FOREHEAD = 0.42, 0.58, 0.78
_CHIN, _NECK, _EAR = -0.75, -1.15, -0.15
_PARTS: dict[str, tuple[float, float, tuple[float, ...], tuple[float | None, ...], tuple[float | None, ...]]] = {
    "afro01": (0.05, 0.05, (0.35, 0.6, 0.85, 1.1), (None,), (None,)),
    "bob01": (0.16, 0.0, (0.85, 1.0), (None, _CHIN, -0.5), (_BROWS, _FOREHEAD)),
    "bob02": (0.14, 0.01, (0.85, 1.0), (None, _CHIN), (_BROWS, _FOREHEAD)),
    "braid01": (0.10, 0.0, (0.9, 1.1), (None, _NECK), (None,)),
    "long01": (0.24, 0.02, (0.85, 1.0, 1.15), (None, _NECK, _CHIN), (None,)),
    "ponytail01": (0.17, 0.01, (0.9, 1.1), (None, _NECK), (None,)),
    "short01": (0.03, 0.24, (0.6, 0.85, 1.05), (None, _EAR), (None, _FOREHEAD)),
    "short02": (0.03, 0.30, (0.6, 0.85, 1.05), (None, _EAR), (None, _FOREHEAD)),
    "short03": (0.06, 0.13, (0.85, 1.05), (None, _EAR), (_BROWS, _FOREHEAD)),
    "short04": (0.02, 0.24, (0.7, 1.0), (None, _EAR), (None,)),
}
_COVERED = 0.04  # share of those with a fringe who let it hang over an eye


def all_looks() -> list[HairLook]:
    """Every look, colours aside."""
    return [
        HairLook(part, mirrored, volume, cut, fringe)
        for part, (_, _, volumes, cuts, fringes) in _PARTS.items()
        for mirrored in (False, True)
        for volume in volumes
        for cut in cuts
        for fringe in fringes
    ]


def draw_look(male: float, parts: frozenset[str], rng: np.random.Generator) -> HairLook:
    """A look for a person, with its measures a little off those of `all_looks`.

    Args:
        male: 0-1.
        parts: names of the parts at hand.
        rng: draws it.
    """
    known = [name for name in _PARTS if name in parts]
    if not known:  # parts of other names are worn as they are
        return HairLook(sorted(parts)[rng.integers(len(parts))], bool(rng.random() < 0.5))
    chances = np.array([_PARTS[name][0] * (1 - male) + _PARTS[name][1] * male for name in known]) + 1e-6
    part = known[rng.choice(len(known), p=chances / chances.sum())]
    _, _, volumes, cuts, fringes = _PARTS[part]
    mirrored = bool(rng.random() < 0.5)
    volume = volumes[rng.integers(len(volumes))] * float(np.exp(rng.normal(0, 0.04)))
    cut, fringe = cuts[rng.integers(len(cuts))], fringes[rng.integers(len(fringes))]
    cut = None if cut is None else cut + float(rng.normal(0, 0.08))
    if fringe is not None:
        fringe = None if rng.random() < _COVERED else fringe + float(rng.normal(0, 0.05))
    return HairLook(part, mirrored, volume, cut, fringe)
