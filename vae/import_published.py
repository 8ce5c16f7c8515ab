"""Imports the published factor VAEs, TensorFlow 1 checkpoints, into the form that `python -m vae.train` writes.

    python -m vae.import_published --source vae/weights --out runs/published
    python -m vae.import_published --source vae/weights --own runs/vae --out runs/mixed

`--source` is a folder of checkpoints (id/, exp/, gamma/, rot/, or any of them), or one checkpoint. The first command is
for the original network and the Basel model. The second mixes: lighting and pose mean the same for every face model, so
the published ones can go with an identity and an expression VAE of your own. Each VAE is compared with plain numpy on
the checkpoint's arrays before it is written.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m vae.import_published")

import keras
import numpy as np
import tensorflow as tf

from renderer.files import atomic_path
from vae.data import BASEL_LAYOUT
from vae.initial import start_from_pca
from vae.model import _MAX_LOG_SIGMA, ABBREVIATIONS, WIDTHS, FactorConfig, FactorVAE
from vae.sampler import MANIFEST, WEIGHTS, load_factor_vae, read_factor_manifest, save_factor

TOLERANCE = 1e-4  # of the largest value
_FACTOR_OF = {short: factor for factor, short in ABBREVIATIONS.items()}
_UNIVERSAL = ("gamma", "rot")  # these numbers mean the same for every face model
_GROUPS = {"id": ("shape", "texture"), "exp": ("expression",), "gamma": ("lighting",), "rot": ("angles",)}
_OPTIMISER = ("Adam", "Adam_1", "beta1_power", "beta2_power", "global_step")  # a training's state, not the VAE's


@dataclass(frozen=True)
class Published:
    """One checkpoint: which factor, and its arrays by name without the factor's scope ("decoder/fc0/kernel", …)."""

    short: str
    path: Path
    arrays: Mapping[str, np.ndarray] = field(repr=False)


def read_checkpoint(prefix: Path) -> Published:
    """The checkpoint at `prefix` (a path without .index). Raises ValueError with one line when it is no factor VAE."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        stored = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{prefix}.index: cannot read this checkpoint ({reason})") from None
    wanted = {name: array for name, array in stored.items() if name.rsplit("/", 1)[-1] not in _OPTIMISER}
    scopes = {name.partition("/stage1/")[0] for name in wanted}
    if len(scopes) != 1 or not scopes <= set(_FACTOR_OF):
        raise ValueError(
            f"{prefix}: expected the variables of one factor VAE, named id/stage1/…, exp/…, gamma/… or rot/…. "
            f"Received: {', '.join(sorted(wanted)[:3]) or 'none'}"
        )
    (short,) = scopes
    return Published(short, prefix, {name.partition("/stage1/")[2]: array for name, array in wanted.items()})


def find_checkpoints(source: Path) -> list[Path]:
    """Prefixes of the checkpoints that `source` means: itself, those in it, or those in its subfolders."""
    if source.with_name(f"{source.name}.index").is_file():
        return [source]
    found = sorted([*source.glob("*.index"), *source.glob("*/*.index")]) if source.is_dir() else []
    if not found:
        raise FileNotFoundError(
            f"{source}: expected a TensorFlow 1 checkpoint (….ckpt.index and its data file), or a folder of them"
        )
    return [path.with_suffix("") for path in found]


def build(published: Published) -> FactorVAE:
    """The VAE of a checkpoint. Raises ValueError naming what is missing, unknown or misshapen."""
    left, path = dict(published.arrays), published.path

    def take(name: str, rank: int) -> np.ndarray:
        if name not in left:
            raise ValueError(f"{path}: not a factor VAE of this kind: {published.short}/stage1/{name} is missing")
        array = left.pop(name)
        if array.ndim != rank or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{path}: expected {name} to hold finite numbers in {rank} dimensions")
        return array

    depth = max(sum(name.startswith("decoder/fc") and name.endswith("/kernel") for name in left), 1)
    kernels = {name: take(f"{name}/kernel", 2) for name in _layer_names(depth)}
    biases = {name: take(f"{name}/bias", 1) for name in kernels}
    log_gamma = take("decoder/loggamma_x", 0)
    if left:
        raise ValueError(f"{path}: unknown variables {', '.join(sorted(left)[:3])}")
    latent, width = kernels["decoder/fc0"].shape
    size = kernels["decoder/x_hat"].shape[1]
    # No mean and no deviation: the published VAEs see coefficients as they are.
    vae = FactorVAE(FactorConfig(_FACTOR_OF[published.short], size, latent, width, depth))
    for name, layer in zip(kernels, _layers(vae), strict=True):
        if tuple(layer.kernel.shape) != kernels[name].shape or tuple(layer.bias.shape) != biases[name].shape:
            raise ValueError(
                f"{path}: expected {name} of shape {tuple(layer.kernel.shape)}. Received: {kernels[name].shape}"
            )
        layer.set_weights([kernels[name], biases[name]])
    vae.log_gamma.assign(log_gamma)
    return vae


def _layer_names(depth: int) -> list[str]:
    """The checkpoint's names of the layers, in the order of `_layers`."""
    encoder = [f"encoder/fc{k}" for k in range(depth)]
    decoder = [f"decoder/fc{k}" for k in range(depth)]
    return [*encoder, "encoder/dense", "encoder/dense_1", *decoder, "decoder/x_hat"]


