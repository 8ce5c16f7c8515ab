"""What belongs to a person beside the face model's identity: hair, beard, freckles, glasses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datasets.synthetic.population import Traits

# Albedo in the units of the face model's textures, RGB 0-255, and how common the colour is on (light, dark) skin.
HAIR_COLOURS = {
    "black": ((30, 26, 25), (0.10, 0.66)),
    "dark brown": ((56, 40, 31), (0.22, 0.20)),
    "brown": ((88, 61, 42), (0.20, 0.04)),
    "light brown": ((126, 93, 63), (0.12, 0.01)),
    "auburn": ((104, 52, 32), (0.05, 0.01)),
    "ginger": ((168, 92, 48), (0.05, 0.0)),
    "dark blond": ((150, 119, 80), (0.09, 0.005)),
    "blond": ((196, 162, 112), (0.08, 0.01)),
    "platinum": ((222, 204, 172), (0.015, 0.005)),
    "grey": ((128, 125, 122), (0.05, 0.045)),
    "white": ((206, 204, 200), (0.02, 0.01)),
    "dyed": ((150, 60, 90), (0.004, 0.004)),
}
# Azimuths (degrees from the front) at which the lengths of falling hair are given, decimetres below the hairline.
LENGTH_AZIMUTHS = (0, 28, 52, 72, 105, 140, 180)


@dataclass(frozen=True)
class HairStyle:
    """A haircut, in decimetres; hair grows on the scalp's grid and falls from its last row."""

    name: str
    top: float = 0.12  # thickness over the scalp
    side: float = 0.06
    lengths: tuple[float, ...] = (0.0,) * len(LENGTH_AZIMUTHS)
    slant: float = 0.0  # -1…1: the fringe is longer on one side
    parting: float | None = None  # azimuth (degrees) from which front hair is swept to either side
    sweep: float = 0.0  # degrees that it is swept
    recede: float = 0.0  # share of the way to the crown that the front hairline has moved back
    bald: float = 0.0  # share of the way from crown to hairline that is bare
    wave: float = 0.0  # amplitude of waves
    curl: float = 0.0  # size of the bumps of curly hair
    jag: float = 0.15  # relative variation of the length of neighbouring locks
    density: float = 1.0  # how much skin the hair hides where it is cropped
    bun: bool = False
    uneven: tuple[float, float, float] = (0.0, 0.0, 0.0)  # rows: a peak in the middle, and waves of the hairline


@dataclass(frozen=True, eq=False)
class Style:
    """Everything fixed about a person that the face model does not know."""

    hair: HairStyle
    hair_colour: np.ndarray  # [3] albedo, RGB 0-255
    strands: float  # contrast of the strand texture
    gloss: float  # strength of the hair's highlight
    beard: float  # 0 shaven … 1 full beard
    beard_reach: tuple[float, float]  # weights of cheeks with jaw, and of the upper lip
    beard_colour: np.ndarray  # [3]
    blotches: float
    freckles: float
    moles: int
    glasses: bool
    seed: int  # of the fine detail: locks, freckles, moles


def _lengths(rng: np.random.Generator, *ranges: tuple[float, float]) -> tuple[float, ...]:
    share = rng.random()  # one draw, so that the lengths go together
    return tuple(low + (high - low) * share for low, high in ranges)


def hair_style(rng: np.random.Generator, traits: Traits | None = None) -> HairStyle:
    """One of the kinds of haircut, with its own lengths and thicknesses; long or bare as goes with sex and age."""
    kinds = {kind: chance for kind, (chance, _) in _KINDS.items()}
    if traits is not None:
        for names, men, women in ((_BARE, 0.3 + 0.03 * (traits.age - 18), 0.03), (_CROPPED, 1.6, 0.15),
                                  (_LONG, 0.06, 2.0)):  # fmt: skip
            kinds |= {name: kinds[name] * (women + (men - women) * traits.male) for name in names}
    kind = list(kinds)[rng.choice(len(kinds), p=np.array(list(kinds.values())) / sum(kinds.values()))]
    return _KINDS[kind][1](kind, rng)


