"""Does contrast keep the factors apart? Stage 2 with and without the losses of its pairs, from one stage 1.

    python -m benchmarks.contrast --out runs/contrast             # about 75 minutes on 2 cores
    python -m benchmarks.contrast --out runs/contrast --kimg 10   # the same, cut short

Made with the public commands, each skipped where it is done: synthetic images of 32 × 32, factor VAEs, two sets of
perception networks (one for the losses, one that takes no part in training: the judge), stage 1, then stage 2 by every
setting of SETTINGS and every seed, `--jobs` at a time. Then the snapshots at `--kimg` are measured, and one table
printed: mean ± standard deviation over the seeds, with stage 1 and held-out images beside it (docs/results.md).
Measured on `--subjects` identities:

- change outside the mesh, for each factor varied alone: mean absolute difference of two images of a row, in 0-255, over
  the pixels that neither of their two renders covers;
- identity similarity within and across rows, and the control figures, as calc_metrics.py does, by the judge.

Run it with -m, from a checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.contrast", "the same command goes on from here")

import numpy as np

from discoface_tf2.files import write_json

SETTINGS = {
    "without": ["--w_exp_warp=0", "--w_gamma_change=0"],
    "with": [],  # the preset's
    "published": ["--w_exp_warp=10", "--w_gamma_change=10"],
}
SMALL = ["--preset=synthetic64", "--resolution=32", "--channel_base=512", "--channel_max=32", "--mapping_layers=3",
         "--mapping_width=64", "--w_exp=0", "--dtype=mixed_bfloat16", "--image_kimg=5",
         "--snapshot_kimg=5"]  # fmt: skip
STAGE_1_KIMG, IMITATE_KIMG, STAGE_2_KIMG = 70, 60, 50
VARIATIONS = 5
Figures = dict[str, float]


def images_of(out: Path, name: str, count: int, seed: int) -> list[str]:
    """The command, for `python`, that makes a folder of synthetic images."""
    return [
        "-m",
        "datasets.make_synthetic",
        "--image_size=32",
        f"--out={out / name}",
        f"--count={count}",
        f"--seed={seed}",
    ]


def perception_of(out: Path, name: str, seed: int) -> list[str]:
    """The command, for `python`, that trains a set of perception networks."""
    return ["train_perception.py", f"--data={out / 'photographs'}", "--preset=quick", "--steps=800", "--minutes=60",
            f"--out={out / name}", f"--seed={seed}"]  # fmt: skip


def preparation(out: Path) -> list[list[str]]:
    """The commands, for `python`, of everything up to stage 1, in order; each does nothing where it is done."""
    return [
        images_of(out, "photographs", 4000, seed=0),
        ["-m", "vae.train", "--factor=all", f"--data={out / 'photographs'}", f"--out={out / 'vae'}", "--preset=quick"],
        perception_of(out, "perception", seed=0),
        ["train.py", "--stage=1", *SMALL, *assets(out), f"--kimg={STAGE_1_KIMG}", f"--imitate_kimg={IMITATE_KIMG}",
         "--warmup_kimg=0", f"--out={out / 'stage1'}"],
    ]  # fmt: skip


def assets(out: Path) -> list[str]:
    """The flags of train.py that say where its data and networks are."""
    return [f"--data={out / 'photographs'}", f"--vae_dir={out / 'vae'}", f"--perception_dir={out / 'perception'}"]


def stage_2(out: Path, setting: str, seed: int, kimg: float) -> list[str]:
    """The command, for `python`, of one run of stage 2."""
    return ["train.py", "--stage=2", *SMALL, *assets(out), *SETTINGS[setting], f"--seed={seed}", f"--kimg={kimg:g}",
            f"--run_id={out / 'stage1'}", f"--out={run_folder(out, setting, seed)}"]  # fmt: skip


def run_folder(out: Path, setting: str, seed: int) -> Path:
    """Where a run of stage 2 lies."""
    return out / f"{setting}-seed{seed}"


def run_all(commands: Sequence[Sequence[str]], out: Path, jobs: int) -> None:
    """Runs commands, `jobs` at a time on an equal share of the cores. Raises ValueError for one that fails."""
    environment = dict(os.environ)
    if jobs > 1:
        environment["TF_NUM_INTRAOP_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))

    def run(command: Sequence[str]) -> None:
        print("python " + " ".join(command), flush=True)
        with open(out / "log.txt", "a", encoding="utf-8") as log:
            code = subprocess.run([sys.executable, *command], stdout=log, stderr=log, env=environment).returncode
        if code:
            raise ValueError(f"python {' '.join(command)} ended with {code}; see {out / 'log.txt'}")

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, commands))


def snapshot_at(run: Path, kimg: float) -> Path:
    """The run's first snapshot after `kimg` thousand images. Raises ValueError when there is none."""
    from discoface_tf2.model_io import read_manifest, snapshots

    later = [folder for folder in snapshots(run) if read_manifest(folder).facts["kimg"] >= kimg]
    if not later:
        raise ValueError(f"{run}: expected a snapshot after {kimg:g} kimg. Delete the folder to make it anew")
    return later[-1]


