"""Prints milliseconds per image of the rasteriser alone and of the whole step from coefficients to picture.

    python -m benchmarks.renderer --batch 8 16 32 --image_size 64
    python -m benchmarks.renderer --face_model sphere --triangles 70700 --batch 8 --image_size 256

Run it with -m: as a plain script its own file name would hide the package.
`sphere` is a made-up model with as many triangles as asked for, round, filling most of the picture.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

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


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """The median time of a call, after two calls to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times[2:]))


def measure(renderer: FaceRenderer, batch: int, repeats: int) -> dict[str, float]:
    """Milliseconds per image, by what is measured."""
    size = (renderer.camera.image_size,) * 2
    matrix = renderer.camera.view_projection()[None]
    scale = np.concatenate([np.full(renderer.layout.lambda_size - 30, 0.5), [0.1, 0.4, 0.1], np.full(27, 0.1)])
    coefficients = np.random.default_rng(1).normal(0, scale, [batch, renderer.layout.lambda_size])
    coefficients = tf.constant(coefficients, tf.float32)
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

    results = {}
    for name, function, argument in (
        ("rasterize", raster, vertices),
        ("whole step", draw, coefficients),
        ("with gradient", gradient, coefficients),
    ):
        compiled = tf.function(function)
        results[f"{name}, eager"] = milliseconds(partial(function, argument), repeats) / batch
        results[f"{name}, compiled"] = milliseconds(partial(compiled, argument), repeats) / batch
    return results


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face_model", default="builtin", help="builtin, sphere or a .npz (default: builtin)")
    parser.add_argument("--triangles", type=int, default=7000, help="of the sphere (default: 7000)")
    parser.add_argument("--part", choices=("face", "head"), default="face")
    parser.add_argument("--image_size", type=int, default=64, help="pixels (default: 64)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 16, 32], help="batch sizes (default: 1 8 16 32)")
    parser.add_argument("--repeats", type=int, default=20, help="timed calls; the median counts (default: 20)")
    args = parser.parse_args(argv)
    model = sphere_model(args.triangles) if args.face_model == "sphere" else load_face_model(args.face_model)
    renderer = FaceRenderer(model, args.image_size, args.part)
    print(
        f"{model.name}: {len(model.mean_shape)} vertices, {len(renderer.triangles)} triangles, "
        f"{args.image_size}x{args.image_size}; milliseconds per image"
    )
    table = {batch: measure(renderer, batch, args.repeats) for batch in args.batch}
    print(f"{'batch':24s}" + "".join(f"{batch:9d}" for batch in table))
    for name in next(iter(table.values())):
        print(f"{name:24s}" + "".join(f"{row[name]:9.3f}" for row in table.values()))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"benchmarks.renderer: error: {error}")
