"""Albedo over the atlas of a person: from free skins where they are given, from components where not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

from renderer.makehuman.atlas import TILES, resample, texel_centres
from renderer.makehuman.complexion import Complexion
from renderer.makehuman.head import EYE_REACH, REGIONS
from renderer.makehuman.people import ETHNICITIES, TRAITS
from renderer.makehuman.surface import Surface

_AGES = {"young": 25.0, "middleage": 48.0, "old": 72.0}  # years, of the skins
_DETAIL = (-0.9, 0.55)  # logarithms between which a skin's own detail is kept: its nostrils, its highlights
_DETAIL_STEP = 1 / 64  # of the details that a face model keeps
_BROW_SHADOW = 0.12  # of the painted brows' strength, where others are worn over them
_IRIS, _PUPIL = 0.43, 0.17  # of the eyeball's radius


class Skins:
    """The detail of free skins: what differs from their own mean colour, over the atlas.

    Args:
        names: of the N skins, `AGE_ANCESTRY_SEX`.
        details: [N, A, A, 3] float16 logarithms.
    """

    def __init__(self, names: Sequence[str], details: np.ndarray):
        self.names, self.details = tuple(names), details
        keys = [name.split("_") for name in self.names]
        self._age = np.array([_AGES[key[0]] for key in keys])
        self._race = np.array([[key[1] == race for race in ETHNICITIES] for key in keys], float)
        self._male = np.array([key[2].startswith("male") for key in keys], float)

    @classmethod
    def read(cls, folder: Path, surface: Surface) -> Skins:
        """The pictures `AGE_ANCESTRY_SEX.jpg` in `folder`, laid over MakeHuman's uv.

        Raises:
            FileNotFoundError, ValueError: one line, when there are none or one cannot be read.
        """
        paths = sorted(path for path in folder.glob("*_*_*.jpg") if path.name.split("_")[0] in _AGES)
        if not paths:
            raise FileNotFoundError(f"{folder}: expected skins such as young_asian_female.jpg. There are none")
        face = _face_weight(surface)
        details = []
        for path in paths:
            try:
                with Image.open(path) as picture:
                    wanted = 1 << int(np.ceil(np.log2(1.4 * surface.size)))  # as many texels as the atlas shows
                    side = min(wanted, picture.width)
                    pixels = np.asarray(picture.convert("RGB").resize((side, side), Image.Resampling.BOX), np.float32)
            except (OSError, ValueError) as error:
                raise ValueError(f"{path}: expected a picture of a skin ({error})") from None
            atlas = np.log(resample(pixels, surface.size) + 6.0)
            mean = (atlas * face[..., None]).sum((0, 1)) / face.sum()
            details.append(np.clip(atlas - mean, *_DETAIL).astype(np.float16))
        return cls([path.stem for path in paths], np.stack(details))

    def stored(self) -> np.ndarray:
        """[N, A, A, 3] int8: the details as a face model keeps them, in steps of 1.6 %."""
        return np.rint(self.details.astype(np.float32) / _DETAIL_STEP).astype(np.int8)

    @classmethod
    def restored(cls, names: Sequence[str], stored: np.ndarray, size: int) -> Skins:
        """What `stored` gave, over an atlas of `size` texels, a power of 2."""
        details = stored.astype(np.float32) * _DETAIL_STEP
        factor = stored.shape[1] // size
        if factor > 1:
            details = details.reshape(len(details), size, factor, size, factor, 3).mean((2, 4))
        elif size > stored.shape[1]:
            details = zoom(details, (1, *2 * (size / stored.shape[1],), 1), order=1, mode="nearest", grid_mode=True)
        return cls(names, details.astype(np.float16))

    def detail(self, traits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """[A, A, 3] logarithms: one or two of the skins that fit a person of `traits` [7], blended."""
        trait = dict(zip(TRAITS, traits, strict=True))
        shares = np.array([trait[race] for race in ETHNICITIES])
        fit = (self._race @ shares + 0.03) * np.where(self._male > 0.5, trait["male"], 1 - trait["male"]).clip(0.02)
        fit = fit * np.exp(-(((self._age - trait["age"]) / 13) ** 2) / 2).clip(1e-4)
        chosen = rng.choice(len(fit), size=2, p=fit / fit.sum())
        first, second = self.details[chosen].astype(np.float32)
        return second + (first - second) * np.float32(rng.uniform(0.55, 1.0))


class SkinPainter:
    """Paints albedo atlases [A, A, 3], RGB 0-255 float32.

    Args:
        surface: the head.
        skins: free skins; None paints the detail from components.
    """

    def __init__(self, surface: Surface, skins: Skins | None = None):
        self.surface, self.skins = surface, skins
        points, marks = surface.points, surface.landmarks
        region = surface.region
        self._is = {name: region == number for number, name in enumerate(REGIONS)}
        bare = self._is["skin"] | self._is["lips"] | self._is["ear"] | self._is["scalp"] | self._is["neck"]
        self._skin = bare.astype(np.float32)
        eye = {side: marks[numbers].mean(0) for side, numbers in (("r", range(36, 42)), ("l", range(42, 48)))}
        nose, mouth = marks[30], marks[[48, 54]].mean(0)
        self._cheeks = sum(
            surface.near(np.array([centre[0] * 1.25, 0.35 * centre[1] + 0.65 * mouth[1] + 0.12, centre[2]]), 0.17)
            for centre in eye.values()
        )
        self._nose = surface.near(nose, (0.10, 0.09, 0.12))
        self._under_eye = sum(
            surface.near(centre - np.array([0, 0.10, 0]), (0.13, 0.045, 0.15)) for centre in eye.values()
        )
        self._lids = np.clip(
            sum(surface.near(centre + np.array([0, 0.035, 0]), (0.13, 0.05, 0.15)) for centre in eye.values()), 0, 1
        )
        self._rims = _rims(points, marks)
        self._texels = {name: np.flatnonzero(where) for name, where in self._is.items()}
        self._eye_places = _eye_places(surface.size)[self._texels["eye"]]
        self._depth = np.clip((mouth[2] - points[..., 2]) / 0.5, 0, 1).reshape(-1, 1)  # into the mouth
        self._beard = self._beard_area(points, marks)
        self._lips = np.where(self._skin > 0, surface.masks["lips"], 0)
        self._folds = self._fold_lines(points, marks)
        for name in ("_cheeks", "_nose", "_under_eye", "_lids", "_rims", "_beard", "_lips", "_folds"):
            setattr(self, name, getattr(self, name).astype(np.float32))

    def paint(self, person: Complexion, traits: np.ndarray) -> np.ndarray:
        """The albedo of a person; the same for the same complexion."""
        return self.paint_twice(person, traits)[0]

    def paint_twice(self, person: Complexion, traits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The albedo of a person, and the same for who wears brows as parts: with a shadow in their place."""
        rng = np.random.default_rng(person.seed)
        surface, skin = self.surface, self._skin
        if self.skins is not None:
            # Tone is ours, so a detail's own tint is taken back; skins come with lips, lids and folds of their own.
            log = self.skins.detail(traits, rng)
            strength = {"lips": 0.45, "folds": 0.0, "cheeks": 0.5}
        else:
            log = self._components(person, rng)
            strength = {"lips": 1.0, "folds": 1.0, "cheeks": 1.0}
        blotch = person.blotches * surface.noise(rng, 0.9, 0.7, 0.5)
        shift = rng.integers(surface.size, size=2)
        grain = np.roll(surface.grain, tuple(shift), (0, 1)) * (0.012 + 0.0003 * max(0, person.age - 30))
        red = (
            0.10 * person.redness * strength["cheeks"] * (self._cheeks + 0.8 * self._nose + 0.5 * surface.masks["ears"])
        )
        flush = np.array([0.25, -1.0, -0.75], np.float32) * (1 - 0.5 * person.melanin)
        log = log + (blotch + grain)[..., None] * np.array([0.75, 1.0, 1.05], np.float32) + red[..., None] * flush
        log = log + self._lips[..., None] * strength["lips"] * np.log(person.lips).astype(np.float32)
        albedo = person.tone.astype(np.float32) * np.exp((log * skin[..., None]).astype(np.float32))
        albedo = self._freckled(albedo, person, rng)
        stubble = self._beard * person.stubble * (0.75 + 0.25 * np.roll(surface.grain, (5, 9), (0, 1)))
        albedo = _mix(albedo, 0.55 * person.hair + 0.25 * person.tone * 0.6, 0.55 * np.clip(stubble, 0, 1))
        brows = self._brow_alpha(person, rng)
        dark = person.tone * np.array([0.42, 0.33, 0.30])
        albedo = _mix(albedo, dark, 0.55 * self._rims)
        self._paint_inner_parts(albedo, person, rng)
        albedo = np.clip(albedo, 3, 250)
        return _mix(albedo, person.brow, brows), _mix(albedo, person.brow, _BROW_SHADOW * brows)

    def _components(self, person: Complexion, rng: np.random.Generator) -> np.ndarray:
        """[A, A, 3] logarithms of what every skin has: darker lids, lines that come with age."""
        old = np.clip((person.age - 30) / 50, 0, 1)
        shade = -0.10 * self._lids - (0.05 + 0.12 * old) * rng.uniform(0.5, 1.3) * self._under_eye
        lines = old * 0.30 * self._folds * (1 + 0.5 * self.surface.noise(rng, 0.0, 0.5, 0.5))
        spots = old * np.clip(self.surface.noise(rng, 0.0, 0.4, 1.0) - 1.5, 0, 1.2) * 0.22
        return (shade - lines - spots)[..., None] * np.array([0.8, 1.0, 1.05], np.float32)

    def _freckled(self, albedo: np.ndarray, person: Complexion, rng: np.random.Generator) -> np.ndarray:
        moles, reach = int(rng.poisson(1.2)), self.surface.size // 20
        share: np.ndarray = np.zeros(albedo.shape[:2], np.float32)
        if person.freckles:
            dots = np.clip(np.roll(self.surface.grain, tuple(rng.integers(64, size=2)), (0, 1)) - 1.1, 0, 1)
            share = 0.35 * person.freckles * dots * np.clip(self._cheeks + 1.3 * self._nose + 0.15, 0, 1)
        face = self._texels["skin"]
        if len(face):
            for row, column in np.column_stack(np.divmod(face[rng.integers(len(face), size=moles)], self.surface.size)):
                box = tuple(slice(max(place - reach, 0), place + reach + 1) for place in (row, column))
                off = (self.surface.points[box] - self.surface.points[row, column]) / rng.uniform(0.008, 0.014)
                share[box] = np.maximum(share[box], 0.6 * np.exp(-0.5 * (off**2).sum(-1)))
        return _mix(albedo, person.tone * np.array([0.50, 0.36, 0.28]), share * self._skin)

    def _brow_alpha(self, person: Complexion, rng: np.random.Generator) -> np.ndarray:
        along, across = self.surface.brow
        place = np.clip((along - 0.03) / 0.94, 0, 1)
        width = person.brow_width * np.interp(place, [0, 0.12, 0.35, 0.65, 1], [0.55, 1.0, 1.0, 0.72, 0.12])
        arch = 0.02 * rng.uniform(-0.4, 1.0) * np.sin(np.pi * np.clip(place - 0.15, 0, 1))
        # Its lower edge is short: the skin below is what a closing lid draws down.
        off = across - arch
        edge = np.clip(1.35 - np.where(off < 0, 1.8, 1.0) * np.abs(off) / width, 0, 1)
        ends = np.clip(along / 0.05, 0, 1) * np.clip((1 - along) / 0.04, 0, 1)
        hairs = 0.82 + 0.18 * np.roll(self.surface.grain, (3, 1), (0, 1)).clip(-2, 2)
        front = self.surface.points[..., 2] > self.surface.landmarks[[17, 26], 2].mean() - 0.25
        return person.brow_strength * np.clip(1.4 * edge, 0, 1) * ends * hairs * front * self._skin

    def _paint_inner_parts(self, albedo: np.ndarray, person: Complexion, rng: np.random.Generator) -> None:
        """Eyeballs, teeth, tongue, gums and the flesh behind the lids, into `albedo`."""
        texels = albedo.reshape(-1, 3)
        parts, depth = self._texels, self._depth
        texels[parts["mouth"]] = np.array([128, 58, 56]) * (1 - 0.75 * depth[parts["mouth"]])
        texels[parts["sockets"]] = person.tone * np.array([0.72, 0.50, 0.46])
        texels[parts["tongue"]] = np.array([172, 84, 82]) * (1 - 0.5 * depth[parts["tongue"]])
        x = np.abs(self.surface.points.reshape(-1, 3)[parts["teeth"], :1])
        gaps = np.abs(((x + 0.04) / 0.075) % 1 - 0.5) > 0.44
        enamel = np.array([222, 212, 192]) * (1 - 0.0022 * (person.age - 25)) * np.exp(rng.normal(0, 0.03))
        texels[parts["teeth"]] = enamel * (1 - 0.22 * gaps) * (1 - 0.65 * depth[parts["teeth"]])
        texels[parts["lashes"]] = np.minimum(person.brow, 60) * 0.5
        texels[parts["eye"]] = _eye(self._eye_places, person, rng)

    def _beard_area(self, points: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """[A, A] in 0-1: jaw, chin and upper lip of the mean head; no lips."""
        mouth, nose = marks[[48, 54]].mean(0), marks[33]
        half = 0.5 * float(np.linalg.norm(marks[54] - marks[48]))
        x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
        edge = np.interp(x, [0, half * 1.1, half * 1.7, 0.52, 0.62],
                         [nose[1] + 0.01, nose[1], mouth[1] + 0.05, mouth[1] + 0.22, mouth[1] + 0.55])  # fmt: skip
        weight = np.clip((edge - y) / 0.10, 0, 1) * np.clip((y - marks[8, 1] + 0.30) / 0.2, 0, 1)
        weight = weight * np.clip((z - marks[[0, 16], 2].mean() + 0.02) / 0.08, 0, 1)
        return weight * (1 - np.clip(2.5 * self.surface.masks["lips"], 0, 1)) * (self._is["skin"] | self._is["neck"])

    def _fold_lines(self, points: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """[A, A] in 0-1: the furrows from nose to mouth, across the forehead and beside the eyes."""
        lines = [
            [marks[a] + np.array([s * 0.05, 0.06, -0.02]), marks[b] + np.array([s * 0.07, 0.03, 0])]
            for a, b, s in ((31, 48, -1), (35, 54, 1))
        ]
        lines += [[marks[b], marks[b] + np.array([s * 0.03, -0.12, -0.04])] for b, s in ((48, -1), (54, 1))]
        for corner, s in ((36, -1), (45, 1)):
            for dy in (-0.05, 0.0, 0.05):
                ends = np.array([[s * 0.05, dy, -0.05], [s * 0.16, 1.6 * dy, -0.15]])
                lines.append(list(marks[corner] + ends))
        total = np.zeros(points.shape[:2], np.float32)
        for first, last in lines:
            step = last - first
            share = np.clip(((points - first) @ step) / (step @ step), 0, 1)
            distance = np.linalg.norm((points - first - share[..., None] * step)[..., :2], axis=-1)
            total += np.exp(-((distance / 0.016) ** 2)) * (points[..., 2] > 0)
        brow = marks[[19, 24]].mean(0)
        for rise in (0.14, 0.24, 0.34):
            line = brow[1] + rise + 0.02 * np.cos(5 * points[..., 0])
            front = np.clip(1 - np.abs(points[..., 0]) / 0.42, 0, 1) * (points[..., 2] > 0.1)
            total += 0.6 * np.exp(-(((points[..., 1] - line) / 0.013) ** 2)) * front
        return np.clip(total, 0, 1)


def _rims(points: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """[A, A] in 0-1: the edges of the lids, where the lashes stand; the upper one more."""
    total = np.zeros(points.shape[:2], np.float32)
    for upper, lower in (((36, 37, 38, 39), (36, 41, 40, 39)), ((42, 43, 44, 45), (42, 47, 46, 45))):
        for numbers, strength in ((upper, 1.0), (lower, 0.45)):
            for a, b in pairwise(numbers):
                step = marks[b] - marks[a]
                share = np.clip(((points - marks[a]) @ step) / (step @ step), 0, 1)
                distance = np.linalg.norm(points - marks[a] - share[..., None] * step, axis=-1)
                total = np.maximum(total, strength * np.exp(-((distance / 0.014) ** 2)))
    return total


def _eye_places(size: int) -> np.ndarray:
    """[size * size, 2] places of an atlas's texels before the eyeball, in its radii from its middle; x right, y up."""
    u0, v0, u1, v1 = TILES["eye"].place
    uv = texel_centres(size).reshape(-1, 2)
    return (2 * (uv - (u0, v0)) / (u1 - u0, v1 - v0) - 1) * EYE_REACH


def _eye(places: np.ndarray, person: Complexion, rng: np.random.Generator) -> np.ndarray:
    """[N, 3]: an eyeball at `places` [N, 2] of its tile: sclera, iris with its rays and dark ring, pupil."""
    radius, turn = np.hypot(*places.T), np.arctan2(places[:, 1], places[:, 0])
    pupil = _PUPIL * rng.uniform(0.85, 1.2)
    rays = sum(np.cos(k * turn + rng.uniform(0, 6.3)) for k in (7, 11, 17, 23)) / 4
    across = np.clip((radius - pupil) / (_IRIS - pupil), 0, 1)
    iris = person.iris * np.exp(0.22 * rays + 0.25 * (1 - across) - 0.1)[:, None]
    iris = iris * (1 - 0.55 * np.clip((across - 0.78) / 0.22, 0, 1))[:, None]
    pale = np.exp(
        -0.30 * np.clip(radius - 0.55, 0, 1) + np.array([[0], [1], [1]]) * -0.25 * np.clip(radius - 0.6, 0, 0.4)
    )
    sclera = np.array([216, 203, 192]) * pale.T
    edge = np.clip((radius - _IRIS) / 0.03 + 0.5, 0, 1)[:, None]
    colour = iris * (1 - edge) + sclera * edge
    return colour + (np.array([10, 8, 8]) - colour) * np.clip((pupil - radius) / 0.025 + 0.5, 0, 1)[:, None]


def _face_weight(surface: Surface) -> np.ndarray:
    """[A, A]: cheeks, forehead and nose, over which a skin's mean colour is taken."""
    marks = surface.landmarks
    skin = surface.region == REGIONS.index("skin")
    centre = marks[[1, 15, 30]].mean(0)
    return np.where(skin & surface.drawn, surface.near(np.array([0, centre[1], marks[30, 2]]), (0.35, 0.35, 0.6)), 0)


def _mix(albedo: np.ndarray, colour: np.ndarray, share: np.ndarray) -> np.ndarray:
    return albedo + (np.asarray(colour, np.float32) - albedo) * share[..., None].astype(np.float32)
