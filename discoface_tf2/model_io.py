"""Snapshots: folders that hold all that images need (weights, sizes and the decoders of the factors).

RUN/snapshots/kimg000123/ holds `generator.weights.h5` (the moving average), `vae/` (the factors' decoders) and
`model.json`, which is written last and has the other files' checksums: where it stands, the snapshot is whole. An
imported network may have no `vae/`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from discoface_tf2.files import checksum, log
from discoface_tf2.systems import find_system
from renderer.files import atomic_folder
from renderer.layout import CoefficientLayout
from vae import FactorSampler
from vae.model import ABBREVIATIONS
from vae.sampler import MANIFEST as VAE_MANIFEST
from vae.sampler import WEIGHTS as VAE_WEIGHTS

FORMAT = "discoface_tf2 generator, version 1"
MANIFEST = "model.json"
WEIGHTS = "generator.weights.h5"
CURRENT_WEIGHTS = "generator_current.weights.h5"  # what training goes on from, beside the moving average
DISCRIMINATOR_WEIGHTS = "discriminator.weights.h5"
AVERAGE_W = "average_w.npy"  # what truncation moves w toward
VAE = "vae"
GOLDEN = "golden.npz"  # `discoface_tf2.selfcheck`
FACE_MODEL = "face_model.npz"  # in a snapshot that is handed on, where its system renders
_SNAPSHOT = re.compile(r"kimg(\d{6}(?:\.\d{3})?)")


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says of itself.

    Attributes:
        system: its system (`discoface_tf2.systems`).
        architecture: the kind of its networks, among the system's.
        sizes: of the networks.
        layout: sizes of the coefficient groups.
        noise_dim: normal numbers per person beside λ.
        facts: what the run noted: stage, preset, kimg, face_model, ….
    """

    system: str
    architecture: str
    sizes: Any
    layout: CoefficientLayout
    noise_dim: int
    facts: dict[str, Any]

    def __post_init__(self) -> None:
        expected = self.sizes.inputs(self.layout.lambda_size, self.noise_dim)
        if self.sizes.input_size != expected:
            raise ValueError(
                f"input_size: expected {expected}, for {self.layout.lambda_size} coefficients and {self.noise_dim} "
                f"noise numbers. Received: {self.sizes.input_size}"
            )


def snapshot_path(run: str | Path, kimg: float) -> Path:
    """Where the run's snapshot after `kimg` thousand images lies: snapshots/kimg000123, or kimg000123.456."""
    images = round(kimg * 1000)
    rest = f".{images % 1000:03d}" if images % 1000 else ""
    return Path(run) / "snapshots" / f"kimg{images // 1000:06d}{rest}"


def snapshots(run: str | Path) -> list[Path]:
    """The run's snapshots, the one after the most images first. What is only half written is none."""
    found = []
    for folder in (Path(run) / "snapshots").glob("kimg*"):
        name = _SNAPSHOT.fullmatch(folder.name)
        if name and (folder / MANIFEST).is_file():
            found.append((float(name[1]), folder))
    return [folder for _, folder in sorted(found, reverse=True)]


def newest_snapshot(run: str | Path) -> Path | None:
    """The run's snapshot after the most images, or None."""
    return next(iter(snapshots(run)), None)


def check_snapshot(folder: Path) -> None:
    """Raises ValueError naming the file when one is missing, or is not as it was written.

    Snapshots of earlier versions have no checksums; of those only the manifest is checked.
    """
    read_manifest(folder)
    files = json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("files", {})
    for name, expected in files.items():
        path = folder / name
        received = checksum(path) if path.is_file() else None
        if received != expected:
            how = "is missing" if received is None else "is damaged: it is not as it was written"
            raise ValueError(f"{path}: the file {how}. Take another snapshot")


