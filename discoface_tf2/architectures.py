"""The kinds of generator that a snapshot can hold, by the name that its manifest has for them.

All have one interface: `generator(inputs, noise=…, max_resolution=…)`, `styles`, `mapping`, `synthesis`, `num_ws`,
`resolution`; their configs have `input_size`, `resolution`, `num_ws`, `to_dict` and `from_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from discoface_tf2 import stylegan1
from discoface_tf2.networks import config as stylegan2
from discoface_tf2.networks.generator import Generator

DEFAULT = "stylegan2"  # what this project trains, and what a manifest without a name means
AnyNetworkConfig = stylegan2.NetworkConfig | stylegan1.StyleGAN1Config
_CONFIGS: dict[str, type[stylegan2.NetworkConfig] | type[stylegan1.StyleGAN1Config]] = {
    DEFAULT: stylegan2.NetworkConfig,
    "stylegan1": stylegan1.StyleGAN1Config,
}


def architecture_of(config: AnyNetworkConfig) -> str:
    """The name of a config's kind of network."""
    return next(name for name, kind in _CONFIGS.items() if isinstance(config, kind))


def config_from_dict(architecture: str, options: Mapping[str, Any]) -> AnyNetworkConfig:
    """The config that `to_dict` wrote. Raises ValueError for an unknown architecture or option."""
    if architecture not in _CONFIGS:
        raise ValueError(f"architecture: expected one of {', '.join(_CONFIGS)}. Received: {architecture!r}")
    return _CONFIGS[architecture].from_dict(options)


def build_generator(config: AnyNetworkConfig, *, dtype: str = "float32", seed: int = 0) -> Generator:
    """A generator with weights drawn from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    if isinstance(config, stylegan1.StyleGAN1Config):
        return stylegan1.build_generator(config, dtype=dtype, seed=seed)
    return stylegan2.build_generator(config, dtype=dtype, seed=seed)


def build_discriminator(config: AnyNetworkConfig, *, dtype: str = "float32", seed: int = 0) -> keras.Model:
    """A discriminator with weights drawn from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    if isinstance(config, stylegan1.StyleGAN1Config):
        return stylegan1.build_discriminator(config, dtype=dtype, seed=seed)
    return stylegan2.build_discriminator(config, dtype=dtype, seed=seed)
