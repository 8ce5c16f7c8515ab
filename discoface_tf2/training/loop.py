"""The training loop: photographs in, snapshots out, and a line now and then to say how it goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import tensorflow as tf

from discoface_tf2 import model_io
from discoface_tf2.config import TrainingConfig
from discoface_tf2.perception import Perception
from discoface_tf2.training.distribution import make_strategy
from discoface_tf2.training.guard import Stopped, StopSignals, only_process
from discoface_tf2.training.run_folder import open_run
from discoface_tf2.training.state import TrainingState, foreign_network
from discoface_tf2.training.steps import TrainingStep
from discoface_tf2.training.summaries import Summaries
from renderer import FaceRenderer, load_face_model
from vae import FactorSampler

# photographs(start, batch): batches of uint8 images [batch, R, R, 3], as if `start` images had been shown already.
Photographs = Callable[[int, int], tf.data.Dataset]


@dataclass(frozen=True)
class Assets:
    """Where a run finds what it does not train itself."""

    data: str  # folder of photographs as TFRecords
    vae: str  # folder of the four factor VAEs
    perception: str  # folder of the perception networks
    face_model: str = "builtin"  # or a .npz
    start_from: str | None = None  # a snapshot of an earlier stage


class _Tick:
    """What has been summed up since the last status line."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.images = 0
        self.terms: dict[str, list[tf.Tensor]] = {}

    def add(self, terms: dict[str, tf.Tensor], images: int) -> None:
        self.images += images
        for name, value in terms.items():
            self.terms.setdefault(name, []).append(value)

    def means(self) -> dict[str, float]:
        return {name: float(np.mean([float(v) for v in values])) for name, values in self.terms.items()}

    def seconds_per_kimg(self) -> float:
        return (time.perf_counter() - self.began) / self.images * 1000


def train(
    config: TrainingConfig,
    assets: Assets,
    photographs: Photographs,
    directory: Path,
    strategy: tf.distribute.Strategy | None = None,
) -> Path:
    """Trains until `config.kimg` images have been shown in this stage, or goes on where the folder's run was.

    Returns the last snapshot. Raises ValueError or OSError with one line when an asset is missing or does not fit, and
    FloatingPointError when a loss is no longer finite (the last checkpoint is kept), and Stopped, a KeyboardInterrupt,
    when SIGINT or SIGTERM ended the run, after a checkpoint.
    """
    strategy = strategy or make_strategy()
    face_model = load_face_model(assets.face_model)
    sampler = FactorSampler.load(assets.vae)
    perception = Perception.load(assets.perception)
    expected = face_model.layout.to_dict()
    if sampler.layout != expected:
        raise ValueError(
            f"the VAEs were trained for another face model: expected the layout {expected}. Received: "
            f"{sampler.layout}. Train them on photographs of this face model"
        )
    perception.require_layout(face_model.layout, assets.perception)
    renderer = FaceRenderer(face_model, image_size=config.resolution, part="face")
    lambda_size = face_model.layout.lambda_size
    foreign = foreign_network(Path(assets.start_from), config, lambda_size) if assets.start_from else None
    with strategy.scope():
        state = TrainingState(config, lambda_size, foreign)
        if config.standardize_input and foreign is None:
            state.set_input_scale(_sample_lambdas(sampler, 4096))
    if assets.start_from:
        state.load_snapshot(Path(assets.start_from))
    resumed = open_run(directory, {"training": config.to_dict(), "assets": _asset_options(assets)})
    with only_process(directory):
        run = _Run(config, assets, directory, strategy, state, sampler, renderer, perception)
        return run.train(photographs, resumed)


def _sample_lambdas(sampler: FactorSampler, count: int) -> np.ndarray:
    """λ [count, L] as the run will draw them, the same in every run."""
    return sampler.sample(tf.random.stateless_normal([count, sampler.latent_size], [0, 0])).numpy()


def _asset_options(assets: Assets) -> dict[str, str | None]:
    return {key: value if key == "face_model" or value is None else Path(value).name
            for key, value in vars(assets).items()}  # fmt: skip


