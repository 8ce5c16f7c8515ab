"""Prints what grows with the resolution, and what several devices must tell each other (docs/scale.md).

    python -m benchmarks.scale

Counted, not measured: parameters, floating-point operations of one image through each network (forward, as TensorFlow's
profiler counts the graph's multiplications and additions), and the megabytes of gradients that a step sums over the
devices. Run it with -m.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.scale")

import tensorflow as tf

from discoface_tf2.architectures import build_discriminator, build_generator
from discoface_tf2.config import PRESETS, TrainingConfig, make_config
from discoface_tf2.training.state import network_config
from renderer import load_face_model

MB = 1e6


def gradient_bytes(config: TrainingConfig, generator: int, discriminator: int) -> float:
    """Bytes of float32 gradients a step, for so many parameters: one update of each network, and the lazy penalties'.

    The mean over the steps: R1 adds an update of the discriminator every `r1_interval` steps, path length one of the
    generator every `pl_interval`.
    """
    extra_generator = 1 / config.pl_interval if config.pl_weight else 0.0
    extra_discriminator = 1 / config.r1_interval if config.r1_gamma else 0.0
    return 4.0 * (generator * (1 + extra_generator) + discriminator * (1 + extra_discriminator))


def ring_bytes(gradients: float, devices: int) -> float:
    """Bytes that each device sends, and receives, when a ring of so many sums `gradients` bytes."""
    return 2.0 * (devices - 1) / devices * gradients


def efficiency(step_seconds: float, gradients: float, devices: int, bandwidth: float) -> float:
    """The share of perfect scaling that is left when nothing overlaps: compute / (compute + communication).

    `step_seconds` is one device's step with its share of the batch; `bandwidth` is bytes a second of the slowest link.
    """
    return step_seconds / (step_seconds + ring_bytes(gradients, devices) / bandwidth)


def operations(network: Callable[[tf.Tensor], tf.Tensor], shape: list[int]) -> int:
    """Floating-point operations of one call on an input of this shape, which is not made."""
    graph = tf.function(network).get_concrete_function(tf.TensorSpec(shape)).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


def main(argv: Sequence[str] | None = None) -> None:
    """One line a preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=tuple(PRESETS), action="append", help="default: all")
    args = parser.parse_args(argv)
    lambda_size = load_face_model("builtin").layout.lambda_size
    print("preset          size  G parameters  D parameters  GFLOP G  GFLOP D  gradients, MB a step")
    for preset in args.preset or PRESETS:
        config = make_config(preset, 1)
        sizes = network_config(config, lambda_size)
        networks = build_generator(sizes), build_discriminator(sizes)
        counts = [sum(int(tf.size(v)) for v in network.trainable_variables) for network in networks]
        shapes = [[1, sizes.input_size], [1, config.resolution, config.resolution, 3]]
        flops = [operations(network, shape) / 1e9 for network, shape in zip(networks, shapes, strict=True)]
        megabytes = gradient_bytes(config, *counts) / MB
        print(
            f"{preset:14} {config.resolution:5} {counts[0]:13,} {counts[1]:13,} {flops[0]:8.2f} {flops[1]:8.2f} "
            f"{megabytes:21.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
