"""How a face moves: named displacements at full activation (coefficient 1)."""

from __future__ import annotations

import numpy as np

from renderer.builtin.assembly import Head
from renderer.builtin.features import MOUTH_HALF, eye_opening
from renderer.builtin.lines import EYE_COUNT
from renderer.builtin.shapes import lid_slope, window
from renderer.builtin.surface import EYE_CENTRE, LID_RADIUS, smoothstep

JAW_AXIS = np.array([0.0, 0.02, -0.50])
JAW_ANGLE = np.radians(14.0)


def _turned(points: np.ndarray, centre: np.ndarray, angle: np.ndarray | float) -> np.ndarray:
    """[N, 3] how points move when turned about an axis along x through `centre`; positive angles look down."""
    y, z = points[:, 1] - centre[1], points[:, 2] - centre[2]
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([0 * y, c * y - s * z - y, s * y + c * z - z], -1)


def _half(points: np.ndarray) -> np.ndarray:
    """[N] 1 on the person's left, 0 on the right, smooth across the midline."""
    return smoothstep(-0.10, 0.10, points[:, 0])


def _ramp(share: np.ndarray) -> np.ndarray:
    """0 at 0 and less, 1 at 1 and more, gentler in between than a smoothstep, so that skin is hardly crushed."""
    return 0.5 * (np.clip(share, 0.0, 1.0) + smoothstep(0.0, 1.0, share))


class _Mover:
    """The fields that displace skin; each returns [V, 3]."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.points = head.vertices[head.parent]  # rims and the mouth's inside move with their skin
        self.left = _half(self.points)
        self.skin = np.isin(head.part, ("skin", "rim", "bag"))
        self.lid_skin = np.isin(head.part, ("skin", "rim"))
        follow = np.where(head.part == "bag", 1.0 - 0.55 * head.depth, 1.0)
        self.follow = np.where(self.skin, follow, 0.0)

    def push(
        self, centre: tuple[float, float], radii: tuple[float, float], by: tuple[float, float, float]
    ) -> np.ndarray:
        """A Gaussian push on both sides; x points outwards, away from the midline."""
        weight = window(self.points, centre, radii) * self.follow
        outwards = np.tanh(self.points[:, 0] / 0.16)
        return np.stack([weight * by[0] * outwards, weight * by[1], weight * by[2]], -1)

    def jaw(self) -> np.ndarray:
        """[V] 1 for what moves with the lower jaw, 0 for the skull."""
        points, head = self.points, self.head
        x, y = np.abs(points[:, 0]), points[:, 1]
        beside = smoothstep(-0.06, -0.70, y)
        inside = smoothstep(MOUTH_HALF, 0.10, x) ** 0.8
        weight = (1 - inside) * beside + inside * np.where(head.lower, np.maximum(beside, 0.98), 0.0)
        weight = np.where(head.lower | (y < -0.40) | (x > MOUTH_HALF), weight, np.minimum(weight, beside))
        throat = smoothstep(-1.25, -0.84, y)
        weight = weight * throat * smoothstep(-0.68, -0.30, points[:, 2]) * self.follow
        return np.where(head.part == "teeth_lower", 1.0, weight)

    def lip(self, upper: bool) -> np.ndarray:
        """[V] 1 on the upper (lower) lip's side of the mouth, fading to 0 at the corners, where the lips are one."""
        fade = smoothstep(MOUTH_HALF - 0.004, MOUTH_HALF - 0.10, np.abs(self.points[:, 0]))
        return np.where(self.head.lower != upper, fade, 0.0)

    def over_ball(self, field: np.ndarray) -> np.ndarray:
        """The field [V, 3] with lids that slide along the eyeball: its tangents, which stay outside it both ways."""
        near, slope = lid_slope(self.points)
        result = field.copy()
        result[:, 2] += near * self.lid_skin * (self.points[:, 2] > 0.0) * (slope * field[:, :2]).sum(1)
        return result

    def _lid_foot(self) -> np.ndarray:
        """[V] distance from the midline; near the inner corners, where the edges are steep, that of the edge itself."""
        head = self.head
        x = np.abs(head.vertices[:, 0])
        edge = x[head.loops["eye_left"]]
        for ring, share in (("lid_1", 0.5), ("lid_2", 0.4), ("lid_3", 0.25), ("lid_4", 0.12)):
            ids = head.loops[ring]
            x[ids] += share * smoothstep(0.36, 0.26, edge) * (edge - x[ids])
            x[head.mirror[ids]] = x[ids]
        return x[head.parent]

    def blink(self) -> np.ndarray:
        """Both lids close: the upper lid slides down over the ball, the lower one rises a little to meet it."""
        points, result = self.points, np.zeros_like(self.points)
        opening = eye_opening(EYE_COUNT)
        half = len(opening) // 2
        x = np.abs(points[:, 0])
        upper_x, upper_y = opening[: half + 1].T
        lower_x, lower_y = opening[half:][::-1].T
        lower_x, lower_y = np.append(upper_x[0], lower_x[:-1]), np.append(upper_y[0], lower_y[:-1])
        lower_x, lower_y = np.append(lower_x, upper_x[-1]), np.append(lower_y, upper_y[-1])
        foot = self._lid_foot()  # a lid moves as the point of its edge that it hangs on does
        top, bottom = np.interp(foot, upper_x, upper_y), np.interp(foot, lower_x, lower_y)
        meet = bottom + 0.22 * (top - bottom)
        # the upper lid closes over the lower one, so that eyes that are larger than the mean close, too
        overlap = np.clip((top - bottom) / 0.04, 0.0, 1.0)
        above = np.maximum(points[:, 1] - top, 0.0)
        below = np.maximum(bottom - points[:, 1], 0.0)
        across = smoothstep(0.170, 0.209, foot) * smoothstep(0.448, 0.412, foot) * self.lid_skin
        is_upper = points[:, 1] > 0.5 * (top + bottom)
        move = np.where(
            is_upper,
            -(top - meet + 0.014 * overlap) * _ramp(1.0 - above / 0.15),
            (meet - bottom + 0.012 * overlap) * _ramp(1.0 - below / 0.09),
        )
        result[:, 1] = move * across
        moved = points + result
        near2 = (x - EYE_CENTRE[0]) ** 2 + (moved[:, 1] - EYE_CENTRE[1]) ** 2
        old2 = (x - EYE_CENTRE[0]) ** 2 + (points[:, 1] - EYE_CENTRE[1]) ** 2
        floor = (0.40 * LID_RADIUS) ** 2  # beyond the ball's rim the skin follows no steeper than there
        ball = np.sqrt(np.maximum(LID_RADIUS**2 - near2, floor)) - np.sqrt(np.maximum(LID_RADIUS**2 - old2, floor))
        ball = ball * smoothstep(0.105, 0.03, np.maximum(above, below))
        share = np.abs(move) / np.maximum(np.abs(move).max(), 1e-9)
        result[:, 2] = ball * across * smoothstep(0.0, 0.25, share) + np.where(is_upper, 0.010, 0.001) * across * share
        return result


