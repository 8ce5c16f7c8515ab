"""One photograph → its aligned faces, their coefficients, and its status."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image
from scipy import io as scipy_io

from datasets.alignment import FrameBox, align, generator_box, read_landmarks, reconstruction_box
from datasets.photographs.detection import Detector, Face
from datasets.photographs.files import Photograph, other_face, write_bytes
from datasets.photographs.journal import FaceStatus, Settings, Status
from datasets.photographs.placement import FaceLandmarks, Placement, disagreement, fit_pose, fit_translation
from datasets.photographs.reading import TooLargeError, read_photograph
from datasets.photographs.report import Illustrator
from datasets.schema import encode_image
from renderer.camera import Camera
from renderer.face_model import FaceModel

ALIGNED, COEFFICIENTS, PICTURES = "aligned", "coeff", "report/pictures"
_MAT_HEADER = 116  # bytes of free text at the start of a MATLAB file


class Reconstruction(Protocol):
    """A network that tells a face's coefficients from one crop [S, S, 3] uint8 RGB → [size] float32."""

    framing: Literal["generator", "reconstruction"]  # the crop that it wants
    image_size: int  # S

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """Coefficients [size] of a crop [S, S, 3]; the translation is in the reconstruction camera's space, or 0."""


@dataclass
class Preparer:
    """Prepares photographs, one per call, into the folder `out`. The only state is the loaded networks.

    reconstruction: None leaves the coefficients unknown; pose and place come from the landmarks then.
    """

    model: FaceModel
    out: Path
    settings: Settings = field(default_factory=Settings)
    reconstruction: Reconstruction | None = None
    make_detector: Callable[[], Detector] = Detector

    def __post_init__(self) -> None:
        self._points = FaceLandmarks(self.model)
        self._angles = self.model.layout.slice("angles")
        self._detector: Detector | None = None
        size = self.settings.thumbnail
        self._illustrator = Illustrator(self.model, size) if size else None

    def __call__(self, photograph: Photograph) -> Status:
        """Writes what there is to write; what cannot be used has a reason instead.

        Raises TargetError when the folder cannot be written to, which is no photograph's fault.
        """
        begun, stamp = time.perf_counter(), photograph.stamp()
        faces: tuple[FaceStatus, ...] = ()
        reason, thumbnail, size, limit = "", "", (0, 0), 0
        try:
            image, scale = read_photograph(photograph.path, self.settings.max_pixels)
            size, limit = image.size, 0 if scale == 1 else self.settings.max_pixels
            faces, reason = self._faces(photograph, image, scale)
            if not faces and self._illustrator is not None:
                thumbnail = f"{PICTURES}/{photograph.name}.jpg"
                write_bytes(self.out / thumbnail, self._illustrator.plain(image))
        except (ValueError, FileNotFoundError) as error:
            reason = _sentence(error, photograph)
            if isinstance(error, TooLargeError):
                limit = self.settings.max_pixels
        seconds = round(time.perf_counter() - begun, 3)
        return Status(photograph.name, stamp, faces, reason, *size, thumbnail, seconds, limit)

    def _faces(self, photograph: Photograph, image: Image.Image, scale: float) -> tuple[tuple[FaceStatus, ...], str]:
        """The faces of a photograph that could be prepared; where there is none, why the first could not be."""
        found, source = self._find(photograph, image, scale)
        faces, problems = [], []
        for number, face in enumerate(found, 1):
            try:
                faces.append(self._prepare(other_face(photograph.name, number), image, scale, face, source))
            except ValueError as error:
                problems.append(_sentence(error, photograph))
            if faces and not self.settings.all_faces:
                break
        return tuple(faces), "" if faces else next(iter(problems), "no face was found")

    def _find(self, photograph: Photograph, image: Image.Image, scale: float) -> tuple[list[Face], str]:
        if photograph.landmarks is not None:
            points = read_landmarks(photograph.landmarks) * scale
            low, high = points.min(0), points.max(0)
            return [Face(points, (*low.tolist(), *high.tolist()), 1.0)], "given"
        if self._detector is None:
            self._detector = self.make_detector()
        faces = self._detector.detect(image, self.settings.all_faces)
        # A hundredth of a pixel: what the journal says is then exactly what was used.
        return [Face(np.round(face.landmarks, 2), face.box, round(face.confidence, 4)) for face in faces], "detected"

    def _prepare(self, name: str, image: Image.Image, scale: float, face: Face, source: str) -> FaceStatus:
        seen = reconstruction_box(face.landmarks, self._points.five())
        observed = _upward(seen.to_frame(face.landmarks, Camera.reconstruction().image_size))
        rigid = fit_pose(observed, self._points.five())
        coefficients, placement, trusted = self._reconstruct(image, seen, observed, rigid)
        box = generator_box(seen, placement.translation)
        pixels = align(image, box, self.settings.image_size)
        if coefficients is None:
            shown = np.zeros(self.model.layout.size, np.float32)
            shown[self._angles] = placement.angles
        else:
            shown = coefficients
        suffix = "png" if self.settings.image_format == "png" else "jpg"
        content = encode_image(pixels, None if suffix == "png" else self.settings.quality)
        write_bytes(self.out / ALIGNED / f"{name}.{suffix}", content)
        digest = hashlib.sha256(content)
        if coefficients is not None:
            mat = mat_bytes("coeff", coefficients[None])
            write_bytes(self.out / COEFFICIENTS / f"{name}.mat", mat)
            digest.update(mat)
        thumbnail = ""
        if self._illustrator is not None:
            thumbnail = f"{PICTURES}/{name}.jpg"
            write_bytes(self.out / thumbnail, self._illustrator(image, face.landmarks, seen, box, pixels, shown))
        return FaceStatus(
            name=name,
            file=f"{ALIGNED}/{name}.{suffix}",
            size=len(content),
            digest=digest.hexdigest(),
            landmarks=tuple(np.round(face.landmarks.reshape(-1) / scale, 2).tolist()),
            source=source,
            confidence=face.confidence,
            coefficients="none" if coefficients is None else "network" if trusted else "pose from landmarks",
            disagreement=round(placement.disagreement, 4),
            angles=tuple(np.round(np.degrees(shown[self._angles].astype(np.float64)), 2).tolist()),
            box=tuple(round(value / scale, 2) for value in (box.left, box.top, box.side)),
            thumbnail=thumbnail,
        )

    def _reconstruct(
        self, image: Image.Image, seen: FrameBox, observed: np.ndarray, rigid: Placement
    ) -> tuple[np.ndarray | None, Placement, bool]:
        """Coefficients with translation 0 (None: unknown), the placement to crop by, and whether it is the network's.

        observed: the landmarks [5, 2] in the reconstruction camera's pixels, y up. rigid: their own fit.
        """
        network, layout = self.reconstruction, self.model.layout
        if network is None:
            return None, rigid, False
        if network.framing == "reconstruction":
            coefficients = network(align(image, seen, network.image_size)).astype(np.float32)
            angles, translation = (coefficients[layout.slice(key)] for key in ("angles", "translation"))
            error = disagreement(observed, self._points.five(coefficients), angles, translation)
            placement = Placement(angles.astype(np.float64), translation.astype(np.float64), error)
        else:
            crop = align(image, generator_box(seen, rigid.translation), network.image_size)
            coefficients = network(crop)
            placement = self._place(coefficients, observed)
            # The network learned from faces at translation 0: its answer is the one for the final framing.
            crop = align(image, generator_box(seen, placement.translation), network.image_size)
            coefficients = network(crop).astype(np.float32)
        trusted = bool(placement.disagreement <= self.settings.max_disagreement)
        coefficients = coefficients.copy()
        coefficients[layout.slice("translation")] = 0
        if not trusted:
            coefficients[self._angles] = rigid.angles
            placement = Placement(rigid.angles, rigid.translation, placement.disagreement)
        if not np.isfinite(coefficients).all():
            raise ValueError("the reconstruction network's answer is not finite")
        return coefficients, placement, trusted

    def _place(self, coefficients: np.ndarray, observed: np.ndarray) -> Placement:
        """Where the face stands for its pose and expression to meet the landmarks, with the mean face's shape.

        The shape of one person, read off one crop, trades size for distance: without it the crop is more exact
        (docs/photographs.md has the figures).
        """
        expression = coefficients.copy()
        expression[self.model.layout.slice("shape")] = 0
        return fit_translation(observed, self._points.five(expression), coefficients[self._angles].astype(np.float64))


def _upward(points: np.ndarray) -> np.ndarray:
    """Pixels of the reconstruction crop, y down → y up."""
    return points * (1, -1) + (0, Camera.reconstruction().image_size)


def _sentence(error: Exception, photograph: Photograph) -> str:
    """An error's text as one line without the photograph's own path in front."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix(f"{photograph.path}: ")


def mat_bytes(key: str, values: np.ndarray) -> bytes:
    """A MATLAB 5 file with one variable: the same bytes for the same numbers, at any time and place."""
    buffer = io.BytesIO()
    scipy_io.savemat(buffer, {key: values})
    content = buffer.getvalue()
    return b"MATLAB 5.0 MAT-file".ljust(_MAT_HEADER) + content[_MAT_HEADER:]  # scipy's own text has the date
