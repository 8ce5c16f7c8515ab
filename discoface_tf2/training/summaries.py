"""What a person looks at while a run goes on: TensorBoard's scalars, texts and grids of render | generated | real."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.plugins.hparams import api as hparams

from discoface_tf2.config import Monitoring
from discoface_tf2.generation import to_uint8
from discoface_tf2.metrics.control import coefficient_errors
from discoface_tf2.metrics.names import split
from discoface_tf2.metrics.protocols import Control, append_figures
from discoface_tf2.sampling import replica_normal
from discoface_tf2.systems.base import FaceGenerator, Tools
from discoface_tf2.training.events import Events
from discoface_tf2.training.state import TrainingState
from renderer import FaceRenderer
from renderer.files import save_png

try:
    import resource
except ImportError:  # Windows counts its memory elsewhere
    resource = None  # type: ignore[assignment]

GRID_SEED = 20201  # the grids show the same people in every run and at every time

# What the table of hyperparameters shows of a run, in the order of its columns.
_OUTCOMES = (
    *(f"grid_error/{name}" for name in ("pose_degrees", "lighting_percent", "expression_percent", "identity_percent")),
    *(f"final/{name}" for name in ("pose_error_degrees", "lighting_correlation", "expression_correlation",
                                   "identity_auc")),
)  # fmt: skip


class Summaries:
    """Writes what a run measures and draws, to TensorBoard and as PNG and JSON-lines files in the run folder.

    A grid has `rows` × `columns` cells, each of three images side by side: the render of λ, what the moving average of
    the generator makes of the same λ, and a real image (of nobody in particular). TensorBoard's step
    axis counts images. On a full disk everything here raises OSError with one line, and can be called again.
    """

    def __init__(
        self,
        directory: Path,
        tools: Tools,
        renderer: FaceRenderer,
        noise_dim: int,
        monitoring: Monitoring | None = None,
        rows: int = 8,
        columns: int = 4,
    ) -> None:
        self.directory, self.rows, self.columns = directory, rows, columns
        self.tools, self.layout, self.noise_dim, sampler = tools, renderer.layout, noise_dim, tools.sampler
        self.monitoring = monitoring or Monitoring()
        self.events = Events(directory / "tensorboard")
        self._generator: FaceGenerator | None = None
        normal = replica_normal(GRID_SEED, 0, tf.constant(0, tf.int64), rows * columns, sampler.latent_size + noise_dim)
        self.lambdas, self.noise = sampler.sample(normal[:, : sampler.latent_size]), normal[:, sampler.latent_size :]
        self.renders = np.clip(np.rint(renderer(self.lambdas).image.numpy()), 0, 255).astype(np.uint8)

    def options(self, options: Mapping[str, Any]) -> None:
        """The run's options, by name, as a text and for TensorBoard's table of hyperparameters."""
        lines = [f"| {name} | {value} |" for name, value in options.items()]
        with self.events.at(0):
            tf.summary.text("options", "\n".join(["| option | value |", "|---|---|", *lines]))
            numbers = {name: value for name, value in options.items() if isinstance(value, (bool, int, float, str))}
            hparams.hparams_config([hparams.HParam(name) for name in numbers], [hparams.Metric(m) for m in _OUTCOMES])
            hparams.hparams(numbers)

    def tick(self, phase: str, means: Mapping[str, float], weights: Mapping[str, float], state: TrainingState,
             seconds_per_kimg: float) -> None:  # fmt: skip
        """Scalars of a status line: each term, what it weighs in the loss, rates, speed and memory."""
        values = {f"{phase}/{name}": value for name, value in means.items()}
        values |= {f"weighted/{name}": weight * means[name] for name, weight in weights.items() if name in means}
        for name, (_, optimizer) in state.trained.items():
            if optimizer is not None:
                values[f"learning_rate/{name}"] = float(tf.convert_to_tensor(optimizer.learning_rate))
        values |= {f"sec_per_kimg/{phase}": seconds_per_kimg, **memory()}
        self.scalars(values, state.kimg)

    def scalars(self, values: Mapping[str, float], kimg: float) -> None:
        """Scalars into TensorBoard."""
        with self.events.at(round(kimg * 1000)):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def grid(self, state: TrainingState, reals: np.ndarray, kimg: float) -> Path:
        """Draws the grid with the moving average, writes `grids/kimg…png`, and measures what is on it."""
        faces = self._faces(state)
        parts = zip(tf.split(self.lambdas, self.columns), tf.split(self.noise, self.columns), strict=True)
        images = np.concatenate([faces(*part).numpy() for part in parts])  # in parts: the memory of a training step
        fakes = to_uint8(images)
        size = fakes.shape[1]
        reals = np.resize(reals, (len(fakes), *reals.shape[1:]))
        cells = np.concatenate([self.renders, fakes, reals], axis=2)  # [N, R, 3R, 3]
        sheet = cells.reshape(self.rows, self.columns, size, 3 * size, 3).swapaxes(1, 2)
        sheet = sheet.reshape(self.rows * size, self.columns * 3 * size, 3)
        path = self.directory / "grids" / f"kimg{kimg:010.3f}.png"
        save_png(Image.fromarray(sheet), path)
        with self.events.at(round(kimg * 1000), sheet.nbytes):
            tf.summary.image("render | generated | real", sheet[None])
            if self.monitoring.histograms:
                self._histograms(state)
        if self.tools.perception is not None:
            look = self.tools.perception.reconstruction
            predicted = np.concatenate([look(part).numpy() for part in np.split(images, self.columns)])
            errors = coefficient_errors(self.lambdas.numpy(), predicted, self.layout)
            self.scalars({f"grid_error/{name}": value for name, value in errors.items()}, kimg)
        return path

    def _faces(self, state: TrainingState) -> FaceGenerator:
        """The moving average's; made once, since it reads the weights when it is called."""
        if self._generator is None or self._generator.generator is not state.average:
            average = state.system.average_w(state.average, self.tools.sampler, self.layout, self.noise_dim)
            self._generator = state.system.faces(
                state.average, self.layout, self.noise_dim, average, self.tools.face_model
            )
        return self._generator

    def _histograms(self, state: TrainingState) -> None:
        for network in (state.generator, state.discriminator):
            for variable in network.trainable_variables:
                tf.summary.histogram(f"weights/{variable.path}", variable)

    def metrics(self, state: TrainingState, final: bool = False) -> None:
        """Measures `Monitoring.metrics` on the moving average: a line each in metric-*.jsonl, and scalars.

        `final` figures are those of TensorBoard's table of hyperparameters.
        """
        if not self.monitoring.metrics:
            return
        if self.tools.perception is None:
            raise ValueError("--metrics: expected the perception networks, which they look through (--perception_dir)")
        for name in self.monitoring.metrics:
            figures = Control(split(name)[1]).measure(self._faces(state), self.tools.sampler, self.tools.perception)
            append_figures(self.directory, name, {"kimg": state.kimg, "generated": figures})
            self.scalars({f"{name}/{key}": value for key, value in figures.items()}, state.kimg)
            if final:
                self.scalars({f"final/{key}": value for key, value in figures.items()}, state.kimg)


def memory() -> dict[str, float]:
    """GB: the most that this process ever held, and of the first GPU, where there is one."""
    values = {}
    if resource is not None:
        unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kB elsewhere
        values["memory/host_peak_GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if tf.config.list_logical_devices("GPU"):
        values["memory/gpu_peak_GB"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9
    return values
