"""Which people of a seed are the identities of a data set: far enough apart, and as many of each group.

People are tried in the order of their numbers, so the choice hangs on the seed and the options alone.
"""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from datasets.generated.options import GeneratedSet
from renderer.face_model import FaceModel
from renderer.files import save_npz
from renderer.traits import GROUPS, groups_of, known_traits

CANDIDATES, IDENTITIES = "candidates", "identities.npz"
UNIT = 256  # candidates that are looked at together
_MOST_TRIED = 20  # candidates per identity


def candidates_path(folder: Path, unit: int) -> Path:
    """Where the candidates UNIT · unit, … lie until the choice is made."""
    return folder / CANDIDATES / f"{unit:06d}.npz"


def write_candidates(folder: Path, unit: int, model: FaceModel, identity: np.ndarray, embeddings: np.ndarray) -> None:
    """Writes what the choice needs of a unit's people: their traits, and who they look like."""
    save_npz({**known_traits(model, identity), "embedding": embeddings}, candidates_path(folder, unit))


def check_balance(model: FaceModel, names: Sequence[str]) -> None:
    """Raises ValueError with one line where the face model does not know a trait that is to be balanced."""
    known = known_traits(model, np.zeros([1, model.layout.factor_size("identity")]))
    unknown = [name for name in names if GROUPS[name].trait not in known]
    if unknown:
        able = [name for name, groups in GROUPS.items() if groups.trait in known]
        raise ValueError(
            f"--balance {' '.join(unknown)}: the face model {model.name!r} does not know it of a person; "
            f"it knows: {', '.join(able) or 'nothing'}"
        )


def choose(folder: Path, options: GeneratedSet, run: Callable[[Sequence[int]], None]) -> str:
    """Writes `identities.npz`, and returns a line that says how many were tried.

    It holds `person` [N], the numbers of the people chosen, the traits that are known of them, by name, their
    `embedding` [N, E] (E = 0 where `min_distance` is 0), and `tried`, `too_near` and `group_full`: how many people.
    `run` has the candidates of some units written. Raises ValueError with one line when too few people fit.
    """
    chosen = _Choice(options)
    for unit in itertools.count():
        if chosen.complete:
            break
        if chosen.tried >= max(_MOST_TRIED * options.identities, 4 * UNIT):
            raise ValueError(
                f"{chosen.summary()}: only {len(chosen.people):,} found. Give a smaller --min_distance, fewer "
                "--identities or groups of --balance, or a larger --truncation"
            )
        if not candidates_path(folder, unit).is_file():
            further = range(unit, unit + chosen.units_to_come())
            run([number for number in further if not candidates_path(folder, number).is_file()])
        with np.load(candidates_path(folder, unit), allow_pickle=False) as stored:
            chosen.take(unit * UNIT, dict(stored))
    counts = {"tried": chosen.tried, "too_near": chosen.too_near, "group_full": chosen.group_full}
    save_npz({"person": np.array(chosen.people), **chosen.arrays(), **counts}, folder / IDENTITIES)
    shutil.rmtree(folder / CANDIDATES, ignore_errors=True)
    return chosen.summary()


class _Choice:
    def __init__(self, options: GeneratedSet) -> None:
        self._options, self.people = options, list[int]()
        self.tried = self.too_near = self.group_full = 0
        combinations = list(itertools.product(*(GROUPS[name].names for name in options.balance)))
        each, more = divmod(options.identities, len(combinations))
        self._room = Counter({group: each + (number < more) for number, group in enumerate(combinations)})
        self._rows: list[dict[str, np.ndarray]] = []
        self._embeddings = np.zeros([0, 0], np.float32)  # [identities, E], of which the first are filled

    @property
    def complete(self) -> bool:
        return len(self.people) == self._options.identities

    def units_to_come(self) -> int:
        """How many units will do, if as many people fit as until now."""
        rate = max(len(self.people) / self.tried, 1 / _MOST_TRIED) if self.tried else 1.0
        return max(1, int(np.ceil((self._options.identities - len(self.people)) / rate / UNIT)))

    def take(self, first: int, unit: Mapping[str, np.ndarray]) -> None:
        """Tries the people of a unit, whose first one has the number `first`."""
        group = groups_of(unit, self._options.balance)
        embeddings = unit["embedding"]
        if not self.people:
            self._embeddings = np.zeros([self._options.identities, embeddings.shape[1]], np.float32)
        for row, embedding in enumerate(embeddings):
            if self.complete:
                return
            self.tried += 1
            if not self._room[group(row)]:
                self.group_full += 1
                continue
            nearest = (self._embeddings[: len(self.people)] @ embedding).max(initial=-1)
            if self._options.min_distance and 1 - nearest < self._options.min_distance:
                self.too_near += 1
                continue
            self._room[group(row)] -= 1
            self._embeddings[len(self.people)] = embedding
            self._rows.append({name: values[row] for name, values in unit.items() if name != "embedding"})
            self.people.append(first + row)

    def arrays(self) -> dict[str, np.ndarray]:
        """Traits [N] and embeddings [N, E] of the people chosen."""
        return {**{name: np.array([row[name] for row in self._rows]) for name in self._rows[0]},
                "embedding": self._embeddings}  # fmt: skip

    def summary(self) -> str:
        reasons = [f"{count:,} {words}" for count, words in (
            (self.too_near, f"nearer than {self._options.min_distance:g} to another"),
            (self.group_full, "of a group that was full"),
        ) if count]  # fmt: skip
        rejected = f" (rejected: {', '.join(reasons)})" if reasons else ""
        return f"{self.tried:,} people tried for {self._options.identities:,} identities{rejected}"


def nearest_distance(embeddings: np.ndarray) -> float:
    """The least cosine distance between two of the unit vectors [N, E], N > 1."""
    most = -1.0
    for start in range(0, len(embeddings), 1024):
        cosine = embeddings[start : start + 1024] @ embeddings.T
        cosine[np.arange(len(cosine)), start + np.arange(len(cosine))] = -1
        most = max(most, float(cosine.max()))
    return 1 - most
