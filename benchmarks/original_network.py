"""Writes a network file of the original's sizes, with made-up weights, and imports it (docs/original.md).

    python -m benchmarks.original_network                  # 256 × 256, 75 million numbers
    python -m benchmarks.original_network --resolution 32

Prints what `discoface_tf2.import_original` prints: the largest difference of each network from the same network in
plain numpy and float64, over the largest value, on 2 inputs (seed 0). Run it with -m.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.original_network")

from discoface_tf2.import_original import import_network
from tests.helpers.network_files import write


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256, choices=(32, 64, 128, 256), help="default 256")
    parser.add_argument("--width", type=int, default=512, help="of the mapping, and channels at most; default 512")
    args = parser.parse_args(argv)
    # StyleGAN's: 8 layers of 512 in the mapping, min(16384 / R, 512) channels at R × R.
    sizes = dict(input_size=286, resolution=args.resolution, base=8192, most=args.width, layers=8, w_dim=args.width)
    with tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder) / "network.pkl", **sizes)
        print("\n".join(import_network(source, Path(folder) / "imported")))


if __name__ == "__main__":
    main()
