"""Draws all that a run measured, a small panel a term, its phases in colours.

    python -m discoface_tf2.training.curves runs/stage1 runs/stage2 --out curves.png

Stages given one after the other share the axis, which counts thousands of images. TensorBoard shows the same numbers;
this is for a look, and for papers. Lines are running means over a twentieth of the points.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from discoface_tf2.systems import NAMES, config_class
from renderer.command import begin

PHASES = tuple(dict.fromkeys(phase for name in NAMES for phase in config_class(name).PHASES))
_COLUMNS = 4
Curves = dict[str, dict[str, np.ndarray]]  # by term and phase ("" where the phase does not matter): [N, 2] kimg, value


def read_curves(runs: Sequence[Path]) -> Curves:
    """Scalars of run folders, each beginning where the one before ended. Raises FileNotFoundError where there is none.

    A part of a run that was done again after an interruption counts once, as it was the last time.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    curves: Curves = {}
    begin = 0.0
    for run in runs:
        folder = run / "tensorboard"
        points: dict[tuple[str, str], dict[int, float]] = {}
        for file in sorted(folder.glob("events.out.tfevents.*"), key=_age):
            events = EventAccumulator(str(file), size_guidance={"tensors": 0})
            events.Reload()
            for tag in events.Tags()["tensors"]:
                if events.summary_metadata[tag].plugin_data.plugin_name != "scalars":
                    continue
                head, _, rest = tag.partition("/")
                term, phase = (rest, head) if head in PHASES else (tag, "")
                line = points.setdefault((term, phase), {})
                line |= {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)}
        if not points:
            raise FileNotFoundError(f"{folder}: expected TensorBoard events that train.py wrote there")
        for (term, phase), line in points.items():
            values = np.array(sorted(line.items()), np.float64) * [1e-3, 1.0] + [begin, 0.0]
            earlier = curves.setdefault(term, {}).get(phase, np.zeros([0, 2]))
            curves[term][phase] = np.concatenate([earlier, values])
        begin += max(max(line) for line in points.values()) / 1000
    return curves


def _age(file: Path) -> list[tuple[int, str]]:
    """Sorts event files as they were written: numbers in their names (time, process, counter) by value."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", file.name)]


def running_mean(values: np.ndarray) -> np.ndarray:
    """[N] averaged over a twentieth of its length, fewer at the ends."""
    reach = len(values) // 40
    total = np.cumsum(np.pad(values, (1, 0)))
    first = np.maximum(np.arange(len(values)) - reach, 0)
    last = np.minimum(np.arange(len(values)) + reach + 1, len(values))
    return (total[last] - total[first]) / (last - first)


def draw(curves: Curves, path: Path) -> None:
    """Writes the panels as a PNG file."""
    from matplotlib.figure import Figure

    rows = math.ceil(len(curves) / _COLUMNS)
    figure = Figure((4 * _COLUMNS, 2.2 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    colours = {phase: f"C{k}" for k, phase in enumerate(("", *PHASES))}
    for panel, (term, lines) in zip(panels, sorted(curves.items()), strict=False):
        for phase, points in lines.items():
            panel.plot(points[:, 0], running_mean(points[:, 1]), color=colours[phase], label=phase or None)
        panel.set_title(term, fontsize=10)
        panel.tick_params(labelsize=8)
        panel.margins(y=0.1)
    for panel in panels[len(curves) :]:
        panel.axis("off")
    used = [phase for phase in PHASES if any(phase in lines for lines in curves.values())]
    handles = [panels[0].plot([], [], color=colours[phase], label=phase)[0] for phase in used]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(PHASES))
    figure.supxlabel("thousands of images")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, stage after stage")
    parser.add_argument("--out", type=Path, required=True, help="the .png to write")
    args = parser.parse_args(argv)
    draw(read_curves(args.runs), args.out)
    print(args.out)


if __name__ == "__main__":
    begin("python -m discoface_tf2.training.curves")
    main()
