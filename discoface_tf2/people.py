"""People as arrays: the coefficients and the noise that images are generated of, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from renderer.controls import Controls
from renderer.face_model import FaceModel
from renderer.files import save_npz
from renderer.layout import FACTORS, CoefficientLayout
from renderer.lights import DEFAULT_SETUP, LightSetup

FORMAT = "discoface_tf2 people, version 1"


@dataclass(frozen=True, eq=False)
class People:
    """N faces: who they are, how they look, how they are turned and lit, and what no face model knows of them.

    Attributes:
        coefficients: λ [N, λ] float32, in the order of the layout.
        noise: [N, noise_dim] float32, normal numbers: hair, background, all that the face model does not cover.
        layout: where each factor lies in λ.
        face_model: knows movements and lights by name; None: `with_` then takes angles alone.
    """

    coefficients: np.ndarray
    noise: np.ndarray
    layout: CoefficientLayout
    face_model: FaceModel | None = None

    def __post_init__(self) -> None:
        count, size = len(self.coefficients), self.layout.lambda_size
        if self.coefficients.shape != (count, size) or self.noise.shape[:1] != (count,) or self.noise.ndim != 2:
            raise ValueError(
                f"people: expected coefficients [N, {size}] and noise [N, noise_dim]. Received: "
                f"{self.coefficients.shape} and {self.noise.shape}"
            )

    def __len__(self) -> int:
        return len(self.coefficients)

    def __getitem__(self, which: int | slice | Sequence[int] | np.ndarray) -> People:
        """Some of them, in that order."""
        rows = np.atleast_1d(np.arange(len(self))[which])
        return replace(self, coefficients=self.coefficients[rows], noise=self.noise[rows])

    def __repr__(self) -> str:
        pitch, yaw, roll = self.pose.mean(0) if len(self) else (0, 0, 0)
        return (
            f"People({len(self)}: identity {self.identity.shape[1]}, expression {self.expression.shape[1]}, light 27, "
            f"pose 3 (mean pitch {pitch:+.1f}°, yaw {yaw:+.1f}°, roll {roll:+.1f}°), noise {self.noise.shape[1]})"
        )

    @property
    def identity(self) -> np.ndarray:
        """[N, shape + texture]."""
        return self.coefficients[:, self.layout.slice("identity")]

    @property
    def expression(self) -> np.ndarray:
        """[N, expression]."""
        return self.coefficients[:, self.layout.slice("expression")]

    @property
    def light(self) -> np.ndarray:
        """[N, 27] spherical harmonics, 9 of each colour channel."""
        return self.coefficients[:, self.layout.slice("lighting")]

    @property
    def pose(self) -> np.ndarray:
        """[N, 3] pitch, yaw and roll, degrees."""
        return np.degrees(self.coefficients[:, self.layout.slice("angles")])

    def with_(
        self,
        *,
        yaw: float | None = None,
        pitch: float | None = None,
        roll: float | None = None,
        expression: Mapping[str, float] | People | np.ndarray | None = None,
        light: str | LightSetup | None = None,
        **factors: People | np.ndarray,
    ) -> People:
        """The same people, changed; what is not given stays.

        Args:
            yaw, pitch, roll: degrees, as in `renderer.render`: positive yaw turns the face to the picture's right,
                positive pitch bows the head, positive roll turns it counter-clockwise.
            expression: movements by name, 0 at rest and 1 full, and the others stay; or that of other People; or an
                array of it.
            light: such as "left" or "top=0.5@#ffd0a0,ambient=0.3": see `renderer.lights`.
            factors: `identity`, `lighting`, `pose` or `noise` of other People, or arrays [N, size] or [size] of it
                (pose in degrees).

        Raises:
            ValueError: for an unknown name, or when names are given and there is no face model.
        """
        if isinstance(expression, (People, np.ndarray)):
            factors, expression = {**factors, "expression": expression}, None
        named = bool(expression) or light is not None
        if named and self.face_model is None:
            raise ValueError("with_: expressions and lights by name need the face model: load(…, face_model=…)")
        coefficients, noise = self.coefficients.copy(), self.noise.copy()
        for name, value in factors.items():
            if name == "noise":
                noise[:] = value.noise if isinstance(value, People) else value
            elif name in FACTORS:
                where = self.layout.slice(name)
                if isinstance(value, People):
                    coefficients[:, where] = value.coefficients[:, where]
                else:
                    coefficients[:, where] = np.radians(value) if name == "pose" else value
            else:
                raise ValueError(f"with_: expected one of {', '.join((*FACTORS, 'noise'))}. Received: {name!r}")
        lights = LightSetup.parse(light) if isinstance(light, str) else light
        controls = Controls(pitch, yaw, roll, expression or {}, lights=lights)
        if self.face_model is not None:
            coefficients = controls.apply(self.face_model, coefficients)
        else:
            angles = coefficients[:, self.layout.slice("angles")]
            for column, degrees in enumerate((pitch, yaw, roll)):
                if degrees is not None:
                    angles[:, column] = np.radians(degrees)
        return replace(self, coefficients=coefficients, noise=noise)

    def at_rest(self) -> People:
        """The same people without expression, looking ahead, in plain light. Raises ValueError without a face model."""
        return self.with_(pose=np.zeros(3), light=DEFAULT_SETUP, expression=np.zeros(self.expression.shape[1]))

    def save(self, path: str | Path) -> None:
        """Writes them as one `.npz` with the layout."""
        manifest = json.dumps({"format": FORMAT, "layout": self.layout.to_dict()})
        save_npz({"manifest": np.array(manifest), "coeff": self.coefficients, "noise": self.noise}, Path(path))

    @classmethod
    def load(cls, path: str | Path, face_model: FaceModel | None = None) -> People:
        """What `save` wrote. Raises FileNotFoundError or ValueError with one line that names the file."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: there is no such file of people")
        try:
            with np.load(path, allow_pickle=False) as stored:
                manifest = json.loads(str(stored["manifest"]))
                if manifest.get("format") != FORMAT:
                    raise ValueError(f"expected the format {FORMAT!r}. Received: {manifest.get('format')!r}")
                layout = CoefficientLayout.from_dict(manifest["layout"])
                return cls(stored["coeff"].astype(np.float32), stored["noise"].astype(np.float32), layout, face_model)
        except Exception as error:  # a damaged archive fails in zipfile, zlib or numpy, each with its own errors
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(f"{path}: not a file that People.save wrote ({reason})") from None
