"""Prints milliseconds per image of the rasteriser alone and of the whole step from coefficients to picture.

    python -m benchmarks.renderer                      # the two meshes that docs/renderer.md has figures for
    python -m benchmarks.renderer --face_model builtin --batch 8 16 32 --image_size 64
    python -m benchmarks.renderer --face_model sphere --triangles 70700 --batch 8 --image_size 256

Run it with -m: as a plain script its own file name would hide the package. `sphere` is a made-up model with as many
triangles as asked for, round, filling most of the picture. Each figure is the least of many calls, in turn with a
fixed reference (a product of two 512 × 512 matrices): where that is slow too, the machine was busy. `cpu` is the
processor time of all threads, which a busy machine disturbs less. `memory` is what one call of the whole batch needs at
its peak, results included; TensorFlow, the model and the coefficients are there before. It is told on Linux only, and
only in a process started with TF_ENABLE_ONEDNN_OPTS=0: else TensorFlow keeps what it once had, and the column shows
what a call needs beyond that.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.renderer")

import numpy as np
import tensorflow as tf

from renderer import FaceModel, FaceRenderer, load_face_model, rasterize


def sphere_model(triangle_count: int, radius: float = 1.0, components: int = 32) -> FaceModel:
    """A sphere with about `triangle_count` triangles, random bases and landmarks spread over it."""
    rows = max(3, round(np.sqrt(triangle_count) / 2) + 1)
    columns = 2 * (rows - 1)
    polar, around = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) * (2 * np.pi / columns), indexing="ij")
    points = np.stack([np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], -1)
    points = points.reshape(-1, 3).astype(np.float32) * radius
    r, c = (i.ravel() for i in np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij"))
    a, b = r * columns + c, r * columns + (c + 1) % columns
    triangles = np.concatenate([np.stack([a, a + columns, b], -1), np.stack([b, a + columns, b + columns], -1)])
    random = np.random.default_rng(0)

    def basis(scale: float) -> np.ndarray:
        return random.normal(0, scale, [len(points), 3, components]).astype(np.float32)

    names, std = tuple(f"component {k}" for k in range(components)), np.ones(components, np.float32)
    return FaceModel(
        mean_shape=points,
        shape_basis=basis(1e-4),
        shape_std=std,
        expression_basis=basis(1e-4),
        expression_std=std,
        mean_texture=np.full_like(points, 150),
        texture_basis=basis(1),
        texture_std=std,
        triangles=triangles.astype(np.int32),
        landmarks=np.linspace(0, len(points) - 1, 68).astype(np.int32),
        region=np.zeros(len(points), np.int32),
        uv=np.zeros([len(points), 2], np.float32),
        face_triangles=np.ones(len(triangles), bool),
        region_names=("skin",),
        shape_names=names,
        texture_names=names,
        expression_names=names,
        name="sphere",
    )


class Timing(NamedTuple):
    """Milliseconds of a call, and its memory."""

    wall: float  # the least of all calls
    cpu: float  # of all threads, the least
    reference: float  # the least of the reference's calls, made in between
    memory: float  # MB


def measure_call(function: Callable[[], object], repeats: int) -> Timing:
    """Times calls, after two to warm up."""
    matrix = tf.random.stateless_normal([512, 512], [0, 0])
    memory = measure_memory(function)
    for _ in range(2):
        function()
        tf.matmul(matrix, matrix).numpy()
    times = []
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        function()
        middle, used = time.perf_counter(), time.process_time() - cpu
        tf.matmul(matrix, matrix).numpy()
        times.append((middle - start, used, time.perf_counter() - middle))
    wall, cpu, reference = (1000 * float(v) for v in np.min(times, 0))
    return Timing(wall, cpu, reference, memory)


def measure_memory(function: Callable[[], object]) -> float:
    """MB (2²⁰ bytes) by which the process grows at most during a call; NaN where the system does not tell."""

    def size(name: str) -> float:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(fields[name].split()[0]) / 1024

    function()  # what stays, such as compiled code, is not counted
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: a C library without malloc_trim
        ctypes.CDLL(None).malloc_trim(0)  # give back what earlier calls have freed, so that it is counted
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = size("VmRSS")
        result = function()
        grown = size("VmHWM") - before
    except (OSError, KeyError):
        return math.nan
    del result  # only now: what a call returns is part of what it needs
    return max(grown, 0.0)


def measure(
    renderer: FaceRenderer, batch: int, repeats: int, modes: Sequence[str]
) -> Iterator[tuple[str, str, Timing]]:
    """What is measured, the mode, and the times of a whole batch."""
    size = (renderer.camera.image_size,) * 2
    matrix = renderer.camera.view_projection()[None]
    scale = np.concatenate([np.full(renderer.layout.lambda_size - 30, 0.5), [0.1, 0.4, 0.1], np.full(27, 0.1)])
    drawn = np.random.default_rng(1).normal(0, scale, [batch, renderer.layout.lambda_size])
    coefficients = tf.constant(drawn, tf.float32)
    vertices = renderer.vertices(coefficients)

    def raster(vertices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        framebuffer = rasterize(vertices, renderer.triangles, matrix, size)
        return framebuffer.triangle_id, framebuffer.barycentrics.value

    def draw(coefficients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        rendering = renderer(coefficients)
        return rendering.image, rendering.mask, rendering.landmarks

    def gradient(coefficients: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(coefficients)
            loss = tf.reduce_mean(tf.square(renderer(coefficients).image))
        return tape.gradient(loss, coefficients)

    for name, function, argument in (
        ("rasterize", raster, vertices),
        ("whole step", draw, coefficients),
        ("with gradient", gradient, coefficients),
    ):
        for mode in modes:
            compiled = function if mode == "eager" else tf.function(function, jit_compile=mode == "xla")
            yield name, mode, measure_call(partial(compiled, argument), repeats)


def report(renderer: FaceRenderer, batches: Sequence[int], repeats: int, modes: Sequence[str]) -> None:
    """Prints the table of one renderer."""
    print(
        f"\n{renderer.face_model.name}: {len(renderer.face_model.mean_shape)} vertices, {len(renderer.triangles)} "
        f"triangles, {renderer.camera.image_size}x{renderer.camera.image_size}; milliseconds per image"
    )
    print(f"{'':16s}{'mode':8s}{'batch':>6s}{'wall':>9s}{'cpu':>9s}{'reference':>11s}{'memory':>9s}")
    for batch in batches:
        for name, mode, timing in measure(renderer, batch, repeats, modes):
            print(
                f"{name:16s}{mode:8s}{batch:6d}{timing.wall / batch:9.3f}{timing.cpu / batch:9.3f}"
                f"{timing.reference:8.2f} ms{timing.memory:6.0f} MB",
                flush=True,
            )


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face_model", help="builtin, sphere or a .npz (default: two spheres, at 64 and 256 pixels)")
    parser.add_argument("--triangles", type=int, default=7000, help="of the sphere (default: 7000)")
    parser.add_argument("--part", choices=("face", "head"), default="face")
    parser.add_argument("--image_size", type=int, default=64, help="pixels (default: 64)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32], help="batch sizes (default: 1 8 32)")
    parser.add_argument("--repeats", type=int, default=50, help="timed calls; the least counts (default: 50)")
    parser.add_argument(
        "--modes", nargs="+", choices=("eager", "graph", "xla"), default=["eager", "graph", "xla"], help="default: all"
    )
    args = parser.parse_args(argv)
    settings = [("sphere", 7000, 64), ("sphere", 70700, 256)]
    if args.face_model:
        settings = [(args.face_model, args.triangles, args.image_size)]
    for kind, triangles, image_size in settings:
        model = sphere_model(triangles) if kind == "sphere" else load_face_model(kind)
        report(FaceRenderer(model, image_size, args.part), args.batch, args.repeats, args.modes)


if __name__ == "__main__":
    main()
