"""The training loop: records in, snapshots out, and a line now and then to say how it goes."""

from __future__ import annotations

import contextlib
import sys
import time
import zlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import tensorflow as tf

from discoface_tf2 import model_io
from discoface_tf2.config import Monitoring, TrainingConfig
from discoface_tf2.face_model_option import SHORT, face_model_note, require_same_face_model
from discoface_tf2.files import digest, log
from discoface_tf2.perception import Perception
from discoface_tf2.perception.perception import weights_digest
from discoface_tf2.systems import find_system
from discoface_tf2.systems.base import Batch, Tools
from discoface_tf2.training.distribution import (
    Agreement,
    Records,
    clear_worker_errors,
    distributed_batches,
    is_chief,
    make_strategy,
)
from discoface_tf2.training.guard import Stopped, StopSignals
from discoface_tf2.training.run_folder import flatten, open_run, own_folder
from discoface_tf2.training.saver import Saver
from discoface_tf2.training.state import TrainingState, foreign_network
from discoface_tf2.training.steps import TrainingStep
from discoface_tf2.training.summaries import Summaries
from renderer import FaceModel, load_face_model
from vae import FactorSampler
from vae.sampler import WEIGHTS as VAE_WEIGHTS


@dataclass(frozen=True)
class Assets:
    """Where a run finds what it does not train itself."""

    data: str  # folder of real images as TFRecords
    vae: str  # folder of the four factor VAEs
    perception: str | None  # folder of the perception networks; None where the system can do without
    face_model: str = "builtin"  # or a .npz
    start_from: str | None = None  # a snapshot of an earlier stage
    data_checksum: str | None = None  # tells the records from others: datasets.reader.fingerprint


def train(
    config: TrainingConfig,
    assets: Assets,
    records: Records,
    directory: Path,
    strategy: tf.distribute.Strategy | None = None,
    monitoring: Monitoring | None = None,
) -> Path:
    """Trains until `config.kimg` images have been shown in this stage, or goes on where the folder's run was.

    With several workers each calls it, and the chief's process alone writes; all must see the folder, to go on from it.

    Returns the last snapshot. Raises ValueError or OSError with one line when an asset is missing or does not fit, or
    another worker is gone, FloatingPointError when a loss, a gradient or a weight is no longer finite (the last
    checkpoint is kept), and Stopped, a KeyboardInterrupt, when SIGINT or SIGTERM ended the run, after a checkpoint.
    """
    strategy = strategy or make_strategy()
    config.require_replicas(strategy.num_replicas_in_sync)
    face_model = load_face_model(assets.face_model)
    sampler = FactorSampler.load(assets.vae)
    perception = None if assets.perception is None else Perception.load(assets.perception)
    if perception is None and find_system(config.SYSTEM).needs_perception:
        raise ValueError(f"--perception_dir: expected the perception networks that {config.SYSTEM} learns by")
    expected = face_model.layout.to_dict()
    if sampler.layout != expected:
        raise ValueError(
            f"the VAEs were trained for another face model: expected the layout {expected}. Received: "
            f"{sampler.layout}. Train them on images of this face model"
        )
    if perception is not None and assets.perception is not None:
        perception.require_layout(face_model.layout, assets.perception)
    _require_face_model(assets, face_model, sampler, perception)
    tools = Tools(face_model, sampler, perception)
    foreign = foreign_network(Path(assets.start_from), config, face_model.layout) if assets.start_from else None
    with strategy.scope():
        state = TrainingState(config, face_model.layout, foreign)
        if foreign is None:
            state.prepare(tools)
    if assets.start_from:
        state.load_snapshot(Path(assets.start_from))
    options = {
        "training": {"system": config.SYSTEM, **config.to_dict()},
        "assets": _asset_names(assets),
        "checksums": _asset_checksums(assets, face_model),
    }
    chief = is_chief(strategy)

    def begun() -> bool:
        return int(state.images.numpy()) > 0

    with contextlib.ExitStack() as stack:
        if chief:
            stack.enter_context(own_folder(directory, begun))
        defaults = {"training": {"system": "disco", **type(config)().to_dict()}}
        open_run(directory, options, writes=chief, defaults=defaults)
        stack.enter_context(clear_worker_errors(strategy))
        return _Run(config, assets, directory, strategy, state, tools, monitoring or Monitoring()).train(records)


