"""A training configuration of a few thousand weights."""

from discoface_tf2.systems.disco.config import DiscoConfig
from discoface_tf2.systems.gif.config import GifConfig
from renderer.layout import CoefficientLayout

TINY = dict(
    resolution=16, channel_base=128, channel_max=8, mapping_layers=2, mapping_width=16, noise_dim=4, batch_size=4,
    pairs=2, r1_interval=2, ema_kimg=0.01, learning_rate=0.01, image_kimg=1000.0, snapshot_kimg=1000.0, tick_kimg=0.008,
)  # fmt: skip

TINY_GIF = {name: value for name, value in TINY.items() if name != "pairs"} | dict(
    r1_interval=2, texture_interval=2, texture_size=16, imitate_kimg=0.4
)

LAYOUT = CoefficientLayout(shape=2, texture=2, expression=2)


def tiny_config(stage: int = 1, **overrides) -> DiscoConfig:
    return DiscoConfig.make("demo64", stage, **{**TINY, **overrides})


def tiny_gif_config(**overrides) -> GifConfig:
    return GifConfig.make("gif64", 1, **{**TINY_GIF, **overrides})
