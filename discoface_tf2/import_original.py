"""Imports a network of the original release, so that it draws and trains here.

    python -m discoface_tf2.import_original --source network.pkl --out runs/original
    python generate_images.py --model runs/original --vae_dir runs/published --factor pose --out pictures

The file is read without running anything in it. Mapping, synthesis and discriminator are built in Keras, filled, and
compared with what their definitions give in plain numpy; only then is the folder written. It is a snapshot: what
generate_images.py and export_model.py take as --model, and `train.py --stage 2` as --run_id.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from renderer.command import begin

TOLERANCE = 1e-3  # of the largest value


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m discoface_tf2.import_original",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", type=Path, required=True, help="the released network file (.pkl)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the snapshot to")
    parser.add_argument("--vae_dir", type=Path, help="the four factor VAEs, to be stored with the network")
    parser.add_argument("--expected", type=Path, help="an .npz of latents, dlatents, images and scores to compare with")
    return parser


def import_network(source: Path, out: Path, *, vae_dir: Path | None = None, expected: Path | None = None) -> list[str]:
    """Reads, checks and writes; returns lines that say what was imported and how far it agrees.

    Raises FileNotFoundError or ValueError with one line: a file that is not such a network, an `out` that holds
    something else, or a network that does not compute what it should.
    """
    from discoface_tf2 import model_io
    from discoface_tf2.networks import stylegan1
    from discoface_tf2.networks.stylegan1.network_file import read_networks
    from discoface_tf2.networks.stylegan1.weights import array_sizes, config_of, load_discriminator, load_generator
    from renderer.layout import CoefficientLayout

    _check_out(out)
    networks = read_networks(source)
    layout = CoefficientLayout(shape=80, texture=80, expression=64)  # the Basel model's, of every original network
    if vae_dir is not None:
        _check_vaes(vae_dir, layout.to_dict())
    try:
        config = config_of(networks)
        if config.input_size <= layout.lambda_size:
            raise ValueError(
                f"expected a network of {layout.lambda_size} coefficients and some noise. It takes {config.input_size} "
                "numbers: a StyleGAN, but not one of DiscoFaceGAN"
            )
        average, current = (stylegan1.build_generator(config) for _ in range(2))
        discriminator = stylegan1.build_discriminator(config)
        load_generator(average, networks.average)
        load_generator(current, networks.generator)
        left_out = load_discriminator(discriminator, networks.discriminator)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    differences = compare_with_numpy(networks, config, average, discriminator)
    size, noise_dim = config.resolution, config.input_size - layout.lambda_size
    lines = [
        f"read:    {source}: {size} × {size}, {layout.lambda_size} coefficients and {noise_dim} noise, "
        f"{sum(map(array_sizes, networks)):,} numbers; nothing in it ran",
    ]
    if left_out:
        lines.append(f"unused:  {left_out[0]} to {left_out[-1]} of D, which only the growing of its resolution needs")
    lines.append(f"numpy:   {_say(differences)}")
    if expected is not None:
        against = compare_with_file(expected, average, discriminator)
        lines.append(f"{expected.name}: {_say(against)}")
        differences |= {f"expected {name}": value for name, value in against.items()}
    wrong = [name for name, value in differences.items() if not value < TOLERANCE]
    if wrong:
        raise ValueError(
            f"{source}: not imported, more than {TOLERANCE} wrong ({', '.join(wrong)}): {_say(differences)}"
        )
    facts = {
        "imported": source.name,
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "face_model": "the Basel model",
        "differences": differences,
    }

    def save_others(folder: Path) -> None:
        current.save_weights(folder / model_io.CURRENT_WEIGHTS)
        discriminator.save_weights(folder / model_io.DISCRIMINATOR_WEIGHTS)

    manifest = model_io.Manifest("disco", "stylegan1", config, layout, noise_dim, facts)
    model_io.save_model(out, average, manifest, vae_dir=vae_dir, also=save_others)
    return [*lines, f"written: {out}"]


def compare_with_numpy(networks: Any, config: Any, generator: Any, discriminator: Any) -> dict[str, float]:
    """Largest differences between Keras and the definitions, for two random inputs, relative to the largest value."""
    import numpy as np

    from discoface_tf2.networks.stylegan1 import reference

    variables = {**networks.average.components["mapping"].variables}
    inputs = np.random.default_rng(0).standard_normal([2, config.input_size]).astype(np.float32)
    w = reference.mapping(variables, inputs, layers=config.mapping_layers, lr_multiplier=config.mapping_lr_multiplier)
    ws = np.repeat(w[:, None], config.num_ws, 1)
    images = reference.synthesis(
        networks.average.components["synthesis"].variables,
        ws,
        resolution=config.resolution,
        turned_from=config.turned_from,
    )
    scores = reference.discriminator(
        networks.discriminator.variables, images, minibatch_std_group=config.minibatch_std_group
    )
    return _differences(generator, discriminator, inputs, ws, images, scores)


def compare_with_file(path: Path, generator: Any, discriminator: Any) -> dict[str, float]:
    """As `compare_with_numpy`, against latents [B, I], dlatents [B, num_ws, w_dim], images [B, 3, R, R], scores [B, 1].

    Raises FileNotFoundError or ValueError with one line.
    """
    import zipfile

    import numpy as np

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected an .npz to compare with")
    names = ("latents", "dlatents", "images", "scores")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = [stored[name] for name in names]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: expected an .npz with {', '.join(names)} ({error})") from None
    size, count = generator.resolution, len(arrays[0])
    ours = ((None, generator.num_ws, generator.mapping.w_dim), (None, 3, size, size), (None, 1))
    for name, array, shape in zip(names[1:], arrays[1:], ours, strict=True):
        if array.shape != (count, *shape[1:]):
            raise ValueError(f"{path}: expected {name} of shape {(count, *shape[1:])}. Received: {array.shape}")
    return _differences(generator, discriminator, *arrays)


def _differences(
    generator: Any, discriminator: Any, inputs: Any, ws: Any, images: Any, scores: Any
) -> dict[str, float]:
    import numpy as np
    import tensorflow as tf

    from discoface_tf2.networks.stylegan2.synthesis import FIXED_NOISE

    drawn = generator.synthesis(tf.constant(ws, tf.float32), noise=FIXED_NOISE)
    pairs = {
        "mapping": (generator.styles(tf.constant(inputs, tf.float32)), ws),
        "synthesis": (drawn, images.transpose(0, 2, 3, 1)),
        "discriminator": (discriminator(tf.constant(images.transpose(0, 2, 3, 1), tf.float32)), scores),
    }
    return {name: float(np.abs(a.numpy() - b).max() / np.abs(b).max()) for name, (a, b) in pairs.items()}


def _say(differences: Mapping[str, float]) -> str:
    return "differs by " + ", ".join(f"{value:.1e} ({name})" for name, value in differences.items())


def _check_out(out: Path) -> None:
    """Raises ValueError where `out` holds anything but an earlier import, which would be lost."""
    from discoface_tf2 import model_io

    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        facts = json.loads((out / model_io.MANIFEST).read_text(encoding="utf-8"))["facts"]
        earlier = "imported" in facts
    except (OSError, ValueError, KeyError, TypeError):
        earlier = False
    if not earlier:
        raise ValueError(f"{out}: expected an empty folder, or an earlier import to replace. Give another --out")


def _check_vaes(vae_dir: Path, layout: Mapping[str, int]) -> None:
    from vae import FactorSampler

    found = FactorSampler.load(vae_dir).layout
    if found != layout:
        raise ValueError(f"{vae_dir}: expected VAEs of the original's layout, {dict(layout)}. Received: {found}")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    args = make_parser().parse_args(argv)
    print("\n".join(import_network(args.source, args.out, vae_dir=args.vae_dir, expected=args.expected)))


if __name__ == "__main__":
    begin("python -m discoface_tf2.import_original")
    main()
