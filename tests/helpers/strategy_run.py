"""A short run under a strategy, as a process: `python tests/helpers/strategy_run.py ASSETS RUN STRATEGY STEPS`.

It notes the terms of every step in RUN.jsonl. With `imitate` at the end it imitates alone, which starts soonest.
Several workers are started with TF_CONFIG, as TensorFlow defines it.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import tensorflow as tf

from discoface_tf2.training.distribution import is_chief, make_strategy
from discoface_tf2.training.loop import Assets, train
from discoface_tf2.training.meter import Meter
from tests.helpers.tiny_training import tiny_config

BATCH = 8


def records(start, batch, shard=(0, 1)):
    """Noise, image k of the run from any start, in the shards of `load_dataset`."""
    room = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices({"image": room}).repeat().skip(start).batch(batch, drop_remainder=True)
    return dataset.shard(shard[1], shard[0])


def strategy_run(assets: Path, run: Path, strategy: tf.distribute.Strategy, steps: int, phase: str = "") -> Path:
    """Stage 2 with all penalties and layer noise, so that whatever a replica could get wrong is there."""
    stage, options = (1, dict(imitate_kimg=1e6)) if phase == "imitate" else (2, {})
    config = tiny_config(stage, batch_size=BATCH, pairs=4, kimg=steps * BATCH / 1000, tick_kimg=BATCH / 1000,
                         r1_interval=4, pl_weight=2.0, pl_interval=4, layer_noise=True, ema_kimg=0.05,
                         learning_rate=0.001, snapshot_kimg=0.08, **options)  # fmt: skip
    read = Meter.read

    def noted(self):
        means = read(self)
        if is_chief(strategy):
            with open(run.with_suffix(".jsonl"), "a", encoding="utf-8") as file:
                file.write(json.dumps(means) + "\n")
        return means

    Meter.read = noted
    try:
        where = Assets("noise", str(assets / "vae"), str(assets / "perception"), str(assets / "face.npz"))
        return train(config, where, records, run, strategy)
    finally:
        Meter.read = read


def main(assets: str, run: str, name: str, steps: str, phase: str = "") -> None:
    if name == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = make_strategy(name)
    print(f"replicas {strategy.num_replicas_in_sync}, chief {is_chief(strategy)}", flush=True)
    strategy_run(Path(assets), Path(run), strategy, int(steps), phase)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stopped:
        sys.exit(128 + getattr(stopped, "signum", 2))