class _Run:
    """The state of `train`, split into what happens once, at each tick and at each snapshot."""

    def __init__(
        self,
        config: TrainingConfig,
        assets: Assets,
        directory: Path,
        strategy: tf.distribute.Strategy,
        state: TrainingState,
        sampler: FactorSampler,
        renderer: FaceRenderer,
        perception: Perception,
    ) -> None:
        self.config, self.assets, self.directory, self.state = config, assets, directory, state
        self.strategy, self.layout = strategy, renderer.layout
        self.step = TrainingStep(config, state, strategy, sampler, renderer, perception)
        self.summaries = Summaries(directory, sampler, renderer, config.noise_dim)
        self.checkpoints = state.manager(directory / "checkpoints")

    def train(self, photographs: Photographs, resumed: bool) -> Path:
        config, state = self.config, self.state
        self._restore(resumed)
        total, batch, shown = round(config.kimg * 1000), config.batch_size, int(state.images)
        snapshot = model_io.snapshot_path(self.directory, state.kimg)
        if shown >= total and snapshot.is_dir():
            print(f"{self.directory}: {state.kimg:g} of {config.kimg:g} kimg are done; nothing to do", flush=True)
            return snapshot
        batches = self._batches(photographs)
        images = next(batches)
        self._grid(images)
        tick = _Tick()
        with StopSignals() as stop:
            while shown < total:
                phase = config.phase(shown / 1000)
                terms = self.step(images, phase)
                if phase != "imitate":
                    terms = terms | self.step.penalties(images, shown // batch)
                shown += batch
                tick.add(terms, batch)
                if self._due(config.tick_kimg, shown, total):
                    self._report(tick, phase, shown, total)
                    tick = _Tick()
                paused = time.perf_counter()
                if self._due(config.image_kimg, shown, total):
                    self._grid(images)
                if self._due(config.snapshot_kimg, shown, total) and shown < total:
                    self._save()
                tick.began += time.perf_counter() - paused  # sec/kimg is of training alone
                if stop.received is not None and shown < total:
                    self._save()
                    print(f"stopped at {state.kimg:g} kimg; the same command goes on from here", flush=True)
                    raise Stopped(stop.received)
                if shown < total:
                    images = next(batches)
            return self._save()

    def _due(self, interval_kimg: float, shown: int, total: int) -> bool:
        interval = interval_kimg * 1000
        return shown >= total or shown // interval != (shown - self.config.batch_size) // interval

    def _restore(self, resumed: bool) -> None:
        newest = self.checkpoints.latest_checkpoint
        if newest is None:
            return
        try:
            self.state.checkpoint.restore(newest).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{newest}: this checkpoint cannot be read ({reason}). Delete it to go on from the one before, or "
                f"{self.directory} to start anew"
            ) from None
        if resumed:
            print(f"{self.directory}: going on from {self.state.kimg:g} kimg", flush=True)

    def _batches(self, photographs: Photographs) -> Iterator[tf.Tensor]:
        start, replicas = int(self.state.images), self.strategy.num_replicas_in_sync
        dataset = photographs(start, self.config.batch_size)
        if replicas > 1:
            dataset = self.strategy.experimental_distribute_dataset(dataset)
        return iter(dataset)

    def _grid(self, images: tf.Tensor) -> None:
        photographs = np.concatenate([part.numpy() for part in self.strategy.experimental_local_results(images)])
        self.summaries.grid(self.state, photographs, self.state.kimg)

    def _report(self, tick: _Tick, phase: str, shown: int, total: int) -> None:
        means, rate = tick.means(), tick.seconds_per_kimg()
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise FloatingPointError(
                f"{', '.join(broken)} stopped being finite before {shown / 1000:g} kimg ({phase}). The last checkpoint "
                f"in {self.directory} is kept; go on from it with a smaller --learning_rate or larger --r1_gamma"
            )
        left = timedelta(seconds=round(max(total - shown, 0) / 1000 * rate))
        shares = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
        print(
            f"{shown / 1000:8.1f} / {total / 1000:g} kimg  {phase}  {rate:6.1f} sec/kimg  {left} left  {shares}",
            flush=True,
        )
        self.summaries.scalars({f"{phase}/{k}": v for k, v in means.items()} | {"sec_per_kimg": rate}, shown / 1000)

    def _save(self) -> Path:
        """A checkpoint to go on from, and a snapshot to generate with."""
        state = self.state
        self.checkpoints.save(checkpoint_number=int(state.images))
        return model_io.save_model(
            model_io.snapshot_path(self.directory, state.kimg),
            state.average,
            state.networks,
            self.layout,
            noise_dim=self.config.noise_dim,
            vae_dir=self.assets.vae,
            extra={
                "stage": self.config.stage,
                "preset": self.config.preset,
                "kimg": state.kimg,
                "face_model": self.assets.face_model,
            },
            also=state.save_networks,
        )
