"""Prints how expressions and lights of synthetic images are distributed; nothing is rendered.

    python -m benchmarks.synthetic_labels [--count 20000]

Expression components: mean, standard deviation, share of images above 0.1 of a full action, and the largest value.
Light: how much brighter one cheek is lit than the other, shadows left out, and the deviations of the harmonics.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.synthetic_labels")

import numpy as np

from datasets.synthetic.labels import LabelDistribution
from renderer import load_face_model

_CHEEKS = np.array([(-0.65, -0.1, 0.75), (0.65, -0.1, 0.75)])  # normals of a face turned to the camera


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_labels", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--face_model", default="builtin", help="'builtin' or a .npz file (default: %(default)s)")
    parser.add_argument("--count", type=int, default=20_000, help="images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    args = parser.parse_args(argv)
    if args.count < 10 or args.seed < 0:
        parser.error(f"--count should be 10 or more, --seed 0 or more. Received: {args.count}, {args.seed}")
    model, distribution, rng = load_face_model(args.face_model), LabelDistribution(), np.random.default_rng(args.seed)
    identity = np.zeros(model.layout.factor_size("identity"), np.float32)
    images = [distribution.image(model, identity, rng) for _ in range(args.count)]
    labels = np.stack([coefficients for coefficients, _ in images])
    print(f"{args.count} images, seed {args.seed}, {model.name}\n{'':22s}  mean    std  share  largest")
    expressions = labels[:, model.layout.slice("expression")]
    for name, values in zip(model.expression_names, expressions.T, strict=True):
        share, largest = (np.abs(values) > 0.1).mean(), np.abs(values).max()
        print(f"{name:22s} {values.mean():5.2f}  {values.std():5.3f}  {share:5.3f}    {largest:5.2f}")
    cheeks = _CHEEKS / np.linalg.norm(_CHEEKS, axis=1, keepdims=True)
    lit = np.stack([lamps.irradiance(cheeks).mean(1) for _, lamps in images])
    ratio = lit.max(1) / lit.min(1)
    print(
        "brighter cheek over darker: " + ", ".join(f"{p} % {np.percentile(ratio, p):.2f}" for p in (25, 50, 75, 90, 95))
    )
    print(f"share with one cheek 2 times as bright {(ratio > 2).mean():.3f}, 3 times {(ratio > 3).mean():.3f}")
    harmonics = labels[:, model.layout.slice("lighting")].reshape(-1, 3, 9).std(0).mean(0)
    print("harmonics, std: " + " ".join(f"{value:.3f}" for value in harmonics))


if __name__ == "__main__":
    main()
