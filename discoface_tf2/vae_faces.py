"""Draws faces of each factor VAE: sampled ones beside real ones, one sheet a factor, where nothing else varies.

    python -m discoface_tf2.vae_faces --vae_dir runs/vae --data runs/photographs --out pictures
    python -m discoface_tf2.vae_faces --vae_dir runs/vae --face_model builtin --out pictures

Writes id.png, exp.png, gamma.png and rot.png. The first rows are real, from --data, where the original's are; the
others are sampled. All faces of a sheet are one person, at rest, looking ahead, in plain light, but for its factor.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m discoface_tf2.vae_faces")

import numpy as np
import tensorflow as tf
from PIL import Image

from discoface_tf2.face_model_option import require_same_face_model
from renderer.controls import Controls, identity
from renderer.face_model import FaceModel, load_face_model
from renderer.files import save_png
from renderer.lighting import shade
from renderer.lights import DEFAULT_SETUP
from renderer.options import SEED, whole
from renderer.outputs import FaceDrawer, pictures, sheet
from vae import FactorSampler
from vae.data import load_factor
from vae.model import ABBREVIATIONS, FACTORS

_PERSON = 3  # whoever this seed draws, where the identity does not vary
_MANY = 10_000  # samples for the printed means and deviations


def factor_rows(
    sampler: FactorSampler,
    face_model: FaceModel,
    factor: str,
    count: int,
    seed: int = 0,
    real: np.ndarray | None = None,
) -> np.ndarray:
    """Coefficients [count, size] that differ in `factor` alone: drawn from the VAE, or from `real` [N, size].

    The rest is one person at rest in the renderer's usual light; where the identity varies, only that.

    Raises ValueError where the sampler is of another layout than the face model.
    """
    if sampler.layout != face_model.layout.to_dict():
        raise ValueError(
            f"the VAEs were trained for another face model: expected the layout {face_model.layout.to_dict()}. "
            f"Received: {sampler.layout}"
        )
    rng = np.random.default_rng([seed, FACTORS.index(factor)])
    rows = Controls(lights=DEFAULT_SETUP).apply(face_model, np.repeat(identity(face_model, _PERSON)[None], count, 0))
    if real is None:
        where = sampler.latent_slices[factor]
        values = np.asarray(sampler.decode(factor, rng.standard_normal((count, where.stop - where.start), np.float32)))
    else:
        values = real[rng.choice(len(real), count, replace=len(real) < count)]
    rows[:, face_model.layout.slice(factor)] = values
    return rows


def spread(factor: str, values: np.ndarray) -> str:
    """What the numbers [N, size] of a pose or a lighting mean, in a line; of the other factors, nothing."""
    if factor == "pose":
        degrees = np.degrees(values)
        pairs = zip(("pitch", "yaw", "roll"), degrees.mean(0), degrees.std(0), strict=True)
        return ", ".join(f"{name} {mean:.1f} ± {std:.1f}°" for name, mean, std in pairs)
    if factor == "lighting":
        towards = np.array([[0, 0, 1], [-1, 0, 0], [1, 0, 0]], np.float32)  # the camera, the picture's left, its right
        normals = tf.repeat(towards[None], len(values), 0)
        light = shade(tf.ones_like(normals), normals, tf.constant(values)).numpy()  # [N, 3, RGB]
        front, sides = light[:, 0], light[:, 1:].mean(-1)
        tint = (front / front.mean(-1, keepdims=True)).mean(0)
        return (
            f"light on a surface that faces the camera {front.mean():.2f} ± {front.mean(-1).std():.2f}, "
            f"its tint (red, green, blue) {tint[0]:.2f}, {tint[1]:.2f}, {tint[2]:.2f}, "
            f"mean difference of left and right {np.abs(sides[:, 0] - sides[:, 1]).mean():.2f}"
        )
    return ""


def factor_sheet(drawer: FaceDrawer, parts: Sequence[tuple[str, np.ndarray]], columns: int) -> Image.Image:
    """Faces of `parts`, (label, coefficients [N, size]) each, in rows of `columns`; every part starts a row."""
    cells: list[list[Image.Image]] = []
    labels: list[list[str]] = []
    for label, rows in parts:
        drawn = [
            image["image"]
            for start in range(0, len(rows), drawer.batch_size)
            for image in pictures(drawer(rows[start : start + drawer.batch_size]))
        ]
        for start in range(0, len(drawn), columns):
            cells.append(drawn[start : start + columns])
            labels.append([f"{label} {number}" for number in range(start, start + len(cells[-1]))])
    return sheet(cells, labels)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m discoface_tf2.vae_faces",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--vae_dir", required=True, type=Path, help="what vae.train or vae.import_published wrote")
    add("--data", type=Path, help="dataset folder with the real coefficients; without it only sampled faces are drawn")
    add("--face_model", "--face-model", default="builtin", help="'builtin' or a .npz; default builtin")
    add("--out", required=True, type=Path, help="folder to write into")
    add("--factor", nargs="+", default=tuple(ABBREVIATIONS.values()), choices=tuple(ABBREVIATIONS.values()),
        help="which sheets; default all")  # fmt: skip
    add("--count", type=whole(1, 400), default=24, help="faces of each kind on a sheet; default 24")
    add("--columns", type=whole(1, 40), default=8, help="faces a row; default 8")
    add("--size", type=whole(16, 512), default=128, help="pixels of a face; default 128")
    add("--seed", type=SEED, default=0, help="default 0")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    args = _parse(argv)
    sampler = FactorSampler.load(args.vae_dir)
    face_model = load_face_model(args.face_model)
    noted = sampler.face_model
    require_same_face_model(args.vae_dir, noted.get("face_model_checksum"), noted.get("face_model"), face_model)
    drawer = FaceDrawer(face_model, args.size, zoom=0.9)
    for factor, short in ABBREVIATIONS.items():
        if short not in args.factor:
            continue
        parts, facts = [], []
        if args.data is not None:
            data = load_factor(args.data, factor)
            if data.layout != sampler.layout:
                raise ValueError(f"{args.data}: expected coefficients of {sampler.layout}. Received: {data.layout}")
            real = np.concatenate([data.held_out, data.train])
            parts.append(("real", factor_rows(sampler, face_model, factor, args.count, args.seed, real)))
            facts.append(f"real ({len(real)}): {spread(factor, real)}")
        parts.append(("sampled", factor_rows(sampler, face_model, factor, args.count, args.seed)))
        sampled = factor_rows(sampler, face_model, factor, _MANY, args.seed)[:, face_model.layout.slice(factor)]
        facts.append(f"sampled ({_MANY}): {spread(factor, sampled)}")
        path = args.out / f"{short}.png"
        save_png(factor_sheet(drawer, parts, args.columns), path)
        print(f"{path}: {', '.join(f'{len(rows)} {label}' for label, rows in parts)}, only the {factor} varies")
        if factor in ("lighting", "pose"):
            print("\n".join(facts))


if __name__ == "__main__":
    main()
