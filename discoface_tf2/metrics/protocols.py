"""`control<N>`, which training runs measure too, and the lines that figures are written as.

N images without truncation, in rows of five of one identity and one noise, sampled from seed 0, and
`metrics.control.compare` of what the perception networks predict of them. `registry` has the other metrics.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from discoface_tf2.generation import generate
from discoface_tf2.generation_options import SAMPLES, TRUNCATION, VARIATION, GenerationOptions
from discoface_tf2.metrics.control import measure
from discoface_tf2.perception import Perception
from discoface_tf2.systems.base import FaceGenerator
from renderer.face_model import FaceModel
from renderer.options import SEED, check_options, option
from vae import FactorSampler


@dataclass(frozen=True)
class Control:
    """How images are drawn whose coefficients are then looked at: `samples` of them, `variation` of one identity."""

    samples: int = option(MISSING, "generated images, and real ones", SAMPLES)
    variation: int = option(5, "images of one identity", VARIATION)
    seed: int = option(0, "of what is generated", SEED)
    truncation: float = option(1.0, "ψ; 1: none", TRUNCATION)

    def __post_init__(self) -> None:
        check_options(self)
        if self.samples < 2 * self.variation:
            raise ValueError(
                "samples should be at least twice the variation: identity is compared in rows. "
                f"Received: {self.samples} and {self.variation}"
            )

    def batches(
        self, faces: FaceGenerator, sampler: FactorSampler
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Images [B, R, R, 3] in [-1, 1], the λ that they were drawn from [B, λ], and whose they are [B]."""
        rows = -(-self.samples // self.variation)
        options = GenerationOptions("all", rows, self.variation, self.seed, self.truncation)
        for batch in generate(options, faces, sampler, indices=range(self.samples)):
            yield batch.images.clip(-1, 1), batch.coefficients, batch.subjects

    def measure(
        self, faces: FaceGenerator, sampler: FactorSampler, perception: Perception, face_model: FaceModel | None = None
    ) -> dict[str, float]:
        """The figures of generated images; with the face model, the distances of meshes too."""
        return measure(self.batches(faces, sampler), perception, face_model)


def append_figures(run: Path, name: str, figures: Mapping[str, Any]) -> None:
    """Adds one line to `metric-<name>.jsonl` of a run folder."""
    with open(run / f"metric-{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(figures) + "\n")


def commit() -> str | None:
    """The commit of the checkout that this module is of, `-dirty` where files are changed; None where it is none."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
