"""Which devices a run is spread over."""

from __future__ import annotations

import tensorflow as tf


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """`one` device, `mirrored` over all devices of this host, or `auto`: mirrored when there are several GPUs."""
    gpus = len(tf.config.list_logical_devices("GPU"))
    if name == "mirrored" or (name == "auto" and gpus > 1):
        devices = None if gpus else [d.name for d in tf.config.list_logical_devices("CPU")]
        return tf.distribute.MirroredStrategy(devices)
    if name not in ("auto", "one"):
        raise ValueError(f"strategy: expected auto, one or mirrored. Received: {name!r}")
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
