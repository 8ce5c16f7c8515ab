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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discoface_tf2.architectures import DEFAULT, AnyNetworkConfig, architecture_of, build_generator, config_from_dict
from discoface_tf2.files import checksum, say
from discoface_tf2.networks.generator import Generator
from renderer.files import flush
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
VAE = "vae"
_SNAPSHOT = re.compile(r"kimg(\d{6}(?:\.\d{3})?)")


@dataclass(frozen=True)
class LoadedModel:
    """A snapshot, ready to draw.

    Attributes:
        folder: where it lies.
        generator: with the weights of the moving average.
        config: sizes of the networks.
        layout: sizes of the coefficient groups.
        noise_dim: normal numbers beside λ.
        facts: what the run noted: stage, preset, kimg, face_model, ….
    """

    folder: Path
    generator: Generator
    config: AnyNetworkConfig
    layout: CoefficientLayout
    noise_dim: int
    facts: dict[str, Any]

    @property
    def vae_dir(self) -> Path:
        """The decoders' folder within the snapshot."""
        return self.folder / VAE


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
    generator: Generator,
    config: AnyNetworkConfig,
    layout: CoefficientLayout,
    *,
    noise_dim: int,
    vae_dir: str | Path | None,
    extra: Mapping[str, Any] | None = None,
    also: Callable[[Path], None] | None = None,
) -> Path:
    """Writes a snapshot aside and renames it; one that is there already is replaced. Returns `folder`.

    `extra` are facts worth remembering, as JSON holds them. Without `vae_dir` the snapshot has no decoders of its own.
    `also` writes further files into the folder that it is given, before the snapshot stands.

    Raises OSError with one line when it cannot be written, such as on a full disk; then nothing has changed.
    """
    folder = Path(folder)
    if config.input_size != layout.lambda_size + noise_dim:
        raise ValueError(
            f"save_model: expected input_size = λ + noise = {layout.lambda_size} + {noise_dim}. "
            f"Received: {config.input_size}"
        )
    aside = folder.with_name(f"{folder.name}.tmp")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        generator.save_weights(aside / WEIGHTS)
        for short in ABBREVIATIONS.values() if vae_dir is not None else ():
            (aside / VAE / short).mkdir(parents=True)
            for name in (VAE_WEIGHTS, VAE_MANIFEST):
                shutil.copyfile(Path(str(vae_dir)) / short / name, aside / VAE / short / name)
        if also is not None:
            also(aside)
        files = sorted(path for path in aside.rglob("*") if path.is_file())
        manifest = {
            "format": FORMAT,
            "architecture": architecture_of(config),
            "network": config.to_dict(),
            "layout": layout.to_dict(),
            "noise_dim": noise_dim,
            "facts": dict(extra or {}),
            "files": {path.relative_to(aside).as_posix(): checksum(path) for path in files},
        }
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (aside / MANIFEST).write_text(text, encoding="utf-8")
        for path in [*files, aside / MANIFEST, aside]:
            flush(path)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
        flush(folder.parent)
    except (OSError, RuntimeError) as error:  # h5py raises both when the disk is full
        shutil.rmtree(aside, ignore_errors=True)
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
            say(f"{failure}: {folder.name} is taken, the one before", sys.stderr)
        return folder
    if failures:
        raise failures[0]
    raise FileNotFoundError(
        f"{path}: expected a run folder with snapshots/kimg…, or a snapshot folder with {MANIFEST}; see train.py"
    )


def read_manifest(folder: Path) -> tuple[AnyNetworkConfig, CoefficientLayout, int, dict[str, Any]]:
    """The networks' sizes, the layout, noise_dim and facts of a snapshot. Raises ValueError naming the file."""
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise ValueError(f"expected the format {FORMAT!r}. Received: {content.get('format')!r}")
        config = config_from_dict(content.get("architecture", DEFAULT), content["network"])
        layout = CoefficientLayout.from_dict(content["layout"])
        noise_dim, facts = int(content["noise_dim"]), dict(content["facts"])
        if config.input_size != layout.lambda_size + noise_dim:
            raise ValueError(f"input_size {config.input_size} is not λ + noise = {layout.lambda_size} + {noise_dim}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{manifest}: not a snapshot of a generator ({error})") from None
    return config, layout, noise_dim, facts


def load_model(path: str | Path, *, dtype: str = "float32") -> LoadedModel:
    """The snapshot at `path`, or the newest of the run at `path`.

    Raises FileNotFoundError or ValueError, with one line that names the file, when it is missing or damaged.
    """
    folder = find_snapshot(path)
    config, layout, noise_dim, facts = read_manifest(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: no such file; the snapshot is incomplete, take another")
    generator = build_generator(config, dtype=dtype)
    try:
        generator.load_weights(weights)
    except Exception as error:  # h5py and Keras raise many kinds for a damaged or foreign file
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{weights}: cannot read the weights of this generator ({reason})") from None
    generator.trainable = False
    return LoadedModel(folder, generator, config, layout, noise_dim, facts)


def load_sampler(model: LoadedModel, vae_dir: str | Path | None = None) -> FactorSampler:
    """The decoders of the snapshot, or those at `vae_dir`, which must be of the same layout."""
    folder = model.vae_dir if vae_dir is None else Path(vae_dir)
    if vae_dir is None and not folder.is_dir():
        raise FileNotFoundError(f"{model.folder}: came without factor VAEs; give them by --vae_dir (docs/original.md)")
    sampler = FactorSampler.load(folder)
    if sampler.layout != model.layout.to_dict():
        raise ValueError(
            f"{folder}: expected VAEs of {model.folder}'s layout, {model.layout.to_dict()}. Received: {sampler.layout}"
        )
    theirs, ours = sampler.face_model.get("face_model_checksum"), model.facts.get("face_model_checksum")
    if theirs and ours and theirs != ours:
        raise ValueError(
            f"{folder}: made for another face model than {model.folder}: expected {model.facts['face_model']}, "
            f"checksum {ours}. Received: {sampler.face_model['face_model']}, checksum {theirs}"
        )
    return sampler
