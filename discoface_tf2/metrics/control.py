"""Does the picture show what was asked? Coefficients and identity, as the perception networks see them.

The networks err on real images too, so every figure is to be read beside the same figure on held-out images whose
coefficients are known.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from discoface_tf2.metrics.mesh import mesh_errors
from discoface_tf2.perception import Perception
from renderer import CoefficientLayout, FaceModel

ANGLES = ("pitch", "yaw", "roll")


def correlation(asked: np.ndarray, seen: np.ndarray) -> float:
    """Pearson's r per component of [N, D], averaged over the components weighted by the variance asked for.

    The weights keep components that hardly ever move from counting as much as a smile or the key light.
    """
    asked, seen = np.asarray(asked, np.float64), np.asarray(seen, np.float64)
    a, s = asked - asked.mean(0), seen - seen.mean(0)
    variance = np.mean(a**2, 0)
    r = np.mean(a * s, 0) / np.sqrt(np.maximum(variance * np.mean(s**2, 0), 1e-12))
    return float(np.sum(r * variance) / max(np.sum(variance), 1e-12))


def identity_similarity(embeddings: np.ndarray, subjects: np.ndarray) -> dict[str, float]:
    """Mean cosine within and across subjects, and the share of (same, other) pairs that it orders rightly (ROC AUC).

    Unit embeddings [N, D], subject numbers [N]; each subject needs two pictures.
    """
    cosine = embeddings @ embeddings.T
    upper = np.triu(np.ones_like(cosine, bool), 1)
    same = subjects[:, None] == subjects[None]
    within, across = cosine[upper & same], cosine[upper & ~same]
    if not within.size or not across.size:
        raise ValueError("identity similarity: expected several subjects with several pictures each; take more samples")
    return {
        "identity_within": float(within.mean()),
        "identity_across": float(across.mean()),
        "identity_auc": roc_auc(within, across),
    }


def roc_auc(same: np.ndarray, other: np.ndarray) -> float:
    """Share of (same, other) pairs of similarities [N], [M] in which the first is larger."""
    return float((np.searchsorted(np.sort(other), same) / other.size).mean())


def compare(
    asked: np.ndarray, seen: np.ndarray, embeddings: np.ndarray, subjects: np.ndarray, layout: CoefficientLayout
) -> dict[str, float]:
    """The figures of one set of pictures: coefficients asked for [N, λ] and seen [N, ≥ λ], embeddings, subjects [N]."""
    angles = layout.slice("angles")
    error = np.degrees(np.abs(seen[:, angles] - asked[:, angles])).mean(0)
    figures = {f"{name}_error_degrees": float(value) for name, value in zip(ANGLES, error, strict=True)}
    figures["pose_error_degrees"] = float(error.mean())
    for factor in ("pose", "lighting", "expression", "identity"):
        where = layout.slice(factor)
        figures[f"{factor}_correlation"] = correlation(asked[:, where], seen[:, where])
    return figures | identity_similarity(embeddings, subjects) | {"samples": len(asked)}


def coefficient_errors(asked: np.ndarray, seen: np.ndarray, layout: CoefficientLayout) -> dict[str, float]:
    """How far what is seen [N, ≥ λ] is from what was asked for [N, λ]: the pose in degrees, the rest in percent.

    100 % is the error of whoever answers every question with the mean of what was asked for.
    """
    angles = layout.slice("angles")
    errors = {"pose_degrees": float(np.degrees(np.abs(seen[:, angles] - asked[:, angles])).mean())}
    for factor in ("lighting", "expression", "identity"):
        where = layout.slice(factor)
        spread = np.square(asked[:, where] - asked[:, where].mean(0)).mean()
        error = np.square(seen[:, where] - asked[:, where]).mean()
        errors[f"{factor}_percent"] = float(100 * np.sqrt(error / max(spread, 1e-12)))
    return errors


def measure(
    batches: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    perception: Perception,
    face_model: FaceModel | None = None,
) -> dict[str, float]:
    """Figures of `compare` over batches of (images [B, H, W, 3] in [-1, 1], target λ [B, λ], subjects [B]).

    With the face model, those of `mesh_errors` as well.
    """
    look = tf.function(lambda images: (perception.reconstruction(images), perception.identity(images)))
    asked, seen, embeddings, subjects = [], [], [], []
    for images, lambdas, numbers in batches:
        coefficients, embedding = look(tf.convert_to_tensor(images, tf.float32))
        asked.append(np.asarray(lambdas)[:, : perception.layout.lambda_size])
        seen.append(coefficients.numpy())
        embeddings.append(embedding.numpy())
        subjects.append(np.asarray(numbers))
    if not asked:
        raise ValueError("measure: expected at least one batch of pictures. Received none")
    together = [np.concatenate(parts) for parts in (asked, seen, embeddings, subjects)]
    figures = compare(together[0], together[1], together[2], together[3], perception.layout)
    return figures if face_model is None else {**figures, **mesh_errors(together[0], together[1], face_model)}
