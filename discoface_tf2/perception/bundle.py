"""The three networks in one folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from discoface_tf2.files import write_json
from discoface_tf2.perception.identity import Identity
from discoface_tf2.perception.parsing import Parsing
from discoface_tf2.perception.reconstruction import Reconstruction
from renderer.layout import CoefficientLayout

FORMAT = "discoface_tf2 perception, version 1"
MANIFEST = "perception.json"
NETWORKS = ("reconstruction", "identity", "parsing")


@dataclass(frozen=True)
class Perception:
    """What the losses and metrics know about a picture: coefficients, identity, and where skin and hair are.

    In a folder: `perception.json` (layout, sizes, held-out errors) and one `<network>.weights.h5` each.
    """

    reconstruction: Reconstruction
    identity: Identity
    parsing: Parsing
    report: dict[str, Any] = field(default_factory=dict)  # held-out errors and the command that measured them
    face_model: str = "builtin"  # name of the face model that the coefficients belong to

    @property
    def layout(self) -> CoefficientLayout:
        """Layout of the coefficients that `reconstruction` gives."""
        return self.reconstruction.layout

    @classmethod
    def new(cls, layout: CoefficientLayout, image_size: int = 64, face_model: str = "builtin") -> Perception:
        """Untrained networks of the bundled sizes."""
        return cls(
            reconstruction=Reconstruction(layout, image_size),
            identity=Identity(image_size),
            parsing=Parsing(image_size),
            face_model=face_model,
        )

    def save(self, folder: str | Path) -> None:
        """Writes the weights, then the manifest; each file is written aside and renamed."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in NETWORKS:
            save_weights(getattr(self, name), folder)
        manifest = {
            "format": FORMAT,
            "face_model": self.face_model,
            "layout": self.layout.to_dict(),
            "networks": {name: getattr(self, name).options for name in NETWORKS},
            "report": self.report,
        }
        write_json(folder / MANIFEST, manifest)

    @classmethod
    def load(cls, folder: str | Path) -> Perception:
        """The networks that `save` wrote, frozen: losses pass gradients through them and never into them.

        Raises FileNotFoundError or ValueError with one line that names the file.
        """
        folder = Path(folder)
        path = folder / MANIFEST
        if not path.is_file():
            raise FileNotFoundError(f"perception: there is no {path}. Train it with: python train_perception.py")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error})") from None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            received = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
            raise ValueError(f"{path}: expected the format {FORMAT!r}. Received: {received!r}")
        try:
            layout = CoefficientLayout.from_dict(manifest["layout"])
            options, face_model = manifest["networks"], str(manifest["face_model"])
            perception = cls(
                reconstruction=Reconstruction(layout, **options["reconstruction"]),
                identity=Identity(**options["identity"]),
                parsing=Parsing(**options["parsing"]),
                report=dict(manifest["report"]),
                face_model=face_model,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: a field is missing or unknown ({error})") from None
        for name in NETWORKS:
            network = getattr(perception, name)
            load_weights(network, folder)
            network.trainable = False
        return perception


def weights_path(network: keras.Model, folder: Path) -> Path:
    """Where the weights of a network lie in a perception folder."""
    return folder / f"{network.kind}.weights.h5"


def save_weights(network: keras.Model, folder: Path) -> None:
    """Writes `<kind>.weights.h5` aside and renames it."""
    path = weights_path(network, folder)
    aside = folder / f"{network.kind}.tmp.weights.h5"  # Keras insists on the suffix
    network.save_weights(aside)
    aside.replace(path)


def load_weights(network: keras.Model, folder: Path) -> None:
    """Reads `<kind>.weights.h5`. Raises FileNotFoundError or ValueError with one line that names the file."""
    path = weights_path(network, folder)
    if not path.is_file():
        raise FileNotFoundError(f"perception: there is no {path}. Train it with: python train_perception.py")
    try:
        network.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: damaged, or weights of other sizes than {MANIFEST} says ({reason})") from None
