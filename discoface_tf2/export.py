"""A snapshot to hand on: as a SavedModel, which TensorFlow alone runs, or as a small .zip for `discoface_tf2.load`."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

from discoface_tf2 import model_io
from discoface_tf2.model import Model, load
from discoface_tf2.selfcheck import TOLERANCE, require_golden, write_golden
from renderer.files import atomic_folder, atomic_path
from vae import FactorSampler

DESCRIPTION = "signatures.json"
_COMPARED = 16  # images before and after


class ExportedModel(tf.Module):
    """What is saved: the weights, ψ, and the two functions that are the signatures.

    Attributes:
        truncation: ψ of both signatures, a variable: `loaded.truncation.assign(1.0)` after loading switches it off.
    """

    def __init__(self, model: Model, truncation: float) -> None:
        super().__init__(name="discoface")
        self.truncation = tf.Variable(truncation, trainable=False, dtype=tf.float32, name="truncation")
        sampler, faces = model.sampler, model.faces
        latent, layout = sampler.latent_size, model.layout

        def draw(coefficients: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
            images = faces.images(coefficients, noise, self.truncation)
            pixels = tf.cast(tf.round(tf.clip_by_value((images + 1.0) * 127.5, 0.0, 255.0)), tf.uint8)
            return {"image": pixels, "image_float": images}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, layout.lambda_size], tf.float32, "coefficients"),
                tf.TensorSpec([None, model.noise_dim], tf.float32, "noise"),
            ]
        )
        def from_coefficients(coefficients: tf.Tensor, noise: tf.Tensor) -> dict[str, tf.Tensor]:
            return draw(coefficients, noise)

        @tf.function(input_signature=[tf.TensorSpec([None, latent + model.noise_dim], tf.float32, "z")])
        def from_latent(z: tf.Tensor) -> dict[str, tf.Tensor]:
            coefficients, noise = sampler.sample(z[:, :latent]), z[:, latent:]
            return {**draw(coefficients, noise), "coefficients": coefficients}

        self.from_coefficients, self.from_latent = from_coefficients, from_latent
        # The functions hold Keras objects; SavedModel has to know their variables, and nothing else of them.
        self.weights = list(from_latent.get_concrete_function().graph.variables)


def export_saved_model(
    folder: str | Path,
    model: Model,
    *,
    truncation: float = 0.7,
) -> float:
    """Writes the SavedModel, loads it back and generates two images with it; returns their largest difference.

    Signatures: `coefficients` (coefficients [B, λ], noise [B, noise_dim]) and `latent` (z [B, latents + noise_dim],
    normal numbers: the factors' latents, then the noise). Both give `image` uint8 [B, R, R, 3] and `image_float`, about
    [-1, 1]; `latent` gives the `coefficients` as well. `signatures.json` in the folder says so with this model's sizes.
    A SavedModel that is there already is replaced in the end. Raises ValueError when the folder holds
    something else, or when the saved model does not generate what this one does, and OSError with one line when the
    disk is full; what was there before is kept then, and nothing else.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "saved_model.pb").is_file():
        raise ValueError(f"{folder}: expected an empty folder or a SavedModel to replace. Give another --out")
    exported = ExportedModel(model, truncation)
    signatures = {"coefficients": exported.from_coefficients, "latent": exported.from_latent}
    description = json.dumps(_description(model, truncation), indent=2) + "\n"
    with atomic_folder(folder) as temporary:
        tf.saved_model.save(exported, str(temporary), signatures=signatures)
        (temporary / DESCRIPTION).write_text(description, "utf-8")
        return _compare(temporary, exported, model.sampler.latent_size + model.noise_dim)


