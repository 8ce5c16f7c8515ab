"""Whether a data set is what its metadata say."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from datasets.generated.layouts import LAYOUTS, Layout
from datasets.generated.metadata import METADATA, digest, read_rows, reopen
from datasets.generated.options import GeneratedSet
from datasets.generated.selection import IDENTITIES, nearest_distance

OPTIONS = "options.json"
_DIGESTS = ("sha256", "mask_sha256")
_COLUMNS = ("name", "identity", "image", "landmarks", *_DIGESTS)
_SHOWN = 20


def verify(folder: Path) -> list[str]:
    """Reads and decodes every image of a data set, and returns a line for each that is wrong.

    The shards of these are to be made anew then: the command that made the data set does so, and keeps the others.
    Raises FileNotFoundError or ValueError with one line where there is no finished data set.
    """
    options = read_options(folder)
    if not (folder / METADATA).is_file():
        raise ValueError(f"{folder}: unfinished. Run the command that made it again")
    layout, wrong, damaged, count = LAYOUTS[options.layout](folder, options), list[str](), set[int](), 0
    with tqdm(total=options.count, unit="img", desc="verifying", mininterval=2.0) as bar:
        for shard, rows in enumerate(read_rows(folder, _COLUMNS)):
            found = _wrong_in(layout, shard, rows)
            damaged |= {shard} if found else set()
            wrong += found
            count += len(rows["name"])
            bar.update(len(rows["name"]))
    if count != options.count:
        raise ValueError(f"{folder / METADATA}: expected {options.count:,} rows. Received: {count:,}")
    with np.load(folder / IDENTITIES, allow_pickle=False) as stored:
        embeddings = stored["embedding"]
    if options.min_distance and len(embeddings) > 1:
        nearest = nearest_distance(embeddings)
        print(f"nearest two identities: cosine distance {nearest:.4f}, {options.min_distance:g} asked for")
        if nearest < options.min_distance - 1e-5:
            wrong.append(f"{folder / IDENTITIES}: two identities are nearer than asked for")
    if damaged:
        reopen(folder, damaged)
    return wrong


def read_options(folder: Path) -> GeneratedSet:
    """The options of the data set in `folder`. Raises FileNotFoundError or ValueError with one line."""
    path = folder / OPTIONS
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: expected a data set of generate_dataset.py, but it has no {OPTIONS}")
    try:
        return GeneratedSet.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the options of a generated data set ({error})") from None


def report(folder: Path, wrong: list[str]) -> str:
    """What is wrong, or that nothing is, as text."""
    if not wrong:
        options = read_options(folder)
        return f"{folder}: {options.count:,} images of {options.identities:,} identities, all as their metadata say"
    lines = [f"{folder}: {len(wrong):,} of its images are wrong; the command that made it makes their shards anew"]
    more = [f"  … and {len(wrong) - _SHOWN:,} more"] if len(wrong) > _SHOWN else []
    return "\n".join([*lines, *(f"  {line}" for line in wrong[:_SHOWN]), *more])


def _wrong_in(layout: Layout, shard: int, rows: dict[str, list[Any]]) -> list[str]:
    """A line for each image of a shard that is not what its row says; one for all where they cannot be read."""
    options = layout.options
    numbers = [(k, image) for k in options.identities_of(shard) for image in range(options.images_per_identity)]
    if list(zip(rows["identity"], rows["image"], strict=True)) != numbers:
        return [f"{METADATA}: shard {shard}: not the rows of {options.identities_of(shard)}"]
    try:
        stored = layout.read(shard)
    except (OSError, ValueError) as error:
        return [" ".join(str(error).split())]
    wrong = []
    for name, points, *digests in zip(*(rows[key] for key in ("name", "landmarks", *_DIGESTS)), strict=True):
        if name not in stored:
            wrong.append(f"{name}: missing")
        elif [digest(content) for content in stored[name]] != digests:
            wrong.append(f"{name}: not the image, or the mask, that was written")
        elif not np.isfinite(points).all():
            wrong.append(f"{name}: its landmarks are not finite")
        elif any(_size(content) != (options.image_size,) * 2 for content in stored[name] if content is not None):
            wrong.append(f"{name}: not an image of {options.image_size} pixels")
    return wrong


def _size(content: bytes) -> tuple[int, int] | None:
    """Width and height of an image file that can be decoded."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return image.size
    except (OSError, ValueError, SyntaxError):  # the last is Pillow's, for a damaged PNG
        return None
