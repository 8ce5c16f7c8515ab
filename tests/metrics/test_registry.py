"""Every registered metric, on a generator that shows its training images and nothing else."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import calc_metrics
from discoface_tf2.metrics.names import METRIC, NAMES, split
from discoface_tf2.metrics.outside import change_outside, outside
from discoface_tf2.metrics.registry import _METRICS, Setup, measure_metric
from discoface_tf2.systems.base import FaceGenerator
from renderer import FaceRenderer

COUNT = 12


class Copies(FaceGenerator):
    """Image k of the training images for noise that k follows from: the same person, whatever the coefficients."""

    training: tf.Tensor

    def styles(self, coefficients, noise, truncation):
        """See FaceGenerator."""
        return noise[:, None]

    def synthesis(self, ws, coefficients):
        """See FaceGenerator."""
        return tf.gather(self.training, tf.cast(tf.abs(ws[:, 0, 0]) * 1e4, tf.int32) % len(self.training))


@pytest.fixture(scope="module")
def images(tiny_face_model):
    """Renders [40, 16, 16, 3] uint8 of random people, and their coefficients."""
    layout, rng = tiny_face_model.layout, np.random.default_rng(0)
    coefficients = (0.4 * rng.normal(size=(40, layout.size))).astype(np.float32)
    return FaceRenderer(tiny_face_model, 16)(coefficients).image.numpy().astype(np.uint8), coefficients


def source(images, coefficients):
    labels = {"coefficients": coefficients, "subject": np.arange(len(images)) // 4}

    def read(count, *fields):
        for start in range(0, len(images) if count is None else count, 5):
            rows = slice(start, min(start + 5, len(images) if count is None else count))
            yield tuple(array[rows] for array in (images, *(labels[name] for name in fields)))

    return read


@pytest.fixture
def setup(images, tiny_face_model, tiny_sampler, tiny_perception, tmp_path):
    faces = Copies(None, tiny_face_model.layout, 4, np.zeros(16))
    faces.training = tf.constant(images[0][:20] / 127.5 - 1.0, tf.float32)
    model = SimpleNamespace(faces=faces, sampler=tiny_sampler, resolution=16)
    training, held_out = (source(*(array[rows] for array in images)) for rows in (slice(20), slice(20, None)))
    return Setup(model, tiny_perception, held_out, tmp_path, training=training, face_model=tiny_face_model,
                 inception=lambda batch: batch.reshape(len(batch), -1)[:, ::16].astype(float))  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind not in ("outside", "ds", "leak")])
def test_every_metric_gives_finite_figures(kind, setup):
    """The others are below."""
    assert set(_METRICS) == set(NAMES)
    figures = measure_metric(kind, COUNT, dataclasses.replace(setup, face_model=None))

    def numbers(value):
        return [n for v in value.values() for n in numbers(v)] if isinstance(value, dict) else [value]

    assert numbers(figures) and np.isfinite(numbers(figures)).all()


def test_a_generator_that_copies_leaks(setup):
    figures = measure_metric("leak", COUNT, setup)
    assert figures["share_beyond_held_out"] == 1
    assert figures["generated_median"] == pytest.approx(1, abs=1e-5) and figures["held_out_most"] < 1 - 1e-5
    assert {path.name for path in setup.out.iterdir()} == {"metric-leak12.png", "metric-leak12-sheet.png"}


def test_what_no_factor_changes_has_no_spread_and_does_not_change_outside(setup, tiny_sampler):
    """Copies depend on the noise alone, which a row keeps; the others are of one grey per λ."""
    spreads = measure_metric("ds", 3, setup)["spread"]
    assert max(value for row in spreads.values() for value in row.values()) < 1e-5

    class Grey(Copies):
        def images(self, coefficients, noise, truncation):
            level = coefficients[:, self.layout.slice("angles")][:, :1, None, None]
            return tf.broadcast_to(level, [len(coefficients), 16, 16, 3])

    def renderer(coefficients):
        return SimpleNamespace(mask=tf.zeros([len(coefficients), 16, 16, 1]))

    faces = setup.model.faces
    assert change_outside(faces, tiny_sampler, renderer, 2) == {"expression": 0, "lighting": 0, "pose": 0}
    changes = change_outside(Grey(None, faces.layout, 4, np.zeros(16)), tiny_sampler, renderer, 2)
    assert changes["expression"] == changes["lighting"] == 0 < changes["pose"]


def test_a_generator_of_the_real_images_is_near_them(setup):
    same = dataclasses.replace(setup, real=setup.training)
    near, far = (measure_metric("identity_pr", 20, s)["precision"] for s in (same, setup))
    assert near == 1 and far < 1
    near, far = (measure_metric("identity_frechet", 20, s)["distance"] for s in (same, setup))
    assert near < far


def test_outside_needs_a_mesh(setup):
    with pytest.raises(ValueError, match="expected the face model"):
        measure_metric("outside", COUNT, dataclasses.replace(setup, face_model=None))


@pytest.mark.parametrize("flags, words", [
    ("--metrics ds10 --samples 10", "--samples has no effect with --metrics"),
    ("--metrics leak10", "leak needs --train_data"),
    ("--metrics fid10 kid10", "fid needs --inception"),
    ("--metrics ds10 --train_data t", "--train_data has no effect on ds"),
    ("--metrics ds10 --baseline b", "--baseline has no effect without one of fid, kid"),
    ("--metrics inception10", "expected NAME<N>"),
    ("--metrics control10 --variation 6", "at least twice --variation, 12"),
])  # fmt: skip
def test_flags_that_do_not_go_together(flags, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        calc_metrics.main(["--model=m", "--perception_dir=p", "--data=d", *flags.split()])
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_names():
    assert split("identity_frechet1000") == ("identity_frechet", 1000)
    for name in ("ds", "ds5", "ds0100", "fid1e4", "identity100", " ds100"):
        assert not METRIC.fits(name)
        with pytest.raises(ValueError, match="expected NAME<N>"):
            split(name)


def test_change_is_measured_outside_both_meshes():
    images = np.zeros([3, 4, 4, 3])
    masks = np.zeros([3, 4, 4, 1])
    masks[0, :2], masks[1, 1:3] = 1, 1  # free in both: row 3; of images 1 and 2: rows 0 and 3
    images[1, :3] = 200.0  # under a mask of the first two, but row 0 is not under one of the last two
    images[1, 3] = 10.0
    expected = np.mean([*[10.0] * 4, *[200.0] * 4, *[10.0] * 4])
    assert outside(images, masks) == pytest.approx(expected)
