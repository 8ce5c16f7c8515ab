"""What a person looks at while a run goes on: TensorBoard scalars and grids of render | generated | real."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from discoface_tf2.generation import to_uint8
from discoface_tf2.training.draws import replica_normal
from discoface_tf2.training.state import TrainingState
from renderer import FaceRenderer
from vae import FactorSampler

GRID_SEED = 20201  # the grids show the same people in every run and at every time


class Summaries:
    """Writes scalars and image grids of a run, to TensorBoard and as PNG files in the run folder.

    A grid has `rows` × `columns` cells, each of three pictures side by side: what the renderer draws of λ, what the
    moving average of the generator draws of the same λ, and a photograph (of nobody in particular).
    """

    def __init__(self, directory: Path, sampler: FactorSampler, renderer: FaceRenderer, noise_dim: int,
                 rows: int = 8, columns: int = 4) -> None:  # fmt: skip
        self.directory, self.rows, self.columns = directory, rows, columns
        self.writer = tf.summary.create_file_writer(str(directory / "tensorboard"))
        count = rows * columns
        draw = replica_normal(GRID_SEED, 0, tf.constant(0, tf.int64), count, sampler.latent_size + noise_dim)
        lambdas = sampler.sample(draw[:, : sampler.latent_size])
        self.inputs = tf.concat([lambdas, draw[:, sampler.latent_size :]], -1)
        self.renders = np.clip(np.rint(renderer(lambdas).image.numpy()), 0, 255).astype(np.uint8)

    def text(self, name: str, content: str, kimg: float) -> None:
        """A text, such as the run's options, into TensorBoard."""
        with self.writer.as_default(step=round(kimg * 1000)):
            tf.summary.text(name, content)

    def scalars(self, values: Mapping[str, float], kimg: float) -> None:
        """Scalars into TensorBoard; its step axis counts images."""
        with self.writer.as_default(step=round(kimg * 1000)):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self.writer.flush()

    def grid(self, state: TrainingState, photographs: np.ndarray, kimg: float) -> Path:
        """Draws the grid with the moving average, writes `grids/kimg…png` and shows it in TensorBoard."""
        inputs = tf.split(self.inputs, self.columns)  # in parts, so that the memory is that of a training step
        fakes = np.concatenate([to_uint8(state.average(part).numpy()) for part in inputs])
        size = fakes.shape[1]
        photographs = np.resize(photographs, (len(fakes), *photographs.shape[1:]))
        cells = np.concatenate([self.renders, fakes, photographs], axis=2)  # [N, R, 3R, 3]
        sheet = cells.reshape(self.rows, self.columns, size, 3 * size, 3).swapaxes(1, 2)
        sheet = sheet.reshape(self.rows * size, self.columns * 3 * size, 3)
        path = self.directory / "grids" / f"kimg{kimg:010.3f}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(sheet).save(path)
        with self.writer.as_default(step=round(kimg * 1000)):
            tf.summary.image("render | generated | photograph", sheet[None])
        return path
