"""Measures by name: what each registered metric samples, looks at and writes. docs/metrics.md says it in words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.generation import Batch, GenerationOptions, generate, to_uint8
from discoface_tf2.metrics import disentanglement as ds
from discoface_tf2.metrics import distributions, leak
from discoface_tf2.metrics.control import measure
from discoface_tf2.metrics.outside import change_outside
from discoface_tf2.metrics.path_length import path_length
from discoface_tf2.metrics.protocols import Control
from discoface_tf2.model import Model
from discoface_tf2.perception import Perception
from renderer import FaceModel, FaceRenderer

Features = Callable[[np.ndarray], np.ndarray]  # images uint8 [B, R, R, 3] → [B, D]
# The first N images of a dataset (None: all), in its order: batches of arrays, image uint8 [B, R, R, 3] first, then the
# fields that are named.
Images = Callable[..., Iterator[tuple[np.ndarray, ...]]]
_BATCH = 16


@dataclass(frozen=True, eq=False)
class Setup:
    """What is measured, and by what.

    Attributes:
        model: of any system.
        perception: networks for its coefficients.
        real: images that no network was trained on, at the model's resolution; see `Images`.
        out: folder of the pictures that some metrics write.
        training: the images that the model was trained on, for `leak`.
        inception: `load_inception`'s, for `fid` and `kid`.
        face_model: for distances of meshes and `outside`.
        seed, truncation: of what is generated.
        variation: images per identity of `control`.
    """

    model: Model
    perception: Perception
    real: Images
    out: Path
    training: Images | None = None
    inception: Features | None = None
    face_model: FaceModel | None = None
    seed: int = 0
    truncation: float = 1.0
    variation: int = 5

    @property
    def identity(self) -> Features:
        """Unit embeddings of who it is."""
        return _predictor(self.perception.identity)

    @property
    def reconstruction(self) -> Features:
        """Predicted coefficients."""
        return _predictor(self.perception.reconstruction)

    def rows(self, factor: str, subjects: int, variations: int, indices: Any = None) -> Iterator[Batch]:
        """Generated images in rows of a subject along which a factor varies."""
        options = GenerationOptions(factor, subjects, variations, self.seed, self.truncation)
        return generate(options, self.model.faces, self.model.sampler, batch_size=_BATCH, indices=indices)

    def generated(self, count: int, indices: Any = None) -> Iterator[np.ndarray]:
        """Images uint8 of `count` people, one each; or those of some numbers."""
        return (to_uint8(batch.images) for batch in self.rows("all", count, 1, indices))


def measure_metric(kind: str, count: int, setup: Setup) -> dict[str, Any]:
    """The figures of a registered metric (`names.NAMES`) of `count` samples. Writes its pictures into `setup.out`."""
    return _METRICS[kind](setup, count)


@functools.lru_cache(maxsize=8)
def _predictor(network: keras.Model) -> Features:
    look = tf.function(lambda images: network(images), reduce_retracing=True)
    return lambda images: look(tf.convert_to_tensor(images / 127.5 - 1.0, tf.float32)).numpy()


def _control(setup: Setup, count: int) -> dict[str, Any]:
    def reals() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for images, coefficients, subjects in setup.real(count, "coefficients", "subject"):
            yield images / 127.5 - 1.0, coefficients, subjects

    real = measure(reals(), setup.perception, setup.face_model)  # first: fewer images may lack what it takes
    protocol, model = Control(count, setup.variation, setup.seed, setup.truncation), setup.model
    generated = protocol.measure(model.faces, model.sampler, setup.perception, setup.face_model)
    return {"generated": generated, "real": real}


def _ds(setup: Setup, count: int) -> dict[str, Any]:
    rows = {}
    for factor in ds.FACTORS:
        predicted = [setup.reconstruction(to_uint8(b.images)) for b in setup.rows(factor, count, ds.VARIATIONS)]
        rows[factor] = np.concatenate(predicted).reshape(count, ds.VARIATIONS, -1)
    real = np.concatenate([setup.reconstruction(images) for (images,) in setup.real(count)])
    figures: dict[str, Any] = ds.disentanglement(rows, real, setup.perception.layout)
    title = f"Disentanglement, {count} subjects × {ds.VARIATIONS} images per factor"
    ds.plot(figures["spread"], figures["score"], title, setup.out / f"metric-ds{count}.png")
    return figures


def _outside(setup: Setup, count: int) -> dict[str, Any]:
    if setup.face_model is None:
        raise ValueError("outside: expected the face model, whose mesh is left out (--face_model)")
    renderer, model = FaceRenderer(setup.face_model, setup.model.resolution), setup.model
    return change_outside(model.faces, model.sampler, renderer, count, setup.seed, setup.truncation)


@functools.lru_cache(maxsize=8)  # several metrics look at the same features
def _of_generated(setup: Setup, network: str, count: int) -> np.ndarray:
    return np.concatenate([getattr(setup, network)(images) for images in setup.generated(count)])


@functools.lru_cache(maxsize=8)
def _of_real(real: Images, features: Features, count: int) -> np.ndarray:
    return np.concatenate([features(images) for (images,) in real(count)])


def _distribution(setup: Setup, count: int, network: str, figure: Callable[..., Any]) -> dict[str, Any]:
    real = _of_real(setup.real, getattr(setup, network), count)
    value = figure(real, _of_generated(setup, network, count))
    return value if isinstance(value, dict) else {"distance": value}


def _ppl(setup: Setup, count: int) -> dict[str, Any]:
    sampler, faces, network = setup.model.sampler, setup.model.faces, setup.perception.identity
    look = tf.function(lambda images: network(images))  # of images that are not rounded to 8 bits

    def features(z: np.ndarray) -> np.ndarray:
        coefficients, noise = sampler.sample(z[:, : sampler.latent_size]), z[:, sampler.latent_size :]
        return look(faces(coefficients, noise, setup.truncation)).numpy()

    return {"length": path_length(features, sampler.latent_size + faces.noise_dim, count, setup.seed)}


def _leak(setup: Setup, count: int) -> dict[str, Any]:
    assert setup.training is not None
    queries = {
        "generated": _of_generated(setup, "identity", count),
        "held out": _of_real(setup.real, setup.identity, count),
    }
    embeddings = (setup.identity(images) for (images,) in setup.training(None))
    cosines, numbers = leak.nearest(np.concatenate(list(queries.values())), embeddings)

    def pick(images: Images, wanted: set[int]) -> dict[int, np.ndarray]:
        every = (image for (batch,) in images(max(wanted) + 1) for image in batch)
        return {k: image for k, image in enumerate(every) if k in wanted}

    def pick_generated(wanted: set[int]) -> dict[int, np.ndarray]:
        order = sorted(wanted)
        return dict(zip(order, np.concatenate(list(setup.generated(count, order))), strict=True))

    kinds: dict[str, tuple[np.ndarray, np.ndarray, leak.Pick]] = {
        "generated": (cosines[:count], numbers[:count], pick_generated),
        "held out": (cosines[count:], numbers[count:], functools.partial(pick, setup.real)),
    }
    leak.draw_sheet(kinds, functools.partial(pick, setup.training), setup.out / f"metric-leak{count}-sheet.png")
    leak.plot(cosines[:count], cosines[count:], setup.out / f"metric-leak{count}.png")
    return dict(leak.figures(cosines[:count], cosines[count:]))


_METRICS: Mapping[str, Callable[[Setup, int], dict[str, Any]]] = {
    "control": _control,
    "ds": _ds,
    "outside": _outside,
    "fid": functools.partial(_distribution, network="inception", figure=distributions.frechet_distance),
    "kid": functools.partial(_distribution, network="inception", figure=distributions.kernel_distance),
    "identity_frechet": functools.partial(_distribution, network="identity", figure=distributions.frechet_distance),
    "identity_kernel": functools.partial(_distribution, network="identity", figure=distributions.kernel_distance),
    "identity_pr": functools.partial(_distribution, network="identity", figure=distributions.precision_recall),
    "identity_ppl": _ppl,
    "leak": _leak,
}
