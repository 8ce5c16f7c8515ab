"""A made-up folder of parts in MakeHuman's layout: sheets as hair, brows and lashes, and two eyes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

HEAD = "# made up\n"


def write_part(folder: Path, name: str, vertices: np.ndarray, base: np.ndarray, *, picture: int | None = 16) -> None:
    """NAME.obj, NAME.mhclo and, unless `picture` (pixels) is None, NAME.mhmat and NAME.png.

    A strip of quads: vertices [2·n, 3]; vertex 0 sits on a base vertex, the others hang on the three nearest ones.
    """
    place = folder / name
    place.mkdir(parents=True)
    count = len(vertices) // 2
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    lines += [f"vt {i / (count - 1):.6f} {v}" for v in (0, 1) for i in range(count)]
    faces = [(i, i + 1, count + i + 1, count + i) for i in range(1, count)]
    lines += ["f " + " ".join(f"{corner}/{corner}" for corner in face) for face in faces]
    (place / f"{name}.obj").write_text(HEAD + "\n".join(lines))
    rows = []
    for vertex in vertices[1:]:
        near = np.linalg.norm(base - vertex, axis=1).argsort()[:3]
        offset = vertex - base[near].mean(0)
        weights = " ".join([f"{1 / 3:.6f}"] * 3)
        rows.append(" ".join(map(str, near)) + f" {weights} " + " ".join(f"{v:.6f}" for v in offset))
    first = str(np.linalg.norm(base - vertices[0], axis=1).argmin())
    far = base[:, 0].argmin(), base[:, 0].argmax()
    scale = f"x_scale {far[0]} {far[1]} {np.ptp(base[:, 0]):.6f}"
    text = [f"name {name}", f"obj_file {name}.obj", scale, f"material {name}.mhmat", "verts 0", first, *rows]
    (place / f"{name}.mhclo").write_text(HEAD + "\n".join([*text, "", "delete_verts", "3 - 9"]))
    if picture is not None:
        (place / f"{name}.mhmat").write_text(f"name {name}\ndiffuseTexture {name}.png\n")
        rng = np.random.default_rng(len(name))
        pixels = rng.integers(30, 90, (picture, picture, 4), np.uint8)
        pixels[..., 3] = 255
        Image.fromarray(pixels).save(place / f"{name}.png")


def write_parts(folder: Path, base: np.ndarray) -> None:
    """A whole folder for a head whose base mesh has the first vertices `base` [N, 3]."""
    top, eyes = float(base[:, 1].max()), (np.array([-0.3, 0.3, 0.75]), np.array([0.3, 0.3, 0.75]))
    x = np.linspace(-0.7, 0.7, 8)
    for name, low in (("long01", -0.6), ("short02", 0.45)):
        arc = 0.5 * np.sqrt(1 - x**2)
        sheet = [np.column_stack([x, np.full(8, y), 0.55 + arc]) for y in (low, top)]
        write_part(folder / "hair", name, np.concatenate(sheet), base)
    for kind, name, height in (
        ("eyebrows", "eyebrow001", 0.45), ("eyebrows", "eyebrow002", 0.45), ("eyelashes", "eyelashes01", 0.33),
    ):  # fmt: skip
        line = np.linspace(-0.4, 0.4, 5)
        rows = [np.column_stack([line, np.full(5, y), np.full(5, 0.9)]) for y in (height, height + 0.06)]
        write_part(folder / kind, name, np.concatenate(rows), base)
    rings = [centre + 0.12 * np.array([np.cos(a), np.sin(a), 0.5]) for a in np.linspace(0, 3, 3) for centre in eyes]
    caps = [centre + 0.12 * np.array([np.cos(a), -np.sin(a), 0.8]) for a in np.linspace(0.2, 3, 3) for centre in eyes]
    write_part(folder / "eyes", "low-poly", np.array(rings + caps), base, picture=None)
    (folder / "eyes" / "materials").mkdir()
    for name in ("blue", "brown"):
        pixels = np.full((16, 16, 4), 220, np.uint8)
        pixels[4:12, 4:12, :3] = (40, 60, 120) if name == "blue" else (90, 20, 8)
        Image.fromarray(pixels).save(folder / "eyes" / "materials" / f"{name}_eye.png")
