"""Puts skin and parts into one mesh, with labels, a mirror table, landmarks and flat coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from renderer.builtin import features, lines, parts, surface, template

REGIONS = (
    "skin", "scalp", "ear", "neck", "brow", "lid", "lash", "lips", "nostril", "mouth", "gum", "teeth", "eye_white",
    "iris", "pupil", "eye_light",
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """The mean head. `part` says where each vertex moves with: skin, rim, bag, teeth_upper, teeth_lower, eye_left,
    eye_right or ear; `parent` is the skin vertex that a rim or bag vertex follows (itself elsewhere)."""

    vertices: np.ndarray  # [V, 3]
    triangles: np.ndarray  # [F, 3]
    mirror: np.ndarray  # [V] the vertex at the mirrored place
    part: np.ndarray  # [V] str
    region: np.ndarray  # [V] index into REGIONS
    parent: np.ndarray  # [V]
    depth: np.ndarray  # [V] 0 on the lips, 1 at the back of the mouth bag
    lower: np.ndarray  # [V] bool: hangs on the jaw's side of the mouth's opening
    uv: np.ndarray  # [V, 2]
    face_triangles: np.ndarray  # [F] bool
    landmarks: np.ndarray  # [68]
    loops: dict[str, np.ndarray]


class _Collector:
    """Gathers vertices part by part; every `add` returns the new vertices' numbers."""

    def __init__(self) -> None:
        self.count = 0
        self.vertices: list[np.ndarray] = []
        self.triangles: list[np.ndarray] = []
        self.mirror: list[np.ndarray] = []
        self.part: list[np.ndarray] = []
        self.label: list[np.ndarray] = []
        self.parent: list[np.ndarray] = []
        self.depth: list[np.ndarray] = []
        self.uv: list[np.ndarray] = []

    def add(self, vertices, part, label, uv, *, mirror=None, parent=None, depth=None) -> np.ndarray:
        count = len(vertices)
        ids = self.count + np.arange(count)
        self.count += count
        self.vertices.append(vertices)
        self.part.append(np.full(count, part, dtype="U12"))
        self.label.append(np.broadcast_to(np.asarray(label, dtype="U12"), (count,)))
        self.mirror.append(ids if mirror is None else mirror)
        self.parent.append(ids if parent is None else parent)
        self.depth.append(np.zeros(count) if depth is None else depth)
        self.uv.append(uv)
        return ids


def mirrored_pairs(points: np.ndarray) -> np.ndarray:
    """[N] for each of the points [N, 3] of a symmetric set the number of its mirror image."""
    order = np.lexsort(np.round(points * [1, 1, 1], 6).T)
    other = np.lexsort(np.round(points * [-1, 1, 1] + 0.0, 6).T)
    pairs = np.empty(len(points), int)
    pairs[order] = other
    return pairs


