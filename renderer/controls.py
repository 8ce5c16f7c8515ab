"""Identity, expression, pose and light by name, written into coefficient vectors of any face model."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from renderer.face_model import FaceModel
from renderer.lights import LightSetup

# What a model may put before the plain name of a movement: `smile` finds `mouthSmile_L` and `mouthSmile_R`.
_PLACES = ("mouth", "eye", "brow", "cheek", "nose", "jaw")

# Plain words for movements, beside ARKit's names, which MakeHuman's head and ICT-FaceKit have.
_SYNONYMS = {
    "smile": "mouthsmile", "frown": "mouthfrown", "blink": "eyeblink", "squint": "eyesquint",
    "browraise": "browouterup", "browlower": "browdown", "nosewrinkle": "nosesneer", "pucker": "mouthpucker",
    "lipspress": "mouthpress", "upperlipraise": "mouthupperup", "lowerlipdown": "mouthlowerdown",
    "chinraise": "mouthshruglower",
}  # fmt: skip


@dataclass(frozen=True)
class Controls:
    """What to change in coefficient vectors; None and empty leave what is there.

    Expression, shape and texture are coefficients by the model's component names, or by convenience names (see
    `component_weights`). For activations such as the built-in model's, 0 is rest and 1 full.
    """

    pitch: float | None = None  # degrees; positive bows the head
    yaw: float | None = None  # degrees; positive turns the face to the picture's right
    roll: float | None = None  # degrees; positive turns the face counter-clockwise in the picture
    expression: Mapping[str, float] = field(default_factory=dict)
    shape: Mapping[str, float] = field(default_factory=dict)
    texture: Mapping[str, float] = field(default_factory=dict)
    lights: LightSetup | None = None

    def __post_init__(self) -> None:
        for name in ("pitch", "yaw", "roll"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name}: expected a finite number of degrees. Received: {value}")

    def apply(self, face_model: FaceModel, coefficients: np.ndarray) -> np.ndarray:
        """A changed copy of `coefficients` [..., size or lambda_size], float32.

        Raises:
            ValueError: for a name that the model lacks, or a wrong number of coefficients.
        """
        result = np.array(coefficients, np.float32)
        groups = face_model.layout.split(result)  # views
        for column, degrees in enumerate((self.pitch, self.yaw, self.roll)):
            if degrees is not None:
                groups["angles"][..., column] = math.radians(degrees)
        for group, names in (
            ("expression", face_model.expression_names),
            ("shape", face_model.shape_names),
            ("texture", face_model.texture_names),
        ):
            for index, value in component_weights(names, getattr(self, group), group).items():
                groups[group][..., index] = value
        if self.lights is not None:
            groups["lighting"][...] = self.lights.coefficients()
        return result


def identity(face_model: FaceModel, seed: int | None = None) -> np.ndarray:
    """[size] float32: a person drawn from the model's normal distribution, all else zero; the mean face for None."""
    layout = face_model.layout
    result = np.zeros(layout.size, np.float32)
    if seed is not None:
        rng = np.random.default_rng(seed)
        result[layout.slice("shape")] = rng.normal(0, face_model.shape_std)
        result[layout.slice("texture")] = rng.normal(0, face_model.texture_std)
    return result


def parse_assignments(text: str, what: str = "expression") -> dict[str, float]:
    """`smile=0.8,jaw_open=0.3` as a dictionary. Raises ValueError with one line on the part that is wrong."""
    result: dict[str, float] = {}
    for item in (item.strip() for item in text.split(",") if item.strip()):
        name, equals, number = (part.strip() for part in item.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not (name and equals) or not math.isfinite(value):
            raise ValueError(f"{what}: expected NAME=NUMBER, such as smile=0.8. Received: {item!r}")
        if name in result:
            raise ValueError(f"{what}: {name} is given twice")
        result[name] = value
    return result


def convenience_names(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Names that stand for a left and a right component: their numbers by the part before the side, lower case.

    `smile_left` and `smile_right` give `smile`, `mouthSmile_L` and `mouthSmile_R` give `mouthsmile`.
    """
    sides: dict[str, dict[str, int]] = {}
    for number, name in enumerate(names):
        match = re.fullmatch(r"(.+?)(?:_([lr])|_?(left|right))", name, re.IGNORECASE)
        if match:
            side = (match[2] or match[3])[0].lower()
            sides.setdefault(_plain(match[1]), {})[side] = number
    # `jawLeft` and `jawRight` are two opposite movements, not one of two sides.
    return {base: (pair["l"], pair["r"]) for base, pair in sides.items() if len(pair) == 2 and base not in _PLACES}


def component_weights(names: Sequence[str], assignments: Mapping[str, float], what: str) -> dict[int, float]:
    """Component numbers and their values, of values by name.

    A name is a component's own; or the same but for case, underscores and the spelling of its side (`_left`, `Left`,
    `_L`); or, without its side, both sides; or any of these by a plain word for ARKit's name (`_SYNONYMS`); or without
    a leading mouth, eye, brow, cheek, nose or jaw, where this is unambiguous. A component that is named twice takes the
    later value, so `smile=0.8,smile_left=0.2` smiles with one side.

    Raises:
        ValueError: for an unknown name: one line with the known ones.
    """
    result: dict[int, float] = {}
    if not assignments:
        return result
    both = convenience_names(names)
    known: dict[tuple[str, str], tuple[int, ...]] = {(base, ""): pair for base, pair in both.items()}
    known |= {_split_side(name): (number,) for number, name in enumerate(names)}
    for name, value in assignments.items():
        if name in names:
            found: tuple[int, ...] | None = (names.index(name),)
        else:
            base, side = _split_side(name)
            alike = [known[word, side] for word in (base, _SYNONYMS.get(base, base)) if (word, side) in known]
            longer = [known[place + base, side] for place in _PLACES if (place + base, side) in known]
            found = alike[0] if alike else longer[0] if len(longer) == 1 else None
        if not found:
            raise ValueError(_unknown(name, names, both, what))
        result |= dict.fromkeys(found, value)
    return result


def known_names(names: Sequence[str]) -> list[str]:
    """The names as a user may write them, those for both sides first, spelt as the model spells them."""
    shorter = {names[left]: _without_side(names[left]) for left, _ in convenience_names(names).values()}
    return [*shorter.values(), *names]


def _unknown(name: str, names: Sequence[str], both: Mapping[str, tuple[int, int]], what: str) -> str:
    known = known_names(names)
    close = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{what}: there is no {name!r}.{hint} Expected one of: {', '.join(known)}"


def _without_side(name: str) -> str:
    return re.sub(r"(_[lr]|_?(left|right))$", "", name, flags=re.IGNORECASE)


def _split_side(name: str) -> tuple[str, str]:
    """A name without case, underscores and side, and its side: l, r or nothing. `jawLeft` has none, being a way."""
    match = re.fullmatch(r"(.+?)(?:_([lr])|_?(left|right))", name, re.IGNORECASE)
    if not match or _plain(match[1]) in _PLACES:
        return _plain(name), ""
    return _plain(match[1]), (match[2] or match[3])[0].lower()


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
