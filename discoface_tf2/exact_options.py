"""What is asked for exactly: people by number, degrees, movements and lights by name, axes of a grid.

It imports nothing that takes time, so that scripts can check their flags with it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ANGLES = ("yaw", "pitch", "roll")
ORBIT = (25.0, 12.0)  # degrees of yaw and pitch: how far a camera on the axis `orbit` goes around a face
_MOST = 10_000  # values of an axis


@dataclass(frozen=True)
class Axis:
    """What changes along the rows or the columns of a grid: `identity`, `light`, an angle, or a movement by name.

    Or `orbit`: the way around an ellipse of yaw and pitch, in degrees.
    """

    name: str
    values: tuple[float | int | str, ...]

    @classmethod
    def parse(cls, text: str) -> Axis:
        """`yaw=-30:30:5` (five values, both ends included), `smile=0,0.5,1`, `light=left|top=0.5`, `identity=8`.

        `identity=8` is the first eight people, `identity=3,7` these two, `identity=0:3:31` the way from the first to
        the fourth; `orbit=60` once around in 60 steps. Raises ValueError with one line.
        """
        name, equals, rest = (part.strip() for part in text.partition("="))
        if not name or not equals or not rest:
            raise ValueError(
                f"expected NAME=FROM:TO:COUNT or NAME=VALUE,VALUE, such as yaw=-30:30:5. Received: {text!r}"
            )
        if name == "light":
            values: tuple[float | int | str, ...] = tuple(part.strip() for part in rest.split("|"))
        elif name == "identity" and ":" not in rest:
            values = identities(rest, text, counted=True)
        elif name == "orbit" and ":" not in rest:
            steps = _number(rest, text)
            if not 2 <= steps <= _MOST or steps != int(steps):
                raise ValueError(f"expected orbit=STEPS, from 2 to {_MOST:,}. Received: {text!r}")
            values = tuple(360 * k / steps for k in range(int(steps)))
        elif ":" in rest:
            numbers = [_number(part, text) for part in rest.split(":")]
            if len(numbers) != 3 or not 2 <= numbers[2] <= _MOST or numbers[2] != int(numbers[2]):
                raise ValueError(f"expected FROM:TO:COUNT, COUNT from 2 to {_MOST:,}. Received: {text!r}")
            first, last, count = numbers[0], numbers[1], int(numbers[2])
            values = tuple(first + (last - first) * k / (count - 1) for k in range(count))
            if name == "identity" and not 0 <= min(first, last) <= max(first, last) < 2**31 - 1:
                raise ValueError(f"expected numbers of people from 0 on. Received: {text!r}")
        else:
            values = tuple(_number(part, text) for part in rest.split(","))
        return cls(name, values)

    def change(self, value: float | int | str) -> dict[str, Any]:
        """What `People.with_` takes for a value of an angle, a movement or `light`."""
        if self.name == "light":
            return {"light": str(value)}
        if self.name == "orbit":
            turn = math.radians(float(value))
            return {"yaw": ORBIT[0] * math.sin(turn), "pitch": ORBIT[1] * math.cos(turn)}
        return {self.name: float(value)} if self.name in ANGLES else {"expression": {self.name: float(value)}}

    def label(self, value: float | int | str) -> str:
        """A value in words."""
        if self.name in ANGLES:
            return f"{self.name} {value:+g}°"
        if self.name == "orbit":
            return f"orbit {value:.0f}°"
        return f"{self.name} {value}" if isinstance(value, (int, str)) else f"{self.name} {value:.3g}"


def identities(text: str, whole: str = "", counted: bool = False) -> tuple[int, ...]:
    """Numbers of people: `3`, `3,7`; a single number counts people from 0 where `counted`. Raises ValueError."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if (
        not numbers
        or min(numbers) < 0
        or max(numbers) > 2**31 - 1
        or (counted and len(numbers) == 1 and numbers[0] < 1)
    ):
        raise ValueError(f"expected whole numbers from 0 on, such as 3,7. Received: {(whole or text)!r}")
    if counted and len(numbers) == 1:
        if numbers[0] > _MOST:
            raise ValueError(f"expected at most {_MOST:,} people. Received: {(whole or text)!r}")
        return tuple(range(numbers[0]))
    return numbers


@dataclass(frozen=True)
class ExactOptions:
    """One image, a row, or a grid of them. What is not given is at rest: no expression, looking ahead, plain light.

    Attributes:
        identities: numbers of the people of `seed`: those of the rows that generate_images.py makes of it.
        yaw, pitch, roll: degrees.
        expression: movements by name.
        light: as `renderer.lights` reads it; None: the usual one.
        coefficients: a file of whole faces in place of people of a seed.
        columns, rows: what changes along them.
        seed: of identities and noise.
        truncation: ψ.
    """

    identities: tuple[int, ...] = (0,)
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None
    expression: Mapping[str, float] = field(default_factory=dict)
    light: str | None = None
    coefficients: str | None = None
    columns: Axis | None = None
    rows: Axis | None = None
    seed: int = 0
    truncation: float = 0.7

    def __post_init__(self) -> None:
        axes = [axis for axis in (self.rows, self.columns) if axis is not None]
        names = [axis.name for axis in axes]
        if len(set(names)) < len(names):
            raise ValueError(f"--grid and --rows: expected two different axes. Received: {names[0]} twice")
        turned = [angle for name in names for angle in (("yaw", "pitch") if name == "orbit" else (name,))]
        for name in ANGLES:
            if turned.count(name) + (getattr(self, name) is not None) > 1:
                raise ValueError(f"--{name}: it is an axis of the grid as well; leave one out")
        if self.coefficients is not None and ("identity" in names or self.identities != (0,)):
            raise ValueError("--coefficients: its faces are who they are; leave --identity out")
        if "identity" in names and self.identities != (0,):
            raise ValueError("--identity: it is an axis of the grid as well; leave one out")
        if self.rows is not None and len(self.identities) > 1:
            raise ValueError("--identity: several people are rows already; give them by --rows identity=… alone")

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts."""
        return {**dataclasses.asdict(self), "expression": dict(self.expression)}

    @property
    def source(self) -> Path | None:
        """The file of coefficients."""
        return None if self.coefficients is None else Path(self.coefficients)


def _number(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected numbers. Received: {whole!r}")
    return value
