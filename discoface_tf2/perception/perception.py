"""The three networks in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from discoface_tf2.face_model_option import require_same_face_model
from discoface_tf2.files import digest, write_json
from discoface_tf2.perception.identity import Identity
from discoface_tf2.perception.parsing import Parsing
from discoface_tf2.perception.pretrained import Facenet, FaceParser, RNet
from discoface_tf2.perception.pretrained.units import PublishedNetwork
from discoface_tf2.perception.reconstruction import Reconstruction
from renderer.face_model import FaceModel
from renderer.files import atomic_path, require_room
from renderer.layout import CoefficientLayout

FORMAT = "discoface_tf2 perception, version 1"
MANIFEST = "perception.json"
_OVERHEAD = 8192  # bytes of a file for each variable in it, at most
NETWORKS = ("reconstruction", "identity", "parsing")
# The pretrained ones, by the same names.
IMPORTED: dict[str, type[PublishedNetwork]] = {"reconstruction": RNet, "identity": Facenet, "parsing": FaceParser}


@dataclass(frozen=True)
class Perception:
    """What the losses and metrics know about a picture: coefficients, identity, and where skin and hair are.

    Each network is the bundled one or a published, pretrained one (`import_weights`), with the same interface.
    In a folder: `perception.json` (layout, sizes, held-out errors) and one `<network>.weights.h5` each.
    """

    reconstruction: Reconstruction | RNet
    identity: Identity | Facenet
    parsing: Parsing | FaceParser
    report: dict[str, Any] = field(default_factory=dict)  # held-out errors and the command that measured them
    face_model: str = "builtin"  # name of the face model that the coefficients belong to
    face_model_checksum: str | None = None  # its first digits; None in folders of earlier versions, or imported

    @property
    def layout(self) -> CoefficientLayout:
        """Layout of the coefficients that `reconstruction` gives."""
        return self.reconstruction.layout

    @classmethod
    def new(
        cls,
        layout: CoefficientLayout,
        image_size: int = 64,
        face_model: str = "builtin",
        face_model_checksum: str | None = None,
    ) -> Perception:
        """Untrained networks of the bundled sizes."""
        return cls(
            reconstruction=Reconstruction(layout, image_size),
            identity=Identity(image_size),
            parsing=Parsing(image_size),
            face_model=face_model,
            face_model_checksum=face_model_checksum,
        )

    def save(self, folder: str | Path) -> None:
        """Writes the weights, then the manifest; each file atomically."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in NETWORKS:
            save_weights(getattr(self, name), folder)
        manifest = {
            "format": FORMAT,
            "face_model": self.face_model,
            "face_model_checksum": self.face_model_checksum,
            "layout": self.layout.to_dict(),
            "networks": {name: getattr(self, name).options for name in NETWORKS},
            "report": self.report,
        }
        write_json(folder / MANIFEST, manifest)

    @classmethod
    def load(cls, folder: str | Path) -> Perception:
        """The networks that `save` or `import_weights` wrote, frozen: gradients pass through them, never into them.

        Raises FileNotFoundError or ValueError with one line that names the file.
        """
        folder = Path(folder)
        path = folder / MANIFEST
        if not path.is_file():
            raise FileNotFoundError(f"perception: there is no {path}. Train it with: python train_perception.py")
        manifest = read_manifest(path)
        absent = [name for name in NETWORKS if name not in manifest["networks"]]
        if absent:
            raise ValueError(
                f"{path}: the networks {', '.join(absent)} are not there yet. Import them too, or take them from a "
                "folder of train_perception.py: python -m discoface_tf2.perception.import_weights --help"
            )
        try:
            layout = CoefficientLayout.from_dict(manifest["layout"])
            networks = {name: make_network(name, manifest["networks"][name], layout) for name in NETWORKS}
            perception = cls(
                **networks,
                report=dict(manifest["report"]),
                face_model=str(manifest["face_model"]),
                face_model_checksum=manifest.get("face_model_checksum"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: a field is missing, unknown or wrong ({error})") from None
        for name in NETWORKS:
            network = getattr(perception, name)
            load_weights(network, folder)
            network.trainable = False
        return perception

    def require_layout(self, layout: CoefficientLayout, folder: str | Path) -> None:
        """Raises ValueError with one line unless the coefficients are those of a face model of this layout."""
        if self.layout == layout:
            return
        advice = "Train the networks on photographs of this face model: train_perception.py"
        if isinstance(self.reconstruction, RNet):
            advice = (
                "R-Net answers in the Basel model's coefficients only: use that face model, or another reconstruction "
                "(train_perception.py; the imported identity and parsing networks fit every face model)"
            )
        raise ValueError(
            f"{folder}: the perception networks were trained for another face model ({self.face_model}): expected the "
            f"layout {layout.to_dict()}. Received: {self.layout.to_dict()}. {advice}"
        )

    def require_face_model(self, face_model: FaceModel, folder: str | Path) -> None:
        """Raises ValueError with one line unless the coefficients are those of this face model, as far as is noted."""
        self.require_layout(face_model.layout, folder)
        advice = "Train the networks on photographs of this face model: train_perception.py"
        require_same_face_model(folder, self.face_model_checksum, self.face_model, face_model, advice)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a perception folder, checked for its format. Raises ValueError with one line."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        received = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ValueError(f"{path}: expected the format {FORMAT!r}. Received: {received!r}")
    if not isinstance(manifest.get("networks"), dict):
        raise ValueError(f"{path}: a field is missing or unknown ('networks')")
    return manifest


def weights_digest(folder: str | Path) -> str:
    """Digits that tell the weights of a perception folder from others. Raises OSError where one is missing."""
    return digest(*(Path(folder) / f"{name}.weights.h5" for name in NETWORKS))


def make_network(kind: str, options: Mapping[str, Any], layout: CoefficientLayout) -> Any:
    """The network that serves `kind`, with weights yet to load, as its `options` in the manifest say.

    Raises ValueError for a network of another name, and TypeError for options that it does not have.
    """
    options = dict(options)
    name = options.pop("network", None)  # the bundled ones, which came first, have none
    if name not in (None, IMPORTED[kind].network):
        raise ValueError(
            f"perception: expected {kind} by the bundled network or {IMPORTED[kind].network!r}. Received: {name!r}"
        )
    own: dict[str, Any] = {"reconstruction": Reconstruction, "identity": Identity, "parsing": Parsing}
    made: Any = own[kind] if name is None else IMPORTED[kind]
    return made(layout, **options) if kind == "reconstruction" else made(**options)


def weights_path(network: keras.Model, folder: Path) -> Path:
    """Where the weights of a network lie in a perception folder."""
    return folder / f"{network.kind}.weights.h5"


def save_weights(network: keras.Model, folder: Path) -> None:
    """Writes `<kind>.weights.h5` atomically."""
    require_room(folder, sum(variable.numpy().nbytes + _OVERHEAD for variable in network.weights))
    with atomic_path(weights_path(network, folder), ".weights.h5") as other:  # Keras insists on the suffix
        network.save_weights(other)


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
