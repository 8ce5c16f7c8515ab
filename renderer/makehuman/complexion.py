"""What a person's skin, brows and eyes are like: a draw from what goes with age, sex and ancestry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer.makehuman.people import TRAITS

# Skin from the palest to the darkest, RGB 0-255, at evenly spaced melanin 0 … 1; measured photographs' range, neither
# white nor red.
_TONES = np.array(
    [(232, 193, 175), (221, 178, 156), (206, 158, 133), (186, 136, 109), (160, 112, 86), (130, 88, 66), (98, 66, 50),
     (70, 48, 38)], float
)  # fmt: skip
_MELANIN = {"african": (0.80, 0.13), "asian": (0.33, 0.10), "caucasian": (0.17, 0.09)}  # mean and spread
# Hair: colour, and how common it is by melanin: light, middle, dark skin.
HAIR = {
    "black": ((28, 24, 23), (0.10, 0.62, 0.80)), "dark brown": ((52, 37, 29), (0.26, 0.28, 0.18)),
    "brown": ((84, 58, 41), (0.24, 0.08, 0.015)), "light brown": ((122, 90, 62), (0.14, 0.01, 0.002)),
    "auburn": ((100, 52, 34), (0.05, 0.01, 0.002)), "ginger": ((158, 88, 48), (0.04, 0.0, 0.0)),
    "dark blond": ((148, 118, 80), (0.10, 0.0, 0.0)), "blond": ((190, 156, 108), (0.07, 0.0, 0.001)),
}  # fmt: skip
_GREYS = np.array([(128, 125, 122), (172, 170, 167), (208, 206, 202)], float)
_IRISES = {
    "dark brown": ((46, 30, 22), (0.12, 0.75, 0.93)), "brown": ((82, 54, 34), (0.22, 0.23, 0.07)),
    "hazel": ((110, 86, 48), (0.16, 0.02, 0.0)), "green": ((96, 108, 76), (0.12, 0.0, 0.0)),
    "grey": ((122, 134, 140), (0.12, 0.0, 0.0)), "blue": ((92, 126, 158), (0.26, 0.0, 0.0)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Complexion:
    """Everything about a person's colours. Colours are albedo, RGB 0-255."""

    age: float  # years
    male: float  # 0-1
    melanin: float  # 0 palest … 1 darkest
    tone: np.ndarray  # [3] mean colour of the face
    redness: float  # of cheeks, nose and ears, 0 … 1
    lips: np.ndarray  # [3] factors of the skin's colour
    hair: np.ndarray  # [3]
    grey: float  # share of the hair that is grey, 0-1
    brow: np.ndarray  # [3]
    brow_strength: float  # 0-1, how much skin the brows hide
    brow_width: float  # decimetres, at the thickest place
    stubble: float  # 0-1
    freckles: float  # 0-1
    iris: np.ndarray  # [3]
    blotches: float  # standard deviation of the skin's unevenness, as a share
    seed: int  # of the fine detail

    @classmethod
    def sample(cls, traits: np.ndarray, rng: np.random.Generator) -> Complexion:
        """One complexion for a person of `traits` [7]; see TRAITS."""
        trait = dict(zip(TRAITS, traits, strict=True))
        age, male = float(trait["age"]), float(trait["male"])
        melanin = sum(
            trait[name] * (mean + spread * np.clip(rng.normal(), -2.3, 2.3))
            for name, (mean, spread) in _MELANIN.items()
        )
        melanin = float(np.clip(melanin, 0.02, 0.98))
        redness = float(np.clip(rng.beta(2, 3) + 0.1 * (male - 0.5), 0, 1))
        tone = (
            _tone(melanin) * np.exp(rng.normal(0, 0.02)) * np.exp(np.array([0.5, -0.35, -0.15]) * 0.1 * (redness - 0.4))
        )
        base = _pick(HAIR, melanin, rng) * np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.03, 3))
        grey = float(np.clip((age - rng.normal(52, 9)) / 22, 0, 1)) * (1 if male > 0.5 or rng.random() < 0.6 else 0.25)
        hair = base + (_GREYS[rng.integers(len(_GREYS))] * np.exp(rng.normal(0, 0.06)) - base) * grey
        make_up = male < 0.5 and rng.random() < 0.35
        lips = np.array([0.93, 0.70, 0.71]) + (np.array([0.88, 0.80, 0.83]) - np.array([0.93, 0.70, 0.71])) * melanin
        if make_up:
            lips = lips * np.exp(np.array([-0.10, -0.34, -0.27]) * rng.uniform(0.1, 1.0) + rng.normal(0, 0.04, 3))
        lips = lips * np.exp(rng.normal(0, 0.04, 3) - 0.1 * np.array([0, -1, -1]) * max(0, age - 50) / 40)
        return cls(
            age=age,
            male=male,
            melanin=melanin,
            tone=np.clip(tone, 25, 245),
            redness=redness,
            lips=lips,
            hair=np.clip(hair, 16, 235),
            grey=grey,
            brow=np.clip(base * 0.8 + (hair * 0.9 - base * 0.8) * 0.6 * grey, 14, 190),
            brow_strength=float(np.clip(rng.normal(0.66 + 0.1 * (male - 0.5), 0.14), 0.25, 0.95) * (1 - 0.35 * grey)),
            brow_width=float(np.clip(rng.normal(0.047 + 0.02 * (male - 0.5), 0.009), 0.022, 0.08)),
            stubble=float(rng.choice([0.0, rng.uniform(0.1, 0.45), rng.uniform(0.4, 0.8)], p=[0.3, 0.5, 0.2]))
            * (male > 0.5),
            freckles=float(
                rng.choice([0.0, rng.uniform(0.15, 1.0)], p=[0.78, 0.22]) * np.clip(1.2 - 3 * melanin, 0, 1)
            ),
            iris=np.clip(
                _pick(_IRISES, melanin, rng) * np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.05, 3)), 18, 190
            ),
            blotches=float(rng.uniform(0.010, 0.024) * (1 + 0.012 * max(0, age - 30))),
            seed=int(rng.integers(2**31)),
        )


def _tone(melanin: float) -> np.ndarray:
    place = np.linspace(0, 1, len(_TONES))
    return np.array([np.interp(melanin, place, _TONES[:, channel]) for channel in range(3)])


def _pick(table: dict[str, tuple[tuple[int, int, int], tuple[float, float, float]]], melanin: float,
          rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """One of the colours of a table, by how common they are on skin of this melanin."""
    common = np.array([np.interp(melanin, [0.15, 0.4, 0.75], often) for _, often in table.values()])
    return np.array(list(table.values())[rng.choice(len(table), p=common / common.sum())][0], float)
