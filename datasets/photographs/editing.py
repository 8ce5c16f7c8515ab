"""Photographs prepared, embedded, edited and written, each into a folder of its own; what is done is kept."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from datasets.alignment import FrameBox
from datasets.photographs.files import SUFFIXES, Photograph, find_photographs
from datasets.photographs.journal import FaceStatus, Journal, Settings
from datasets.photographs.pasting import paste
from datasets.photographs.preparing import Preparer
from datasets.photographs.reading import read_photograph
from discoface_tf2.embedding import Embedder, Embedding, edit
from discoface_tf2.files import digest, log
from discoface_tf2.model_io import WEIGHTS
from discoface_tf2.people import People
from discoface_tf2.perception.crops import CropReconstruction
from discoface_tf2.perception.perception import weights_digest
from renderer.coefficients_io import load_coefficients
from renderer.files import save_png
from renderer.outputs import sheet
from renderer.turntable import write_film

_PREPARED = "photographs"  # folder of what preparation makes
_CELL = 128  # pixels of a picture of a strip, at least


def find(paths: Sequence[Path], landmarks: Path | None = None) -> list[Photograph]:
    """The photographs that are named, and those of folders. Raises FileNotFoundError or ValueError with one line."""
    found: list[Photograph] = []
    for path in paths:
        if path.is_dir():
            found += find_photographs(path, landmarks).photographs
        elif not path.is_file():
            raise FileNotFoundError(f"--image {path}: there is no such file")
        elif path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"--image {path}: expected one of {' '.join(sorted(SUFFIXES))}")
        else:
            points = None if landmarks is None else landmarks / f"{path.stem}.txt"
            found.append(Photograph(path.stem, path, points if points is not None and points.is_file() else None))
    names = [photograph.name for photograph in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"--image: two photographs are called {twice}; edit them in two calls")
    return found


class Editor:
    """Edits photographs in the folder `out`.

    Args:
        out: what is made, a folder per face.
        embedder: of the model.
        perception_dir: its perception networks, which tell the coefficients.
        encoder_dir: of its encoder, if it has one.
        all_faces: every face of a photograph, not the largest alone.
        batch_size: faces at a time.
    """

    def __init__(
        self,
        out: Path,
        embedder: Embedder,
        perception_dir: Path,
        encoder_dir: Path | None,
        all_faces: bool,
        batch_size: int,
    ) -> None:
        self.out, self.embedder, self.batch_size = out, embedder, batch_size
        self.model = embedder.model
        self.prepared = out / _PREPARED
        networks = weights_digest(perception_dir)
        self.settings = Settings(image_size=self.model.resolution, all_faces=all_faces, thumbnail=0)
        self.noted = {"size": self.model.resolution, "all_faces": all_faces, "perception": networks}
        self.facts = {
            "generator": digest(self.model.folder / WEIGHTS),
            "perception": networks,
            "encoder": "" if encoder_dir is None else digest(encoder_dir / "encoder.weights.h5"),
            "options": str(embedder.options),
        }
        self._photographs: dict[str, Photograph] = {}
        reconstruction = functools.partial(CropReconstruction, perception_dir, self.model.face_model)
        self._make = lambda: Preparer(self.model.face_model, self.prepared, self.settings, reconstruction())

    def prepare(self, photographs: Sequence[Photograph]) -> list[FaceStatus]:
        """Their faces, found and aligned; one line for each photograph that cannot be used."""
        faces: list[FaceStatus] = []
        with Journal(self.prepared, self.noted, self.settings.max_pixels) as journal:
            done = journal.done(photographs)
            preparer = self._make() if len(done) < len(photographs) else None
            for photograph in tqdm(photographs, desc="preparing", unit="img", disable=len(photographs) < 3):
                status = done.get(photograph.name)
                if status is None and preparer is not None:
                    status = preparer(photograph)
                    journal.add(status)
                assert status is not None
                if not status.faces:
                    log(f"skipped {photograph.path}: {status.reason}")
                for face in status.faces:
                    self._photographs[face.name] = photograph
                faces += status.faces
        return faces

    def coefficients(self, faces: Sequence[FaceStatus]) -> np.ndarray:
        """What the networks say of faces, [N, size]."""
        layout = self.model.face_model.layout
        return np.concatenate([load_coefficients(self.prepared / "coeff" / f"{f.name}.mat", layout) for f in faces])

    def aligned(self, faces: Sequence[FaceStatus]) -> np.ndarray:
        """The frames, uint8 [N, R, R, 3]."""
        return np.stack([np.asarray(Image.open(self.prepared / face.file).convert("RGB")) for face in faces])

    def embed(self, faces: Sequence[FaceStatus]) -> Embedding:
        """Their embeddings: those that are there, and the others found now."""
        paths = [self.out / face.name / "embedding.npz" for face in faces]
        facts = [{**self.facts, "face": face.digest} for face in faces]
        known = [Embedding.load(path, fact) for path, fact in zip(paths, facts, strict=True)]
        missing = [k for k, one in enumerate(known) if one is None]
        steps = self.embedder.options.steps * -(-len(missing) // self.batch_size)
        with tqdm(total=steps, desc="embedding", unit="step", disable=not missing, mininterval=1) as progress:
            for start in range(0, len(missing), self.batch_size):
                rows = missing[start : start + self.batch_size]
                fill = rows + rows[-1:] * (min(self.batch_size, len(missing)) - len(rows))  # one graph for all
                some = [faces[k] for k in fill]
                found = self.embedder(self.aligned(some), self.coefficients(some), progress.update)
                for place, k in enumerate(rows):
                    known[k] = found[place]
                    paths[k].parent.mkdir(parents=True, exist_ok=True)
                    found[place].save(paths[k], facts[k])
        return Embedding.joined([one for one in known if one is not None])

    def write(
        self, faces: Sequence[FaceStatus], embedding: Embedding, edits: Sequence[tuple[str, People]], paste: bool
    ) -> Path:
        """Writes all pictures of faces; returns the sheet of all strips."""
        goal, drawn = self.aligned(faces), self._draw(embedding, embedding.coefficients)
        edited = [self._draw(embedding, people.coefficients) for _, people in edits]
        labels = ["aligned", "reconstruction", *(name for name, _ in edits)]
        rows = []
        for k, face in enumerate(faces):
            folder = self.out / face.name
            pictures = [Image.fromarray(images[k]) for images in (goal, drawn, *edited)]
            names = ["aligned", "reconstruction", *(f"edit-{number:02d}" for number in range(len(edits)))]
            for name, picture in zip(names, pictures, strict=True):
                save_png(picture, folder / f"{name}.png")
            rows.append(pictures)
            save_png(sheet([pictures], [labels], side=_CELL), folder / "strip.png")
            if paste:
                self._paste(face, drawn[k], edited[-1][k])
        save_png(sheet(rows, [labels] * len(rows), side=_CELL), self.out / "strips.png")
        return self.out / "strips.png"

    def film(self, path: Path, faces: Sequence[FaceStatus], count: int, fps: int) -> None:
        """Writes a film of the edits, faces side by side."""
        frames = (
            np.concatenate([np.asarray(Image.open(self.out / f.name / f"edit-{k:02d}.png")) for f in faces], 1)
            for k in range(count)
        )
        write_film(path, (Image.fromarray(frame) for frame in frames), fps)

    def _draw(self, embedding: Embedding, coefficients: np.ndarray) -> np.ndarray:
        parts = [slice(k, k + self.batch_size) for k in range(0, len(embedding), self.batch_size)]
        return np.concatenate([edit(self.model.faces, embedding[part], coefficients[part]) for part in parts])

    def _paste(self, face: FaceStatus, before: np.ndarray, after: np.ndarray) -> None:
        photograph = self._photographs[face.name]
        image, scale = read_photograph(photograph.path, self.settings.max_pixels)
        parts = self.embedder.perception.parsing(np.stack([before, after]).astype(np.float32) / 127.5 - 1.0).numpy()
        person = (parts.argmax(-1) > 0).any(0)
        left, top, side = (value * scale for value in face.box)
        save_png(paste(image, FrameBox(left, top, side), after, person), self.out / face.name / "pasted.png")
