"""What a run shows, read back from TensorBoard's own files."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from discoface_tf2.config import Monitoring
from discoface_tf2.systems.base import Tools
from discoface_tf2.training.run_folder import flatten
from discoface_tf2.training.state import TrainingState
from discoface_tf2.training.summaries import Summaries, memory
from renderer import FaceRenderer
from tests.helpers.tiny_training import tiny_config


@pytest.fixture(scope="module")
def shown(tmp_path_factory, tiny_face_model, tiny_sampler, tiny_perception):
    """A run folder into which everything was written once."""
    folder, config = tmp_path_factory.mktemp("run"), tiny_config(imitate_kimg=1.0)
    state = TrainingState(config, tiny_face_model.layout)
    tools = Tools(tiny_face_model, tiny_sampler, tiny_perception)
    renderer = FaceRenderer(tiny_face_model, config.resolution)
    monitoring = Monitoring(metrics=("control10",), histograms=True)
    summaries = Summaries(folder, tools, renderer, config.noise_dim, monitoring, rows=2, columns=2)
    summaries.options(flatten(config.to_dict()))
    means = {"generator": 0.5, "landmarks": 0.25, "gradient_generator": 3.0}
    state.images.assign(8)
    summaries.tick("imitative", means, {"landmarks": 1000.0, "skin": 1.0}, state, 12.5)
    reals = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    grid = summaries.grid(state, reals, 0.008)
    for final in (False, True):
        summaries.metrics(state, final)
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    return folder, summaries, reals, grid, events


def scalar(events: EventAccumulator, tag: str) -> tuple[int, float]:
    (event,) = events.Tensors(tag)[-1:]
    return event.step, float(tf.make_ndarray(event.tensor_proto))


def test_scalars_of_a_tick(shown):
    events = shown[-1]
    assert scalar(events, "imitative/landmarks") == (8, 0.25)
    assert scalar(events, "weighted/landmarks") == (8, 250.0)
    assert scalar(events, "sec_per_kimg/imitative") == (8, 12.5)
    assert scalar(events, "learning_rate/discriminator")[1] == pytest.approx(0.01 * 2 / 3)  # R1 every 2 steps
    assert scalar(events, "learning_rate/imitate")[1] == pytest.approx(0.012)
    now = memory()["memory/host_peak_GB"]  # the peak can only have grown since; TensorBoard keeps seven digits
    assert 0.05 < scalar(events, "memory/host_peak_GB")[1] <= now * (1 + 1e-6)
    assert "weighted/skin" not in events.Tags()["tensors"]  # it weighs, but was not measured


def test_the_grid_shows_render_generated_and_real(shown):
    folder, summaries, reals, grid, events = shown
    assert grid == folder / "grids" / "kimg000000.008.png" and not list(grid.parent.glob("*.tmp"))
    cells = (
        np.asarray(Image.open(grid)).reshape(2, 16, 2, 3, 16, 3).transpose(0, 2, 3, 1, 4, 5).reshape(4, 3, 16, 16, 3)
    )
    np.testing.assert_array_equal(cells[:, 0], summaries.renders)
    np.testing.assert_array_equal(cells[:, 2], reals[[0, 1, 2, 0]])
    assert "render | generated | real" in events.Tags()["tensors"]
    for name in ("pose_degrees", "lighting_percent", "expression_percent", "identity_percent"):
        assert np.isfinite(scalar(events, f"grid_error/{name}")[1])


def test_options_are_a_text_and_hyperparameters(shown):
    events = shown[-1]
    text = tf.make_ndarray(events.Tensors("options")[0].tensor_proto).item().decode()
    assert "| weights.landmarks | 500.0 |" in text and "| batch_size | 4 |" in text
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_histograms_of_every_weight_on_option(shown):
    tags = shown[-1].Tags()["tensors"]
    assert sum(tag.startswith("weights/") for tag in tags) > 20


def test_figures_on_the_way_and_in_the_end(shown):
    folder, events = shown[0], shown[-1]
    lines = [json.loads(line) for line in (folder / "metric-control10.jsonl").read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.008, 0.008] and lines[0] == lines[1]
    figures = lines[0]["generated"]
    for tag in ("control10/pose_error_degrees", "final/pose_error_degrees"):
        assert scalar(events, tag)[1] == pytest.approx(figures["pose_error_degrees"], rel=1e-5)
