"""Compares two runs of preprocess_data.py on the same photographs, such as with given and with detected landmarks.

    python -m benchmarks.photographs given found

Reads both `report.csv` and prints, over the faces that both have: the distance of the five landmarks, as a share of the
first run's eye distance; the distance of the two frames, in pixels of a frame of 256, mean over the frame; and for each
run where the pose came from. Run it with -m.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.photographs")

import numpy as np

from datasets.alignment import FrameBox

FRAME = 256


def read_faces(folder: Path) -> dict[str, Mapping[str, str]]:
    """By name, the rows of the faces in a folder's report. Raises FileNotFoundError or ValueError with one line."""
    path = folder / "report.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a folder that preprocess_data.py wrote")
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("side")]
    return {row["face"]: row for row in rows}


def points(row: Mapping[str, str]) -> np.ndarray:
    """Landmarks [5, 2] in pixels of the photograph, y down."""
    return np.array([[float(row[f"{axis}{number}"]) for axis in "xy"] for number in range(1, 6)])


def frame(row: Mapping[str, str]) -> FrameBox:
    """The square of the photograph that was taken."""
    return FrameBox(*(float(row[key]) for key in ("left", "top", "side")))


def landmark_distance(first: Mapping[str, str], second: Mapping[str, str]) -> float:
    """Mean distance of the landmarks, as a share of the first ones' eye distance."""
    ours, theirs = points(first), points(second)
    return float(np.linalg.norm(ours - theirs, axis=1).mean() / np.linalg.norm(ours[0] - ours[1]))


def frame_distance(first: Mapping[str, str], second: Mapping[str, str]) -> float:
    """How far a point of the photograph lies apart in the two frames, mean over the first frame, in its pixels."""
    across = np.linspace(0, 1, 17)
    grid = np.stack(np.meshgrid(across, across), -1).reshape(-1, 2)
    ours, theirs = frame(first), frame(second)
    photograph = grid * ours.side + (ours.left, ours.top)
    moved = theirs.to_frame(photograph, FRAME) - ours.to_frame(photograph, FRAME)
    return float(np.linalg.norm(moved, axis=1).mean())


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    args = parser.parse_args(argv)
    runs = {folder: read_faces(folder) for folder in (args.first, args.second)}
    first, second = runs.values()
    names = sorted(set(first) & set(second))
    if not names:
        raise ValueError(f"{args.first} and {args.second} have no face in common")
    print(f"faces: {len(first)} and {len(second)}, {len(names)} of them in both")
    for what, distance, unit, scale in (
        ("landmarks", landmark_distance, "% of the eye distance", 100.0),
        ("frames", frame_distance, f"pixels of {FRAME}", 1.0),
    ):
        values = scale * np.array([distance(first[name], second[name]) for name in names])
        print(f"{what}: {values.mean():.1f} {unit} apart, median {np.median(values):.1f}, largest {values.max():.1f}")
    for folder, faces in runs.items():
        kinds = Counter(row["coefficients"] for row in faces.values())
        print(f"{folder}: coefficients {', '.join(f'{kind} {count}' for kind, count in kinds.most_common())}")


if __name__ == "__main__":
    main()
