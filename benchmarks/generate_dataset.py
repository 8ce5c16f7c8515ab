"""What `generate_dataset.py` costs beside the generation of the same images alone, in turns in one process.

python -m benchmarks.generate_dataset --model runs/stage2 [--layout folders] [--align arcface] [--format jpeg]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from renderer.command import begin

if __name__ == "__main__":
    begin("python -m benchmarks.generate_dataset")

import numpy as np

from datasets.generated.making import Item, Maker
from datasets.generated.options import GeneratedSet
from datasets.generated.selection import IDENTITIES
from datasets.photographs.workers import use_one_thread
from discoface_tf2.generation import GenerationOptions, generate
from discoface_tf2.identities import Identities
from discoface_tf2.model import load
from renderer.files import save_npz
from renderer.options import add_option

_PEOPLE, _EACH, _BATCH = 20, 20, 16


def timed(function: Callable[[], object]) -> np.ndarray:
    """Seconds that a call takes by the clock, and of this process's processor time."""
    before = time.perf_counter(), time.process_time()
    function()
    return np.array([time.perf_counter(), time.process_time()]) - before


def main(argv: Sequence[str] | None = None) -> None:
    """Prints milliseconds per image, and how much slower the data set is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--face_model", help="'builtin' or a .npz, where it is not where the run noted it")
    for name in ("layout", "align", "format", "image_size"):
        add_option(parser, GeneratedSet, name)
    parser.add_argument("--rounds", type=int, default=8, help="of both, in turns; default 8")
    values = vars(parser.parse_args(argv))
    use_one_thread()
    model = load(values.pop("model"), face_model=values.pop("face_model"))
    rounds, options = values.pop("rounds"), GeneratedSet(_PEOPLE, _EACH, shards=1, **values)
    generation = GenerationOptions(variations=_EACH)

    def alone() -> None:
        for _ in generate(generation, model.faces, model.sampler, batch_size=_BATCH, indices=range(options.count)):
            pass

    with tempfile.TemporaryDirectory() as name:
        source = Identities(model, generation, _BATCH)
        maker = Maker(Path(name), options, source, {"seed": 0, **options.to_dict()})
        save_npz({"person": np.arange(_PEOPLE)}, Path(name) / IDENTITIES)
        for function in (alone, lambda: maker(Item("shard", 0))):  # the first call compiles
            function()
        pairs = np.array([(timed(alone), timed(lambda: maker(Item("shard", 0)))) for _ in range(rounds)])
    for column, what in enumerate(("by the clock", "of processor time")):
        least = pairs[..., column].min(0) * 1000 / options.count
        more = np.median(pairs[:, 1, column] / pairs[:, 0, column] - 1)
        print(f"{what:18} generation {least[0]:7.3f} ms per image, data set {least[1]:7.3f}, median {more:+.1%} more")


if __name__ == "__main__":
    main()