def _cropped(kind: str, rng: np.random.Generator) -> HairStyle:
    if kind == "shaved":
        return HairStyle(kind, top=0.0, side=0.0, density=rng.uniform(0.15, 0.6), recede=rng.choice([0.0, 0.3]))
    if kind == "bald":
        thick = rng.uniform(0.0, 0.08)
        return HairStyle(kind, thick, thick, bald=rng.uniform(0.62, 0.85), density=rng.uniform(0.5, 1.0))
    return HairStyle(kind, rng.uniform(0.04, 0.1), rng.uniform(0.0, 0.04), recede=rng.uniform(0, 0.12), density=0.95)


def _short(kind: str, rng: np.random.Generator) -> HairStyle:
    top, side = rng.uniform(0.13, 0.3), rng.uniform(0.05, 0.12)
    wave, curl = rng.uniform(0, 0.03), rng.choice([0.0, 0.0, rng.uniform(0.01, 0.04)])
    if kind == "receding":
        return HairStyle(kind, 0.6 * top, side, recede=rng.uniform(0.2, 0.45), curl=curl, density=0.9)
    if kind == "side parting":
        side_sign = rng.choice([-1.0, 1.0])
        lengths = _lengths(rng, (0.04, 0.16), (0.1, 0.24), (0.02, 0.12), (0, 0), (0, 0.05), (0, 0.05), (0, 0.1))
        return HairStyle(kind, top, side, lengths, 0.9 * side_sign, -28.0 * side_sign, rng.uniform(15, 40), wave=wave)
    if kind == "short fringe":
        lengths = _lengths(rng, (0.12, 0.33), (0.12, 0.34), (0.1, 0.28), (0.0, 0.1), (0, 0.1), (0, 0.1), (0, 0.15))
        return HairStyle(kind, top, side, lengths, rng.uniform(-0.5, 0.5), wave=wave, jag=0.35)
    return HairStyle(kind, top, side, (0.03, 0.03, 0.02, 0, 0, 0.03, 0.05), wave=wave, curl=curl, jag=0.5)


def _bob(kind: str, rng: np.random.Generator) -> HairStyle:
    top, side = rng.uniform(0.12, 0.2), rng.uniform(0.1, 0.16)
    fringe = rng.random() < 0.5
    front = (0.24, 0.38) if fringe else (0.02, 0.05)
    lengths = _lengths(
        rng, front, front if fringe else (0.1, 0.25), (0.4, 0.7), (0.7, 1.05), (0.7, 1.05), (0.4, 0.7), (0.3, 0.5)
    )
    parting = None if fringe else rng.uniform(-25, 25)
    return HairStyle(
        kind, top, side, lengths, 0.0, parting, 0.0 if fringe else rng.uniform(8, 25), wave=rng.uniform(0, 0.03)
    )


def _long(kind: str, rng: np.random.Generator) -> HairStyle:
    top, side = rng.uniform(0.1, 0.18), rng.uniform(0.09, 0.15)
    fringe = kind == "long with fringe"
    front = (0.24, 0.4) if fringe else (0.02, 0.06)
    second = (0.24, 0.42) if fringe else (0.08, 0.3)
    lengths = _lengths(rng, front, second, (0.55, 1.2), (1.5, 2.0), (1.6, 2.0), (1.6, 2.0), (1.6, 2.0))
    wave = rng.uniform(0.05, 0.1) if kind == "long wavy" else rng.uniform(0.0, 0.02)
    parting = None if fringe else rng.choice([0.0, rng.uniform(-30, 30)])
    return HairStyle(kind, top, side, lengths, 0.0, parting, 0.0 if fringe else rng.uniform(5, 25), wave=wave)


def _curly(kind: str, rng: np.random.Generator) -> HairStyle:
    if kind == "afro":
        thick = rng.uniform(0.14, 0.42)
        return HairStyle(kind, thick, thick * rng.uniform(0.6, 0.95), curl=rng.uniform(0.025, 0.05), jag=0.5)
    top, side = rng.uniform(0.2, 0.32), rng.uniform(0.16, 0.26)
    lengths = _lengths(rng, (0.05, 0.25), (0.1, 0.3), (0.3, 0.7), (0.6, 1.6), (0.7, 1.7), (0.7, 1.7), (0.7, 1.7))
    return HairStyle(
        kind,
        top,
        side,
        lengths,
        rng.uniform(-0.6, 0.6),
        0.0,
        rng.uniform(0, 15),
        wave=0.05,
        curl=rng.uniform(0.03, 0.06),
        jag=0.4,
    )