def _description(model: Model, truncation: float) -> dict[str, object]:
    size, sampler = model.resolution, model.sampler
    images = {"image": f"uint8 [B, {size}, {size}, 3]", "image_float": f"float32 [B, {size}, {size}, 3], about [-1, 1]"}
    coefficients = f"float32 [B, {model.layout.lambda_size}]"
    return {
        "model": str(model.folder),
        "facts": model.facts,
        "truncation": truncation,
        "layout": model.layout.to_dict(),
        "latent_slices": {name: [where.start, where.stop] for name, where in sampler.latent_slices.items()},
        "signatures": {
            "coefficients": {
                "inputs": {"coefficients": coefficients, "noise": f"float32 [B, {model.noise_dim}], N(0, 1)"},
                "outputs": images,
            },
            "latent": {
                "inputs": {"z": f"float32 [B, {sampler.latent_size} + {model.noise_dim}], N(0, 1): latents, noise"},
                "outputs": {**images, "coefficients": coefficients},
            },
        },
    }


def _compare(folder: Path, exported: ExportedModel, size: int) -> float:
    """Largest difference of two images drawn by the saved model and by the one that was saved."""
    z = tf.constant(np.random.default_rng(0).standard_normal([2, size]), tf.float32)
    theirs = tf.saved_model.load(str(folder)).signatures["latent"](z=z)["image_float"]
    difference = float(tf.reduce_max(tf.abs(theirs - exported.from_latent(z)["image_float"])))
    if not difference < 1e-3:
        raise ValueError(f"{folder}: the saved model draws other images than the snapshot, by {difference}")
    return difference


def export_zip(path: str | Path, model: Model) -> float:
    """Writes a .zip of the snapshot with its weights in half precision, and loads it back.

    What the system generates with is in it, the face model too where it renders and the model is not the built-in one.
    Returns the mean difference, of 255, between images of the snapshot and of the .zip. Raises ValueError when that is
    too much, and OSError with one line when the disk is full; a file that was there before is kept then.
    """
    path = Path(path)
    if path.suffix != ".zip":
        raise ValueError(f"{path}: expected a name that ends in .zip")
    whole = model.system.renders and model.face_model_source != "builtin"
    facts = {**model.facts, "face_model": model_io.FACE_MODEL if whole else model.face_model_source}
    manifest = dataclasses.replace(model.manifest, facts=facts)

    def also(folder: Path) -> None:
        for weights in folder.rglob("*.h5"):
            _halve(weights)
        _, generator = model_io.load_generator(model.folder)
        generator.load_weights(folder / model_io.WEIGHTS)
        faces = model.system.faces(
            generator, model.layout, model.noise_dim, model.faces.average_w,
            model.face_model if model.system.renders else None,
        )  # fmt: skip
        write_golden(folder / model_io.GOLDEN, faces, FactorSampler.load(folder / model_io.VAE))
        if whole:
            model.face_model.save(folder / model_io.FACE_MODEL)

    with tempfile.TemporaryDirectory() as temporary, atomic_path(path) as other:
        snapshot = Path(temporary) / "model"
        model_io.save_model(
            snapshot, model.generator, manifest, vae_dir=model.vae_dir, average_w=model.faces.average_w, also=also
        )
        with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as file:
            for part in sorted(part for part in snapshot.rglob("*") if part.is_file()):
                file.write(part, part.relative_to(temporary))
        found = load(other)
        require_golden(found)
        people = model.sample(_COMPARED)
        ours, theirs = (one.generate(people).astype(int) for one in (model, found))
        difference = float(np.abs(ours - theirs).mean())
        if not difference <= TOLERANCE:
            raise ValueError(f"{path}: in half precision its images differ by {difference:.3g} of 255 on average")
    return difference


def _halve(path: Path) -> None:
    """Rewrites an HDF5 file with its floats in half precision. Raises ValueError where one is too large for it."""
    with h5py.File(path, "r") as source, h5py.File(path.with_suffix(".half"), "w") as target:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            made = target.require_group(name) if isinstance(item, h5py.Group) else None
            if made is None:
                values = item[()]
                if np.asarray(values).dtype == np.float32:
                    values = np.asarray(values, np.float16)
                    if not np.isfinite(values).all():
                        raise ValueError(f"{path}: {name} is too large for half precision")
                made = target.create_dataset(name, data=values)
            made.attrs.update(item.attrs)

        source.visititems(copy)
        target.attrs.update(source.attrs)
    shutil.move(path.with_suffix(".half"), path)
