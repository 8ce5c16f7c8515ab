"""A trained generator, ready to use.

import discoface_tf2 as df
model = df.load()                                  # the model that ships; or a run, a snapshot, or a .zip of one
people = model.sample(8, seed=0)
images = model.generate(people.with_(yaw=20, expression={"smile": 0.8}, light="left"), truncation=0.7)
"""

from __future__ import annotations

import functools
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from discoface_tf2 import model_io
from discoface_tf2.face_model_option import require_face_model
from discoface_tf2.generation import in_batches, sample_z, to_uint8
from discoface_tf2.people import People
from discoface_tf2.systems import find_system
from discoface_tf2.systems.base import FaceGenerator, System
from renderer.face_model import FaceModel
from renderer.layout import CoefficientLayout
from vae import FactorSampler


class Model:
    """A snapshot: its manifest, its generator with the moving average's weights, and the decoders of its factors.

    Args:
        folder: the snapshot's.
        manifest: what it says of itself.
        generator: the network.
        face_model: "builtin" or a .npz, where it is not the one that the run noted.
        vae_dir: the four factor VAEs, where they are not those within the snapshot.
    """

    def __init__(
        self,
        folder: Path,
        manifest: model_io.Manifest,
        generator: keras.Model,
        face_model: str | None = None,
        vae_dir: Path | None = None,
    ) -> None:
        self.folder, self.manifest, self.generator = folder, manifest, generator
        self._face_model, self.vae_dir = face_model, vae_dir or folder / model_io.VAE
        self.held: object = None  # what has to last as long as the model

    @property
    def system(self) -> System:
        """What generates with it."""
        return find_system(self.manifest.system)

    @property
    def layout(self) -> CoefficientLayout:
        """Sizes of the coefficient groups."""
        return self.manifest.layout

    @property
    def noise_dim(self) -> int:
        """Normal numbers per person beside λ."""
        return self.manifest.noise_dim

    @property
    def facts(self) -> dict[str, Any]:
        """What the run noted: stage, preset, kimg, face_model, …."""
        return self.manifest.facts

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return int(self.manifest.sizes.resolution)

    @functools.cached_property
    def sampler(self) -> FactorSampler:
        """The factors' decoders. Raises FileNotFoundError or ValueError with one line."""
        return model_io.load_sampler(self.folder, self.manifest, self.vae_dir)

    @property
    def face_model_source(self) -> str:
        """ "builtin" or the .npz of its face model: as given, within the snapshot, or as the run noted."""
        own = self.folder / model_io.FACE_MODEL
        return self._face_model or str(own if own.is_file() else self.facts.get("face_model", "builtin"))

    @functools.cached_property
    def face_model(self) -> FaceModel:
        """The face model that it was trained for. Raises FileNotFoundError or ValueError with one line."""
        source = self.face_model_source
        if source != "builtin" and not Path(source).is_file():
            raise FileNotFoundError(
                f"{self.folder}: expected the .npz of the face model that it was trained for (--face_model). There is "
                f"no file {source}"
            )
        found = require_face_model(source, self.layout, self.folder, self.facts)
        assert found is not None
        return found

    def require_face_model(self) -> None:
        """Raises what `face_model` does, where one was given: also a system that does not render is of one alone."""
        if self._face_model is not None:
            _ = self.face_model

    @functools.cached_property
    def faces(self) -> FaceGenerator:
        """Images of coefficients and noise; a system that renders needs the face model."""
        average = model_io.read_average_w(self.folder)
        if average is None:  # of an earlier version
            average = self.system.average_w(self.generator, self.sampler, self.layout, self.noise_dim)
        face_model = self.face_model if self.system.renders else None
        return self.system.faces(self.generator, self.layout, self.noise_dim, average, face_model)

    def sample(self, count: int, *, seed: int = 0, start: int = 0) -> People:
        """People `start` … `start + count - 1` of a seed; person k is the same whatever the count.

        They are the first of the rows that generate_images.py makes of the same seed.
        """
        sizes = self.sampler.latent_size, self.noise_dim
        samples = [sample_z(seed, number, *sizes) for number in range(start, start + count)]
        z, noise = (np.stack(parts) for parts in zip(*samples, strict=True))
        return People(self.sampler.sample(z).numpy(), noise, self.layout, self._known_face_model())

    def between(self, number: float, *, seed: int = 0) -> People:
        """The person at a number of `sample`; between whole ones, one in whom the two neighbours mix.

        The way leads through latents and noise, on arcs: each person on it is as likely as the neighbours.
        """
        first = int(number)
        share, sizes = number - first, (self.sampler.latent_size, self.noise_dim)
        ours, theirs = (sample_z(seed, k, *sizes) for k in (first, first + 1))
        scale = np.float32(1 / np.hypot(1 - share, share))
        z, noise = (scale * ((1 - share) * one + share * other) for one, other in zip(ours, theirs, strict=True))
        coefficients = self.sampler.sample(z[None].astype(np.float32)).numpy()
        return People(coefficients, noise[None].astype(np.float32), self.layout, self._known_face_model())

    def people(self, coefficients: np.ndarray, noise: np.ndarray | Sequence[float] | None = None) -> People:
        """People of coefficients [N, λ] of one's own, and noise [N, noise_dim]; without, everyone's is zero."""
        rows = np.asarray(coefficients, np.float32)
        given = np.zeros([len(rows), self.noise_dim]) if noise is None else noise
        noises = np.broadcast_to(np.asarray(given, np.float32), [len(rows), self.noise_dim])
        return People(rows[:, : self.layout.lambda_size], noises, self.layout, self._known_face_model())

    def generate(self, people: People, *, truncation: float = 0.7, batch_size: int = 16) -> np.ndarray:
        """Images uint8 [N, R, R, 3] of people; image k does not depend on the others.

        Args:
            people: of this model's layout.
            truncation: ψ; 1 for the most varied, 0 for the average.
            batch_size: images at a time.
        """
        if people.layout != self.layout or people.noise.shape[1] != self.noise_dim:
            raise ValueError(
                f"generate: expected people of the layout {self.layout.to_dict()} and noise of {self.noise_dim}. "
                f"Received: {people.layout.to_dict()} and {people.noise.shape[1]}"
            )
        result = np.zeros([len(people), self.resolution, self.resolution, 3], np.uint8)
        for rows, images in in_batches(self.faces, people.coefficients, people.noise, truncation, batch_size):
            result[rows] = to_uint8(images)
        return result

    def render(self, people: People, size: int | None = None) -> np.ndarray:
        """The face model's plain renders uint8 [N, size, size, 3] of people, of the model's resolution by default."""
        from renderer import FaceRenderer

        images = FaceRenderer(self.face_model, size or self.resolution)(people.coefficients).image.numpy()
        return np.clip(np.rint(images), 0, 255).astype(np.uint8)

    def _known_face_model(self) -> FaceModel | None:
        try:
            return self.face_model
        except FileNotFoundError:  # names are then refused, all else works
            return None
        except ValueError:
            if self._face_model is None:  # the built-in one is another than when this was trained
                return None
            raise


