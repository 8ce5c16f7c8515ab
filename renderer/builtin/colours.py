"""The colours of the mean head and how they differ: melanin, blood, lips, brows, irises, shadows, beard."""

from __future__ import annotations

import numpy as np

from renderer.builtin.assembly import REGIONS, Head, brow_mask, hairline, lip_mask
from renderer.builtin.features import LID_CREASE, lid_distance, nostril_reach
from renderer.builtin.parts import EAR_SEGMENTS, TEETH_COLUMNS, TOOTH_COLUMNS
from renderer.builtin.shapes import window
from renderer.builtin.surface import EYE_CENTRE, smoothstep

SKIN = np.array([172.0, 129.0, 104.0])
MELANIN = np.array(
    [-35.0, -31.5, -27.0]
)  # darker, towards brown; two of them lead from (242, 192, 158) to (102, 66, 50)
_FIXED = {
    "mouth": (92, 26, 28), "gum": (178, 92, 92), "teeth": (228, 219, 200), "eye_white": (218, 211, 206),
    "iris": (96, 76, 54), "pupil": (12, 10, 10), "eye_light": (255, 255, 255),
}  # fmt: skip


def _noise(head: Head, scale: float, seed: int) -> np.ndarray:
    """[V] smooth blotches in -1…1, the same on both sides."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(0.0, scale, (14, 3))
    phase = rng.uniform(0, 2 * np.pi, 14)
    place = np.column_stack([np.abs(head.vertices[:, 0]), head.vertices[:, 1:]])
    return np.cos(place @ waves.T + phase).sum(1) / np.sqrt(14 / 2) / 2


class _Masks:
    """Where on the head each colour goes, all [V] in 0…1."""

    def __init__(self, head: Head) -> None:
        p = head.vertices
        x, y = np.abs(p[:, 0]), p[:, 1]
        name = np.array(REGIONS)[head.region]
        self.fixed = {key: (name == key).astype(float) for key in _FIXED}
        skin = np.isin(head.part, ("skin", "rim", "ear_left", "ear_right", "ear")) * 1.0
        self.skin = skin
        on_skin = (head.part == "skin") * 1.0
        strand = 0.86 + 0.14 * _noise(head, 45.0, 5)
        self.brow = brow_mask(p) * on_skin * strand
        self.lips = lip_mask(p) * on_skin
        self.scalp = hairline(p) * on_skin
        self.lash = np.where(name == "lash", np.where(y > 0.290, 1.0, 0.5), 0.0)
        drawn_in = p - [0.0, 0.010, 0.0]  # the nostrils' middle was drawn upwards
        self.nostril = smoothstep(1.55, 0.60, nostril_reach(drawn_in)) * on_skin * (p[:, 2] > 0.2)
        self.under_eye = window(p, (0.29, 0.215), (0.11, 0.035)) * skin
        self.lid = window(p, (0.31, 0.365), (0.13, 0.035)) * skin * (1 - self.brow)
        cheek = window(p, (0.42, -0.02), (0.16, 0.14)) * skin
        self.nose_tip = window(p, (0.0, -0.06), (0.12, 0.09)) * skin
        self.cheek = cheek
        jaw = smoothstep(-0.18, -0.42, y) * smoothstep(-1.02, -0.80, y)
        beside = smoothstep(0.48, 0.60, x) * smoothstep(0.12, -0.12, y)
        moustache = window(p, (0.07, -0.235), (0.16, 0.05))
        beard = np.maximum(
            np.maximum(jaw * smoothstep(0.16, 0.26, np.hypot(x / 1.2, y + 0.36)), beside * jaw), moustache
        )
        chin = window(p, (0.0, -0.62), (0.22, 0.16))
        front = smoothstep(-0.60, -0.42, p[:, 2])
        self.beard = np.clip(np.maximum(beard, chin), 0, 1) * on_skin * front * (1 - self.lips)
        self.caruncle = (head.part == "rim") * smoothstep(0.205, 0.190, x)
        distance, up = lid_distance(p)
        self.crease = np.exp(-(((distance - LID_CREASE) / 0.007) ** 2)) * smoothstep(0.1, 0.5, up) * on_skin * front
        self.shade = _shade(head) * on_skin
        column = np.zeros(len(p))
        for row in ("teeth_upper", "teeth_lower"):
            column[head.part == row] = np.arange((head.part == row).sum()) % TEETH_COLUMNS
        self.tooth_gap = self.fixed["teeth"] * (column % TOOTH_COLUMNS == 0)
        self.ear = (name == "ear") * smoothstep(-0.585, -0.655, p[:, 2])  # its front is the cheek's skin
        ring = np.zeros(len(p))
        for ear in ("ear_left", "ear_right"):  # rings from the hollow outwards
            ring[head.part == ear] = (np.arange((head.part == ear).sum()) - 1) // EAR_SEGMENTS
        self.hollow = self.ear * (0.8 * np.exp(-((ring / 1.8) ** 2)) + 0.45 * np.exp(-((ring - 5.0) ** 2)))
        left = np.where(p[:, 0] < 0, -1.0, 1.0)
        gaze = (p - EYE_CENTRE * np.stack([left, 0 * left + 1, 0 * left + 1], 1)) / 0.132
        self.iris_reach = np.hypot(gaze[:, 0], gaze[:, 1])
        self.under_lid = smoothstep(0.08, 0.42, gaze[:, 1])  # the upper lid's shadow on the ball
        turn = np.arctan2(gaze[:, 1], np.abs(gaze[:, 0]))
        self.streak = np.cos(9.0 * turn + 1.0) * 0.5 + np.cos(17.0 * turn) * 0.5


# Where light hardly gets, seen from the front: centre, radii, strength.
_SHADED = (
    ((0.168, -0.100), (0.012, 0.040), 0.26), ((0.262, -0.383), (0.032, 0.024), 0.26),
    ((0.062, -0.160), (0.050, 0.016), 0.24), ((0.0, -0.495), (0.11, 0.022), 0.22),
    ((0.172, 0.272), (0.022, 0.020), 0.30), ((0.135, 0.330), (0.045, 0.060), 0.14),
    ((0.0, -0.22), (0.016, 0.045), 0.12),
)  # fmt: skip


def _shade(head: Head) -> np.ndarray:
    """[V] how dark creases and hollows are, 0-1, which light by direction alone does not show."""
    shade = np.zeros(len(head.vertices))
    for centre, radii, strength in _SHADED:
        shade = np.maximum(shade, strength * window(head.vertices, centre, radii))
    return shade


def texture(head: Head) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, the mean colours [V, 3] and the basis [V, 3, T], in RGB of 0-255 for one standard deviation."""
    m = _Masks(head)
    bare = m.skin * (1 - m.brow * 0.92) * (1 - m.lips * 0.75) * (1 - 0.85 * m.lash) * (1 - 0.75 * m.nostril)
    mean = _mean(head, m)
    iris = m.fixed["iris"] * smoothstep(0.45, 0.37, m.iris_reach)
    freckle = np.clip(_noise(head, 26.0, 2), -1, 1) * bare
    blotch = np.clip(_noise(head, 9.0, 3), -1, 1) * bare
    columns = {
        # as a share of the mean, so that shadows on dark skin stay shadows
        "melanin": bare[:, None] * MELANIN * np.clip(mean / SKIN, 0, 1.1)
        + m.lips[:, None] * [-24, -15, -13]
        + (0.9 * m.brow + 0.3 * m.lash)[:, None] * [-14, -12, -10],
        "undertone": bare[:, None] * [1.5, 0.6, -4.0],
        "blood": (bare * (0.6 + 0.4 * m.cheek))[:, None] * [2.5, -2.4, -1.8],
        "lip_red": m.lips[:, None] * [8.0, -6.0, -3.5],
        "lip_dark": m.lips[:, None] * [-11.0, -9.0, -7.5],
        "brow_dark": (m.brow + 0.25 * m.lash)[:, None] * [-15.0, -14.0, -12.0],
        "brow_red": m.brow[:, None] * [9.0, 2.0, -4.0],
        "iris_blue": (iris * (1 + 0.25 * m.streak))[:, None] * [-11.0, 5.0, 23.0],
        "iris_green": iris[:, None] * [-2.0, 9.0, -3.0],
        "iris_light": (iris * (1 + 0.25 * m.streak))[:, None] * [17.0, 15.0, 14.0],
        "cheek_red": (m.cheek * bare)[:, None] * [3.4, -3.0, -2.6],
        "nose_red": (m.nose_tip * bare + 0.8 * m.ear)[:, None] * [3.2, -3.2, -2.8],
        "under_eye_dark": (m.under_eye * bare)[:, None] * [-7.0, -7.0, -4.5],
        "lid_shadow": (m.lid * bare)[:, None] * [-6.0, -6.5, -4.5],
        "beard_shadow": (m.beard * bare)[:, None] * [-7.5, -5.5, -3.8],
        "scalp_stubble": (m.scalp * bare)[:, None] * [-7.5, -6.5, -5.5],
        "freckles": freckle[:, None] * [-2.6, -3.0, -3.0],
        "age_blotches": blotch[:, None] * [1.0, -1.2, -1.0],
        "eye_white_red": m.fixed["eye_white"][:, None] * [1.5, -5.0, -5.0],
        "teeth_yellow": m.fixed["teeth"][:, None] * [-3.0, -6.0, -16.0],
    }
    return tuple(columns), mean, np.stack(list(columns.values()), -1)


