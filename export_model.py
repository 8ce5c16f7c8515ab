"""Writes a snapshot as a TensorFlow SavedModel, which needs nothing of this project to run, or as a small .zip.

python export_model.py --model runs/stage2 --out saved_model
python export_model.py --model runs/stage2 --format zip --out model.zip     # for --model, half the size

loaded = tf.saved_model.load("saved_model")
loaded.signatures["latent"](z=tf.random.normal([4, n]))["image"]        # n: see saved_model/signatures.json
loaded.signatures["coefficients"](coefficients=λ, noise=noise)["image"]
loaded.truncation.assign(1.0)                                           # for both, from here on
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from discoface_tf2.face_model_option import add_face_model_option
from discoface_tf2.generation_options import TRUNCATION
from renderer.command import begin
from renderer.options import add_dry_run, print_options


def main(argv: Sequence[str] | None = None) -> None:
    """Flags to one call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a run folder (its newest snapshot) or a snapshot")
    parser.add_argument("--format", choices=("savedmodel", "zip"), default="savedmodel", help="zip: the snapshot in "
                        "half precision, with all that it generates with; default savedmodel")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder of the SavedModel, or the .zip; one there is "
                        "replaced")  # fmt: skip
    parser.add_argument("--truncation", type=TRUNCATION, help="ψ that a SavedModel starts with; default 0.7")
    add_face_model_option(parser)
    parser.add_argument("--vae_dir", type=Path, help="the four factor VAEs; default those within the snapshot")
    add_dry_run(parser)
    args = parser.parse_args(argv)
    if args.format == "zip" and args.truncation is not None:
        parser.error("--truncation has no effect with --format zip: give it when you generate")
    if args.dry_run:
        print_options(args)
        return

    # TensorFlow takes seconds to import, so usage errors come before it.
    from discoface_tf2.export import export_saved_model, export_zip
    from discoface_tf2.model import load

    model = load(args.model, face_model=args.face_model, vae_dir=args.vae_dir)
    model.require_face_model()
    if args.format == "zip":
        difference = export_zip(args.out, model)
        megabytes = args.out.stat().st_size / 1e6
        print(
            f"{args.out}: {model.folder} in {megabytes:.1f} MB; its images differ by {difference:.2g} of 255 on average"
        )
        return
    difference = export_saved_model(args.out, model, truncation=0.7 if args.truncation is None else args.truncation)
    print(f"{args.out}: SavedModel of {model.folder}; loaded back, its images differ by at most {difference:.2g}")


if __name__ == "__main__":
    begin("export_model.py")
    main()