def _tied(kind: str, rng: np.random.Generator) -> HairStyle:
    return HairStyle(kind, rng.uniform(0.04, 0.09), rng.uniform(0.03, 0.06), bun=True, jag=0.1)


_KINDS = {
    "shaved": (0.04, _cropped),
    "bald": (0.05, _cropped),
    "crew cut": (0.09, _cropped),
    "short": (0.14, _short),
    "short fringe": (0.09, _short),
    "side parting": (0.11, _short),
    "receding": (0.05, _short),
    "bob": (0.09, _bob),
    "long straight": (0.11, _long),
    "long wavy": (0.08, _long),
    "long with fringe": (0.05, _long),
    "curly": (0.06, _curly),
    "afro": (0.04, _curly),
    "tied back": (0.08, _tied),
}
_BARE, _CROPPED = ("bald", "receding"), ("shaved", "crew cut", "short", "side parting")
_LONG = ("bob", "long straight", "long wavy", "long with fringe", "tied back")
_BEARDLESS = ("bob", "long straight", "long wavy", "long with fringe", "tied back", "curly")


def draw_style(
    lightness: float,
    brows: float,
    rng: np.random.Generator,
    traits: Traits | None = None,
    colour: np.ndarray | None = None,
) -> Style:
    """A style for a person: dark skin mostly has dark hair, and so have dark brows.

    Args:
        lightness: mean albedo of the skin, 0-255.
        brows: how light the brows are among brows on such skin, -1…1.
        rng: draws everything else.
        traits: of the person, or None: then beards go with short hair.
        colour: [3] of the hair, or None: then it goes with skin and brows.
    """
    light = float(np.clip((lightness - 85) / 80, 0, 1))
    hair = replace(hair_style(rng, traits), uneven=tuple(rng.normal(0, (0.35, 0.3, 0.25))))
    own = _hair_colour(light, brows, rng)
    colour = own if colour is None else np.asarray(colour, float)
    beard = 0.0
    bearded = hair.name not in _BEARDLESS if traits is None else traits.male > 0.7
    if bearded and rng.random() < (0.55 if traits is None else 0.3):
        beard = rng.choice([rng.uniform(0.1, 0.35), rng.uniform(0.5, 0.95)], p=[0.6, 0.4])
    return Style(
        hair=hair,
        hair_colour=colour,
        strands=rng.uniform(0.16, 0.34),
        gloss=rng.uniform(0.1, 0.5) if hair.curl < 0.02 else rng.uniform(0.0, 0.15),
        beard=beard,
        beard_reach=(1.0, 1.0) if rng.random() < 0.7 else (rng.uniform(0.2, 1.0), rng.uniform(0.0, 1.0)),
        beard_colour=colour * rng.uniform(0.7, 1.0),
        blotches=rng.uniform(0.005, 0.025),
        freckles=rng.choice([0.0, rng.uniform(0.1, 1.0) * light], p=[0.7, 0.3]),
        moles=int(rng.poisson(0.4)),
        glasses=bool(rng.random() < (0.12 if traits is None else np.interp(traits.age, [20, 70], [0.08, 0.3]))),
        seed=int(rng.integers(2**31)),
    )


def _hair_colour(light: float, brows: float, rng: np.random.Generator) -> np.ndarray:
    """[3] RGB 0-255: one of the colours, which differs a little from person to person."""
    chances = np.array([light * often[0] + (1 - light) * often[1] for _, often in HAIR_COLOURS.values()])
    shades = np.array([np.mean(colour) for colour, _ in HAIR_COLOURS.values()])
    chances = chances * np.exp(1.2 * brows * np.clip((shades - 80) / 60, -1, 1))
    base = np.array(list(HAIR_COLOURS.values())[rng.choice(len(chances), p=chances / chances.sum())][0], float)
    if np.array_equal(base, HAIR_COLOURS["dyed"][0]):
        base = base[rng.permutation(3)]
    return np.clip(base * np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.03, 3)), 18, 235)
