"""Prints how FFHQ's own crops frame a face, beside the generator's camera (docs/data.md).

    python -m benchmarks.framing [--face_model model.npz]

Both frames are of the face model's mean face looking ahead, by its five landmarks. FFHQ's rule: an upright square whose
side is the larger of 4 × the eye distance and 3.6 × the distance of eyes and mouth, around the point a tenth of that
distance below the eyes (Karras et al., 2019). Exact: nothing is sampled. Run it with -m.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.framing")

import numpy as np

from datasets.alignment import FrameBox
from datasets.photographs.placement import FaceLandmarks
from renderer import FaceModel, load_face_model
from renderer.camera import Camera

SIZE = 256


def mean_landmarks(model: FaceModel) -> np.ndarray:
    """The mean face's five landmarks [5, 2] in the generator's picture of 256 pixels, y down."""
    return Camera.generator(SIZE).project(FaceLandmarks(model).five()) * (1, -1) + (0, SIZE)


def ffhq_frame(landmarks: np.ndarray) -> FrameBox:
    """The square that FFHQ's rule cuts around level landmarks [5, 2], y down."""
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    eye_distance = float(np.linalg.norm(landmarks[1] - landmarks[0]))
    down = mouth - eyes
    side = max(4.0 * eye_distance, 3.6 * float(np.linalg.norm(down)))
    left, top = eyes + 0.1 * down - side / 2
    return FrameBox(float(left), float(top), side)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face_model", default="builtin", help="'builtin' or a .npz")
    args = parser.parse_args(argv)
    landmarks = mean_landmarks(load_face_model(args.face_model))
    frame = ffhq_frame(landmarks)
    eyes = landmarks[:2].mean(0, keepdims=True)
    print(
        f"FFHQ's square is {frame.side / SIZE:.2f} times the generator's: faces are {1 - SIZE / frame.side:.0%} smaller"
    )
    print(
        f"eyes, of the height from the top: FFHQ {frame.to_frame(eyes, 1)[0, 1]:.0%}, generator {eyes[0, 1] / SIZE:.0%}"
    )


if __name__ == "__main__":
    main()
