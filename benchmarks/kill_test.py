"""Kills a training run with SIGKILL at random moments, and compares its end with that of a run that was left alone.

    python -m benchmarks.kill_test --kills 20

Both runs are `train.py` itself with the same command, at 16 × 16 pixels on made-up assets, through all three phases of
stage 1, with R1, path length, layer noise and adaptive augmentation. Each kill comes at a random moment while the
process starts, while it trains, or while it writes a checkpoint or snapshot. In the end every number in the two last
checkpoints must be the same, bit by bit: weights, moving average, optimisers, counters. Run it with -m.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.kill_test")

import numpy as np

ROOT = Path(__file__).parents[1]
MOMENTS = ("start", "train", "save")
_KILLED = 1 if os.name == "nt" else -signal.SIGKILL  # exit code of a process that was killed
_PATIENCE = 900.0  # seconds until a process that says nothing is given up


def make_assets(folder: Path, face_model: str, photographs: int = 64) -> None:
    """Untrained VAEs and perception networks, and noise as photographs: what `train.py` needs, in `folder`."""
    from datasets.records import Manifest, Record, RecordWriter
    from discoface_tf2.perception import Perception
    from renderer import load_face_model
    from vae import FACTORS, FactorConfig, FactorVAE
    from vae.model import ABBREVIATIONS
    from vae.sampler import save_factor

    layout = load_face_model(face_model).layout
    for factor in FACTORS:
        config = FactorConfig(factor, layout.factor_size(factor), 4, 16)
        save_factor(folder / "vae" / ABBREVIATIONS[factor], FactorVAE(config), layout.to_dict())
    Perception.new(layout, image_size=32).save(folder / "perception")
    writer = RecordWriter(folder / "photographs", Manifest(image_size=16, shards=1))
    pixels = np.random.default_rng(0).integers(0, 256, [photographs, 16, 16, 3], np.uint8)
    writer.write_shard(0, (Record.from_arrays(image, name=str(k)) for k, image in enumerate(pixels)))
    writer.finish()


def command(assets: Path, out: Path, kimg: float, options: Sequence[str] = ()) -> list[str]:
    """The command of a run into `out`; saved every 16 steps."""
    flags = dict(
        stage=1, preset="demo64", strategy="one", data=assets / "photographs", vae_dir=assets / "vae",
        perception_dir=assets / "perception", out=out, kimg=kimg, imitate_kimg=kimg / 4, warmup_kimg=kimg / 4,
        resolution=16, channel_base=128, channel_max=8, mapping_layers=2, mapping_width=16, noise_dim=4, batch_size=4,
        r1_interval=4, pl_weight=2.0, pl_interval=4, ada_target=0.6, ada_kimg=1.0, ema_kimg=0.05,
        tick_kimg=0.016, image_kimg=0.064, snapshot_kimg=0.064,
    )  # fmt: skip
    script = [sys.executable, str(ROOT / "train.py"), "--layer_noise"]
    return [*script, *(f"--{name}={value}" for name, value in flags.items()), *options]


def last_line(log: Path) -> str:
    """The last status line of a run's output, up to its phase; "" before the first."""
    if not log.is_file():
        return ""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "sec/kimg" in line]
    return "  ".join(lines[-1].split()[:5]) if lines else ""


def half_written(out: Path) -> set[tuple[str, int]]:
    """What is half written in the run folder: folders, and the numbers that tell a new one from an old one."""
    found = set()
    for folder in (*out.glob("checkpoints/*.tmp"), *out.glob("snapshots/*.tmp")):
        with contextlib.suppress(FileNotFoundError):  # it was renamed meanwhile
            found.add((folder.name, folder.stat().st_ctime_ns))
    return found


def life(run: list[str], out: Path, log: Path, moment: str, delay: float) -> bool:
    """Starts the run, and kills it `delay` seconds after the start, the first status line, or a save's beginning.

    Returns whether it was killed (it may have ended before).
    """
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(run, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)
        began, reached, before = time.monotonic(), moment == "start", half_written(out)
        while process.poll() is None and time.monotonic() - began < _PATIENCE:
            if not reached:
                reached = bool(last_line(log)) if moment == "train" else bool(half_written(out) - before)
            if reached:
                time.sleep(delay)
                break
            time.sleep(0.001 if moment == "save" else 0.05)
        process.kill()
        return process.wait() == _KILLED


def finish(run: list[str], log: Path) -> None:
    """Lets the run come to its end. Raises RuntimeError with the end of its output when it fails."""
    with open(log, "w", encoding="utf-8") as file:
        code = subprocess.run(run, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, check=False).returncode
    if code:
        raise RuntimeError(f"{' '.join(run)}\nended with {code}:\n{log.read_text(errors='replace')[-2000:]}")


def checkpoint_values(out: Path) -> dict[str, np.ndarray]:
    """All that the run's last checkpoint holds, by TensorFlow's name."""
    import tensorflow as tf

    from discoface_tf2.training.checkpoints import Checkpoints

    last = Checkpoints(tf.train.Checkpoint(), out / "checkpoints").numbers()[-1]
    reader = tf.train.load_checkpoint(str(out / "checkpoints" / f"ckpt-{last}"))
    names = [name for name in reader.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    return {name: reader.get_tensor(name) for name in sorted(names)}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the number of values that differ in the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--kimg", type=float, default=2.0, help="length of the run")
    parser.add_argument("--out", type=Path, help="where the runs are kept; default a folder that is deleted")
    parser.add_argument("--face_model", default="builtin")
    args, options = parser.parse_known_args(argv)  # the rest are train.py's
    options.append(f"--face_model={args.face_model}")

    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make_assets(folder / "assets", args.face_model)
        began = time.monotonic()
        finish(command(folder / "assets", folder / "whole", args.kimg, options), folder / "whole.log")
        print(f"left alone: {args.kimg:g} kimg in {time.monotonic() - began:.0f} s", flush=True)

        draw, out = random.Random(args.seed), folder / "killed"
        run = command(folder / "assets", out, args.kimg, options)
        for number in range(1, args.kills + 1):
            moment = draw.choice(MOMENTS)
            delay = draw.uniform(0.0, {"start": 12.0, "train": 20.0, "save": 0.15}[moment])
            log = folder / f"killed{number:02d}.log"
            killed = life(run, out, log, moment, delay)
            after = last_line(log) or "before the first status line"
            half = "; something half written lay there" if half_written(out) else ""
            resumed = next((line for line in log.read_text(errors="replace").splitlines() if "going on" in line), "")
            origin = f"on from {resumed.rsplit(' from ', 1)[-1]}" if resumed else "no checkpoint read"
            what = f"killed ({moment} + {delay:.2f} s) after: {after}{half}" if killed else "had ended"
            print(f"{number:3d}: {origin}; {what}", flush=True)
            if not killed and last_line(log):
                break
        finish(run, folder / "killed.log")
        ours, theirs = checkpoint_values(out), checkpoint_values(folder / "whole")
        different = [name for name in theirs if not np.array_equal(ours.get(name), theirs[name], equal_nan=True)]
        different += sorted(set(ours) - set(theirs))
        count = sum(value.size for value in theirs.values())
        print(f"{len(theirs)} tensors, {count:,} numbers; different: {len(different)} {' '.join(different[:5])}")
        return len(different)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
