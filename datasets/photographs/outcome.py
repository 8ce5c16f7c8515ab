"""What became of a photograph, as the journal keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

# How reasons of earlier versions begin that may be others next time, or with another --max_megapixels.
_NOT_ITS_FAULT = ("the process that read it ended", "it took longer than", "there is not enough memory")


@dataclass(frozen=True)
class FaceOutcome:
    """One aligned face. Files are relative to the target folder; lengths are pixels of the upright file, y down."""

    name: str
    file: str
    size: int  # bytes of the aligned image
    digest: str  # SHA-256 of the aligned image and its coefficients
    landmarks: tuple[float, ...]  # 5 × (x, y)
    source: str  # of the landmarks: "given" or "detected"
    confidence: float  # of the detection, 0-1
    coefficients: str  # "network", "pose from landmarks" (the rest is the network's) or "none"
    disagreement: float  # of pose and landmarks, as a share of the eye distance
    angles: tuple[float, ...]  # pitch, yaw, roll, degrees
    box: tuple[float, ...]  # left, top and side of the frame
    thumbnail: str


@dataclass(frozen=True)
class Outcome:
    """One photograph: its faces, or the reason why there is none."""

    name: str
    stamp: tuple[int, ...]  # see `Photograph.stamp`
    faces: tuple[FaceOutcome, ...] = ()
    reason: str = ""
    width: int = 0
    height: int = 0
    thumbnail: str = ""  # of a photograph without a face
    seconds: float = 0.0
    limit: int = (
        0  # the limit of pixels, where it decided: for too large a photograph, or one decoded at a smaller size
    )
    transient: bool = False  # not the photograph's fault: its process died, it took too long, there was no memory

    def stands(self, max_pixels: int) -> bool:
        """Whether it would be the same again, with a limit of `max_pixels`."""
        if self.transient:
            return False
        return self.limit == max_pixels if self.limit else self.width * self.height <= max_pixels

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Outcome:
        """The outcome that `to_json` wrote. Raises ValueError for anything else."""
        try:
            values = _tuples(json.loads(line))
            values["faces"] = tuple(FaceOutcome(**_tuples(face)) for face in values["faces"])
            if "transient" not in values:  # of an earlier version, which noted neither
                reason = str(values.get("reason", ""))
                values["transient"] = reason.startswith(_NOT_ITS_FAULT) or "(--max_megapixels)" in reason
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an outcome of a photograph ({error})") from None


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
