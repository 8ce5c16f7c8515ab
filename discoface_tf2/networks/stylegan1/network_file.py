"""Reads the network files of the original release, which are pickles, without running anything in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from renderer.unpickling import Array, RefusedError, kind_of, load_pickle, numpy_names, short


@dataclass(frozen=True)
class NetworkState:
    """What a file knows of one network.

    Attributes:
        name: "G", "D", "Gs", or a component's.
        options: what it was built with, where that is not the default.
        components: its parts, by name ("mapping" and "synthesis" of a generator).
        variables: by name; float32, in the file's own shapes (images are channels first).
    """

    name: str
    options: dict[str, Any]
    components: dict[str, NetworkState]
    variables: dict[str, np.ndarray] = field(repr=False)


class Networks(NamedTuple):
    """The three networks of a file: the generator, the discriminator and the generator's moving average."""

    generator: NetworkState
    discriminator: NetworkState
    average: NetworkState


def read_networks(path: str | Path) -> Networks:
    """The networks of the file at `path`.

    Raises FileNotFoundError, or ValueError with one line that says what was refused.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a network of the original release (.pkl)")
    with open(path, "rb") as file:
        start = file.read(2)
    if len(start) < 2 or start[0] != 0x80 or start[1] not in (2, 3, 4):
        raise ValueError(
            f"{path}: expected a network file, a pickle of protocol 2 to 4. Received: a file that begins with the "
            f"bytes {start.hex(' ') or 'of nothing'}"
        )
    names = {**numpy_names(path.stat().st_size), ("dnnlib.tflib.network", "Network"): _Network}
    content = load_pickle(path, names)
    try:
        if not isinstance(content, tuple | list) or len(content) != 3:
            raise RefusedError(f"expected three networks (G, D, Gs). Received: {kind_of(content)}")
        seen: set[int] = set()
        return Networks(
            *(_network_state(item, name, 0, seen) for item, name in zip(content, ("G", "D", "Gs"), strict=True))
        )
    except RefusedError as error:
        raise ValueError(f"{path}: {error}") from None


class _Network:
    """A network: the record that the original class would restore itself from."""

    state: dict[str, Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict or self.state is not None or any(type(key) is not str for key in state):
            raise RefusedError("a network's state that is not one record")
        self.state = state


def _network_state(item: Any, which: str, depth: int, seen: set[int]) -> NetworkState:
    """The record of a network, its parts and variables, as far as they are what they should be.

    `seen` has the identities of all arrays so far: each serves once, so that a small file cannot become large.
    """
    state = item.state if type(item) is _Network else None
    if state is None or depth > 2:  # parts that hold themselves would never end
        raise RefusedError(f"expected a network at {which}. Received: {kind_of(item)}")
    name, options, parts = state.get("name"), state.get("static_kwargs"), state.get("components")
    variables = state.get("variables")
    if type(name) is not str or type(options) is not dict or type(parts) is not dict or type(variables) is not list:
        raise RefusedError(
            f"expected a network's name, static_kwargs, components and variables at {which}. "
            f"Received: {', '.join(short(key) for key in list(state)[:8]) or 'nothing'}"
        )
    arrays: dict[str, np.ndarray] = {}
    for entry in variables:
        if type(entry) is not tuple or len(entry) != 2 or type(entry[0]) is not str:
            raise RefusedError(f"{which}: expected variables as pairs of name and array")
        label = f"{which}: variable {short(entry[0])}"
        value = entry[1].value if type(entry[1]) is Array else None
        if value is None or value.dtype.kind not in "fiu":
            raise RefusedError(f"{label} is not an array of numbers")
        if entry[0] in arrays or id(entry[1]) in seen:
            raise RefusedError(f"{label} is there twice")
        seen.add(id(entry[1]))
        if not np.isfinite(value).all():
            raise RefusedError(f"{label} holds numbers that are not finite")
        arrays[entry[0]] = value.astype(np.float32)
    components = {key: _network_state(part, f"{which}.{short(key)}", depth + 1, seen) for key, part in parts.items()}
    return NetworkState(short(name), options, components, arrays)
