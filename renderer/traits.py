"""What a face model knows of a person beside the coefficients: sex, age, and how light the skin is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from renderer.face_model import FaceModel
from renderer.makehuman.people import OLDEST, YOUNGEST

_FROM_IDENTITY = "traits_from_identity"  # an extra array [S + T + 1, K] of a model; its manifest names the columns
_D65 = np.array([0.95047, 1.0, 1.08883])
_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                    [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip  # from linear sRGB


@dataclass(frozen=True)
class Groups:
    """The groups into which a population is divided by one trait."""

    trait: str  # of `known_traits`
    bounds: tuple[float, ...]  # a value below bounds[0] is of group 0, …
    names: tuple[str, ...]


# Skin: the classes of the individual typology angle (Del Bino and Bernerd, 2013), two and two.
GROUPS: Mapping[str, Groups] = {
    "sex": Groups("male", (0.5,), ("female", "male")),
    "age": Groups("age", (35.0, 55.0), ("to 35", "35 to 55", "from 55")),
    "skin": Groups("skin_tone", (10.0, 41.0), ("dark", "middle", "light")),
}


def known_traits(model: FaceModel, identity: np.ndarray) -> dict[str, np.ndarray]:
    """What the model knows of people of `identity` [N, S + T], by name, [N] float32 each.

    `male` (0 female … 1 male) and `age` (years), where the model was imported with the sliders that they are of, and
    `skin_tone`: the individual typology angle of the mean albedo of the skin, degrees, above 55 the lightest and
    below -30 the darkest; where the model has a region of skin.
    """
    found: dict[str, np.ndarray] = {}
    if _FROM_IDENTITY in model.extras:
        rows = np.concatenate([identity, np.ones([len(identity), 1])], 1) @ model.extras[_FROM_IDENTITY]
        columns = dict(zip(model.manifest["traits"], rows.T, strict=True))  # type: ignore[call-overload]
        found = {"male": columns["male"].clip(0, 1), "age": columns["age"].clip(YOUNGEST, OLDEST)}
    if "skin" in model.region_names:
        skin = model.in_region("skin")
        mean, basis = model.mean_texture[skin].mean(0), model.texture_basis[skin].mean(0)  # [3], [3, T]
        found["skin_tone"] = typology_angle(mean + identity[:, model.layout.shape :] @ basis.T)
    return {name: values.astype(np.float32) for name, values in found.items()}


def typology_angle(colours: np.ndarray) -> np.ndarray:
    """sRGB colours [N, 3] in 0-255 → arctan((L* - 50) / b*), degrees [N] (Chardon et al., 1991)."""
    parts = np.clip(colours / 255.0, 0, 1)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    x = linear @ _TO_XYZ.T / _D65
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness, b = 116 * f[:, 1] - 16, 200 * (f[:, 1] - f[:, 2])
    return np.degrees(np.arctan2(lightness - 50, np.maximum(b, 1e-6)))


def groups_of(traits: Mapping[str, np.ndarray], names: tuple[str, ...]) -> Callable[[int], tuple[str, ...]]:
    """Which groups a person is in, by `names` of GROUPS: a function of the person's row in `traits`."""

    def of(row: int) -> tuple[str, ...]:
        chosen = [GROUPS[name] for name in names]
        return tuple(g.names[int(np.searchsorted(g.bounds, traits[g.trait][row], "right"))] for g in chosen)

    return of