def _require_face_model(
    assets: Assets, face_model: FaceModel, sampler: FactorSampler, perception: Perception | None
) -> None:
    """Raises ValueError unless what the run starts from is for this face model, as far as it says."""
    noted, advice = sampler.face_model, "Train them on images of this face model"
    require_same_face_model(assets.vae, noted.get("face_model_checksum"), noted.get("face_model"), face_model, advice)
    if perception is not None and assets.perception is not None:
        perception.require_face_model(face_model, assets.perception)
    if assets.start_from and (Path(assets.start_from) / model_io.MANIFEST).is_file():
        facts = model_io.read_manifest(Path(assets.start_from)).facts
        require_same_face_model(
            assets.start_from, facts.get("face_model_checksum"), facts.get("face_model"), face_model
        )


def _asset_names(assets: Assets) -> dict[str, str | None]:
    names = {key: value for key, value in vars(assets).items() if key != "data_checksum"}
    return {key: value if key == "face_model" or value is None else Path(value).name for key, value in names.items()}


def _asset_checksums(assets: Assets, face_model: FaceModel) -> dict[str, str | None]:
    """By asset: what tells its content from any other's; None where that is not known."""
    return {
        "data": assets.data_checksum,
        "vae": digest(*sorted(Path(assets.vae).glob(f"*/{VAE_WEIGHTS}"))),
        "perception": weights_digest(assets.perception) if assets.perception else None,
        "face_model": face_model.checksum()[:SHORT],
        "start_from": digest(Path(assets.start_from) / model_io.MANIFEST) if assets.start_from else None,
    }