BUNDLED = Path(__file__).parent / "data" / "model.zip"  # docs/model_card.md


def load(path: str | Path = BUNDLED, *, face_model: str | None = None, vae_dir: str | Path | None = None,
         dtype: str = "float32") -> Model:  # fmt: skip
    """The snapshot at `path`, the newest of the run at `path`, or that in a .zip; the model that ships by default.

    Args:
        path: a run folder, a snapshot folder, or a .zip of either.
        face_model: "builtin" or a .npz, where it is not the one that the run noted.
        vae_dir: the four factor VAEs, where they are not those within the snapshot.
        dtype: "float32" or "mixed_bfloat16".

    Raises FileNotFoundError or ValueError, with one line that names the file, when it is missing or damaged.
    """
    if path == BUNDLED and not BUNDLED.is_file():
        raise FileNotFoundError(f"{path}: the model that ships is not there; name another: a run, a snapshot or a .zip")
    if zipfile.is_zipfile(path):
        folder = tempfile.TemporaryDirectory()
        model = _load(unzipped(Path(path), Path(folder.name)), face_model, vae_dir, dtype)
        model.held = folder  # as long as the model: its files are read when they are needed
        return model
    return _load(Path(path), face_model, vae_dir, dtype)


def _load(path: Path, face_model: str | None, vae_dir: str | Path | None, dtype: str) -> Model:
    folder = model_io.find_snapshot(path)
    manifest, generator = model_io.load_generator(folder, dtype=dtype)
    return Model(folder, manifest, generator, face_model, None if vae_dir is None else Path(vae_dir))


def unzipped(path: Path, folder: Path) -> Path:
    """Extracts a .zip; returns the folder in it that is a snapshot or a run. Raises ValueError with one line."""
    try:
        with zipfile.ZipFile(path) as file:
            file.extractall(folder)  # it drops what would lie outside of the folder
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path}: not a whole .zip ({error})") from None
    found = next(folder.rglob(model_io.MANIFEST), None)
    if found is None:
        raise ValueError(f"{path}: expected a snapshot with {model_io.MANIFEST} in it. There is none")
    snapshot = found.parent
    return snapshot.parent.parent if snapshot.parent.name == "snapshots" else snapshot