def _gaze(head: Head, yaw: float, pitch: float) -> np.ndarray:
    """[V, 3] how the eyeballs turn: along their tangents, which is as near to a rotation as one linear step comes that
    serves both ways. The white slides less towards the corners of the eye, where it would grow through the lids."""
    result = np.zeros_like(head.vertices)
    for name, sign in (("eye_left", 1.0), ("eye_right", -1.0)):
        ids = head.part == name
        x, y, z = (head.vertices[ids] - EYE_CENTRE * [sign, 1, 1]).T
        share = 1.0 - 0.75 * smoothstep(32.0, 75.0, np.degrees(np.arctan2(np.hypot(x, y), z)))
        turned = np.stack([np.tan(yaw) * z, np.tan(pitch) * z, -np.tan(yaw) * x - np.tan(pitch) * y], -1)
        result[ids] = share[:, None] * turned
    return result


def expression_basis(head: Head) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names, the basis [V, 3, E] in decimetres at full activation, and how far activations spread [E]."""
    m = _Mover(head)
    both = _both_sides(m)
    left = m.left[:, None]
    result: dict[str, np.ndarray] = {}
    for name, (field, split) in both.items():
        if name != "blink":
            field = m.over_ball(field)
        if not split:
            result[name] = field
            continue
        result[f"{name}_left"] = field * left
        result[f"{name}_right"] = (field * left)[head.mirror] * [-1, 1, 1]
    mouth = window(m.points, (0.0, -0.37), (0.26, 0.16)) * m.follow
    shift = np.zeros_like(m.points)
    shift[:, 0] = 0.06 * mouth
    result["mouth_shift"] = shift
    jaw_aside = np.zeros_like(m.points)
    jaw_aside[:, 0] = 0.05 * m.jaw()
    result["jaw_shift"] = jaw_aside
    result["look_left_right"] = _gaze(head, np.radians(22.0), 0.0)
    lids = m.push((0.31, 0.335), (0.11, 0.035), (0, 0.014, 0)) + m.push((0.31, 0.262), (0.11, 0.03), (0, 0.006, 0))
    result["look_up_down"] = _gaze(head, 0.0, np.radians(15.0)) + m.over_ball(lids)
    spread = np.array([_SPREAD.get(name.removesuffix("_left").removesuffix("_right"), 0.35) for name in result])
    return tuple(result), np.stack(list(result.values()), -1), spread


_SPREAD = {"jaw_open": 0.30, "blink": 0.25, "smile": 0.45, "look_left_right": 0.4, "look_up_down": 0.3,
           "cheek_puff": 0.25, "jaw_shift": 0.25, "mouth_shift": 0.25, "nose_wrinkle": 0.25}  # fmt: skip


def _both_sides(m: _Mover) -> dict[str, tuple[np.ndarray, bool]]:
    """Name -> (displacement of both sides, whether left and right are components of their own)."""
    jaw, points = m.jaw(), m.points
    open_ = _turned(m.head.vertices, JAW_AXIS, JAW_ANGLE * jaw) * np.where(jaw > 0, 1.0, 0.0)[:, None]
    corner, wide = (0.24, -0.38), (0.20, 0.185)
    lip_in = np.clip(points[:, 0] / 0.25, -1.4, 1.4)
    lips_near = window(points, (0.0, -0.37), (0.27, 0.13)) * m.follow
    pucker = np.stack([-0.086 * lip_in * lips_near, 0.10 * (-0.365 - points[:, 1]) * -lips_near, 0.045 * lips_near], -1)
    smile = (
        m.push(corner, wide, (0.058, 0.061, -0.030))
        + m.push((0.38, -0.08), (0.15, 0.15), (0.012, 0.030, 0.024))
        + m.push((0.10, -0.36), (0.12, 0.07), (0.010, 0.010, -0.012))
        + m.push((0.31, 0.255), (0.12, 0.04), (0, 0.010, 0.004))
    )
    raise_lip = m.push((0.07, -0.32), (0.12, 0.095), (0, 0.047, 0.008)) * m.lip(True)[:, None]
    drop_lip = m.push((0.07, -0.42), (0.13, 0.100), (0, -0.047, 0.006)) * m.lip(False)[:, None]
    return {
        "jaw_open": (open_, False),
        "smile": (smile, True),
        "frown": (
            m.push(corner, (0.16, 0.160), (0.008, -0.055, -0.006))
            + m.push((0.1, -0.62), (0.16, 0.09), (0, 0.012, 0.012)),
            True,
        ),
        "mouth_stretch": (m.push(corner, (0.21, 0.16), (0.065, -0.012, -0.035)), True),
        "upper_lip_raise": (raise_lip + m.push((0.14, -0.12), (0.07, 0.07), (0.006, 0.014, 0)), True),
        "lower_lip_down": (drop_lip, True),
        "brow_raise": (
            m.push((0.38, 0.53), (0.22, 0.175), (0, 0.068, 0.006)) + m.push((0.31, 0.355), (0.12, 0.04), (0, 0.012, 0)),
            True,
        ),
        "blink": (m.blink(), True),
        "squint": (
            m.push((0.325, 0.245), (0.115, 0.065), (0, 0.022, 0.006))
            + m.push((0.325, 0.35), (0.100, 0.065), (0, -0.014, 0.0)),
            True,
        ),
        "eye_wide": (
            m.push((0.32, 0.345), (0.11, 0.066), (0, 0.024, 0)) + m.push((0.31, 0.255), (0.12, 0.05), (0, -0.008, 0)),
            True,
        ),
        "cheek_puff": (m.push((0.40, -0.28), (0.17, 0.18), (0.060, 0, 0.065)), True),
        "brow_inner_up": (m.push((0.14, 0.52), (0.13, 0.14), (0, 0.060, 0.006)), False),
        "brow_lower": (m.push((0.22, 0.49), (0.21, 0.14), (-0.022, -0.048, 0.012)), False),
        "nose_wrinkle": (
            m.push((0.10, 0.02), (0.10, 0.12), (0.008, 0.032, 0.010))
            + m.push((0.12, 0.45), (0.13, 0.095), (-0.010, -0.025, 0.006))
            + 0.5 * raise_lip,
            False,
        ),
        "pucker": (pucker, False),
        "lips_press": (
            np.stack([0 * lips_near, (-0.365 - points[:, 1]) * 0.30 * lips_near, -0.018 * lips_near], -1),
            False,
        ),
        "chin_raise": (
            m.push((0.0, -0.60), (0.16, 0.14), (0, 0.045, 0.018))
            + m.push((0.0, -0.40), (0.14, 0.07), (0, 0.014, 0.014)),
            False,
        ),
    }
