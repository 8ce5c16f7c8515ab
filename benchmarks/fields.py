"""Prints how many samples (rays × samples along each) a second a field renders, forward and with gradient.

    python -m benchmarks.fields                             # 8 images of 32 × 32 rays of 24 samples, in all modes
    python -m benchmarks.fields --field triplane siren128 --mode graph --repeats 20
    python -m benchmarks.fields --field copo siren256 --batch 1 --image_size 64 --chunk 512

Each figure is the least of many calls, in turn with a fixed product of two 512 × 512 matrices. `bound` is how many
samples a second that product's rate would give if the field were its matrix products alone (three times as many with
gradient), and `of it` how near the figure comes. `memory` is what a call needs at its peak. Gradients are by the
field's weights and its planes or styles. Run it with -m.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.fields")

import tensorflow as tf

from benchmarks.renderer import measure_call
from discoface_tf2.fields import METRE, Box, Field, FilmSiren, TriplaneDecoder, camera_rays, look_up, render
from renderer import Camera

BOX = Box.cube(1.2)
TRIPLANES = {"triplane": (64, 16, 17), "expgan": (256, 32, 33), "copo": (256, 32, 52)}  # texels, channels, outputs
SIRENS = {"siren64": (4, 64), "siren128": (4, 128), "siren256": (8, 256)}  # layers, width; the last is cGOF's


class Case(NamedTuple):
    """A field of random weights."""

    field: Field
    state: tf.Tensor
    variables: list[Any]
    flops: int  # of the matrix products for one sample, forward


def make_case(name: str, batch: int) -> Case:
    """The field `name` of TRIPLANES or SIRENS for `batch` images."""
    if name in TRIPLANES:
        texels, channels, outputs = TRIPLANES[name]
        decoder = TriplaneDecoder(outputs)
        decoder.build((None, None, channels))

        def triplane(planes: tf.Tensor, points: tf.Tensor, directions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            out = decoder(look_up(planes, BOX.normalise(points)))
            return out[..., :-1], tf.nn.softplus(out[..., -1]) / METRE

        planes = tf.random.stateless_normal([batch, texels, texels, 3 * channels], [0, 0])
        return Case(triplane, planes, decoder.trainable_variables, matrix_flops(decoder.trainable_variables))
    layers, width = SIRENS[name]
    siren = FilmSiren(layers, width)
    siren.build((None, None, 3))

    def film(styles: tf.Tensor, points: tf.Tensor, directions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        out = siren(BOX.normalise(points), directions, styles)
        return out[..., :-1], tf.nn.relu(out[..., -1]) / METRE

    styles = 0.1 * tf.random.stateless_normal([batch, 2, layers + 1, width], [0, 0])
    return Case(film, styles, siren.trainable_variables, matrix_flops(siren.trainable_variables))


def matrix_flops(variables: Sequence[Any]) -> int:
    """Operations of one row times each of the matrices."""
    return sum(2 * v.shape[0] * v.shape[1] for v in variables if len(v.shape) == 2)


def calls(case: Case, args: argparse.Namespace) -> dict[str, Callable[[], tuple[tf.Tensor, ...]]]:
    """What is timed."""
    rays = camera_rays(Camera.generator(args.image_size), tf.eye(3, batch_shape=[args.batch]))

    def forward() -> tuple[tf.Tensor, ...]:
        return render(case.field, case.state, rays, 8.8, 11.2, args.samples, chunk=args.chunk)

    def gradient() -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch(case.state)
            loss = tf.reduce_mean(tf.square(forward()[0]))
        return tuple(tape.gradient(loss, [case.state, *case.variables]))

    return {"forward": forward, "gradient": gradient}


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = (*TRIPLANES, *SIRENS)
    parser.add_argument("--field", nargs="+", choices=names, default=["triplane", "siren64", "siren128"])
    parser.add_argument("--mode", nargs="+", choices=("graph", "xla"), default=["graph", "xla"])
    parser.add_argument("--batch", type=int, default=8, help="images (default: 8)")
    parser.add_argument("--image_size", type=int, default=32, help="rays along each side of an image (default: 32)")
    parser.add_argument("--samples", type=int, default=24, help="of each ray (default: 24)")
    parser.add_argument("--chunk", type=int, help="rays of each image at a time (default: all)")
    parser.add_argument("--repeats", type=int, default=10, help="timed calls; the least counts (default: 10)")
    args = parser.parse_args(argv)
    if min(args.batch, args.image_size, args.samples, args.repeats, args.chunk or 1) < 1:
        parser.error("--batch, --image_size, --samples, --chunk and --repeats should be 1 or more")
    count = args.batch * args.image_size**2 * args.samples
    size = args.image_size
    print(f"{args.batch} images of {size} × {size} rays of {args.samples} samples: {count} samples")
    columns = f"{'ms':>8s}{'cpu ms':>8s}{'samples/s':>12s}{'bound':>13s}{'of it':>7s}{'memory':>10s}"
    print(f"{'field':10s}{'':10s}{'mode':7s}{columns}")
    for name in args.field:
        case = make_case(name, args.batch)
        for what, function in calls(case, args).items():
            for mode in args.mode:
                compiled = tf.function(function, jit_compile=mode == "xla", autograph=False)
                timing = measure_call(lambda run=compiled: run()[0].numpy(), args.repeats)
                rate, flops = 1000 * count / timing.wall, case.flops * (3 if what == "gradient" else 1)
                bound = 2 * 512**3 / (timing.reference / 1000) / flops
                print(
                    f"{name:10s}{what:10s}{mode:7s}{timing.wall:8.1f}{timing.cpu:8.1f}{rate:12,.0f}{bound:13,.0f}"
                    f"{rate / bound:7.1%}{timing.memory:7.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
