"""How heads differ: displacement fields over the mean head, each scaled to one standard deviation of the population."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from renderer.builtin.assembly import Head
from renderer.builtin.features import lid_distance
from renderer.builtin.surface import EYE_CENTRE, EYE_RADIUS, LID_RADIUS, smoothstep

Field = Callable[[np.ndarray], np.ndarray]


def window(points: np.ndarray, centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """[N] a Gaussian over the frontal plane, the same on both sides, that spares the back of the head."""
    x, y = np.abs(points[:, 0]), points[:, 1]
    value = np.exp(-(((x - centre[0]) / radii[0]) ** 2) - ((y - centre[1]) / radii[1]) ** 2)
    return value * smoothstep(-0.75, -0.25, points[:, 2])


def _box(points: np.ndarray, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    place = (np.column_stack([np.abs(points[:, 0]), points[:, 1:]]) - centre) / radii
    return np.exp(-(place**2).sum(1))


def _move(weight: np.ndarray, x: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
    return np.stack([weight * x, weight * y, weight * z], -1)


def _side(points: np.ndarray) -> np.ndarray:
    """[N] -1 on the right, 1 on the left, smooth across the midline: which way is outwards."""
    return np.tanh(points[:, 0] / 0.10)


def _lower(points: np.ndarray, low: float = -0.95, high: float = -0.15) -> np.ndarray:
    """[N] 1 at the jaw, 0 above the nose; fades down the neck."""
    return smoothstep(high, low + 0.2, points[:, 1]) * smoothstep(-1.45, -0.85, points[:, 1])


def _build_fields() -> dict[str, Field]:
    def above_neck(p: np.ndarray) -> np.ndarray:
        return smoothstep(-1.3, -0.7, p[:, 1])

    return {
        "head_width": lambda p: _move(above_neck(p), 0.040 * p[:, 0], 0, 0),
        "head_height": lambda p: _move(smoothstep(0.3, 1.3, p[:, 1]), 0, 0.055, 0),
        "head_depth": lambda p: _move(smoothstep(-0.1, -1.3, p[:, 2]) * above_neck(p), 0, 0, -0.07),
        "face_length": lambda p: _move(above_neck(p), 0, 0.050 * np.clip(p[:, 1] - 0.1, -1.0, 0.75), 0),
        "face_width": lambda p: _move(window(p, (0.5, 0.0), (0.35, 0.5)), 0.020 * _side(p), 0, 0.004),
        "jaw_width": lambda p: _move(
            _box(p, (0.62, -0.50, -0.35), (0.35, 0.34, 0.40)) * smoothstep(0.05, 0.4, np.abs(p[:, 0])),
            0.034 * _side(p),
            0.0,
            0.0,
        ),
        "jaw_angle": lambda p: _move(
            _box(p, (0.55, -0.55, -0.32), (0.25, 0.22, 0.30)), 0.006 * _side(p), -0.036, -0.006
        ),
        "chin_length": lambda p: _move(
            window(p, (0.0, -0.88), (0.42, 0.30)) * smoothstep(-0.4, -0.62, p[:, 1]), 0, -0.045, 0
        ),
        "chin_width": lambda p: _move(window(p, (0.20, -0.72), (0.16, 0.16)), 0.026 * _side(p), 0.004, 0.004),
        "chin_projection": lambda p: _move(window(p, (0.0, -0.75), (0.24, 0.20)), 0, 0.004, 0.048),
        "chin_cleft": lambda p: _move(
            window(p, (0.0, -0.73), (0.025, 0.06)) - 0.3 * window(p, (0.08, -0.73), (0.05, 0.07)), 0, 0, -0.014
        ),
        "cheekbones": lambda p: _move(window(p, (0.52, 0.13), (0.16, 0.12)), 0.017 * _side(p), 0.004, 0.018),
        "cheek_fullness": lambda p: _move(window(p, (0.44, -0.24), (0.20, 0.24)), 0.020 * _side(p), 0, 0.020),
        "temples": lambda p: _move(_box(p, (0.66, 0.55, -0.15), (0.22, 0.26, 0.28)), 0.018 * _side(p), 0, 0.004),
        "forehead_slope": lambda p: _move(
            smoothstep(0.5, 1.05, p[:, 1]) * smoothstep(-0.7, 0.1, p[:, 2]), 0, 0.005, -0.060
        ),
        "forehead_bulge": lambda p: _move(window(p, (0.15, 0.75), (0.38, 0.17)), 0, 0, 0.026),
        "brow_ridge": lambda p: _move(window(p, (0.26, 0.46), (0.24, 0.075)), 0, -0.006, 0.026),
        "brow_height": lambda p: _move(window(p, (0.36, 0.50), (0.26, 0.150)), 0, 0.017, 0),
        "brow_tilt": lambda p: _move(
            window(p, (0.36, 0.49), (0.26, 0.105)), 0, 0.020 * np.clip((np.abs(p[:, 0]) - 0.33) / 0.2, -1, 1), 0
        ),
        "eye_spacing": lambda p: _move(window(p, (0.31, 0.30), (0.22, 0.17)), 0.016 * _side(p), 0, 0),
        "eye_tilt": lambda p: _move(
            window(p, (0.31, 0.30), (0.20, 0.10)), 0, 0.020 * np.clip((np.abs(p[:, 0]) - 0.31) / 0.13, -1.3, 1.3), 0
        ),
        "eye_depth": lambda p: _move(window(p, (0.31, 0.30), (0.20, 0.13)), 0, 0, 0.020),
        "eye_opening": lambda p: _move(
            window(p, (0.31, 0.30), (0.12, 0.065)), 0, 0.008 * np.clip((p[:, 1] - 0.292) / 0.04, -1, 1), 0
        ),
        "eye_bags": lambda p: _move(window(p, (0.30, 0.205), (0.11, 0.030)), 0, 0, 0.010),
        "nose_length": lambda p: _move(window(p, (0.0, -0.09), (0.22, 0.16)), 0, -0.030, 0),
        "nose_width": lambda p: _move(window(p, (0.12, -0.09), (0.10, 0.10)), 0.021 * _side(p), 0, 0),
        "nose_projection": lambda p: _move(window(p, (0.0, -0.04), (0.12, 0.15)), 0, 0, 0.038),
        "nose_bridge_height": lambda p: _move(window(p, (0.0, 0.20), (0.085, 0.16)), 0, 0, 0.026),
        "nose_bridge_width": lambda p: _move(window(p, (0.08, 0.16), (0.075, 0.16)), 0.012 * _side(p), 0, 0.004),
        "nose_hump": lambda p: _move(window(p, (0.0, 0.12), (0.06, 0.07)), 0, 0, 0.017),
        "nose_tip_up": lambda p: _move(window(p, (0.0, -0.075), (0.085, 0.075)), 0, 0.026, 0.004),
        "nose_tip_width": lambda p: _move(window(p, (0.05, -0.045), (0.055, 0.06)), 0.013 * _side(p), 0, 0.003),
        "mouth_width": lambda p: _move(
            window(p, (0.10, -0.37), (0.26, 0.16)),
            0.076 * np.clip(p[:, 0], -0.28, 0.28),
            0,
            -0.006 * (np.abs(p[:, 0]) > 9),
        ),
        "mouth_height": lambda p: _move(window(p, (0.0, -0.37), (0.36, 0.19)), 0, 0.024, 0),
        "mouth_projection": lambda p: _move(window(p, (0.0, -0.35), (0.26, 0.16)), 0, 0, 0.028),
        "upper_lip_fullness": lambda p: _move(
            window(p, (0.0, -0.315), (0.17, 0.055)), 0, 0.013 * smoothstep(-0.366, -0.282, p[:, 1]), 0.010
        ),
        "lower_lip_fullness": lambda p: _move(
            window(p, (0.0, -0.430), (0.17, 0.066)), 0, -0.014 * smoothstep(-0.358, -0.472, p[:, 1]), 0.012
        ),
        "mouth_corners": lambda p: _move(window(p, (0.23, -0.375), (0.10, 0.085)), 0, 0.008, 0),
        "ear_size": lambda p: _move(
            smoothstep(0.70, 0.76, np.abs(p[:, 0])) * _box(p, (0.78, 0.19, -0.62), (0.3, 0.5, 0.4)),
            0.020 * _side(p),
            0.09 * (p[:, 1] - 0.19),
            0.06 * (p[:, 2] + 0.55),
        ),
        "neck_width": lambda p: _move(
            smoothstep(-0.45, -1.0, p[:, 1]) * (p[:, 2] < 9), 0.055 * p[:, 0], 0, 0.05 * (p[:, 2] + 0.5)
        ),
        "weight": lambda p: _move(np.ones(len(p)), *_weight(p)),
    }


def _weight(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fat under the skin: fuller cheeks, jowls, under the chin and neck."""
    cheek = window(p, (0.48, -0.22), (0.24, 0.30))
    jowl = _box(p, (0.50, -0.62, -0.22), (0.28, 0.24, 0.40))
    under = _box(p, (0.10, -0.90, -0.02), (0.30, 0.16, 0.22))
    neck = smoothstep(-0.7, -1.0, p[:, 1])
    x = _side(p) * (0.021 * cheek + 0.027 * jowl) + 0.060 * neck * p[:, 0]
    return (
        x,
        -0.012 * jowl - 0.040 * under,
        0.020 * cheek + 0.012 * jowl + 0.030 * neck * smoothstep(-0.5, 0.0, p[:, 2]),
    )