def measure_run(run: Path, kimg: float, judge: Any, renderer: Any, subjects: int) -> Figures:
    """The figures of the run's snapshot after `kimg`; those that are in its folder already are read."""
    snapshot = snapshot_at(run, kimg)
    path = run / f"contrast-{snapshot.name}-{subjects}.json"
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    figures = measure_snapshot(snapshot, judge, renderer, subjects)
    write_json(path, figures)
    return figures


def measure_snapshot(snapshot: Path, judge: Any, renderer: Any, subjects: int) -> Figures:
    """The figures of a snapshot."""
    from discoface_tf2.metrics.outside import change_outside
    from discoface_tf2.metrics.protocols import Control
    from discoface_tf2.model import load

    model = load(snapshot)
    faces, sampler = model.faces, model.sampler
    changes = change_outside(faces, sampler, renderer, subjects)
    figures = {f"change outside the mesh, {factor} varied": value for factor, value in changes.items()}
    return figures | named(Control(VARIATIONS * subjects, VARIATIONS).measure(faces, sampler, judge))


def measure_images(folder: Path, judge: Any) -> Figures:
    """The same figures of held-out images, but for changes of one factor alone, which they do not have."""
    from datasets.reader import load_dataset
    from discoface_tf2.metrics.control import measure

    fields = ("image", "coefficients", "subject")
    dataset = load_dataset(folder, batch_size=50, shuffle=False, repeat=False, fields=fields, drop_remainder=False)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for batch in dataset:
            images, coefficients, subjects = (batch[name].numpy() for name in fields)
            yield images / 127.5 - 1.0, coefficients, subjects

    return named(measure(batches(), judge))


def named(figures: Mapping[str, float]) -> Figures:
    """Those of `metrics.control.measure` that the table has, by the words that it has for them."""
    words = {
        "identity_within": "identity similarity within a row",
        "identity_across": "identity similarity across rows",
        "identity_auc": "… ordered rightly (ROC AUC)",
        "pose_error_degrees": "pose error, degrees",
        "lighting_correlation": "lighting, correlation",
        "expression_correlation": "expression, correlation",
    }
    return {word: figures[name] for name, word in words.items()}


def table(start: Figures, runs: Mapping[str, Sequence[Figures]], images: Figures) -> str:
    """A Markdown table: a row per figure; of several runs, mean ± standard deviation over them."""

    def cell(values: Sequence[float]) -> str:
        digits = 2 if max(map(abs, values)) >= 1 else 3
        spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
        return f"{np.mean(values):.{digits}f}{spread}"

    lines = [f"| | stage 1 | {' | '.join(runs)} | held-out images |", "|---|" + "---|" * (len(runs) + 2)]
    for name, value in start.items():
        cells = [cell([value]), *(cell([run[name] for run in group]) for group in runs.values())]
        lines.append(f"| {' | '.join([name, *cells, cell([images[name]]) if name in images else ''])} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/contrast"), help="folder; default runs/contrast")
    parser.add_argument("--kimg", type=float, default=STAGE_2_KIMG, help=f"of stage 2; default {STAGE_2_KIMG}")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each setting; default 3")
    parser.add_argument("--settings", nargs="+", choices=tuple(SETTINGS), default=tuple(SETTINGS), help="default all")
    parser.add_argument("--subjects", type=int, default=200, help="identities that are measured; default 200")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time; default 2")
    args = parser.parse_args(argv)
    if min(args.seeds, args.jobs) < 1 or args.subjects < 2 or not args.kimg > 0:
        parser.error("--kimg, --seeds and --jobs should be positive, and --subjects 2 or more")
    args.out.mkdir(parents=True, exist_ok=True)
    for command in preparation(args.out):
        run_all([command], args.out, 1)
    pairs = [(setting, seed) for seed in range(args.seeds) for setting in args.settings]
    run_all([stage_2(args.out, *pair, args.kimg) for pair in pairs], args.out, args.jobs)
    for command in (images_of(args.out, "heldout", 600, seed=1), perception_of(args.out, "judge", seed=1)):
        run_all([command], args.out, 1)

    from discoface_tf2.perception import Perception
    from renderer import FaceRenderer, load_face_model

    judge, renderer = Perception.load(args.out / "judge"), FaceRenderer(load_face_model(), 32)
    start = measure_run(args.out / "stage1", STAGE_1_KIMG, judge, renderer, args.subjects)
    runs: dict[str, list[Figures]] = {setting: [] for setting in args.settings}
    for setting, seed in pairs:
        figures = measure_run(run_folder(args.out, setting, seed), args.kimg, judge, renderer, args.subjects)
        runs[setting].append(figures)
        print(f"{setting}, seed {seed}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()), flush=True)
    print(table(start, runs, measure_images(args.out / "heldout", judge)))


if __name__ == "__main__":
    main()
