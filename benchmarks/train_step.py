"""Prints how quickly a training step runs, and where its time goes.

    python -m benchmarks.train_step                                        # 64 × 64, 64 channels everywhere, batch 16
    python -m benchmarks.train_step --preset demo64 --dtype mixed_bfloat16
    python -m benchmarks.train_step --preset ffhq256 --batch_size 8 --jit_compile

Steps are timed in turn, so that a machine that slows down slows them all: `bare` (generator, discriminator and R1,
without renderer and perception), `stage 1` and `stage 2` of disco, and `gif` with its texture loss every fourth step.
Then each part of stage 1 by itself, forward and backward as the step runs it: the parts' sum may exceed the step, where
TensorFlow runs two at once. Networks are untrained and real images noise, which costs the same. `cpu` is the processor
time of all threads: a busy machine disturbs it less than the wall clock. Run it with -m.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.train_step")

import numpy as np
import tensorflow as tf

from datasets.reader import load_dataset
from datasets.records import Manifest, Record, RecordWriter
from discoface_tf2.config import TrainingConfig
from discoface_tf2.losses.pixels import to_network_range
from discoface_tf2.perception import Perception
from discoface_tf2.systems.base import Batch, Tools
from discoface_tf2.systems.disco.config import PRESETS, DiscoConfig
from discoface_tf2.systems.gif.config import GifConfig
from discoface_tf2.training.distribution import make_strategy
from discoface_tf2.training.state import TrainingState
from discoface_tf2.training.steps import TrainingStep
from discoface_tf2.training.summaries import memory
from renderer import FaceModel, load_face_model
from vae import FACTORS, FactorConfig, FactorSampler, FactorVAE
from vae.model import LATENT_SIZES, WIDTHS

BARE = dict(channel_base=64 * 64, channel_max=64, mapping_layers=4, mapping_width=256, batch_size=16)
_STAGES = {"bare": (1, "warmup"), "stage 1": (1, "imitative"), "stage 2": (2, "contrastive"), "gif": (1, "adversarial")}


def made_up_tools(config: TrainingConfig, face_model: str) -> Tools:
    """Untrained VAEs and perception networks of the usual sizes, and the face model."""
    model = load_face_model(face_model)
    layout = model.layout
    vaes = {f: FactorVAE(FactorConfig(f, layout.factor_size(f), LATENT_SIZES[f], WIDTHS[f])) for f in FACTORS}
    perception = Perception.new(layout, image_size=min(config.resolution, 224), face_model=face_model)
    for network in (perception.reconstruction, perception.identity, perception.parsing):
        network.trainable = False
    return Tools(model, FactorSampler(vaes, layout.to_dict()), perception)


def noise_images(folder: Path, config: TrainingConfig, model: FaceModel, count: int = 512) -> tf.data.Dataset:
    """A dataset of noise, written, then read as a run reads its records: in memory where it is small."""
    size, random = config.resolution, np.random.default_rng(0)
    manifest = Manifest(size, 1, ("image", "coefficients", "subject"), model.layout, options={"program": "benchmarks"})
    writer = RecordWriter(folder, manifest)
    pixels = random.integers(0, 256, [count, size, size, 3], np.uint8)
    coefficients = random.normal(0, 0.1, [count, model.layout.size]).astype(np.float32)
    writer.write_shard(0, (Record.from_arrays(image, name=str(k), coefficients=coefficients[k], subject=k)
                           for k, image in enumerate(pixels)))  # fmt: skip
    writer.finish()
    return load_dataset(folder, batch_size=config.batch_size, fields=GifConfig.FIELDS)


def gif(config: DiscoConfig) -> GifConfig:
    """gif64 with the sizes of a configuration of disco."""
    names = ("resolution", "channel_base", "channel_max", "mapping_layers", "mapping_width", "batch_size", "dtype",
             "jit_compile")  # fmt: skip
    return GifConfig.make("gif64", 1, **{name: getattr(config, name) for name in names})


def bare(config: DiscoConfig) -> DiscoConfig:
    """The same without imitation: a loss of weight 0 is not computed, and without any the renderer does not run."""
    nothing = dataclasses.replace(config.weights, **{f.name: 0.0 for f in dataclasses.fields(config.weights)})
    return dataclasses.replace(config, weights=nothing)


class Case:
    """The networks of one configuration and all that is timed with them."""

    def __init__(self, config: DiscoConfig, face_model: str, folder: Path) -> None:
        self.config = config
        self.strategy = make_strategy("one")
        self.tools = made_up_tools(config, face_model)
        self.records = iter(noise_images(folder, config, self.tools.face_model))
        self.batch: Batch = next(self.records)

    def steps(self) -> dict[str, Callable[[], object]]:
        """A call per item: a whole step of each kind, its real images and its share of the penalties included."""
        return {name: self._whole(name, *where) for name, where in _STAGES.items()}

    def _whole(self, name: str, stage: int, phase: str) -> Callable[[], object]:
        config = dataclasses.replace(self.config, stage=stage)
        step = self._make_step({"bare": bare, "gif": gif}.get(name, lambda same: same)(config))
        counter = iter(range(10**9))

        def run() -> object:
            batch = next(self.records)
            terms = step(batch, phase)
            return terms | step.penalties(batch, phase, next(counter))

        return run

    def _make_step(self, config: TrainingConfig) -> TrainingStep:
        with self.strategy.scope():
            state = TrainingState(config, self.tools.face_model.layout)
        return TrainingStep(config, state, self.strategy, self.tools)

    def parts(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """The parts of a stage-1 step, each a compiled call."""
        step = self._make_step(self.config)
        state, objective, rows = step.state, step.objective, self.config.batch_size
        lambdas, noise = objective.sample()
        inputs = tf.concat([lambdas, noise], -1)
        images = to_network_range(self.batch["image"])

        def variables(network: tf.Module) -> list[tf.Tensor]:
            return [v.value for v in network.trainable_variables]

        def generator() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(state.generator(inputs))
            return tape.gradient(loss, variables(state.generator))

        def discriminator() -> list[tf.Tensor]:
            """Of real images and generated ones; and for the generator, of the generated ones alone."""
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(images)
                fake, real = (tf.reduce_sum(state.discriminator(images)) for _ in range(2))
                loss = fake + real
            return [*tape.gradient(loss, variables(state.discriminator)), tape.gradient(fake, images)]

        def perception() -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(images)
                terms = objective.imitation(images, lambdas, "imitative")
                loss = tf.add_n([tf.reduce_sum(value) for value in terms.values()])
            return tape.gradient(loss, images)

        def update() -> None:
            for network, optimizer in (state.trained[name] for name in ("generator", "discriminator")):
                optimizer.apply([tf.zeros(v.shape) for v in network.trainable_variables], network.trainable_variables)
            state.update_average(state.images)

        compiled = {
            "render": lambda: objective.renderer(lambdas[:rows]).image,
            "perception": perception,  # and the render that it is compared with
            "generator": generator,
            "discriminator": discriminator,
            "update": update,
        }
        yield "data", lambda: next(self.records)
        yield "samples", tf.function(objective.sample)
        for name, function in compiled.items():
            yield name, tf.function(function)
        yield "R1", lambda: step.penalties(self.batch, "imitative", 0)
        path = dataclasses.replace(self.config, pl_weight=2.0, r1_gamma=0.0)
        other = self._make_step(path)
        yield "path length", lambda: other.penalties(self.batch, "imitative", 0)


class Clock:
    """Collects the wall-clock and processor seconds of calls."""

    def __init__(self) -> None:
        self.times: dict[str, list[tuple[float, float]]] = {}

    def run(self, name: str, function: Callable[[], object], calls: int) -> None:
        """Times `calls` calls as one, results waited for."""
        began, used = time.perf_counter(), time.process_time()
        for _ in range(calls):
            result = function()
        for tensor in tf.nest.flatten(result):
            if tensor is not None:
                tensor.numpy()
        self.times.setdefault(name, []).append(
            ((time.perf_counter() - began) / calls, (time.process_time() - used) / calls)
        )

    def best(self, name: str) -> tuple[float, float]:
        """The least wall-clock and the least processor seconds of a call."""
        wall, cpu = np.min(self.times[name], 0)
        return float(wall), float(cpu)


def report(case: Case, rounds: int) -> None:
    """Prints the table of whole steps, then that of the parts."""
    clock, batch, interval = Clock(), case.config.batch_size, case.config.r1_interval
    steps = case.steps()
    for name, run in steps.items():
        began = time.perf_counter()
        run()
        print(f"{name}: first step, tracing included, {time.perf_counter() - began:.1f} s", flush=True)
    for _ in range(rounds):
        for name, run in steps.items():
            clock.run(name, run, interval)  # as many steps as have one R1 penalty
    print(f"\n{'':14s}{'images/s':>9s}{'sec/kimg':>10s}{'cpu s/kimg':>12s}{'of bare':>9s}")
    bare_wall = clock.best("bare")[0]
    for name in steps:
        wall, cpu = clock.best(name)
        print(
            f"{name:14s}{batch / wall:9.1f}{1000 * wall / batch:10.2f}{1000 * cpu / batch:12.2f}{wall / bare_wall:9.2f}"
        )
    peak = memory().get("memory/host_peak_GB", math.nan)
    print(f"peak memory {peak:.2f} GB, TensorFlow and three sets of networks included\n")
    parts = dict(case.parts())
    for run in parts.values():
        run()
    for _ in range(rounds):
        for name, run in parts.items():
            clock.run(name, run, 4)
    print(f"{'':14s}{'ms':>9s}{'cpu ms':>10s}   a call")
    every = {"R1": case.config.r1_interval, "path length": case.config.pl_interval}
    for name in parts:
        wall, cpu = clock.best(name)
        note = f"   every {every[name]} steps" if name in every else ""
        print(f"{name:14s}{1000 * wall:9.2f}{1000 * cpu:10.2f}{note}")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=tuple(PRESETS), help="default: 64 × 64 with 64 channels everywhere")
    parser.add_argument("--face_model", default="builtin", help="'builtin' or a .npz")
    parser.add_argument("--dtype", choices=("float32", "mixed_bfloat16"))
    for name in ("resolution", "channel_base", "channel_max", "batch_size", "pairs"):
        parser.add_argument(f"--{name}", type=int, help="in place of the preset's")
    parser.add_argument("--jit_compile", action="store_true", help="let XLA compile the step")
    parser.add_argument("--rounds", type=int, default=5, help="the least of so many counts (default: 5)")
    args = parser.parse_args(argv)
    overrides = {**({} if args.preset else BARE), "jit_compile": args.jit_compile or None}
    for name in ("dtype", "resolution", "channel_base", "channel_max", "batch_size", "pairs"):
        if getattr(args, name) is not None:
            overrides[name] = getattr(args, name)
    try:
        config = DiscoConfig.make(args.preset or "synthetic64", 1, **overrides)
    except ValueError as error:
        parser.error(str(error))
    print(f"{config.resolution} × {config.resolution}, channels {config.channel_base} / R, at most "
          f"{config.channel_max}, batch {config.batch_size}, {config.dtype}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        report(Case(config, args.face_model, Path(folder)), args.rounds)


if __name__ == "__main__":
    main()
