"""The sizes of the networks, and the only place that builds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as MappingType
from dataclasses import MISSING, dataclass
from typing import Any, TypeVar

from discoface_tf2.networks.stylegan2.discriminator import Discriminator
from discoface_tf2.networks.stylegan2.generator import Generator
from discoface_tf2.networks.stylegan2.mapping import Mapping
from discoface_tf2.networks.stylegan2.synthesis import Synthesis
from renderer.options import SWITCH, check_options, option, positive, whole

Config = TypeVar("Config")


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of a generator and its discriminator. A feature map at resolution R has min(channel_base / R, channel_max)
    channels: 32768 and 512 are StyleGAN2's full width, 16384 and 512 its half width at 256.
    """

    input_size: int = option(MISSING, "λ and the noise beside it", whole(1, 2**20))
    resolution: int = option(64, "height and width of the images, pixels", whole(8, 1024, power_of_two=True))
    channel_base: int = option(2048, "channels at resolution R, times R", whole(1, 2**20))
    channel_max: int = option(64, "channels of a feature map, at most", whole(1, 4096))
    mapping_layers: int = option(8, "layers of the mapping network", whole(1, 64))
    mapping_width: int = option(512, "units of each of them", whole(1, 8192))
    w_dim: int = option(512, "length of w", whole(1, 8192))
    mapping_lr_multiplier: float = option(0.01, "learning rate of the mapping, relative to the rest", positive(100.0))
    # the method feeds λ as it is
    normalize_input: bool = option(False, "normalise the second moment of the inputs", SWITCH)
    scale_input: bool = option(False, "divide each input by its standard deviation", SWITCH)
    minibatch_std_group: int = option(4, "images that share D's minibatch standard deviation; 1: none", whole(1, 4096))

    def __post_init__(self) -> None:
        check_options(self)
        if self.channel_base < self.resolution:
            raise ValueError(
                f"channel_base: expected at least the resolution, {self.resolution}. Received: {self.channel_base}"
            )

    @property
    def num_ws(self) -> int:
        """Number of styles that the synthesis takes: 2 log2(R) - 2."""
        return 2 * (self.resolution.bit_length() - 1) - 2

    @property
    def channels(self) -> dict[int, int]:
        """Channels by resolution, from 4 up."""
        sizes = (2**k for k in range(2, self.resolution.bit_length()))
        return {size: min(self.channel_base // size, self.channel_max) for size in sizes}

    def inputs(self, lambda_size: int, noise_dim: int) -> int:
        """What `input_size` has to be for so many coefficients and noise numbers: both, side by side."""
        return lambda_size + noise_dim

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, as `model.json` holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, options: MappingType[str, Any]) -> NetworkConfig:
        """What `to_dict` wrote. Raises ValueError for an unknown or missing option."""
        return config_from_dict(cls, options)


def config_from_dict(kind: type[Config], options: MappingType[str, Any]) -> Config:
    """The dataclass `kind` of networks' sizes, of plain options. Raises ValueError for an unknown or missing one."""
    fields: tuple[dataclasses.Field, ...] = dataclasses.fields(kind)  # type: ignore[arg-type]
    known = [field.name for field in fields]
    unknown = set(options) - set(known)
    if unknown:
        raise ValueError(f"unknown network options: {', '.join(sorted(unknown))}. Known: {', '.join(known)}")
    missing = {field.name for field in fields if field.default is dataclasses.MISSING} - set(options)
    if missing:
        raise ValueError(f"network options: expected {' and '.join(sorted(missing))}. Received none")
    return kind(**options)


def build_mapping(config: NetworkConfig, seed: int = 0) -> Mapping:
    """The mapping network, in float32: a small part of the time, and coefficients deserve more than 8 bits."""
    return Mapping(
        config.mapping_layers,
        config.mapping_width,
        config.w_dim,
        lr_multiplier=config.mapping_lr_multiplier,
        normalize_input=config.normalize_input,
        scale_input=config.scale_input,
        seed=seed,
        dtype="float32",
        name="mapping",
    )


def build_generator(config: NetworkConfig, *, dtype: str = "float32", seed: int = 0) -> Generator:
    """A generator with weights drawn from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    synthesis = Synthesis(config.channels, config.w_dim, seed=seed, dtype=dtype, name="synthesis")
    generator = Generator(build_mapping(config, seed), synthesis, dtype=dtype, name="generator")
    generator.build((None, config.input_size))
    return generator


def build_discriminator(
    config: NetworkConfig, *, dtype: str = "float32", seed: int = 0, image_channels: int = 3
) -> Discriminator:
    """A discriminator with weights sampled from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    discriminator = Discriminator(
        config.channels, minibatch_std_group=config.minibatch_std_group, seed=seed, dtype=dtype, name="discriminator"
    )
    discriminator.build((None, config.resolution, config.resolution, image_channels))
    return discriminator
