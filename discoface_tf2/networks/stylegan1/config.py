"""The sizes of the original's networks, and the only place that builds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as MappingType
from dataclasses import MISSING, dataclass
from typing import Any

from discoface_tf2.networks.stylegan1.discriminator import StyleGAN1Discriminator
from discoface_tf2.networks.stylegan1.synthesis import StyleGAN1Synthesis
from discoface_tf2.networks.stylegan2.config import config_from_dict
from discoface_tf2.networks.stylegan2.generator import Generator
from discoface_tf2.networks.stylegan2.mapping import Mapping
from renderer.options import Each, check_options, option, positive, whole

NEVER = 1 << 20  # a resolution that no network has


@dataclass(frozen=True)
class StyleGAN1Config:
    """Sizes of a StyleGAN generator and its discriminator, as they are in a file of the original release."""

    input_size: int = option(MISSING, "λ and the noise beside it", whole(1, 2**20))
    widths: tuple[int, ...] = option(
        MISSING, "channels of the feature maps at 4, 8, 16, … up to the image's resolution", Each(whole(1, 4096))
    )
    mapping_layers: int = option(8, "layers of the mapping network", whole(1, 64))
    mapping_width: int = option(512, "units of each of them", whole(1, 8192))
    w_dim: int = option(512, "length of w", whole(1, 8192))
    mapping_lr_multiplier: float = option(0.01, "learning rate of the mapping, relative to the rest", positive(100.0))
    discriminator_width: int = option(512, "units of the discriminator's layer before the last", whole(1, 8192))
    minibatch_std_group: int = option(4, "images that share D's minibatch standard deviation; 1: none", whole(1, 4096))
    turned_from: int = option(
        128, "resolution from which on upsampling convolutions have their kernels turned", whole(1, NEVER)
    )

    def __post_init__(self) -> None:
        if isinstance(self.widths, list):  # as JSON gives it
            object.__setattr__(self, "widths", tuple(self.widths))
        check_options(self)
        if len(self.widths) < 2:
            raise ValueError(f"widths: expected channels at 4, 8, …. Received: {self.widths}")

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return 2 ** (len(self.widths) + 1)

    @property
    def num_ws(self) -> int:
        """Number of styles that the synthesis takes: 2 log2(R) - 2."""
        return 2 * len(self.widths)

    @property
    def channels(self) -> dict[int, int]:
        """Channels by resolution, from 4 up."""
        return {4 * 2**k: width for k, width in enumerate(self.widths)}

    def inputs(self, lambda_size: int, noise_dim: int) -> int:
        """What `input_size` has to be for so many coefficients and noise numbers: both, side by side."""
        return lambda_size + noise_dim

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, as `model.json` holds them."""
        return {**dataclasses.asdict(self), "widths": list(self.widths)}

    @classmethod
    def from_dict(cls, options: MappingType[str, Any]) -> StyleGAN1Config:
        """What `to_dict` wrote. Raises ValueError for an unknown or missing option."""
        return config_from_dict(cls, options)


def build_generator(config: StyleGAN1Config, *, dtype: str = "float32", seed: int = 0) -> Generator:
    """A generator with weights drawn from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    mapping = Mapping(
        config.mapping_layers,
        config.mapping_width,
        config.w_dim,
        lr_multiplier=config.mapping_lr_multiplier,
        seed=seed,
        dtype="float32",
        name="mapping",
    )
    synthesis = StyleGAN1Synthesis(
        config.channels, config.w_dim, turned_from=config.turned_from, seed=seed, dtype=dtype, name="synthesis"
    )
    generator = Generator(mapping, synthesis, dtype=dtype, name="generator")
    generator.build((None, config.input_size))
    return generator


def build_discriminator(config: StyleGAN1Config, *, dtype: str = "float32", seed: int = 0) -> StyleGAN1Discriminator:
    """A discriminator with weights drawn from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    discriminator = StyleGAN1Discriminator(
        config.channels,
        config.discriminator_width,
        minibatch_std_group=config.minibatch_std_group,
        seed=seed,
        dtype=dtype,
        name="discriminator",
    )
    discriminator.build((None, config.resolution, config.resolution, 3))
    return discriminator