def _patch(slot: int, flat: np.ndarray) -> np.ndarray:
    """Flat coordinates in one of the small squares in the corners of the unit square, beside the skin's disc."""
    corner, inner = divmod(slot, 4)
    size = 0.062
    start = np.array([(corner % 2) * (1 - 2 * size), (corner // 2) * (1 - 2 * size)])
    start = start + np.array([inner % 2, inner // 2]) * size
    return start + size * (0.03 + 0.94 * np.clip(flat, 0, 1))


def _skin_uv(places: np.ndarray) -> np.ndarray:
    """A disc with the crown in the middle and the neck on its rim; the face is the sector below."""
    angle = np.arccos(np.clip(places[:, 1], -1, 1)) / np.pi
    flat = places[:, [0, 2]] / np.maximum(np.linalg.norm(places[:, [0, 2]], axis=1, keepdims=True), 1e-9)
    return 0.5 + 0.5 * angle[:, None] * flat * [1, -1]


def _skin_labels(skin: template.Skin) -> np.ndarray:
    x, y, z = np.abs(skin.vertices[:, 0]), skin.vertices[:, 1], skin.vertices[:, 2]
    label = np.full(len(x), "skin", dtype="U12")
    label[hairline(skin.vertices) > 0.5] = "scalp"
    label[(y < -0.86) | ((y < -0.45) & (z < -0.5))] = "neck"
    label[brow_mask(skin.vertices) > 0.35] = "brow"
    for name in ("lid_1", "lid_2", "lid_3"):
        label[skin.loops[name]] = "lid"
        label[skin.mirror[skin.loops[name]]] = "lid"
    for side in ("left", "right"):
        label[skin.loops[f"eye_{side}"]] = "lash"
        label[skin.loops[f"nostril_{side}"]] = "nostril"
    label[(lip_mask(skin.vertices) > 0.5) & (z > 0)] = "lips"
    return label


def hairline(points: np.ndarray) -> np.ndarray:
    """[N] 1 on the scalp, 0 on the face."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    edge = 0.93 - 0.10 * surface.smoothstep(0.25, 0.5, x)
    front = surface.smoothstep(edge - 0.06, edge + 0.06, y)
    side = surface.smoothstep(-0.30, -0.45, z) * surface.smoothstep(0.10, 0.32, y)
    back = surface.smoothstep(-0.62, -0.80, z) * surface.smoothstep(-0.60, -0.40, y)
    return np.maximum(front, np.maximum(side, back))


def brow_mask(points: np.ndarray) -> np.ndarray:
    """[N] how much of the place is covered by the eyebrow."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    middle, half = lines.brow_line(x)
    across = 1.0 - surface.smoothstep(0.4, 1.5, np.abs(y - middle) / np.maximum(half, 0.013))
    along = surface.smoothstep(0.125, 0.215, x) * surface.smoothstep(0.605, 0.50, x)
    return across * along * (z > -0.15)


def lip_mask(points: np.ndarray) -> np.ndarray:
    """[N] 1 on the red of the lips, 0 outside, with a narrow border."""
    x, y = np.abs(points[:, 0]), points[:, 1]
    inside = np.minimum(x, features.MOUTH_HALF)
    top, bottom = features.LIP_TOP(inside), features.LIP_BOTTOM(inside)
    out = np.maximum(y - top, bottom - y)
    beside = surface.smoothstep(features.MOUTH_HALF + 0.012, features.MOUTH_HALF - 0.004, x)
    return surface.smoothstep(0.011, -0.009, out) * beside * (points[:, 2] > 0.0)


def build_head() -> Head:
    """The mean head with all its parts."""
    skin = template.build_skin()
    store = _Collector()
    skin_labels = _skin_labels(skin)
    store.add(skin.vertices, "skin", skin_labels, _skin_uv(skin.places), mirror=skin.mirror)
    store.triangles.append(skin.triangles)
    lower = [_below_line(skin)]

    # lid rims
    rim = {}
    edge = skin.vertices[skin.loops["eye_left"]]
    for side, sign in (("left", 1), ("right", -1)):
        loop = skin.loops[f"eye_{side}"]
        uv = _skin_uv(skin.places[loop])
        uv = uv + 0.12 * (uv.mean(0) - uv)
        points = parts.lid_rim(edge) * [sign, 1, 1]
        rim[side] = store.add(points, "rim", "lash", uv, parent=loop)
        strip = parts.ring_strip(np.arange(len(loop)), len(loop) + np.arange(len(loop)))
        numbers = np.concatenate([loop, rim[side]])
        store.triangles.append(numbers[strip[:, ::-1] if sign > 0 else strip][:, ::-1])
    store.mirror[-2], store.mirror[-1] = rim["right"], rim["left"]

    _add_mouth(store, skin)
    for upper in (True, False):
        part = parts.teeth(upper)
        ids = store.add(
            part.vertices, "teeth_upper" if upper else "teeth_lower", part.labels, _patch(1 + upper, part.flat),
            mirror=store.count + mirrored_pairs(part.vertices),
        )  # fmt: skip
        store.triangles.append(ids[part.triangles])
    for slot, (name, part) in enumerate(
        (("eye", parts.eyeball()), ("light", parts.catchlight()), ("ear", parts.ear()))
    ):
        both = []
        for hand, one in enumerate((part, part.mirrored("", ""))):
            label = {"eye": ("eye_left", "eye_right"), "ear": ("ear_left", "ear_right")}.get(
                name, ("light_left", "light_right")
            )
            ids = store.add(one.vertices, label[hand], one.labels, _patch(4 * (slot + 1) + hand, one.flat))
            store.triangles.append(ids[one.triangles])
            both.append(ids)
        store.mirror[-2], store.mirror[-1] = both[1], both[0]
    return _finish(store, skin, lower[0])


def _below_line(skin: template.Skin) -> np.ndarray:
    lower = skin.vertices[:, 1] < features.LIP_LINE(np.clip(np.abs(skin.vertices[:, 0]), 0, 0.26)) - 1e-6
    copies = np.setdiff1d(skin.loops["lip_lower"], skin.loops["lip_upper"])
    lower[copies] = True
    return lower


def _add_mouth(store: _Collector, skin: template.Skin) -> None:
    upper, low = skin.loops["lip_upper"], skin.loops["lip_lower"]
    ring = np.concatenate([upper, low[-2:0:-1]])
    rows, apex = parts.mouth_bag(skin.vertices[ring])
    count, first = len(ring), store.count
    position = np.arange(count)
    half = len(upper) - 1
    opposite = np.where(position <= half, half - position, (count - (position - half)) % count)
    opposite = np.where(position > half, half + (count - position), opposite)
    mirror = np.concatenate([first + k * count + opposite for k in range(parts.BAG_ROWS)] + [[first + len(rows)]])
    depth = np.repeat((np.arange(parts.BAG_ROWS) + 1) / (parts.BAG_ROWS + 1), count)
    flat = np.concatenate(
        [0.5 + 0.5 * (1 - k / 6) * np.column_stack([np.cos(t), np.sin(t)]) for k in range(parts.BAG_ROWS)
         for t in [np.pi - 2 * np.pi * position / count]] + [[[0.5, 0.5]]]
    )  # fmt: skip
    ids = store.add(
        np.concatenate([rows, apex]), "bag", "mouth", _patch(0, flat), mirror=mirror,
        parent=np.concatenate([np.tile(ring, parts.BAG_ROWS), ring[:1]]), depth=np.concatenate([depth, [1.0]]),
    )  # fmt: skip
    previous = ring
    for k in range(parts.BAG_ROWS):
        row = ids[k * count : (k + 1) * count]
        strip = parts.ring_strip(np.arange(count), count + np.arange(count))
        store.triangles.append(np.concatenate([previous, row])[strip])
        previous = row
    fan = np.stack([previous, np.roll(previous, -1), np.full(count, ids[-1])], 1)
    store.triangles.append(fan[:, ::-1])


def _finish(store: _Collector, skin: template.Skin, lower_skin: np.ndarray) -> Head:
    vertices = np.concatenate(store.vertices)
    triangles = np.concatenate(store.triangles)
    part = np.concatenate(store.part)
    label = np.concatenate(store.label)
    parent = np.concatenate(store.parent)
    lower = np.concatenate([lower_skin, np.zeros(len(vertices) - len(lower_skin), bool)])
    lower = lower[parent] | (part == "teeth_lower")
    region = np.array([REGIONS.index(name) for name in label])
    middle = vertices[triangles].mean(1)
    bound = -0.47 + 0.25 * surface.smoothstep(-0.45, -0.75, middle[:, 1])
    outside = (middle[:, 2] < bound) | (middle[:, 1] > 1.02) | (middle[:, 1] < -0.88)
    outside |= (part[triangles] == "ear").any(1)
    return Head(
        vertices, triangles, np.concatenate(store.mirror), part, region, parent, np.concatenate(store.depth), lower,
        np.clip(np.concatenate(store.uv), 0, 1), ~outside, _landmarks(skin), skin.loops,
    )  # fmt: skip


# Where the other landmarks of the person's left half and midline lie (x, y).
_BROW = ((0.189, 0.487), (0.28, 0.513), (0.382, 0.522), (0.489, 0.50), (0.571, 0.436))
_NOSE = ((0.0, 0.296), (0.0, 0.176), (0.0, 0.056), (0.0, -0.046))
_NOSTRILS = ((0.0, -0.160), (0.069, -0.148), (0.119, -0.138))
_LIPS = (
    (0.0, -0.295),
    (0.057, -0.283),
    (0.164, -0.321),
    (0.252, -0.381),
    (0.158, -0.419),
    (0.082, -0.446),
    (0.0, -0.451),
)


def _landmarks(skin: template.Skin) -> np.ndarray:
    """[68] vertex numbers in the order of iBUG: the picture's left, which is the person's right, comes first."""
    points, mirror = skin.vertices, skin.mirror
    front = np.flatnonzero((points[:, 2] > -0.2) & (points[:, 0] >= 0))
    half = np.flatnonzero(points[:, 0] >= 0)

    def frontal(places: tuple) -> list[int]:
        return [int(front[np.hypot(*(points[front, :2] - place).T).argmin()]) for place in places]

    jaw = [int(half[np.linalg.norm(points[half] - place, axis=1).argmin()]) for place in lines.JAW_LANDMARKS]
    brow, nose, nostrils, lip = frontal(_BROW), frontal(_NOSE), frontal(_NOSTRILS), frontal(_LIPS)
    eye_loop, half_eye = skin.loops["eye_left"], lines.EYE_COUNT // 2
    x = points[eye_loop, 0]

    def at(ids: np.ndarray, place: float) -> int:
        return int(ids[np.abs(points[ids, 0] - place).argmin()])

    upper, low = eye_loop[: half_eye + 1], eye_loop[half_eye:]
    eye = [
        int(eye_loop[0]),
        at(upper, 0.275),
        at(upper, 0.366),
        int(eye_loop[x.argmax()]),
        at(low, 0.363),
        at(low, 0.268),
    ]
    line_up, line_low = skin.loops["lip_upper"], skin.loops["lip_lower"]
    inner = [at(line_up, 0.0), at(line_up, 0.074), at(line_up, 0.222), at(line_low, 0.072), at(line_low, 0.0)]

    def m(ids: list[int]) -> list[int]:
        return [int(mirror[i]) for i in ids]

    jaws = m(jaw[:0:-1]) + jaw
    brows = m(brow[::-1]) + brow
    bottom = m(nostrils[:0:-1]) + nostrils
    right_eye = m([eye[3], eye[2], eye[1], eye[0], eye[5], eye[4]])
    outer = m([lip[3], lip[2], lip[1]]) + lip[:4] + lip[4:] + m([lip[5], lip[4]])
    inside = m([inner[2], inner[1]]) + inner[:3] + inner[3:] + m([inner[3]])
    return np.array(jaws + brows + nose + bottom + right_eye + eye + outer + inside)
