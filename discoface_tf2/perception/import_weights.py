"""Imports published, pretrained perception networks, once, into Keras weights.

    python -m discoface_tf2.perception.import_weights reconstruction --source FaceReconModel.pb --out runs/published
    python -m discoface_tf2.perception.import_weights identity --source model-20170512-110547.ckpt-250000 --out …
    python -m discoface_tf2.perception.import_weights parsing --source parsing_net/ --out …

KIND is what the network is for: `reconstruction` is R-Net of Deep3DFaceReconstruction, `identity` is Facenet
20170512-110547, `parsing` the face parser of Lin et al. SOURCE is a TensorFlow 1 checkpoint (its prefix, or any of its
files), a frozen graph (.pb), or a folder with one of them; nothing in it is run. With all three, OUT is what the
scripts take by --perception_dir. --base takes those that are not imported from a folder of train_perception.py.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m discoface_tf2.perception.import_weights")

import numpy as np

from discoface_tf2.files import write_json
from discoface_tf2.perception.perception import (
    FORMAT,
    IMPORTED,
    MANIFEST,
    NETWORKS,
    load_weights,
    make_network,
    read_manifest,
    save_weights,
    weights_path,
)
from discoface_tf2.perception.pretrained import BASEL
from discoface_tf2.perception.pretrained.units import PublishedNetwork
from discoface_tf2.perception.pretrained.variables import Variables, read_variables
from renderer.layout import CoefficientLayout

FACE_MODEL = "bfm09"  # as its importer names it: the Basel Face Model 2009 with the expressions of Guo et al.
# What a training leaves in a checkpoint beside the network: counters, the optimiser's and the average's copies, and
# Facenet's classifier of its training set's people.
_LEFTOVERS = re.compile(
    r"(.*/)?(global_step|beta[12]_power)"
    r"|.*/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1|Adagrad|ExponentialMovingAverage)"
    r"|Logits/(weights|biases)|centers"
)
_SHOWN = 3  # names in a message


def import_network(kind: str, source: str | Path) -> tuple[PublishedNetwork, dict[str, Any]]:
    """The network of `kind` with the weights of `source`, and what there is to say about them.

    Every variable that the network has must be there in its shape, and every one that is there must be the network's,
    but for what training leaves. Widths are read off the file. Raises FileNotFoundError or ValueError with one line.
    """
    variables = read_variables(source)
    network = _network_of(kind, variables)
    wanted = network.variables_of_source()
    leftovers = sorted(name for name in variables.shapes if name not in wanted and _LEFTOVERS.fullmatch(name))
    _check(network.title, wanted, variables, leftovers)
    for unit in network.units:
        unit.assign_source({name: _read(variables, name) for name in unit.variables_of_source()})
    return network, {
        "network": network.title,
        "source": variables.path.name,
        "variables": len(wanted),
        "left_out": len(leftovers),
    }


def _network_of(kind: str, variables: Variables) -> PublishedNetwork:
    """An empty network whose widths are those of the file; the published ones where the file does not say."""
    made = IMPORTED[kind]
    options = {}
    for option, (name, largest) in made.widths.items():
        last = variables.shapes.get(name, ())[-1:]
        if last and 1 <= last[0] <= largest:
            options[option] = last[0]
    return made(**options)


def _read(variables: Variables, name: str) -> np.ndarray:
    """One variable. Raises ValueError when it holds what no trained network has."""
    value = variables.read(name)
    fault = (
        f"{value.dtype.name} in place of floats"
        if value.dtype.kind != "f"
        else "NaN or infinity"
        if not np.isfinite(value).all()
        else "a negative variance"
        if name.endswith("moving_variance") and (value < 0).any()
        else ""
    )
    if fault:
        raise ValueError(f"{variables.path}: the variable {name} holds {fault}")
    return value


def _check(title: str, wanted: dict[str, tuple[int, ...]], variables: Variables, leftovers: Iterable[str]) -> None:
    """Raises ValueError that names what is missing, unknown or of another shape."""
    known = {*wanted, *leftovers}
    faults = []
    for what, names in (
        ("missing", [name for name in wanted if name not in variables.shapes]),
        ("unknown", sorted(name for name in variables.shapes if name not in known)),
        (
            "of another shape",
            [
                f"{name} (expected {list(shape)}, received {list(variables.shapes[name])})"
                for name, shape in wanted.items()
                if variables.shapes.get(name, shape) != shape
            ],
        ),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            faults.append(f"{what}: {', '.join(names[:_SHOWN])}{more}")
    if faults:
        raise ValueError(f"{variables.path}: expected the {len(wanted)} variables of {title}. {'; '.join(faults)}")


def import_into(folder: str | Path, kind: str, source: str | Path, base: str | Path | None = None) -> list[str]:
    """Imports `source` into a perception folder, which may hold others already. Returns the kinds still missing there.

    Weights are written before the manifest that names them. `base`: a perception folder that the networks which
    `folder` lacks are copied from. Raises ValueError where `folder` holds a trained network of that kind, which stays.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    empty: dict[str, Any] = {"format": FORMAT, "face_model": None, "layout": None, "networks": {}, "report": {}}
    manifest = read_manifest(path) if path.is_file() else empty
    there = manifest["networks"].get(kind)
    if there is not None and "network" not in there:
        raise ValueError(
            f"{folder} holds train_perception.py's own network for {kind}, which stays. Choose another --out; --base "
            f"{folder} takes the other networks from here"
        )
    taken = _read_base(Path(base), {*manifest["networks"], kind}) if base else {}
    network, report = import_network(kind, source)
    folder.mkdir(parents=True, exist_ok=True)
    imported = {**manifest["report"].get("imported", {}), kind: report}
    for other, (copy, facts) in taken.items():
        save_weights(copy, folder)
        manifest["networks"][other] = copy.options
        if other == "reconstruction":
            manifest |= facts
    save_weights(network, folder)
    manifest["networks"][kind] = network.options
    if kind == "reconstruction":
        manifest |= {"layout": network.layout.to_dict(), "face_model": FACE_MODEL, "face_model_checksum": None}
    write_json(path, {**manifest, "report": {**manifest["report"], "imported": imported}})
    print(
        f"{kind}: all {report['variables']} variables of {network.title} taken, {report['left_out']} of its training "
        f"left out: {weights_path(network, folder)}"
    )
    return [name for name in NETWORKS if name not in manifest["networks"]]


