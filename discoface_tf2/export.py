"""A snapshot as a SavedModel: TensorFlow alone runs it, without this project."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

from discoface_tf2.model import Model
from renderer.files import is_full, no_room

DESCRIPTION = "signatures.json"


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
    Written aside and renamed; a SavedModel that is there already is replaced. Raises ValueError when the folder holds
    something else, or when the saved model does not generate what this one does, and OSError with one line when the
    disk is full; what was there before is kept then, and nothing else.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "saved_model.pb").is_file():
        raise ValueError(f"{folder}: expected an empty folder or a SavedModel to replace. Give another --out")
    exported = ExportedModel(model, truncation)
    aside = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    signatures = {"coefficients": exported.from_coefficients, "latent": exported.from_latent}
    description = json.dumps(_description(model, truncation), indent=2) + "\n"
    try:
        tf.saved_model.save(exported, str(aside), signatures=signatures)
        (aside / DESCRIPTION).write_text(description, "utf-8")
        difference = _compare(aside, exported, model.sampler.latent_size + model.noise_dim)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, Exception) and is_full(error):
            raise no_room(folder, error) from None
        raise
    return difference


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