def _layers(vae: FactorVAE) -> list[keras.layers.Dense]:
    return [*vae.encoder.layers, vae.mu, vae.log_sigma, *vae.decoder.layers, vae.x_hat]


def compare_with_numpy(vae: FactorVAE, arrays: Mapping[str, np.ndarray], count: int = 256) -> float:
    """Largest difference of decoder and encoder from plain numpy, relative to the largest value.

    z is normal; the encoder sees what the decoder made of it.
    """

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ arrays[f"{name}/kernel"].astype(np.float64) + arrays[f"{name}/bias"]

    z = np.random.default_rng(0).standard_normal((count, vae.config.latent), np.float32)
    x = z.astype(np.float64)
    for k in range(vae.config.depth):
        x = np.maximum(dense(x, f"decoder/fc{k}"), 0)
    coefficients = dense(x, "decoder/x_hat")
    y = coefficients
    for k in range(vae.config.depth):
        y = np.maximum(dense(y, f"encoder/fc{k}"), 0)
    log_sigma = np.minimum(dense(y, "encoder/dense_1"), _MAX_LOG_SIGMA)  # a bound that no trained VAE reaches
    expected = (coefficients, dense(y, "encoder/dense"), log_sigma)
    received = (vae.decode(z), *vae.encode(tf.constant(coefficients, tf.float32)))
    return max(
        float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())
        for ours, theirs in zip(received, expected, strict=True)
    )


def import_published(
    source: Path,
    out: Path,
    *,
    own: Path | None = None,
    factors: Sequence[str] = (),
    prior_identity: bool = False,
) -> list[str]:
    """Writes the VAEs of `source` into `out`; returns lines that say what was done and what is missing.

    own: folder of VAEs whose layout the result has, and from which the other factors are copied. factors: short names
    (id, exp, gamma, rot) to take; empty means all that `source` has, with `own` gamma and rot. prior_identity: writes
    an identity VAE that draws from the face model's own distribution, see `prior_vae`.

    Raises FileNotFoundError or ValueError with one line, before anything is written.
    """
    vaes, lines = _read_all(source, factors or (_UNIVERSAL if own else tuple(_FACTOR_OF)))
    missing = sorted(set(factors) - set(vaes))
    if missing or not vaes:
        raise FileNotFoundError(f"{source}: no checkpoint of {', '.join(missing or _UNIVERSAL)}")
    layout = read_factor_manifest(own / "id")["layout"] if own else dict(BASEL_LAYOUT)
    for short, (vae, _) in vaes.items():
        size = sum(layout[group] for group in _GROUPS[short])
        if vae.config.size != size:
            raise ValueError(
                f"{source}: {short} has {vae.config.size} numbers, and {own or 'the published layout'} {size}; "
                "leave it out by --factor"
            )
    copied = {short: own / short for short in _FACTOR_OF if short not in vaes} if own else {}
    for folder in copied.values():
        load_factor_vae(folder)  # it must be whole
    if prior_identity and "id" not in vaes and not own:
        vae = prior_vae(sum(layout[group] for group in _GROUPS["id"]))
        vaes["id"] = (vae, {"source": "the face model's own distribution"})
        lines.append("id:    no checkpoint was used; identities are drawn from the face model's own distribution")
    for short in (*vaes, *copied):
        _check_free(out / short, copied.get(short))
    for short, (vae, facts) in vaes.items():
        save_factor(out / short, vae, layout, **facts)
    for short, folder in copied.items():
        _copy(folder, out / short)
        lines.append(f"{short + ':':6} copied from {folder}")
    return [*lines, *_say_missing(out)]


