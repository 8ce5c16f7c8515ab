"""Prints what grows with the resolution, and what several devices must tell each other (docs/scale.md).

    python -m benchmarks.scale

Counted, not measured: parameters (of the mapping and the synthesis network, and of the discriminator), floating-point
operations of one image through generator and discriminator (forward, as TensorFlow's profiler counts the graph's
multiplications and additions), and the megabytes of gradients that a step sums over the devices, that each device of a
ring sends; then the share of perfect scaling that is left. Run it with -m.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.scale")

import tensorflow as tf

from discoface_tf2.networks.stylegan2 import build_discriminator, build_generator
from discoface_tf2.systems import find_system
from discoface_tf2.systems.disco.config import PRESETS, DiscoConfig
from renderer import load_face_model

MB = 1e6
DEVICES = (2, 8, 16)
_DEVICES = ", ".join(map(str, DEVICES))
SECONDS = (0.1, 0.5)  # of a step
LINKS = {  # bytes a second
    "200 GB/s (NVLink)": 200e9,
    "12 GB/s (PCIe, or 100 Gbit/s between hosts)": 12e9,
    "1.25 GB/s (10 Gbit/s between hosts)": 1.25e9,
}


def gradient_bytes(config: DiscoConfig, generator: int, discriminator: int) -> float:
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


def print_efficiency(preset: str, gradients: float) -> None:
    """The share of perfect scaling for each link, number of devices and step time."""
    steps = " and ".join(f"{seconds:g} s" for seconds in SECONDS)
    print(f"\n{preset}: share of perfect scaling for {_DEVICES} devices, at {steps} per step")
    for link, bandwidth in LINKS.items():
        cells = (
            ", ".join(f"{100 * efficiency(seconds, gradients, devices, bandwidth):.0f} %" for seconds in SECONDS)
            for devices in DEVICES
        )
        print(f"{link:45}" + "".join(f"{cell:14}" for cell in cells).rstrip(), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """One line per preset, then a table for each preset of --efficiency."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=tuple(PRESETS), action="append", help="default: all")
    parser.add_argument("--efficiency", choices=tuple(PRESETS), default="ffhq256", help="default: ffhq256")
    parser.add_argument("--input_size", type=int, help="of the mapping; default the built-in face model's, with noise")
    args = parser.parse_args(argv)
    layout = load_face_model("builtin").layout
    print(
        "preset         size    mapping   synthesis discriminator  GFLOP G  GFLOP D  "
        f"MB of gradients per step; sent by each of {_DEVICES}"
    )
    summed = {}
    for preset in args.preset or PRESETS:
        config = DiscoConfig.make(preset, 1)
        sizes = find_system("disco").network_sizes(config, layout)
        if args.input_size is not None:
            sizes = replace(sizes, input_size=args.input_size)
        networks = build_generator(sizes), build_discriminator(sizes)
        parts = (networks[0].mapping, networks[0].synthesis, networks[1])
        mapping, synthesis, discriminator = (sum(int(tf.size(v)) for v in part.trainable_variables) for part in parts)
        shapes = [[1, sizes.input_size], [1, config.resolution, config.resolution, 3]]
        flops = [operations(network, shape) / 1e9 for network, shape in zip(networks, shapes, strict=True)]
        summed[preset] = gradient_bytes(config, mapping + synthesis, discriminator)
        sent = "".join(f"{ring_bytes(summed[preset], devices) / MB:7.1f}" for devices in DEVICES)
        print(
            f"{preset:13} {config.resolution:5} {mapping:10,} {synthesis:11,} {discriminator:13,} {flops[0]:8.2f} "
            f"{flops[1]:8.2f} {summed[preset] / MB:8.1f};{sent}",
            flush=True,
        )
    if args.efficiency in summed:
        print_efficiency(args.efficiency, summed[args.efficiency])


if __name__ == "__main__":
    main()
