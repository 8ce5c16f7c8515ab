"""Held-out errors of the three networks, and a sheet of pictures to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from discoface_tf2.perception.identity import Identity
from discoface_tf2.perception.parsing import CLASSES, Parsing
from discoface_tf2.perception.reconstruction import Reconstruction
from discoface_tf2.perception.training import scores
from discoface_tf2.perception.training.objectives import Landmarks
from discoface_tf2.perception.training.samples import Draw, Samples

_TINTS = np.array([[40, 60, 160], [230, 160, 120], [60, 200, 80]], np.float32)  # background, skin, hair


def predict(function: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray, batch_size: int = 100) -> np.ndarray:
    """`function` of uint8 images [N, S, S, 3], brought to [-1, 1], batch by batch → [N, …]."""
    results = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size].astype(np.float32) / 127.5 - 1.0
        results.append(np.asarray(function(tf.constant(batch))))
    return np.concatenate(results)


def masked(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Images [N, S, S, 3] with black where the mask [N, S, S, 1] is 0."""
    return images * (masks > 0).astype(images.dtype)


def report_reconstruction(network: Reconstruction, held_out: Samples, landmarks: Landmarks) -> dict[str, Any]:
    """Errors on photographs, and on renders; see `_coefficient_errors`."""
    result = {}
    for kind, images, actual in (
        ("photographs", held_out.images, held_out.coefficients),
        ("renders", held_out.renders, held_out.render_coefficients),
    ):
        if images is not None and actual is not None:
            result[kind] = _coefficient_errors(network, predict(network, images), actual, landmarks)
    return result


def _coefficient_errors(
    network: Reconstruction, predicted: np.ndarray, actual: np.ndarray, landmarks: Landmarks
) -> dict[str, Any]:
    layout = network.layout
    angles = scores.angle_errors(predicted[:, layout.slice("angles")], actual[:, layout.slice("angles")])
    result: dict[str, Any] = {
        "samples": len(actual),
        "pose_degrees": dict(zip(("pitch", "yaw", "roll"), map(_short, angles), strict=True)),
        "pose_degrees_mean": _short(angles.mean()),
        "landmarks_percent_of_eye_distance": _short(
            scores.landmark_error(np.asarray(landmarks(predicted)), np.asarray(landmarks(actual)))
        ),
    }
    for group in ("expression", "lighting", "texture", "shape"):
        there, found = actual[:, layout.slice(group)], predicted[:, layout.slice(group)]
        each = scores.explained_variance(found, there)
        result[f"{group}_explained_variance"] = _short(np.nanmean(each)) if np.isfinite(each).any() else None
        result[f"{group}_explained_variance_overall"] = (
            _short(scores.overall_explained_variance(found, there)) if np.isfinite(each).any() else None
        )
    return result


def report_identity(network: Identity, held_out: Samples, seed: int, pairs: int = 2000) -> dict[str, Any]:
    """Verification accuracy on balanced pairs of held-out subjects, and mean cosines, for three kinds of pairs.

    `photographs`: two photographs. `masked`: two photographs, black outside the rendered face. `masked_to_render`: a
    masked photograph and a render of the same identity in another pose, expression and light (what the imitative loss
    compares; a lone photograph of its subject counts here too).
    """
    photos = predict(network, held_out.images)
    result: dict[str, Any] = {"pairs": 2 * pairs, "subjects": len(np.unique(held_out.subjects))}
    rng = np.random.default_rng([seed, 3])
    same, different = _pairs(held_out.subjects, pairs, rng, distinct=True)
    kinds = {"photographs": (photos, photos, same, different)}
    if held_out.face_masks is not None and held_out.renders is not None:
        faces = predict(network, masked(held_out.images, held_out.face_masks))
        renders = predict(network, held_out.renders)
        kinds["masked"] = (faces, faces, same, different)
        kinds["masked_to_render"] = (faces, renders, *_pairs(held_out.subjects, pairs, rng, distinct=False))
    for kind, (first, second, alike, unlike) in kinds.items():
        if len(alike) < 2:
            result[kind] = None  # no subject has two photographs
            continue
        cosines = [np.sum(first[rows[:, 0]] * second[rows[:, 1]], -1) for rows in (alike, unlike)]
        accuracy, threshold = scores.verification_accuracy(*cosines)
        result[kind] = {
            "verification_accuracy": _short(accuracy),
            "threshold": _short(threshold),
            "cosine_same": _short(cosines[0].mean()),
            "cosine_different": _short(cosines[1].mean()),
        }
    return result


def _pairs(subjects: np.ndarray, count: int, rng: np.random.Generator, distinct: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows [count, 2] of the same subject ([0, 2] if there are none) and of different ones."""
    order = rng.permutation(len(subjects))
    by_subject = [order[subjects[order] == person] for person in np.unique(subjects)]
    usable = [rows for rows in by_subject if len(rows) > 1] if distinct else by_subject
    same = np.zeros((0, 2), int)
    if usable:
        same = np.array([rng.choice(usable[rng.integers(len(usable))], 2, replace=not distinct) for _ in range(count)])
    people = np.array([rng.choice(len(by_subject), 2, replace=False) for _ in range(count)])
    return same, np.array([[rng.choice(by_subject[person]) for person in pair] for pair in people])


def report_parsing(network: Parsing, held_out: Samples) -> dict[str, Any]:
    """Intersection over union of each class, their mean, and the share of pixels that are right."""
    found = predict(network, held_out.images).argmax(-1)
    actual = held_out.masks[..., 0]
    each = scores.intersection_over_union(found, actual, len(CLASSES))
    return {
        "samples": len(held_out),
        "iou": {name: _short(value) for name, value in zip(CLASSES, each, strict=True)},
        "iou_mean": _short(np.nanmean(each)),
        "pixel_accuracy": _short((found == actual).mean()),
    }


def sheet(networks: dict[str, keras.Model], held_out: Samples, draw: Draw, columns: int = 12) -> np.ndarray:
    """Held-out photographs and what the networks see in them, [rows * S, columns * S, 3] uint8.

    Rows: photograph; the renderer's picture of its true coefficients; of the predicted ones; predicted classes over the
    photograph. The last two only for networks that are there.
    """
    rows = np.linspace(0, len(held_out) - 1, min(columns, len(held_out))).astype(int)
    images = held_out.images[rows]
    strips = [images, draw(held_out.coefficients[rows])[0]]
    if "reconstruction" in networks:
        strips.append(draw(predict(networks["reconstruction"], images))[0])
    if "parsing" in networks:
        strips.append(0.5 * images + 0.5 * predict(networks["parsing"], images) @ _TINTS)
    return np.concatenate([np.concatenate(np.clip(strip, 0, 255).astype(np.uint8), 1) for strip in strips], 0)


def _short(value: Any) -> float | None:
    """A figure with four digits, None for NaN, so that reports are valid JSON."""
    return float(f"{float(value):.4g}") if np.isfinite(value) else None