def save_model(
    folder: str | Path,
    generator: keras.Model,
    manifest: Manifest,
    *,
    vae_dir: str | Path | None,
    average_w: np.ndarray | None = None,
    also: Callable[[Path], None] | None = None,
) -> Path:
    """Writes a snapshot, or nothing; one that is there already is replaced. Returns `folder`.

    Without `vae_dir` the snapshot has no decoders of its own. `also` writes further files into the folder that it is
    given, before the snapshot stands.

    Raises OSError with one line when it cannot be written, such as on a full disk; then nothing has changed.
    """
    folder = Path(folder)
    try:
        with atomic_folder(folder) as temporary:
            generator.save_weights(temporary / WEIGHTS)
            for short in ABBREVIATIONS.values() if vae_dir is not None else ():
                (temporary / VAE / short).mkdir(parents=True)
                for name in (VAE_WEIGHTS, VAE_MANIFEST):
                    shutil.copyfile(Path(str(vae_dir)) / short / name, temporary / VAE / short / name)
            if average_w is not None:
                np.save(temporary / AVERAGE_W, average_w)
            if also is not None:
                also(temporary)
            files = sorted(path for path in temporary.rglob("*") if path.is_file())
            content = {
                "format": FORMAT,
                "system": manifest.system,
                "architecture": manifest.architecture,
                "network": manifest.sizes.to_dict(),
                "layout": manifest.layout.to_dict(),
                "noise_dim": manifest.noise_dim,
                "facts": manifest.facts,
                "files": {path.relative_to(temporary).as_posix(): checksum(path) for path in files},
            }
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (temporary / MANIFEST).write_text(text, encoding="utf-8")
    except (OSError, RuntimeError) as error:  # h5py raises both when the disk is full
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise OSError(f"{folder}: the snapshot cannot be written ({reason})") from None
    return folder


def find_snapshot(path: str | Path) -> Path:
    """The snapshot that `path` means: itself, or a run's newest that is not damaged.

    Damaged ones are passed over with a line to stderr. Raises FileNotFoundError when there is none, and ValueError when
    there are only damaged ones.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        return path
    failures: list[ValueError] = []
    for folder in snapshots(path):
        try:
            check_snapshot(folder)
        except ValueError as error:
            failures.append(error)
            continue
        for failure in failures:
            log(f"{failure}: {folder.name} is taken, the one before", sys.stderr)
        return folder
    if failures:
        raise failures[0]
    raise FileNotFoundError(
        f"{path}: expected a run folder with snapshots/kimg…, or a snapshot folder with {MANIFEST}; see train.py"
    )


def read_manifest(folder: Path) -> Manifest:
    """What the snapshot at `folder` says of itself. Raises ValueError naming the file."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise ValueError(f"expected the format {FORMAT!r}. Received: {content.get('format')!r}")
        system = content.get("system", "disco")  # snapshots of earlier versions name none
        kinds = find_system(system).architectures
        architecture = content.get("architecture", next(iter(kinds)))
        if architecture not in kinds:
            raise ValueError(f"architecture: expected one of {', '.join(kinds)}. Received: {architecture!r}")
        sizes = kinds[architecture].sizes.from_dict(content["network"])
        layout = CoefficientLayout.from_dict(content["layout"])
        return Manifest(system, architecture, sizes, layout, int(content["noise_dim"]), dict(content["facts"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a snapshot of a generator ({error})") from None


def load_generator(folder: Path, *, dtype: str = "float32") -> tuple[Manifest, keras.Model]:
    """What the snapshot at `folder` says of itself, and its generator with the moving average's weights.

    Raises FileNotFoundError or ValueError, with one line that names the file, when it is missing or damaged.
    """
    manifest = read_manifest(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: no such file; the snapshot is incomplete, take another")
    kind = find_system(manifest.system).architectures[manifest.architecture]
    generator = kind.build_generator(manifest.sizes, dtype=dtype)
    try:
        generator.load_weights(weights)
    except Exception as error:  # h5py and Keras raise many kinds for a damaged or foreign file
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{weights}: cannot read the weights of this generator ({reason})") from None
    generator.trainable = False
    return manifest, generator


def read_average_w(folder: Path) -> np.ndarray | None:
    """What truncation moves w toward, [w_dim], or None in a snapshot of an earlier version."""
    path = folder / AVERAGE_W
    if not path.is_file():
        return None
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path}: not an array of the average w ({error})") from None


def load_sampler(folder: Path, manifest: Manifest, vae_dir: Path | None = None) -> FactorSampler:
    """The decoders of the snapshot at `folder`, or those at `vae_dir`, which must be of the same layout."""
    found = folder / VAE if vae_dir is None else vae_dir
    if found == folder / VAE and not found.is_dir():
        raise FileNotFoundError(f"{folder}: came without factor VAEs; give them by --vae_dir (docs/original.md)")
    sampler = FactorSampler.load(found)
    if sampler.layout != manifest.layout.to_dict():
        raise ValueError(
            f"{found}: expected VAEs of {folder}'s layout, {manifest.layout.to_dict()}. Received: {sampler.layout}"
        )
    theirs, ours = sampler.face_model.get("face_model_checksum"), manifest.facts.get("face_model_checksum")
    if theirs and ours and theirs != ours:
        raise ValueError(
            f"{found}: made for another face model than {folder}: expected {manifest.facts['face_model']}, "
            f"checksum {ours}. Received: {sampler.face_model['face_model']}, checksum {theirs}"
        )
    return sampler
