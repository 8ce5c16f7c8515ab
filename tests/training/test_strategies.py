"""One device, two logical CPUs and two processes learn the same, and each goes on where another stopped."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.training import loop
from discoface_tf2.training.distribution import make_strategy
from discoface_tf2.training.steps import TrainingStep
from tests.helpers import strategy_run

STEPS = 20
SCRIPT = Path(strategy_run.__file__)


def start_workers(assets, run, steps, *phase, count=2):
    """`count` processes of one multiworker run; standard output and error of each in RUN-worker<index>.log."""
    with ExitStack() as sockets:  # ports that are free now
        bound = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in bound:
            one.bind(("localhost", 0))
        addresses = [f"localhost:{one.getsockname()[1]}" for one in bound]
    processes = []
    for index in range(count):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        with open(f"{run}-worker{index}.log", "w") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, str(SCRIPT), str(assets), str(run), "auto", str(steps), *phase],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "TF_CONFIG": json.dumps(config)},
                )
            )
    return processes


def log_of(run, index):
    return Path(f"{run}-worker{index}.log").read_text(errors="replace")


def losses(run):
    """Per step, every loss and score; gradients' norms differ in meaning over replicas."""
    lines = [json.loads(line) for line in run.with_suffix(".jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("gradient_")} for line in lines]


def final_values(run):
    reader = tf.train.load_checkpoint(str(run / "checkpoints" / f"ckpt-{STEPS * strategy_run.BATCH}"))
    names = [n for n in reader.get_variable_to_shape_map() if n != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    return {name: reader.get_tensor(name) for name in names}


def require_equal(run, expected):
    """Losses to 1e-5 of themselves, and every weight of the checkpoint to 1e-5 of its norm, or to 1e-6 near zero.

    Scores pass through zero, and noise strengths start there; one step of Adam is 1e-3 here. With ten times that the
    run is chaotic: a rounding of 1e-7 is 1e-4 after four steps. Adam's moments to 1e-4: beta_1 is 0, so the first is
    the last gradient, a sum in which much cancels.
    """
    theirs, ours = losses(expected), losses(run)
    for step, line in enumerate(ours, len(theirs) - len(ours)):
        assert set(line) == set(theirs[step])
        for name, value in line.items():
            assert value == pytest.approx(theirs[step][name], rel=1e-5, abs=1e-6), (step, name)
    ours, theirs = final_values(run), final_values(expected)
    assert set(ours) == set(theirs) and len(ours) > 100
    for name, value in theirs.items():
        distance = np.linalg.norm((ours[name] - value).astype(np.float64))
        relative = 1e-4 if "optimizer" in name else 1e-5
        assert distance <= relative * np.linalg.norm(value.astype(np.float64)) + 1e-6 * np.sqrt(value.size), name


def test_all_strategies_learn_the_same_and_go_on_from_each_other(tiny_assets, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(loop, "TrainingStep", lambda *args: made.append(TrainingStep(*args)) or made[-1])
    both, one, mirrored, changed = (tmp_path / name for name in ("both", "one", "mirrored", "changed"))
    processes = start_workers(tiny_assets, both, STEPS)
    try:
        strategy_run.strategy_run(tiny_assets, one, make_strategy("one"), STEPS)
        strategy_run.strategy_run(tiny_assets, mirrored, make_strategy("mirrored"), STEPS)
        require_equal(mirrored, one)
        for step in made:  # nothing is traced twice
            counts = {name: function.experimental_get_tracing_count() for name, function in step._functions.items()}
            assert counts == {"contrastive": 1, "penalty/r1": 1, "penalty/path_length": 1}
        assert len(losses(one)) == len(losses(mirrored)) == STEPS

        # Begun over two replicas, ended on one: the checkpoint in the middle is taken.
        shutil.copytree(mirrored, changed)
        for path in (changed / "checkpoints").glob(f"ckpt-{STEPS * strategy_run.BATCH}.*"):
            path.unlink()
        shutil.rmtree(changed / "snapshots" / f"kimg000000.{STEPS * strategy_run.BATCH:03d}")
        strategy_run.strategy_run(tiny_assets, changed, make_strategy("one"), STEPS)
        assert len(losses(changed)) == STEPS // 2
        require_equal(changed, one)

        codes = [process.wait(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, 0], log_of(both, 0) + log_of(both, 1)
    require_equal(both, one)
    assert "replicas 2, chief True" in log_of(both, 0) and "sec/kimg" in log_of(both, 0)
    assert "replicas 2, chief False" in log_of(both, 1) and "sec/kimg" not in log_of(both, 1)
    assert len(list((both / "tensorboard").glob("events*"))) == 1  # the chief's


def wait_for(text, run, index, processes):
    """Until a worker has said `text`; fails when one has ended before."""
    for _ in range(3000):
        if text in log_of(run, index):
            return
        assert all(process.poll() is None for process in processes), log_of(run, 0) + log_of(run, 1)
        time.sleep(0.1)
    raise AssertionError(f"no {text!r} in {log_of(run, index)}")


def test_workers_stop_together_and_one_that_is_killed_stops_the_other(tiny_assets, tmp_path):
    run, many = tmp_path / "run", 10**6
    processes = start_workers(tiny_assets, run, many, "imitate")
    try:
        wait_for("sec/kimg", run, 0, processes)
        processes[1].send_signal(signal.SIGTERM)  # one is asked, both save and leave
        assert [process.wait(timeout=120) for process in processes] == [143, 143]
        saved = [int(path.stem[5:]) for path in (run / "checkpoints").glob("*.index")]
        assert f"stopped at {max(saved) / 1000:g} kimg" in log_of(run, 0)

        processes = start_workers(tiny_assets, run, many, "imitate")
        wait_for(f"going on from {max(saved) / 1000:g} kimg", run, 0, processes)
        wait_for("sec/kimg", run, 0, processes)
        processes[1].kill()
        assert processes[0].wait(timeout=120) == 1
        last = [line for line in log_of(run, 0).splitlines() if line.startswith("error: ")]
        assert len(last) == 1 and "another worker stopped" in last[0] and "Traceback" not in log_of(run, 0)
    finally:
        for process in processes:
            process.kill()
