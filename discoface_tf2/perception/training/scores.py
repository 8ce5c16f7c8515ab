"""How far predictions are from labels; plain numpy, one number or one per component."""

from __future__ import annotations

import numpy as np

OUTER_CORNERS = (36, 45)  # the outer corners of the eyes, iBUG numbering from 0


def angle_errors(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Mean absolute error of (pitch, yaw, roll) in degrees, [3], of angles [N, 3] in radians."""
    return np.degrees(np.abs(predicted - actual).mean(0))


def landmark_error(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Mean distance of 68 landmarks [N, 68, 2], in % of the median distance of the eyes' outer corners.

    The median over the pictures, and not each picture's own distance, because that shrinks to nothing in profile.
    """
    first, second = OUTER_CORNERS
    eyes = np.median(np.linalg.norm(actual[:, first] - actual[:, second], axis=-1))
    return float(100 * np.linalg.norm(predicted - actual, axis=-1).mean() / eyes)


def explained_variance(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """R² of each component, [K], of [N, K]: 1 − squared error / variance. NaN where the labels never change."""
    variance = actual.var(0)
    constant = variance <= 1e-12 * max(1.0, float(np.square(actual).max(initial=0.0)))
    ratio = np.square(predicted - actual).mean(0) / np.where(constant, 1.0, variance)
    return np.where(constant, np.nan, 1.0 - ratio)


def overall_explained_variance(predicted: np.ndarray, actual: np.ndarray) -> float:
    """R² of all components together: 1 − summed squared error / summed variance."""
    return float(1.0 - np.square(predicted - actual).mean(0).sum() / actual.var(0).sum())


def verification_accuracy(same: np.ndarray, different: np.ndarray) -> tuple[float, float]:
    """Accuracy of "one person, or two?" from cosine similarities, and the threshold.

    The threshold is the best on every second pair of each kind; the accuracy, the mean over the two kinds, is measured
    on the other half. Raises ValueError with fewer than two pairs of a kind.
    """
    if min(len(same), len(different)) < 2:
        raise ValueError(f"verification: expected two pairs of each kind. Received: {len(same)} and {len(different)}")

    def balanced(threshold: float, same: np.ndarray, different: np.ndarray) -> float:
        return float((np.mean(same >= threshold) + np.mean(different < threshold)) / 2)

    values = np.unique(np.concatenate([same[::2], different[::2]]))
    candidates = np.concatenate([(values[1:] + values[:-1]) / 2, values[:1]])
    # the middle of the best ones, so that a clean gap is cut in its middle
    accuracy = np.array([balanced(t, same[::2], different[::2]) for t in candidates])
    best = np.sort(candidates[accuracy == accuracy.max()])
    threshold = float(best[len(best) // 2])
    return balanced(threshold, same[1::2], different[1::2]), threshold


def intersection_over_union(predicted: np.ndarray, actual: np.ndarray, classes: int) -> np.ndarray:
    """IoU of each class over all pixels together, [classes], of class numbers; NaN for an absent class."""
    result = []
    for index in range(classes):
        union = ((predicted == index) | (actual == index)).sum()
        both = ((predicted == index) & (actual == index)).sum()
        result.append(both / union if union else np.nan)
    return np.array(result)
