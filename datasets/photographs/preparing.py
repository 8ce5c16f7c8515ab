"""One photograph → its aligned faces, their coefficients, and a word on what became of it."""

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

from datasets.alignment import FrameBox, align, generator_box, read_landmarks, reconstruction_box, standard_landmarks
from datasets.photographs.detection import Detector, Face
from datasets.photographs.finding import Photograph, other_face
from datasets.photographs.outcome import FaceOutcome, Outcome
from datasets.photographs.placement import FaceLandmarks, Placement, disagreement, fit_pose, fit_translation
from datasets.photographs.reading import TooLargeError, read_photograph
from datasets.photographs.settings import Settings
from datasets.photographs.target import mat_bytes, write_bytes
from datasets.photographs.thumbnail import Illustrator
from renderer.camera import Camera
from renderer.face_model import FaceModel

ALIGNED, COEFFICIENTS, PICTURES = "aligned", "coeff", "report/pictures"


class Reconstruction(Protocol):
    """A network that tells a face's coefficients from one crop [S, S, 3] uint8 RGB → [size] float32."""

    framing: Literal["generator", "reconstruction"]  # the crop that it wants
    image_size: int  # S

    def __call__(self, crop: np.ndarray) -> np.ndarray:
        """Coefficients [size] of a crop [S, S, 3]; the translation is in the reconstruction camera's space, or 0."""


@dataclass
class Preparer:
    """Prepares photographs, one a call, into the folder `out`. The only state is the loaded networks.

    reconstruction: None leaves the coefficients unknown; pose and place come from the landmarks then.
    """

    model: FaceModel
    out: Path
    settings: Settings = field(default_factory=Settings)
    reconstruction: Reconstruction | None = None
    make_detector: Callable[[], Detector] = Detector

    def __post_init__(self) -> None:
        self._points = FaceLandmarks(self.model)
        self._standard = standard_landmarks(self.model)
        self._angles = self.model.layout.slice("angles")
        self._detector: Detector | None = None
        self._illustrator: Illustrator | None = None
        if self.settings.thumbnail:
            self._illustrator = Illustrator(self.model, self.settings.thumbnail)

    def __call__(self, photograph: Photograph) -> Outcome:
        """Writes what there is to write; what cannot be used has a reason instead.

        Raises TargetError when the folder cannot be written to, which is no photograph's fault.
        """
        begun = time.perf_counter()
        stamp = photograph.stamp()
        faces: list[FaceOutcome] = []
        reason, thumbnail, size, limit = "", "", (0, 0), 0
        try:
            image, scale = read_photograph(photograph.path, self.settings.max_pixels)
            size = image.size
            limit = 0 if scale == 1 else self.settings.max_pixels
            found, source = self._find(photograph, image, scale)
            problems = []
            for number, face in enumerate(found, 1):
                try:
                    name = other_face(photograph.name, number)
                    faces.append(self._prepare(name, image, scale, face, source))
                except ValueError as error:
                    problems.append(_sentence(error, photograph))
                if faces and not self.settings.all_faces:
                    break
            if not faces:
                reason = problems[0] if problems else "no face was found"
                thumbnail = self._picture(photograph.name, image)
        except TooLargeError as error:
            reason, limit = _sentence(error, photograph), self.settings.max_pixels
        except (ValueError, FileNotFoundError) as error:
            reason = _sentence(error, photograph)
        return Outcome(
            name=photograph.name,
            stamp=stamp,
            faces=tuple(faces),
            reason=reason,
            width=size[0],
            height=size[1],
            thumbnail=thumbnail,
            seconds=round(time.perf_counter() - begun, 3),
            limit=limit,
        )

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

    def _prepare(self, name: str, image: Image.Image, scale: float, face: Face, source: str) -> FaceOutcome:
        seen = reconstruction_box(face.landmarks, self._standard)
        picture = _upward(seen.to_frame(face.landmarks, Camera.reconstruction().image_size))
        rigid = fit_pose(picture, self._points.five())
        coefficients, placement, trusted = self._reconstruct(image, seen, picture, rigid)
        box = generator_box(seen, placement.translation)
        pixels = align(image, box, self.settings.image_size)
        if coefficients is None:
            shown = np.zeros(self.model.layout.size, np.float32)
            shown[self._angles] = placement.angles
        else:
            shown = coefficients
        suffix = "png" if self.settings.image_format == "png" else "jpg"
        content = self._encode(pixels)
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
        return FaceOutcome(
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
        self, image: Image.Image, seen: FrameBox, picture: np.ndarray, rigid: Placement
    ) -> tuple[np.ndarray | None, Placement, bool]:
        """Coefficients with translation 0 (None: unknown), the placement to crop by, and whether it is the network's.

        picture: the landmarks [5, 2] in the reconstruction camera's pixels, y up. rigid: their own fit.
        """
        network, layout = self.reconstruction, self.model.layout
        if network is None:
            return None, rigid, False
        if network.framing == "reconstruction":
            coefficients = network(align(image, seen, network.image_size)).astype(np.float32)
            angles, translation = (coefficients[layout.slice(key)] for key in ("angles", "translation"))
            error = disagreement(picture, self._points.five(coefficients), angles, translation)
            placement = Placement(angles.astype(np.float64), translation.astype(np.float64), error)
        else:
            crop = align(image, generator_box(seen, rigid.translation), network.image_size)
            coefficients = network(crop)
            placement = self._place(coefficients, picture)
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

    def _place(self, coefficients: np.ndarray, picture: np.ndarray) -> Placement:
        """Where the face stands for its pose and expression to meet the landmarks, with the mean face's shape.

        The shape of one person, read off one crop, trades size for distance: without it the crop is more exact
        (docs/photographs.md has the figures).
        """
        expression = coefficients.copy()
        expression[self.model.layout.slice("shape")] = 0
        return fit_translation(picture, self._points.five(expression), coefficients[self._angles].astype(np.float64))

    def _encode(self, pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        if self.settings.image_format == "png":
            Image.fromarray(pixels).save(buffer, "PNG")
        else:
            Image.fromarray(pixels).save(buffer, "JPEG", quality=self.settings.quality, subsampling=0)
        return buffer.getvalue()

    def _picture(self, name: str, image: Image.Image) -> str:
        if self._illustrator is None:
            return ""
        thumbnail = f"{PICTURES}/{name}.jpg"
        write_bytes(self.out / thumbnail, self._illustrator.plain(image))
        return thumbnail


def _upward(points: np.ndarray) -> np.ndarray:
    """Pixels of the reconstruction crop, y down → y up."""
    return points * (1, -1) + (0, Camera.reconstruction().image_size)


def _sentence(error: Exception, photograph: Photograph) -> str:
    """An error's text as one line without the photograph's own path in front."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix(f"{photograph.path}: ")
