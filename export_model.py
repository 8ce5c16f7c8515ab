"""Writes a snapshot as a TensorFlow SavedModel, which needs nothing of this project to run.

python export_model.py --model runs/stage2 --out saved_model

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
    parser.add_argument("--out", type=Path, required=True, help="folder of the SavedModel; one there is replaced")
    parser.add_argument("--truncation", type=TRUNCATION, default=0.7, help="ψ to start with; default 0.7")
    add_face_model_option(parser)
    parser.add_argument("--vae_dir", type=Path, help="the four factor VAEs; default those within the snapshot")
    add_dry_run(parser)
    args = parser.parse_args(argv)
    if args.dry_run:
        print_options(args)
        return

    # TensorFlow takes seconds to import, so usage errors come before it.
    from discoface_tf2.export import export_saved_model
    from discoface_tf2.model import load

    model = load(args.model, face_model=args.face_model, vae_dir=args.vae_dir)
    model.require_face_model()
    difference = export_saved_model(args.out, model, truncation=args.truncation)
    print(f"{args.out}: SavedModel of {model.folder}; loaded back, its images differ by at most {difference:.2g}")


if __name__ == "__main__":
    begin("export_model.py")
    main()