def _mean(head: Head, m: _Masks) -> np.ndarray:
    colour = np.tile(SKIN, (len(head.vertices), 1))

    def mix(weight: np.ndarray, rgb: tuple[float, float, float] | np.ndarray) -> None:
        nonlocal colour
        colour = colour + weight[:, None] * (np.asarray(rgb, float) - colour)

    mix(0.55 * m.cheek, SKIN + np.array([8, -7, -6]))
    mix(0.40 * m.nose_tip, SKIN + np.array([6, -8, -7]))
    mix(0.45 * m.under_eye, SKIN - [18, 20, 12])
    mix(0.30 * m.lid, SKIN - [14, 18, 12])
    mix(0.22 * m.beard, SKIN - [45, 36, 26])
    mix(0.30 * m.scalp, SKIN - [55, 46, 38])
    mix(0.35 * m.ear, SKIN + np.array([4, -14, -12]))
    colour = colour * (1 - (m.shade + 0.34 * m.crease + 0.42 * m.hollow)[:, None] * [0.85, 1.0, 1.0])
    mix(m.lips, (164, 97, 88))
    points = head.vertices
    slit = np.exp(-(((points[:, 1] + 0.365) / 0.010) ** 2)) * m.lips
    mix(0.45 * slit, (92, 38, 36))
    mix(0.86 * m.brow, (70, 50, 39))
    mix(0.85 * m.lash, (38, 26, 22))
    mix(0.85 * m.nostril, (58, 32, 28))
    for key, rgb in _FIXED.items():
        mix(m.fixed[key], rgb)
    colour = colour * (1 - 0.34 * (m.under_lid * (m.fixed["eye_white"] + m.fixed["iris"]))[:, None])
    colour = colour * (1 + 0.16 * (m.streak * m.fixed["iris"] * smoothstep(0.14, 0.22, m.iris_reach))[:, None])
    mix(0.45 * m.tooth_gap, (120, 96, 78))
    mix(0.9 * m.caruncle, (190, 122, 112))
    deep = (head.part == "bag") * np.clip(head.depth * 1.6, 0, 1)
    mix(deep, (36, 8, 10))
    lip_inside = (head.part == "bag") * (head.depth < 0.2)
    mix(0.8 * lip_inside, (150, 70, 70))
    limbus = m.fixed["iris"] * smoothstep(0.355, 0.43, m.iris_reach)
    mix(0.75 * limbus, (30, 24, 20))
    mix(m.fixed["iris"] * smoothstep(0.24, 0.18, m.iris_reach) * 0.4, (40, 28, 18))
    mix(m.fixed["eye_white"] * smoothstep(0.62, 0.95, m.iris_reach) * 0.55, (198, 140, 130))
    return colour
