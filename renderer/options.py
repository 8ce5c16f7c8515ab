"""Options and their ranges: one statement for a dataclass's field, for its flag, and for both of their errors.

@dataclass(frozen=True)
class Budget:
    steps: int = option(100, "updates of the weights", whole(1, 10**9))

    def __post_init__(self) -> None:
        check_options(self)

parser.add_argument("--seed", type=SEED, default=0)
add_option(parser, Budget, "steps")  # --steps, with the help and the range of the field
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Kind(ABC):
    """What values an option may have. As argparse's `type` it reads one from text; `str` says it in words."""

    @abstractmethod
    def fits(self, value: object) -> bool:
        """Whether an option may have this value."""

    def read(self, text: str) -> Any:
        """The value that `text` says, in range or not. Raises ValueError."""
        return text

    def __call__(self, text: str) -> Any:
        """The value that `text` says. Raises argparse.ArgumentTypeError with one line."""
        try:
            value = self.read(text)
        except ValueError:
            value = text
        if not self.fits(value):
            raise argparse.ArgumentTypeError(f"expected {self}. Received: {_shown(text)}")
        return value


@dataclass(frozen=True)
class Range(Kind):
    """Finite numbers from `least` (or just above it, where `open_below`) to `most` (or just below it, `open_above`)."""

    least: float
    most: float
    whole: bool = False
    open_below: bool = False
    open_above: bool = False
    power_of_two: bool = False

    def fits(self, value: object) -> bool:
        """Whether `value` is a number of this range; a bool is none."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not (self.least <= value <= self.most):
            return False
        if self.whole and not isinstance(value, int):
            return False
        if (self.open_below and value == self.least) or (self.open_above and value == self.most):
            return False
        return not (self.power_of_two and int(value) & (int(value) - 1))

    def read(self, text: str) -> int | float:
        """A number."""
        return int(text) if self.whole else float(text)

    def __str__(self) -> str:
        kind = "a power of two" if self.power_of_two else "a whole number" if self.whole else "a number"
        if not (self.open_below or self.open_above):
            return f"{kind}, {_digits(self.least)} to {_digits(self.most)}"
        low = f"{'above' if self.open_below else 'from'} {_digits(self.least)}"
        return f"{kind} {low}, {'below' if self.open_above else 'at most'} {_digits(self.most)}"


@dataclass(frozen=True)
class Choice(Kind):
    """One of some words."""

    words: tuple[str, ...]

    def fits(self, value: object) -> bool:
        """Whether `value` is one of the words."""
        return isinstance(value, str) and value in self.words

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"


@dataclass(frozen=True)
class Pattern(Kind):
    """Text of a form; `words` say which."""

    expression: str
    words: str

    def fits(self, value: object) -> bool:
        """Whether `value` is text of this form."""
        return isinstance(value, str) and re.fullmatch(self.expression, value, re.ASCII) is not None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Each(Kind):
    """A tuple, of which each entry is of a kind; as argparse's `type` it reads one entry."""

    kind: Kind

    def fits(self, value: object) -> bool:
        """Whether `value` is a tuple of such entries."""
        return isinstance(value, tuple) and all(self.kind.fits(entry) for entry in value)

    def __call__(self, text: str) -> Any:
        """One entry."""
        return self.kind(text)

    def __str__(self) -> str:
        return f"each {self.kind}"


@dataclass(frozen=True)
class Switch(Kind):
    """Yes or no; its flag takes no value."""

    def fits(self, value: object) -> bool:
        """Whether `value` is a bool."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "True or False"


SWITCH = Switch()


def whole(least: int, most: int, *, power_of_two: bool = False) -> Range:
    """Whole numbers from `least` to `most`, both included."""
    return Range(least, most, whole=True, power_of_two=power_of_two)


def number(least: float, most: float, *, open_below: bool = False, open_above: bool = False) -> Range:
    """Finite numbers from `least` to `most`; see Range."""
    return Range(least, most, open_below=open_below, open_above=open_above)


def positive(most: float) -> Range:
    """Numbers above 0, at most `most`."""
    return Range(0.0, most, open_below=True)


# What TensorFlow, NumPy and Keras all take, with room for the few that are added to one.
SEED = whole(0, 2_000_000_000)


def option(default: Any, explanation: str, kind: Kind) -> Any:
    """A dataclass's field with a range: `default` is dataclasses.MISSING for none; None, out of range, may be one."""
    return dataclasses.field(default=default, metadata={"help": explanation, "kind": kind})


def check_options(config: Any) -> None:
    """Raises ValueError, one line with the field's name, unless each field of `config` made by `option` is in range."""
    for field in dataclasses.fields(config):
        kind, value = field.metadata.get("kind"), getattr(config, field.name)
        if kind is not None and not (value is None and field.default is None):
            require(field.name, value, kind)


def require(name: str, value: object, kind: Kind) -> None:
    """Raises ValueError with one line unless `value` is of a kind."""
    if not kind.fits(value):
        raise ValueError(f"{name}: expected {kind}. Received: {_shown(value)}")


def add_option(
    parser: Any, config: type, name: str, flag: str | None = None, *, default: Any = dataclasses.MISSING
) -> None:
    """Adds `--flag` (the field's name unless given) of a field made by `option` to a parser or a group of one.

    `default` is the field's own unless given; None stands for "not given".
    """
    field = {field.name: field for field in dataclasses.fields(config)}[name]
    kind, text = field.metadata["kind"], field.metadata["help"].replace("%", "%%")
    default = field.default if default is dataclasses.MISSING else default
    if isinstance(kind, Switch):
        parser.add_argument(f"--{flag or name}", action=argparse.BooleanOptionalAction, default=default, help=text)
        return
    told = f"{kind}" if default is None else f"{kind}; default {default}"
    parser.add_argument(f"--{flag or name}", type=kind, default=default, help=f"{text} ({told})")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Adds `--dry-run`; see `print_options`."""
    parser.add_argument("--dry-run", action="store_true", help="check the options, print them and stop")


def print_options(arguments: argparse.Namespace | dict[str, Any]) -> None:
    """What a dry run prints: the options by name, as JSON."""
    options = dict(arguments) if isinstance(arguments, dict) else vars(arguments).copy()
    options.pop("dry_run", None)
    print(json.dumps(options, indent=2, ensure_ascii=False, default=_plain))


def _shown(value: object) -> str:
    text = " ".join(str(value).split()) if not isinstance(value, int) else _digits(value, plain=True)
    return repr(value) if not text else text if len(text) <= 80 else f"{text[:77]}..."


def _digits(value: float, plain: bool = False) -> str:
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of more than 30 digits"
    return str(value) if plain else f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, (set, tuple)) else str(value) if isinstance(value, Path) else repr(value)
