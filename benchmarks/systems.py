"""Compares disco and gif: the same synthetic images, as many kimg, one judge; a table and a sheet side by side.

    python -m benchmarks.systems --out runs/systems --kimg 100

Made with the public commands, each skipped where it is done: 10,000 images of 64 × 64, factor VAEs, two sets of
perception networks (one for disco's losses, one that takes no part in training: the judge), disco (stage 1, and a fifth
of the kimg for stage 2), gif. Prints the figures of benchmarks.contrast for each, with held-out images beside them, and
the minutes that training took; writes `side-by-side.png`: render, disco, gif of the same people. Run it with -m, from a
checkout.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.systems", "the same command goes on from here")

import numpy as np
from PIL import Image

from benchmarks.contrast import measure_images, measure_snapshot, run_all, table
from discoface_tf2.files import write_text
from discoface_tf2.model import load
from discoface_tf2.model_io import find_snapshot
from discoface_tf2.perception import Perception
from renderer import FaceRenderer, load_face_model
from renderer.files import save_png

STAGE_2 = 0.2  # of disco's kimg


def commands(out: Path, face_model: str, kimg: float, images: int) -> dict[str, list[list[str]]]:
    """By name: the commands, for `python`, in order; those of `disco` and `gif` are timed."""
    face, data = f"--face_model={face_model}", f"--data={out / 'images'}"
    vae, perception = f"--vae_dir={out / 'vae'}", f"--perception_dir={out / 'perception'}"
    make = ["-m", "datasets.make_synthetic", "--image_size=64", "--workers=2", face]
    first, second = out / "disco1", out / "disco"
    disco = ["train.py", data, vae, perception, face, "--preset=synthetic64"]

    def networks(name: str, seed: int) -> list[str]:
        return ["train_perception.py", data, face, "--preset=quick", f"--seed={seed}", f"--out={out / name}"]

    return {
        "data": [
            [*make, f"--count={images}", "--seed=0", f"--out={out / 'images'}"],
            [*make, "--count=600", "--seed=1", f"--out={out / 'heldout'}"],
            ["-m", "vae.train", "--factor=all", "--preset=quick", data, face, f"--out={out / 'vae'}"],
            networks("perception", 0),
            networks("judge", 1),
        ],
        "disco": [
            [*disco, "--stage=1", f"--kimg={(1 - STAGE_2) * kimg:g}", f"--out={first}"],
            [*disco, "--stage=2", f"--kimg={STAGE_2 * kimg:g}", f"--run_id={first}", f"--out={second}"],
        ],
        "gif": [["train.py", "--system=gif", "--preset=gif64", data, vae, face, f"--kimg={kimg:g}",
                 f"--out={out / 'gif'}"]],
    }  # fmt: skip


def minutes(out: Path, name: str, run: Sequence[Sequence[str]]) -> str:
    """Runs commands; the minutes that they took, noted when they did something."""
    path = out / f"{name}.minutes"
    began = time.perf_counter()
    for command in run:
        run_all([command], out, 1)
    if not path.is_file():
        write_text(path, f"{(time.perf_counter() - began) / 60:.0f}")
    return path.read_text(encoding="utf-8")


def side_by_side(runs: Sequence[Path], path: Path, rows: int = 6, columns: int = 4) -> None:
    """Writes render | first | second | … of the same people, each with noise of its own."""
    models = [load(run) for run in runs]
    people = models[0].sample(rows * columns, seed=11)
    images = [models[0].render(people)]
    for model in models:
        own = model.sample(rows * columns, seed=11)
        images.append(model.generate(model.people(people.coefficients, own.noise), truncation=1.0))
    cells = np.concatenate(images, 2)  # [N, R, R · (1 + runs), 3]
    sheet = cells.reshape(rows, columns, *cells.shape[1:]).transpose(0, 2, 1, 3, 4)
    save_png(Image.fromarray(sheet.reshape(rows * cells.shape[1], columns * cells.shape[2], 3)), path)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/systems"), help="folder; default runs/systems")
    parser.add_argument("--face_model", default="builtin", help="'builtin' or a .npz; default builtin")
    parser.add_argument("--kimg", type=float, default=100, help="of each system, all stages; default 100")
    parser.add_argument("--images", type=int, default=10_000, help="synthetic images; default 10,000")
    parser.add_argument("--subjects", type=int, default=200, help="identities that are measured; default 200")
    args = parser.parse_args(argv)
    if not args.kimg > 0 or args.images < 100 or args.subjects < 2:
        parser.error("--kimg should be positive, --images 100 or more, --subjects 2 or more")
    args.out.mkdir(parents=True, exist_ok=True)
    plan = commands(args.out, args.face_model, args.kimg, args.images)
    for command in plan.pop("data"):
        run_all([command], args.out, 1)
    taken = {name: minutes(args.out, name, run) for name, run in plan.items()}
    judge = Perception.load(args.out / "judge")
    renderer = FaceRenderer(load_face_model(args.face_model), 64)
    figures = {name: measure_snapshot(find_snapshot(args.out / name), judge, renderer, args.subjects) for name in taken}
    first, *rest = figures
    text = table(figures[first], {name: [figures[name]] for name in rest}, measure_images(args.out / "heldout", judge))
    print(text.replace("| stage 1 |", f"| {first} |", 1))
    print("minutes of training: " + ", ".join(f"{name} {value}" for name, value in taken.items()))
    side_by_side([args.out / name for name in taken], args.out / "side-by-side.png")
    print(args.out / "side-by-side.png")


if __name__ == "__main__":
    main()
