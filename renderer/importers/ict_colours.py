"""Colours for ICT-FaceKit's head, which has none: twenty components, placed by parts and landmarks."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from renderer.importers import outlines
from renderer.importers.colours import MELANIN, SKIN, smoothstep
from renderer.importers.ict_mesh import Head
from renderer.importers.occlusion import sky_share

REGIONS = (
    "skin", "scalp", "ear", "neck", "brow", "lid", "lash", "lips", "nostril", "mouth", "gum", "teeth", "eye_white",
    "iris", "pupil", "eye_light",
)  # fmt: skip
_BROW_DROP = 0.058  # the kit's landmarks run along the brow's upper edge, decimetres above its middle
# The eyeball's texture coordinates run out from its pole: where pupil and iris end.
_PUPIL, _IRIS = 0.044, 0.124


class Masks:
    """Where on the head each colour goes, all [V] in 0…1."""

    def __init__(self, head: Head) -> None:
        self.head, self.points = head, head.vertices[head.landmarks]
        self.place = p = head.vertices
        self.x, self.y, self.z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
        self.skin = head.of("face", "head_and_neck", "eye_socket") * 1.0
        self.outside = head.of("face", "head_and_neck") * 1.0
        self.front = smoothstep(-0.45, -0.15, self.z)

    def window(self, centre: np.ndarray, radii: tuple[float, float]) -> np.ndarray:
        """A Gaussian over the frontal plane about a point of the left half, the same on both sides, on skin."""
        value = np.exp(-(((self.x - abs(centre[0])) / radii[0]) ** 2) - ((self.y - centre[1]) / radii[1]) ** 2)
        return value * self.front * self.outside

    def noise(self, scale: float, seed: int) -> np.ndarray:
        """Smooth blotches in -1…1, the same on both sides."""
        rng = np.random.default_rng(seed)
        waves, phase = rng.normal(0.0, scale, (14, 3)), rng.uniform(0, 2 * np.pi, 14)
        place = np.column_stack([self.x, self.y, self.z])
        return np.clip(np.cos(place @ waves.T + phase).sum(1) / np.sqrt(14 / 2) / 2, -1, 1)

    @cached_property
    def eye(self) -> np.ndarray:
        """[3] middle of the left eye's opening."""
        return self.points[list(outlines.LEFT_EYE)].mean(0)

    @cached_property
    def brow(self) -> np.ndarray:
        """How much of the place is covered by the hairs of an eyebrow."""
        cover = np.zeros(len(self.x))
        for numbers, inner_first in ((outlines.LEFT_BROW, True), (outlines.RIGHT_BROW, False)):
            line = self.points[list(numbers), :2] - [0.0, _BROW_DROP]
            distance, along = outlines.brow_distance(self.place[:, :2], line)
            along = along if inner_first else 1 - along
            half = np.interp(along, [0.0, 0.12, 0.45, 0.8, 1.0], [0.032, 0.041, 0.038, 0.028, 0.014])
            cover = np.maximum(cover, 1.0 - smoothstep(0.35, 1.45, distance / half))
        return cover * self.outside * (self.z > 0) * (0.88 + 0.12 * self.noise(45.0, 5))

    @cached_property
    def lips(self) -> np.ndarray:
        """The red of the lips, with a narrow border."""
        outline = outlines.closed_curve(self.points[list(outlines.MOUTH), :2])
        inside = outlines.signed_distance(self.place[:, :2], outline)
        near = self.z > self.points[48, 2] - 0.25
        return smoothstep(-0.008, 0.012, inside) * self.head.of("face") * near

    @cached_property
    def scalp(self) -> np.ndarray:
        """1 where hair grows, 0 on face, ears and neck."""
        brows = self.points[17:27, 1].max()
        ear = self.points[0]
        edge = brows + 0.46 - 0.10 * smoothstep(0.25, 0.5, self.x)
        front = smoothstep(edge - 0.06, edge + 0.06, self.y)
        side = smoothstep(ear[2] + 0.12, ear[2] - 0.06, self.z) * smoothstep(ear[1] + 0.02, ear[1] + 0.2, self.y)
        back = smoothstep(ear[2] - 0.25, ear[2] - 0.45, self.z) * smoothstep(ear[1] - 0.85, ear[1] - 0.65, self.y)
        return np.maximum(front, np.maximum(side, back)) * self.outside * (1 - self.ear)

    @cached_property
    def ear(self) -> np.ndarray:
        """The outer ears, which stand out beside the jaw's first landmark."""
        first = self.points[16]
        out = smoothstep(first[0] + 0.045, first[0] + 0.075, self.x)
        level = smoothstep(-0.55, -0.48, self.y - first[1]) * smoothstep(0.30, 0.22, self.y - first[1])
        return out * level * smoothstep(first[2] + 0.05, first[2], self.z) * self.outside

    @cached_property
    def beard(self) -> np.ndarray:
        """Where a beard would grow."""
        mouth, chin, nose = self.points[[48, 54]].mean(0), self.points[8], self.points[33]
        x, y = self.x, self.y
        jaw = smoothstep(mouth[1] + 0.20, mouth[1] - 0.04, y) * smoothstep(chin[1] - 0.16, chin[1], y)
        beside = smoothstep(0.48, 0.60, x) * smoothstep(nose[1] + 0.22, nose[1] - 0.02, y)
        around = smoothstep(0.16, 0.26, np.hypot(x / 1.2, y - mouth[1]))
        moustache = self.window(np.array([0.07, nose[1] - 0.09]), (0.16, 0.05))
        below = self.window(np.array([0.0, chin[1] + 0.16]), (0.22, 0.16))
        grown = np.maximum.reduce([jaw * around, beside * jaw, moustache, below])
        back = smoothstep(self.points[0, 2] - 0.05, self.points[0, 2] + 0.10, self.z)
        return np.clip(grown, 0, 1) * back * self.outside * (1 - self.lips)

    @cached_property
    def lash(self) -> np.ndarray:
        """The hairs of the lashes, and the edge of the lids that they grow from."""
        edge = np.zeros(len(self.x))
        for numbers in (outlines.LEFT_EYE, outlines.RIGHT_EYE):
            corners = self.points[list(numbers), :2]
            outline = outlines.closed_curve(corners)
            distance = np.abs(outlines.signed_distance(self.place[:, :2], outline))
            upper = smoothstep(-0.02, 0.012, self.y - corners[[0, 3], 1].mean())
            edge = np.maximum(edge, smoothstep(0.022, 0.006, distance) * (0.35 + 0.65 * upper))
        near = self.z > self.eye[2] - 0.12
        return np.maximum(self.head.of("lashes") * 1.0, 0.8 * edge * near * self.outside)

    @cached_property
    def eye_radius(self) -> np.ndarray:
        """Distance from the pole of the eyeball in its texture's square; 9 elsewhere."""
        radius = np.linalg.norm(self.head.uv - 0.5, axis=1)
        return np.where(self.head.of("eyeball"), radius, 9.0)

    @cached_property
    def iris(self) -> np.ndarray:
        """The coloured ring."""
        return smoothstep(_IRIS + 0.006, _IRIS - 0.006, self.eye_radius) * (1 - self.pupil)

    @cached_property
    def pupil(self) -> np.ndarray:
        """The dark disc in the middle of the iris."""
        return smoothstep(_PUPIL + 0.004, _PUPIL - 0.004, self.eye_radius)

    @cached_property
    def eye_light(self) -> np.ndarray:
        """What an eye reflects of a light from above: a spot over each pupil, the same on both sides."""
        light = np.zeros(len(self.x))
        for name in ("eyeball_left", "eyeball_right"):
            ids = np.flatnonzero(self.head.of(name))
            pole = self.place[ids[self.eye_radius[ids].argmin()]]
            light[ids] = np.linalg.norm(self.place[ids, :2] - pole[:2] - [0.0, 0.036], axis=1) < 0.0115
        return light

    @cached_property
    def sky(self) -> np.ndarray:
        """Share of an even sky that the place sees: on skin with the mouth shut, within the mouth with it open."""
        shut = self._symmetric(sky_share(self.place, self.head.triangles))
        if "jawOpen" not in self.head.expression_names:
            return shut
        jaw = self.head.moves[..., self.head.expression_names.index("jawOpen")]
        wide = self._symmetric(sky_share(self.place + 0.6 * jaw, self.head.triangles))
        inside = np.maximum(self.lips, self.head.of("mouth_socket", "gums", "teeth"))
        return shut + inside * np.maximum(wide - shut, 0)

    def _symmetric(self, values: np.ndarray) -> np.ndarray:
        """`values` [V] averaged with those of the other side, so that a mirrored picture is one of the same model."""
        return 0.5 * (values + values[cKDTree(self.place).query(self.place * [-1, 1, 1])[1]])


