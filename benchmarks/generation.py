"""Prints how many images a second a generator draws, truncation included, by batch size.

    python -m benchmarks.generation                                 # the sizes of synthetic64
    python -m benchmarks.generation --preset ffhq256 --batch 1 8
    python -m benchmarks.generation --model runs/stage2             # a trained one

`memory` is what a call needs at its peak. Networks that are made here are untrained, which costs the same. Run it
with -m.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.generation")

import numpy as np

from benchmarks.renderer import measure_call
from discoface_tf2.model import load
from discoface_tf2.systems import find_system
from discoface_tf2.systems.base import FaceGenerator
from discoface_tf2.systems.disco.config import PRESETS, DiscoConfig
from renderer import load_face_model


def untrained(preset: str, dtype: str) -> FaceGenerator:
    """A generator of a preset's sizes for the built-in face model."""
    config, system, layout = DiscoConfig.make(preset, 1), find_system("disco"), load_face_model("builtin").layout
    sizes = system.network_sizes(config, layout)
    generator = system.architectures["stylegan2"].build_generator(sizes, dtype=dtype)
    return system.faces(generator, layout, config.noise_dim, np.zeros(sizes.w_dim))


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--preset", choices=tuple(PRESETS), default="synthetic64")
    source.add_argument("--model", help="a run folder or a snapshot")
    parser.add_argument("--dtype", choices=("float32", "mixed_bfloat16"), default="float32", help="of untrained ones")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], help="batch sizes (default: 1 32)")
    parser.add_argument("--repeats", type=int, default=30, help="timed calls; the least counts (default: 30)")
    args = parser.parse_args(argv)
    if min(*args.batch, args.repeats) < 1:
        parser.error("--batch and --repeats should be 1 or more")
    faces = load(args.model).faces if args.model else untrained(args.preset, args.dtype)
    print(f"{'batch':>6s}{'images/s':>10s}{'ms/image':>10s}{'cpu ms/image':>14s}{'memory':>10s}")
    random = np.random.default_rng(0)
    for batch in args.batch:
        lambdas = random.normal(0, 0.3, [batch, faces.layout.lambda_size])
        noise = random.normal(size=[batch, faces.noise_dim])
        timing = measure_call(lambda inputs=(lambdas, noise): faces(*inputs, 0.7).numpy(), args.repeats)
        wall, cpu = timing.wall / batch, timing.cpu / batch
        print(f"{batch:6d}{1000 / wall:10.1f}{wall:10.2f}{cpu:14.2f}{timing.memory:7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