def _read_base(folder: Path, present: set[str]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """By kind: the networks of a perception folder that are not `present`, and its layout and face model."""
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"--base {folder}: there is no {MANIFEST}; expected a folder of train_perception.py")
    manifest, found = read_manifest(path), {}
    facts = {key: manifest.get(key) for key in ("layout", "face_model", "face_model_checksum")}
    for kind, options in manifest["networks"].items():
        if kind in NETWORKS and kind not in present:
            try:
                network = make_network(kind, options, CoefficientLayout.from_dict(facts["layout"] or BASEL.to_dict()))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}: a field is missing, unknown or wrong ({error})") from None
            load_weights(network, folder)
            found[kind] = (network, facts)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to one call. Raises OSError and ValueError with one clear line."""
    parser = argparse.ArgumentParser(
        prog="python -m discoface_tf2.perception.import_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", metavar="KIND", choices=NETWORKS, help=" | ".join(NETWORKS))
    parser.add_argument("--source", type=Path, required=True, help="checkpoint, frozen graph, or folder with one")
    parser.add_argument("--out", type=Path, required=True, help="perception folder to import into")
    parser.add_argument("--base", type=Path, help="perception folder that the other networks are copied from")
    args = parser.parse_args(argv)
    missing = import_into(args.out, args.kind, args.source, args.base)
    if missing:
        print(f"still missing in {args.out}: {', '.join(missing)} (import them, or copy them with --base)")
    else:
        print(f"{args.out} is complete: --perception_dir {args.out}")


if __name__ == "__main__":
    main()
