"""Shoulders, a chest and what covers them, under a head of any face model; they turn less than the head does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AROUND, RINGS = 28, 9
VERTICES = AROUND * RINGS
_FOLLOW = 0.3  # share of the head's turn that the shoulders follow
_CLOTH = np.array(
    [(32, 32, 36), (48, 52, 64), (40, 56, 92), (92, 112, 140), (216, 214, 210), (240, 240, 238), (128, 128, 130),
     (150, 40, 44), (96, 32, 40), (64, 88, 66), (120, 124, 88), (176, 140, 96), (110, 84, 64), (204, 176, 160),
     (70, 60, 96), (206, 172, 70), (60, 120, 130), (190, 110, 120)], float
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Body:
    """A posed body. N = VERTICES."""

    vertices: np.ndarray  # [N, 3] decimetres, posed
    normals: np.ndarray  # [N, 3] unit, posed
    colours: np.ndarray  # [N, 3] albedo, RGB 0-255
    skin: np.ndarray  # [N] 1.0 where a neckline shows skin


def triangles() -> np.ndarray:
    """[F, 3] int32."""
    grid = np.arange(VERTICES).reshape(AROUND, RINGS)
    a, b = grid[:, :-1], grid[:, 1:]
    c, d = np.roll(grid, -1, 0)[:, :-1], np.roll(grid, -1, 0)[:, 1:]
    front = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([c, b, d], -1).reshape(-1, 3)])
    return np.concatenate([front, front[:, ::-1]]).astype(np.int32)


def dress(
    chin: np.ndarray, width: float, rotation: np.ndarray, angles: np.ndarray, skin: np.ndarray, rng: np.random.Generator
) -> Body:
    """A body for a head.

    Args:
        chin: [3] the unposed chin, decimetres.
        width: of the face from ear to ear, decimetres.
        rotation: [3, 3] of the head.
        angles: [3] pitch, yaw, roll of the head, radians.
        skin: [3] mean albedo of the person's skin.
        rng: draws the clothes and the build.
    """
    build = width / 1.35 * rng.uniform(0.94, 1.12)
    collar = rng.choice([0.0, 0.0, rng.uniform(0.1, 0.28)])  # how far it rises up the neck
    share = np.linspace(0, 1, RINGS)
    # From the collar out over the shoulders, then down the sides of the chest.
    across = np.interp(share, [0, 0.12, 0.3, 0.7, 0.85, 1], [0.53, 0.62, 0.85, 1.75, 2.0, 2.05])
    deep = np.interp(share, [0, 0.12, 0.3, 0.7, 0.85, 1], [0.40, 0.48, 0.62, 0.85, 1.0, 1.05])
    sunk = np.interp(share, [0, 0.12, 0.3, 0.7, 0.85, 1], [collar, 0.0, -0.10, -0.55, -0.85, -2.2])
    circle = np.arange(AROUND) / AROUND * 2 * np.pi
    slope = rng.uniform(0.75, 1.2)
    points = np.empty((AROUND, RINGS, 3))
    points[..., 0] = np.sin(circle)[:, None] * across * build
    points[..., 2] = np.cos(circle)[:, None] * deep * build
    front = np.cos(circle)[:, None] * np.clip(1 - share / 0.4, 0, 1)
    points[..., 1] = sunk * slope - 0.22 * np.maximum(front, 0) + 0.1 * np.minimum(front, 0) * -1
    points[..., 1] -= 0.25 * np.abs(np.cos(circle))[:, None] * np.clip(share - 0.2, 0, 0.4)
    base = chin + np.array([0.0, rng.uniform(-0.26, -0.12) * build, -0.80 * build])
    shoulders = turn(angles * _FOLLOW + np.array([0, rng.normal(0, 0.12), rng.normal(0, 0.04)]))
    posed = points @ shoulders.T + base @ rotation.T
    along, around = np.gradient(posed, axis=1), np.roll(posed, -1, 0) - np.roll(posed, 1, 0)
    normals = np.cross(along, around)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    colours, shown = _clothes(circle, share, skin, collar, rng)
    folds = rng.uniform(0.1, 0.5) * _folds(circle, share, rng) * (1 - shown[..., None])
    normals = normals + folds
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Body(
        vertices=posed.reshape(-1, 3).astype(np.float32),
        normals=normals.reshape(-1, 3).astype(np.float32),
        colours=colours.reshape(-1, 3).astype(np.float32),
        skin=shown.reshape(-1).astype(np.float32),
    )


def _clothes(
    circle: np.ndarray, share: np.ndarray, skin: np.ndarray, collar: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Albedo [AROUND, RINGS, 3] and where a neckline shows skin [AROUND, RINGS]."""
    colour, second = (_CLOTH[rng.integers(len(_CLOTH))] * np.exp(rng.normal(0, 0.12)) for _ in range(2))
    colours = np.broadcast_to(colour, (AROUND, RINGS, 3)).copy()
    pattern = rng.choice(["plain", "stripes", "check", "collar", "jacket"], p=[0.5, 0.1, 0.08, 0.16, 0.16])
    if pattern in ("stripes", "check"):
        stripe = np.arange(RINGS) % 2 == 0
        colours[:, stripe] = second
        if pattern == "check":
            colours[::2] = 0.5 * colours[::2] + 0.5 * colour
    elif pattern == "collar":
        colours[:, share < 0.2] = 235.0 if rng.random() < 0.5 else second
    elif pattern == "jacket":
        colours[np.cos(circle) > 0.9] = second
    open_to = rng.choice([0.0, rng.uniform(0.1, 0.35), rng.uniform(0.3, 0.8)]) if collar == 0 else 0.0
    shown = (share <= open_to * np.clip(np.cos(circle)[:, None] * 1.6 - 0.3, 0, 1)).astype(float) * (open_to > 0)
    colours = colours * (1 - shown[..., None]) + skin * shown[..., None]
    return np.clip(colours, 8, 245), shown


def _folds(circle: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[AROUND, RINGS, 3] of about unit size: how folds of the cloth tilt its normals; they hang from the shoulders."""
    around, down = rng.integers(2, 7, 4), rng.uniform(-3, 3, 4)
    phases = circle[:, None, None] * around + 2 * np.pi * share[None, :, None] * down + rng.uniform(0, 6.3, 4)
    depth = np.cos(phases).mean(-1)
    return depth[..., None] * np.stack([np.cos(circle), 0.3 + 0 * circle, -np.sin(circle)], -1)[:, None]


def turn(angles: np.ndarray) -> np.ndarray:
    """Rz·Ry·Rx, as the renderer's pose."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return rz @ ry @ rx
