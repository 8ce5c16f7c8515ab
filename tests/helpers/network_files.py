"""Network files of the original release's format, with made-up weights, written by Python's own pickle."""

from __future__ import annotations

import contextlib
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MODULE = "dnnlib.tflib.network"


class Network:
    """What the original's class leaves of itself when it is pickled."""

    def __init__(self, name, options, components, variables):
        self.state = {
            "version": 3,
            "name": name,
            "static_kwargs": options,
            "components": components,
            "build_module_src": "raise SystemExit('the source text of a network was run')",
            "build_func_name": name,
            "variables": list(variables.items()),
        }

    def __getstate__(self):
        return self.state


Network.__module__ = MODULE


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Pickle looks classes up when it writes them."""
    names = ["dnnlib", "dnnlib.tflib", MODULE]
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    sys.modules[MODULE].Network = Network
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def dumps(content, protocol=2) -> bytes:
    """As the original's TensorFlow 1 environment writes it, where numpy's room was called `core`."""
    with _importable():
        data = pickle.dumps(content, protocol=protocol)
    return data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray") if protocol == 2 else data


def made_up(input_size=258, resolution=16, base=32, most=6, layers=2, w_dim=8, seed=0, **options) -> tuple:
    """(G, D, Gs); channels at resolution R are min(2 base / R, most)."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    sizes = [4 * 2**k for k in range(resolution.bit_length() - 2)]
    channels = {size: min(2 * base // size, most) for size in sizes}
    shared = dict(num_channels=3, resolution=resolution, label_size=0, **options)

    def generator(name):
        mapping, inputs = {}, input_size
        for k in range(layers):
            mapping |= {f"Dense{k}/weight": 100 * draw(inputs, w_dim), f"Dense{k}/bias": 30 * draw(w_dim)}
            inputs = w_dim
        synthesis = {"lod": np.float32(0)}
        synthesis |= {f"noise{k}": draw(1, 1, sizes[k // 2], sizes[k // 2]) for k in range(2 * len(sizes))}
        inputs = channels[4]
        for k, size in enumerate(sizes):
            count = channels[size]
            for part in ("Const", "Conv") if size == 4 else ("Conv0_up", "Conv1"):
                where = f"{size}x{size}/{part}"
                if part == "Const":
                    synthesis["4x4/Const/const"] = draw(1, count, 4, 4)
                else:
                    synthesis[f"{where}/weight"] = draw(3, 3, inputs, count)
                synthesis |= {
                    f"{where}/Noise/weight": draw(count) * 0.3,
                    f"{where}/bias": draw(count) * 0.3,
                    f"{where}/StyleMod/weight": draw(w_dim, 2 * count),
                    f"{where}/StyleMod/bias": draw(2 * count) * 0.3,
                }
                inputs = count
            lod = len(sizes) - 1 - k
            synthesis |= {f"ToRGB_lod{lod}/weight": draw(1, 1, count, 3), f"ToRGB_lod{lod}/bias": draw(3) * 0.3}
        parts = {
            "synthesis": Network("G_synthesis", dict(shared), {}, synthesis),
            "mapping": Network("G_mapping", dict(shared), {}, mapping),
        }
        return Network(name, dict(shared), parts, {"lod": np.float32(0), "dlatent_avg": draw(w_dim)})

    judge = {"lod": np.float32(0)}
    for lod, size in enumerate(reversed(sizes)):
        judge |= {f"FromRGB_lod{lod}/weight": draw(1, 1, 3, channels[size])}
        judge |= {f"FromRGB_lod{lod}/bias": draw(channels[size]) * 0.3}
        if size > 4:
            for part, count in (("Conv0", channels[size]), ("Conv1_down", channels[size // 2])):
                judge[f"{size}x{size}/{part}/weight"] = draw(3, 3, channels[size], count)
                judge[f"{size}x{size}/{part}/bias"] = draw(count) * 0.3
    width = min(base, most) + 1
    judge |= {"4x4/Conv/weight": draw(3, 3, channels[4] + 1, channels[4]), "4x4/Conv/bias": draw(channels[4]) * 0.3}
    judge |= {"4x4/Dense0/weight": draw(16 * channels[4], width), "4x4/Dense0/bias": draw(width) * 0.3}
    judge |= {"4x4/Dense1/weight": draw(width, 1), "4x4/Dense1/bias": draw(1)}
    return generator("G"), Network("D", dict(shared), {}, judge), generator("Gs")


def write(path: Path, protocol=2, **sizes) -> Path:
    """A whole file; `sizes` as for `made_up`."""
    path.write_bytes(dumps(made_up(**sizes), protocol))
    return path