def regions(m: Masks) -> np.ndarray:
    """[V] index into REGIONS."""
    name = np.full(len(m.x), "skin", dtype="U12")
    name[(m.y < m.points[8, 1] - 0.05) & (m.outside > 0)] = "neck"
    name[m.scalp > 0.5] = "scalp"
    name[m.ear > 0.5] = "ear"
    name[m.brow > 0.35] = "brow"
    name[m.lips > 0.5] = "lips"
    nose = m.points[31:36].mean(0)
    name[(np.linalg.norm(m.place - nose, axis=1) < 0.2) & (m.sky < 0.16) & m.head.of("face")] = "nostril"
    name[m.head.of("eye_socket")] = "lid"
    name[m.head.of("lashes")] = "lash"
    name[m.head.of("mouth_socket")] = "mouth"
    name[m.head.of("gums")] = "gum"
    name[m.head.of("teeth")] = "teeth"
    name[m.head.of("eyeball")] = "eye_white"
    name[m.iris > 0.5] = "iris"
    name[m.pupil > 0.5] = "pupil"
    name[m.eye_light > 0.5] = "eye_light"
    return np.array([REGIONS.index(one) for one in name])


def texture(m: Masks) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, the mean colours [V, 3] and the basis [V, 3, T], in RGB of 0-255 for one standard deviation."""
    bare = m.skin * (1 - 0.92 * m.brow) * (1 - 0.75 * m.lips) * (1 - 0.85 * m.lash)
    eye, nose, cheek = m.eye, m.points[33], 0.5 * (m.points[54] + m.points[45])
    parts = {
        "bare": bare,
        "cheek": m.window(cheek + np.array([0.07, 0.03, 0]), (0.16, 0.14)),
        "nose": m.window(nose + np.array([0, 0.09, 0]), (0.12, 0.09)),
        "under_eye": m.window(eye - np.array([0, 0.085, 0]), (0.11, 0.035)),
        "lid": m.window(eye + np.array([0, 0.065, 0]), (0.13, 0.035)) * (1 - m.brow),
        "white": m.head.of("eyeball") * (1 - m.iris) * (1 - m.pupil) * (1 - m.eye_light),
        "iris": m.iris * (1 - m.eye_light),
        "teeth": m.head.of("teeth") * 1.0,
        "freckle": m.noise(26.0, 2) * bare,
        "blotch": m.noise(9.0, 3) * bare,
    }
    mean = _mean(m, parts)
    shadow = _shadow(m)
    tones = {
        "melanin": parts["bare"][:, None] * MELANIN
        + m.lips[:, None] * [-19, -16, -14]
        + (0.5 * m.brow + 0.3 * m.lash)[:, None] * [-12, -12, -11],
        "undertone": bare[:, None] * [1.5, 0.6, -4.0],
        "blood": (bare * (0.6 + 0.4 * parts["cheek"]))[:, None] * [2.5, -2.4, -1.8],
        "lip_red": m.lips[:, None] * [5.0, -4.0, -2.5],
        "lip_dark": m.lips[:, None] * [-11.0, -10.0, -8.5],
        "brow_dark": (m.brow + 0.25 * m.lash)[:, None] * [-17.0, -16.0, -14.0],
        "brow_red": m.brow[:, None] * [9.0, 2.0, -4.0],
        "iris_blue": parts["iris"][:, None] * [-4.0, 6.0, 17.0],
        "iris_green": parts["iris"][:, None] * [-1.0, 6.0, -4.0],
        "iris_light": parts["iris"][:, None] * [13.0, 12.0, 11.0],
        "cheek_red": (parts["cheek"] * bare)[:, None] * [2.6, -2.2, -1.9],
        "nose_red": (parts["nose"] * bare + 0.8 * m.ear)[:, None] * [4.0, -4.0, -3.5],
        "under_eye_dark": (parts["under_eye"] * bare)[:, None] * [-11.0, -11.0, -7.0],
        "lid_shadow": (parts["lid"] * bare)[:, None] * [-9.0, -10.0, -7.0],
        "beard_shadow": (m.beard * bare)[:, None] * [-12.0, -9.5, -7.0],
        "scalp_stubble": (m.scalp * bare)[:, None] * [-11.0, -10.0, -9.0],
        "freckles": parts["freckle"][:, None] * [-2.2, -2.6, -2.6],
        "age_blotches": parts["blotch"][:, None] * [1.2, -1.5, -1.2],
        "eye_white_red": parts["white"][:, None] * [1.5, -5.0, -5.0],
        "teeth_yellow": parts["teeth"][:, None] * [-3.0, -6.0, -16.0],
    }
    basis = np.stack(list(tones.values()), -1)
    return tuple(tones), mean * shadow, basis * shadow[..., None]


def _mean(m: Masks, parts: dict[str, np.ndarray]) -> np.ndarray:
    colour = np.tile(SKIN, (len(m.x), 1))

    def mix(weight: np.ndarray, rgb: tuple[float, float, float] | np.ndarray) -> None:
        nonlocal colour
        colour = colour + weight[:, None] * (np.asarray(rgb, float) - colour)

    mix(0.4 * parts["cheek"], SKIN + np.array([8, -7, -6]))
    mix(0.40 * parts["nose"], SKIN + np.array([6, -8, -7]))
    mix(0.45 * parts["under_eye"], SKIN - [18, 20, 12])
    mix(0.30 * parts["lid"], SKIN - [14, 18, 12])
    mix(0.22 * m.beard, SKIN - [45, 36, 26])
    mix(0.30 * m.scalp, SKIN - [55, 46, 38])
    mix(0.35 * m.ear, SKIN + np.array([4, -14, -12]))
    mix(m.lips, (160, 96, 88))
    mix(0.9 * m.brow, (66, 48, 38))
    mix(0.8 * m.head.of("eye_socket"), (186, 120, 108))  # the wet edge of the lids
    mix(0.9 * m.lash, (38, 26, 22))
    mix(1.0 * m.head.of("mouth_socket"), (124, 50, 50))
    mix(1.0 * m.head.of("gums"), (176, 92, 92))
    mix(parts["teeth"], (232, 224, 206))
    mix(1.0 * m.head.of("eyeball"), (228, 222, 218))
    mix(m.iris, (96, 76, 54))
    mix(0.75 * m.iris * smoothstep(_IRIS - 0.024, _IRIS - 0.004, m.eye_radius), (30, 24, 20))
    mix(m.pupil, (12, 10, 10))
    mix(m.eye_light, (255, 255, 255))
    return colour


def _shadow(m: Masks) -> np.ndarray:
    """[V, 3] factors: places that see little of the sky are darker, and on skin redder, as light goes through it."""
    sky = np.clip(m.sky / 0.8, 0, 1)[:, None]
    skin = 1 - (1 - sky) * np.array([0.62, 0.74, 0.76])
    eye = np.maximum(sky, 0.0) * 0.42 + 0.58
    inner = 0.22 + 0.78 * sky
    part = m.head.of("eyeball", "lashes")[:, None]
    inside = m.head.of("mouth_socket", "gums", "teeth")[:, None]
    factor = np.where(part, eye, np.where(inside, inner, skin))
    return np.where(m.eye_light[:, None] > 0.5, 1.0, factor)