def prior_vae(size: int) -> FactorVAE:
    """An identity VAE whose samples are those of the face model: independent, normal, of standard deviation 1.

    The numbers of a face model are in units of its standard deviations, so this is how its builders meant them. It
    has a latent for each number, as fewer could not hold them, and samples have 99.5 % of the deviation.
    """
    vae = FactorVAE(FactorConfig("identity", size, size, max(WIDTHS["identity"], 2 * size)))
    start_from_pca(vae, np.random.default_rng(0).standard_normal((20_000, size)))
    return vae


def _read_all(source: Path, wanted: Sequence[str]) -> tuple[dict[str, tuple[FactorVAE, dict]], list[str]]:
    """The wanted VAEs of the source, checked, with the facts worth remembering; and a line for each."""
    vaes: dict[str, tuple[FactorVAE, dict]] = {}
    lines = []
    for prefix in find_checkpoints(source):
        if prefix.parent.name in _FACTOR_OF and prefix.parent.name not in wanted:
            continue  # as its folder says; no need to read it
        published = read_checkpoint(prefix)
        short = published.short
        if short not in wanted:
            continue
        if short in vaes:
            raise ValueError(f"{source}: several checkpoints of {short}; give one of them by --source")
        vae = build(published)
        difference = compare_with_numpy(vae, published.arrays)
        if not difference < TOLERANCE:
            raise ValueError(f"{prefix}: not imported, it differs from plain numpy by {difference:.1e}")
        facts = {"source": prefix.name, "difference": difference}
        vaes[short] = (vae, facts)
        config = vae.config
        lines.append(
            f"{short + ':':6} {config.latent} → {config.size}, {config.depth} layers of {config.width}; differs from "
            f"plain numpy by {difference:.1e}"
        )
    return vaes, lines


def _check_free(folder: Path, same_as: Path | None) -> None:
    """Raises ValueError where `folder` holds a VAE that was trained there, unless it is the one at `same_as`."""
    if not (folder / MANIFEST).is_file() or "source" in read_factor_manifest(folder):
        return
    if same_as is None or (folder / MANIFEST).read_bytes() != (same_as / MANIFEST).read_bytes():
        raise ValueError(f"{folder}: holds a VAE that is not an import, which would be lost; give another --out")


def _copy(folder: Path, out: Path) -> None:
    """Copies a factor's two files atomically, the manifest last, unless both folders are one."""
    out.mkdir(parents=True, exist_ok=True)
    if folder.samefile(out):
        return
    for name in (WEIGHTS, MANIFEST):
        with atomic_path(out / name) as temporary:
            shutil.copyfile(folder / name, temporary)


def _say_missing(out: Path) -> list[str]:
    lines = []
    for short in _FACTOR_OF:
        if not (out / short / MANIFEST).is_file():
            lines.append(
                f"{short + ':':6} missing, and needed before anything is drawn. Train it on coefficients of this "
                f"layout, python -m vae.train --factor {short} --data DIR --out {out}"
                + (", or draw from the face model's own distribution, --prior_identity" if short == "id" else "")
            )
    return [*lines, f"written: {out}"]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m vae.import_published", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", required=True, type=Path, help="a checkpoint, or a folder of them")
    parser.add_argument("--out", required=True, type=Path, help="folder to write into, a subfolder for each factor")
    parser.add_argument("--own", type=Path, help="your own VAEs: their layout is kept, and other factors are theirs")
    parser.add_argument("--factor", nargs="+", default=(), choices=tuple(_FACTOR_OF), help="which to import; "
                        "default all there are, with --own gamma and rot")  # fmt: skip
    parser.add_argument("--prior_identity", action="store_true",
                        help="where no identity VAE is found: draw from the face model's distribution")  # fmt: skip
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    args = _parse(argv)
    lines = import_published(
        args.source, args.out, own=args.own, factors=args.factor, prior_identity=args.prior_identity
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
