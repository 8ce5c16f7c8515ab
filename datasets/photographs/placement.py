"""Where a face stands before the reconstruction camera: pose and translation that agree best with five landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from datasets.alignment import five_landmarks
from renderer.camera import Camera
from renderer.face_model import FaceModel

_CAMERA = Camera.reconstruction()
_MAX_TURN = np.radians(100)  # no start of the fit needs more


@dataclass(frozen=True, eq=False)
class Placement:
    """Pose and place of a face before the reconstruction camera.

    angles: [3] pitch, yaw, roll, radians. translation: [3] decimetres. disagreement: root mean square distance of the
    projected landmarks to the given ones, as a share of the eye distance (of a face that looks into the camera).
    """

    angles: np.ndarray
    translation: np.ndarray
    disagreement: float


class FaceLandmarks:
    """The five landmarks of a face model as a function of its coefficients, in numpy."""

    def __init__(self, model: FaceModel):
        self.layout = model.layout
        mean = model.mean_shape.astype(np.float64)
        centre = np.asarray(model.manifest.get("centre", mean.mean(0)))
        self._mean = (mean - centre)[model.landmarks]  # [68, 3]
        basis = np.concatenate([model.shape_basis, model.expression_basis], -1)
        self._basis = basis[model.landmarks].astype(np.float64)  # [68, 3, S + E]

    def all(self, coefficients: np.ndarray | None = None) -> np.ndarray:
        """68 landmarks [68, 3] before the pose, decimetres, of `coefficients` [size]; None is the mean face."""
        if coefficients is None:
            return self._mean
        groups = self.layout.split(np.asarray(coefficients, np.float64))
        return self._mean + self._basis @ np.concatenate([groups["shape"], groups["expression"]])

    def five(self, coefficients: np.ndarray | None = None) -> np.ndarray:
        """Eyes, nose tip and mouth corners [5, 3], as `all`."""
        return five_landmarks(self.all(coefficients))


def rotation(angles: np.ndarray) -> np.ndarray:
    """[3, 3] Rz·Ry·Rx of pitch, yaw and roll, as `renderer.pose.rotation_matrix`."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def project(points: np.ndarray, angles: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Points [N, 3] of a face → pixels [N, 2] of the reconstruction camera, y up."""
    return np.asarray(_CAMERA.project(points @ rotation(angles).T + translation))


def disagreement(observed: np.ndarray, points: np.ndarray, angles: np.ndarray, translation: np.ndarray) -> float:
    """See `Placement`; `observed` [5, 2] are pixels of the reconstruction camera, y up, `points` [5, 3] the face's."""
    eyes = np.linalg.norm(points[0] - points[1]) * _CAMERA.focal / max(_CAMERA.distance - translation[2], 1e-3)
    return float(np.sqrt(((project(points, angles, translation) - observed) ** 2).sum(1).mean()) / eyes)


def fit_translation(observed: np.ndarray, points: np.ndarray, angles: np.ndarray) -> Placement:
    """The translation for a known pose: linear least squares, since (x − c)·(d − z − t_z) = f·(X + t_x)."""
    posed = points @ rotation(angles).T
    offset = observed - _CAMERA.image_size / 2  # [N, 2]
    focal, count = _CAMERA.focal, len(observed)
    matrix = np.zeros((2 * count, 3))
    matrix[:count, 0] = matrix[count:, 1] = focal
    matrix[:, 2] = offset.T.reshape(-1)
    right = (offset * (_CAMERA.distance - posed[:, 2:]) - focal * posed[:, :2]).T.reshape(-1)
    translation = np.linalg.lstsq(matrix, right, rcond=None)[0]
    return Placement(np.asarray(angles), translation, disagreement(observed, points, angles, translation))


def fit_pose(observed: np.ndarray, points: np.ndarray) -> Placement:
    """Pose and translation of a rigid face: nonlinear least squares over the angles, linear in the translation.

    observed: [5, 2] pixels of the reconstruction camera, y up. points: [5, 3] decimetres.
    Raises ValueError when nothing fits.
    """

    def residuals(angles: np.ndarray) -> np.ndarray:
        fit = fit_translation(observed, points, angles)
        return (project(points, angles, fit.translation) - observed).reshape(-1)

    eyes, model_eyes = observed[1] - observed[0], points[1] - points[0]
    roll = np.arctan2(eyes[1], eyes[0]) - np.arctan2(model_eyes[1], model_eyes[0])
    roll = (roll + np.pi) % (2 * np.pi) - np.pi
    best: optimize.OptimizeResult | None = None
    for yaw in (0.0, 0.6, -0.6):  # a flipped solution may lie between a turned head and a start that looks ahead
        found = optimize.least_squares(residuals, np.array([0.0, yaw, roll]), x_scale=0.3, max_nfev=30)
        if best is None or found.cost < 0.99 * best.cost:
            best = found
    assert best is not None
    placement = fit_translation(observed, points, best.x)
    if not np.isfinite(placement.disagreement) or np.abs(best.x[:2]).max() > _MAX_TURN:
        raise ValueError("no pose of a head fits the landmarks")
    return placement