class _Run:
    """The state of `train`, split into what happens once, at each tick and at each snapshot."""

    def __init__(
        self,
        config: TrainingConfig,
        assets: Assets,
        directory: Path,
        strategy: tf.distribute.Strategy,
        state: TrainingState,
        tools: Tools,
        monitoring: Monitoring,
    ) -> None:
        self.config, self.directory, self.state, self.strategy = config, directory, state, strategy
        self.step = TrainingStep(config, state, strategy, tools)
        self.chief, self.agreement = is_chief(strategy), Agreement(strategy)
        self.monitoring = monitoring
        self.summaries: Summaries | None = None
        if self.chief:
            self.summaries = Summaries(directory, tools, self.step.objective.renderer, config.noise_dim, monitoring)
        facts: dict[str, str | int] = {
            "stage": config.stage,
            "preset": config.preset,
            **face_model_note(tools.face_model),
            "face_model": assets.face_model,
        }
        self.saver = Saver(state, directory, tools, assets.vae, facts, self.chief)
        self.total = round(config.kimg * 1000)
        self.missed = False  # the last status line's curves, on a full disk
        self.began, self.began_at = 0.0, 0  # of the current tick: when, and after how many images

    def train(self, records: Records) -> Path:
        config, state, total, batch = self.config, self.state, self.total, self.config.batch_size
        resumed = self.saver.restore()
        self.agreement.require_same("checkpoint", _fingerprint(state))
        if resumed:
            self._log(f"{self.directory}: going on from {state.kimg:g} kimg")
        shown = int(state.images.numpy())
        snapshot = model_io.snapshot_path(self.directory, state.kimg)
        if shown >= total and snapshot.is_dir():
            self._log(f"{self.directory}: {state.kimg:g} of {config.kimg:g} kimg are done; nothing to do")
            return snapshot
        batches = distributed_batches(self.strategy, records, shown, batch)
        rows = next(batches)
        if self.summaries is not None:
            self.summaries.options(flatten(config.to_dict()))
        self._grid(rows)
        self.began, self.began_at = time.perf_counter(), shown
        with StopSignals() as stop:
            while shown < total:
                phase = config.phase(shown / 1000)
                self.step(rows, phase)
                self.step.penalties(rows, phase, shown // batch)
                shown += batch
                tick = self._due(config.tick_kimg, shown)
                if tick:
                    self._report(phase, shown)
                paused = time.perf_counter()
                if self._due(config.image_kimg, shown):
                    self._grid(rows)
                if shown < total and self._due(config.tick_kimg * self.monitoring.metric_ticks, shown):
                    self._measure()
                if shown < total and (self._due(config.snapshot_kimg, shown) or (tick and self.saver.pending)):
                    self._require_finite(shown)
                    self.saver.try_to_save()
                self.began += time.perf_counter() - paused  # sec/kimg is of training alone
                signum = self.agreement.stop(stop.received, shown // batch)
                if signum is not None and shown < total:
                    self._save(shown)
                    self._log(f"stopped at {state.kimg:g} kimg; the same command goes on from here")
                    raise Stopped(signum)
                if shown < total:
                    rows = next(batches)
            snapshot = self._save(shown)
            self._measure(final=True)
            return snapshot

    def _due(self, interval_kimg: float, shown: int) -> bool:
        interval = interval_kimg * 1000
        return shown >= self.total or shown // interval != (shown - self.config.batch_size) // interval

    def _log(self, text: str) -> None:
        if self.chief:
            log(text)

    def _grid(self, rows: Batch) -> None:
        if self.summaries is None:
            return
        parts = self.strategy.experimental_local_results(rows["image"])
        try:
            self.summaries.grid(self.state, np.concatenate([part.numpy() for part in parts]), self.state.kimg)
        except OSError as error:  # a full disk: pictures can be missed, the run cannot
            log(f"no grid at {self.state.kimg:g} kimg ({error})", sys.stderr)

    def _measure(self, final: bool = False) -> None:
        if self.summaries is None:
            return
        try:
            self.summaries.metrics(self.state, final)
        except OSError as error:
            log(f"no figures at {self.state.kimg:g} kimg ({error})", sys.stderr)

    def _report(self, phase: str, shown: int) -> None:
        self._require_finite(shown)
        means, now = self.step.meter.read(), time.perf_counter()
        rate = (now - self.began) / (shown - self.began_at) * 1000
        self.began, self.began_at = now, shown
        if self.summaries is None:
            return
        if not self.monitoring.quiet:
            left = timedelta(seconds=round(max(self.total - shown, 0) / 1000 * rate))
            told = {name: value for name, value in means.items() if not name.startswith("gradient_")}
            shares = "  ".join(f"{name} {value:.3g}" for name, value in told.items())
            progress = f"{shown / 1000:8.1f} / {self.total / 1000:g} kimg  {phase}  {rate:6.1f} sec/kimg  {left} left"
            log(f"{progress}  {shares}")
        try:
            self.summaries.tick(phase, means, self.step.objective.weights(phase), self.state, rate)
        except OSError as error:  # said once: every status line tries again
            if not self.missed:
                log(f"no curves from {self.state.kimg:g} kimg on ({error}); training goes on without", sys.stderr)
            self.missed = True
        else:
            self.missed = False

    def _require_finite(self, shown: int) -> None:
        """Raises FloatingPointError that names the terms and the step where the first of them was not finite."""
        broken = self.step.meter.broken()
        if not broken:
            return
        first = broken[0].images
        names = ", ".join(one.name for one in broken if one.images == first)
        raise FloatingPointError(
            f"{names} stopped being finite at step {first // self.config.batch_size} ({first / 1000:g} kimg), seen at "
            f"{shown / 1000:g} kimg. {self.saver.last_saved()}. If that ends the same way, start another run from a "
            "snapshot (--run_id) with a smaller --learning_rate or a larger --r1_gamma"
        )

    def _save(self, shown: int) -> Path:
        """The last save of this process. Raises OSError with one line when there is no room for it."""
        self._require_finite(shown)
        try:
            return self.saver.save()
        except OSError as error:
            raise OSError(
                f"{error}. What was learnt since the last checkpoint is lost: make room. {self.saver.last_saved()}"
            ) from None


def _fingerprint(state: TrainingState) -> bytes:
    """Bytes that tell states of a run apart."""
    checksum = 0
    for variable in state.variables:
        checksum = zlib.crc32(variable.numpy().tobytes(), checksum)
    return checksum.to_bytes(4, "big")
