"""The pictures of edits: a folder per face with its embedding, which is kept, and a strip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from discoface_tf2.embedding.embed import Embedder, Embedding, edit
from renderer.files import save_png
from renderer.outputs import sheet
from renderer.turntable import write_film

EMBEDDING = "embedding.npz"
STRIPS = "strips.png"
_SIDE = 128  # pixels of a picture of a strip, at least


class EditFolder:
    """Embeds and edits N aligned faces in a folder.

    Args:
        folder: a folder per face is made in it, by name.
        embedder: of the model.
        facts: what decides about an embedding beside the image: model, networks, options.
        batch_size: faces at a time.
    """

    def __init__(self, folder: Path, embedder: Embedder, facts: Mapping[str, str], batch_size: int) -> None:
        self.folder, self.embedder, self.facts, self.batch_size = folder, embedder, dict(facts), batch_size

    def embed(
        self, names: Sequence[str], digests: Sequence[str], images: np.ndarray, coefficients: np.ndarray
    ) -> Embedding:
        """Embeddings of images uint8 [N, R, R, 3] with coefficients [N, λ or more]: those kept, and the others found.

        `digests` tell the images' contents apart.
        """
        paths = [self.folder / name / EMBEDDING for name in names]
        facts = [{**self.facts, "face": digest} for digest in digests]
        known = [Embedding.load(path, fact) for path, fact in zip(paths, facts, strict=True)]
        missing = [k for k, one in enumerate(known) if one is None]
        steps = self.embedder.options.steps * -(-len(missing) // self.batch_size)
        with tqdm(total=steps, desc="embedding", unit="step", disable=not missing, mininterval=1) as progress:
            for start in range(0, len(missing), self.batch_size):
                rows = missing[start : start + self.batch_size]
                fill = rows + rows[-1:] * (min(self.batch_size, len(missing)) - len(rows))  # one graph for all
                found = self.embedder(images[fill], coefficients[fill], progress.update)
                for place, k in enumerate(rows):
                    known[k] = found[place]
                    paths[k].parent.mkdir(parents=True, exist_ok=True)
                    found[place].save(paths[k], facts[k])
        return Embedding.joined([one for one in known if one is not None])

    def draw(self, embedding: Embedding, coefficients: np.ndarray) -> np.ndarray:
        """Images uint8 [N, R, R, 3] of embeddings with coefficients [N, λ], in batches."""
        parts = [slice(k, k + self.batch_size) for k in range(0, len(embedding), self.batch_size)]
        faces = self.embedder.faces
        return np.concatenate([edit(faces, embedding[part], coefficients[part]) for part in parts])

    def write(self, names: Sequence[str], pictures: Mapping[str, np.ndarray], labels: Sequence[str]) -> Path:
        """Writes pictures uint8 [N, R, R, 3] by file name into the faces' folders, strips, and a sheet of them all."""
        rows = []
        for k, name in enumerate(names):
            images = {title: Image.fromarray(images[k]) for title, images in pictures.items()}
            for title, image in images.items():
                save_png(image, self.folder / name / f"{title}.png")
            rows.append(list(images.values()))
            save_png(sheet(rows[-1:], [labels], side=_SIDE), self.folder / name / "strip.png")
        save_png(sheet(rows, [labels] * len(rows), side=_SIDE), self.folder / STRIPS)
        return self.folder / STRIPS


def film(path: Path, edits: Sequence[np.ndarray], fps: int) -> None:
    """Writes a film of edits, each uint8 [N, R, R, 3], its faces side by side."""
    write_film(path, (Image.fromarray(np.concatenate(list(images), 1)) for images in edits), fps)