_EYE_SIZE = 0.055  # one standard deviation of the eye opening's size, relative


def shape_basis(head: Head) -> tuple[tuple[str, ...], np.ndarray]:
    """Names, and the basis [V, 3, S] in decimetres for one standard deviation."""
    fields = _build_fields()
    columns = [_rigid_eyes(head, field) for field in fields.values()]
    columns.append(_eye_size(head))
    basis = np.stack(columns, -1)
    mirrored = basis[head.mirror] * np.array([-1.0, 1.0, 1.0])[None, :, None]
    return (*fields, "eye_size"), 0.5 * (basis + mirrored)


def _rigid_eyes(head: Head, field: Field) -> np.ndarray:
    """The field at every vertex, but eyeballs keep their shape, lids follow them, rims the lids' edge and
    teeth the lips."""
    places = head.vertices[head.parent].copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        centre = np.array([sign * EYE_CENTRE[0], EYE_CENTRE[1], EYE_CENTRE[2] + EYE_RADIUS])
        places[np.isin(head.part, (f"eye_{side}", f"light_{side}"))] = centre
    teeth = np.char.startswith(head.part.astype(str), "teeth")
    places[teeth, 2] += 0.06
    moved = field(places)
    lids = np.isin(head.part, ("skin", "rim")) & (places[:, 2] > 0.0)
    front = EYE_CENTRE + np.array([0.0, 0.0, EYE_RADIUS])
    for sign in (1.0, -1.0):
        side = lids & (places[:, 0] * sign > 0)
        ball = field((front * [sign, 1, 1])[None])
        near, slope = lid_slope(places[side])
        relative = moved[side] - ball
        moved[side, 2] += near * ((slope * relative[:, :2]).sum(1) - relative[:, 2])
    return moved


