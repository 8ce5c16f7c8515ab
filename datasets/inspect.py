"""Says what is in a dataset, ours or StyleGAN's, and which records are damaged.

    python -m datasets.inspect PATH --out DIR

PATH is a dataset folder, a folder of StyleGAN's NAME-rNN.tfrecords, or one such file. Every record is read and decoded.
Printed: counts, shapes, colours, labels, a checksum of the content that neither order nor sharding changes, and every
damaged record with file and byte. With --out also two images: sheet.png, and coefficients.png where there are
coefficients. The exit code is 1 when there is damage. A damaged length may hide the records behind it: reading goes on
at the next header that checks, and says where.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m datasets.inspect")

import numpy as np
from tqdm import tqdm

from datasets.pictures import coefficient_histograms, contact_sheet
from datasets.scan import Damage, Scan, check_whole, scans_of
from datasets.schema import Manifest, is_ours, read_manifest
from renderer.face_model import load_face_model
from renderer.files import save_png
from renderer.layout import GROUPS, CoefficientLayout

_SAMPLES = 64  # images on the contact sheet, spread evenly over the set


def inspect(path: str | Path, out: str | Path | None = None, face_model: str | None = None) -> list[Damage]:
    """Prints what is in the dataset `path` and returns what is damaged; plots go to the folder `out`.

    face_model: 'builtin' or a .npz, whose standard deviations are the unit of the coefficients; None: the one that the
    dataset names, where it is at hand.
    Raises FileNotFoundError, OSError or ValueError with one line when there is no dataset, or no place for plots.
    """
    path, out = Path(path), None if out is None else Path(out)
    manifest = read_manifest(path, complete=False) if is_ours(path) else None
    scans = scans_of(path, manifest)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    print(_heading(path, manifest), flush=True)
    began = time.perf_counter()
    total, last = sum(scan.size for scan in scans), scans[-1]
    with tqdm(total=total, unit="B", unit_scale=True, desc="reading", mininterval=1.0) as bar:
        for scan in scans:  # the contact sheet is of the last one, of the largest images
            scan.run(_SAMPLES if scan is last else 0, bar.update)
    check_whole(scans, path, manifest)
    for scan in scans:
        print("\n" + _report(scan))
    units = _deviations(manifest, face_model)
    if manifest is not None and manifest.layout is not None and last.coefficients:
        print(_coefficient_table(np.array(last.coefficients), manifest.layout, units))
    if manifest is not None and last.traits:
        print(_trait_table(np.array(last.traits), manifest.options.get("traits")))
    plots = [] if out is None else _plot(last, manifest, units, out)
    records = sum(scan.count for scan in scans)
    seconds = time.perf_counter() - began
    print(f"\nread      {records:,} records in {seconds:.1f} s, {records / seconds:,.0f} per second")
    print(f"plots     {', '.join(map(str, plots)) or 'none' if out else 'none; --out DIR plots them'}")
    damage = [found for scan in scans for found in scan.damage]
    print(f"damage    {len(damage) or 'none'}" + "".join(f"\n  {found}" for found in damage), flush=True)
    return damage


def _heading(path: Path, manifest: Manifest | None) -> str:
    if manifest is None:
        return f"{path}: TFRecords of StyleGAN's"
    state = "unfinished" if manifest.shard_counts is None else f"{manifest.count:,} images"
    lines = [f"{path}: {state} of {manifest.image_size}×{manifest.image_size} in {manifest.shards} shards"]
    lines.append(f"fields    {', '.join(manifest.fields)}")
    if manifest.layout is not None:
        sizes = ", ".join(f"{name} {size}" for name, size in manifest.layout.to_dict().items())
        lines.append(f"model     {manifest.face_model or 'not named'} ({sizes})")
    lines += [f"options   {', '.join(f'{key}={value}' for key, value in manifest.options.items())}"]
    return "\n".join(lines)


def _report(scan: Scan) -> str:
    """What was found in one set of files, as text."""
    lines = [scan.title, f"  records   {scan.count:,} whole, {len(scan.damage):,} damaged"]
    if not scan.count:
        return "\n".join(lines)
    lengths = np.array(scan.lengths)
    shares, values = scan.colours / scan.colours.sum(axis=1, keepdims=True), np.arange(256)
    mean = shares @ values
    deviation = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))
    lines += [
        f"  shapes    {_counts(scan.shapes)}; {_counts(scan.formats)}",
        f"  bytes     {lengths.min():,} to {lengths.max():,} per record, {lengths.mean():,.0f} on average",
        f"  colours   red, green, blue {_numbers(mean)}; deviation {_numbers(deviation)} (0-255)",
    ]
    copies = scan.count - len(scan.images)
    lines.append(f"  copies    {copies:,} images are there more than once" if copies else "  copies    none")
    if scan.class_shares.any():
        parts = scan.class_shares / scan.class_shares.sum()
        lines.append(f"  masks     background {parts[0]:.1%}, skin {parts[1]:.1%}, hair {parts[2]:.1%}")
    known = [count for subject, count in scan.subjects.items() if subject >= 0]
    if known:
        lines.append(f"  subjects  {len(known):,}, with {min(known)} to {max(known)} images each")
    lines.append(f"  checksum  {scan.checksum}")
    return "\n".join(lines)


def _coefficient_table(values: np.ndarray, layout: CoefficientLayout, units: dict[str, np.ndarray]) -> str:
    """Mean, deviation and range of each group."""
    lines = [f"\n  {'coefficients':22}{'mean':>9}{'deviation':>11}{'least':>9}{'most':>9}"]
    for group in GROUPS:
        part = values[:, layout.slice(group)].astype(np.float64)
        name = group
        if group in units:
            part, name = part / np.maximum(units[group], 1e-12), f"{group} (σ)"
        elif group == "angles":
            part, name = np.rad2deg(part), "pose (degrees)"
        figures = (part.mean(), np.sqrt(part.var(axis=0).mean()), part.min(), part.max())
        lines.append(f"  {name:22}{figures[0]:9.3f}{figures[1]:11.3f}{figures[2]:9.2f}{figures[3]:9.2f}")
    return "\n".join(lines)


def _trait_table(values: np.ndarray, names: object) -> str:
    """Mean and quantiles of what the writer knows of the persons, a line for each trait."""
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
    lines = [f"\n  {'traits':22}{'mean':>9}" + "".join(f"{f'{share:.0%}':>9}" for share in quantiles)]
    labels = names if isinstance(names, list) and len(names) == values.shape[1] else range(values.shape[1])
    for label, column in zip(labels, values.T, strict=True):
        figures = (column.mean(), *np.quantile(column, quantiles))
        lines.append(f"  {label!s:22}" + "".join(f"{figure:9.2f}" for figure in figures))
    return "\n".join(lines)


def _deviations(manifest: Manifest | None, source: str | None) -> dict[str, np.ndarray]:
    """Standard deviations by group, if the face model is at hand and fits. Raises ValueError for a wrong `source`."""
    if manifest is None or manifest.layout is None:
        return {}
    named = source or manifest.face_model
    if named is None or (source is None and named != "builtin" and not Path(named).is_file()):
        print("coefficients are in their own units: the face model is not at hand (--face_model)")
        return {}
    model = load_face_model(named)
    if model.layout != manifest.layout:
        if source is None:
            return {}
        raise ValueError(f"{source}: expected a face model of {manifest.layout}. Received: {model.layout}")
    if manifest.options.get("face_model_checksum", model.checksum()) != model.checksum():
        print("σ below is of another version of the face model than the dataset was made with")
    return {"shape": model.shape_std, "texture": model.texture_std, "expression": model.expression_std}


def _plot(scan: Scan, manifest: Manifest | None, units: dict[str, np.ndarray], out: Path) -> list[Path]:
    plots: list[Path] = []
    if scan.samples:
        plots.append(out / "sheet.png")
        save_png(contact_sheet(scan.samples), plots[-1])
    if manifest is not None and manifest.layout is not None and scan.coefficients:
        plots.append(out / "coefficients.png")
        title = f"{scan.title}: {scan.count:,} images"
        save_png(coefficient_histograms(np.array(scan.coefficients), manifest.layout, units, title), plots[-1])
    return plots


def _counts(counter: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items()))


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m datasets.inspect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", metavar="PATH", help="dataset folder, StyleGAN folder or StyleGAN file")
    parser.add_argument("--out", metavar="DIR", help="folder of the plots (default: none)")
    parser.add_argument(
        "--face_model",
        "--face-model",
        help="'builtin' or a .npz: coefficients in its standard deviations (default: the one that the dataset names)",
    )
    args = parser.parse_args(argv)
    return 1 if inspect(args.path, args.out, args.face_model) else 0


if __name__ == "__main__":
    sys.exit(main())
