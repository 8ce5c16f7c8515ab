"""The registered metrics. A name and a number of samples, such as `ds1000`, is a protocol: docs/metrics.md has each.

It imports nothing that takes time, so that scripts can check their flags with it.
"""

from __future__ import annotations

import re

from renderer.options import Pattern

NAMES = {
    "control": "how well images follow their coefficients, by the perception networks, N images",
    "ds": "disentanglement score, N subjects × 10 images per factor",
    "outside": "change outside the mesh per factor varied, N subjects × 5 images per factor",
    "fid": "Fréchet Inception distance, N images",
    "kid": "kernel Inception distance, N images",
    "identity_frechet": "Fréchet distance by the identity network, which is not FID, N images",
    "identity_kernel": "kernel distance by the identity network, N images",
    "identity_pr": "precision and recall by the identity network, N images",
    "identity_ppl": "path length by the identity network, N paths",
    "leak": "nearest training image by identity, N images",
}
# What is measured of a baseline as well: the quality tax is the difference.
QUALITY = ("fid", "kid", "identity_frechet", "identity_kernel", "identity_pr")
NEEDS_NO_DATA = ("outside", "identity_ppl")
NEEDS = {"fid": "inception", "kid": "inception", "leak": "train_data"}  # flags without which there is no such metric
METRIC = Pattern(
    f"({'|'.join(NAMES)})[1-9][0-9]{{1,6}}", f"NAME<N>, N of 10 or more, such as ds1000, NAME one of {', '.join(NAMES)}"
)


def split(name: str) -> tuple[str, int]:
    """`ds1000` → ("ds", 1000). Raises ValueError with one line for a name that is not registered."""
    if not METRIC.fits(name):
        raise ValueError(f"metric: expected {METRIC}. Received: {name!r}")
    kind, number = re.fullmatch(r"(\D+)(\d+)", name, re.ASCII).groups()  # type: ignore[union-attr]
    return kind, int(number)