def lid_slope(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much places [N, 3] belong to a lid [N], 0-1, and the slope of the eyeball's front below them [N, 2].

    A lid that moves by (dx, dy) stays on the ball, to the first order, when it moves by slope . (dx, dy) in depth; as
    the tangents of a ball lie outside it, this never lets the ball through, whatever the sign.
    """
    out = points[:, :2] - EYE_CENTRE[:2] * np.stack([np.where(points[:, 0] < 0, -1.0, 1.0), np.ones(len(points))], 1)
    reach2 = (out**2).sum(1) / LID_RADIUS**2
    height = LID_RADIUS * np.sqrt(np.maximum(1.0 - reach2, 0.4))
    distance, up = lid_distance(points)
    below = smoothstep(0.2, -0.4, up)
    near = smoothstep(0.085 + 0.04 * below, 0.025 * below, distance) * smoothstep(1.32, 0.82, np.sqrt(reach2))
    return near, -out / height[:, None]


def _eye_size(head: Head) -> np.ndarray:
    points = head.vertices
    centre = EYE_CENTRE * np.where(points[:, :1] < 0, [[-1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0]])
    weight = window(points, (EYE_CENTRE[0], 0.30), (0.19, 0.12))
    weight = weight + lid_slope(points)[0] * (points[:, 2] > 0.0) * (0.93 - weight)  # so that lids stay on the ball
    eyes = np.char.startswith(head.part.astype(str), "eye") | np.char.startswith(head.part.astype(str), "light")
    weight = np.where(eyes | (head.part == "rim"), 0.93, weight)
    return _EYE_SIZE * weight[:, None] * (points - centre)
