"""The sizes of the networks, and the only place that builds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import Any, TypeVar

from discoface_tf2.networks.discriminator import Discriminator
from discoface_tf2.networks.generator import Generator
from discoface_tf2.networks.mapping import Mapping
from discoface_tf2.networks.synthesis import Synthesis

Config = TypeVar("Config")


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of a generator and its discriminator. A feature map at resolution R has min(channel_base / R, channel_max)
    channels: 32768 and 512 are StyleGAN2's full width, 16384 and 512 its half width at 256.
    """

    input_size: int  # λ and the noise beside it
    resolution: int = 64  # a power of two, at least 8
    channel_base: int = 2048
    channel_max: int = 64
    mapping_layers: int = 8
    mapping_width: int = 512
    w_dim: int = 512
    mapping_lr_multiplier: float = 0.01
    normalize_input: bool = False  # the method feeds λ as it is
    scale_input: bool = False  # … or each input divided by its standard deviation
    minibatch_std_group: int = 4  # images a group of the discriminator's minibatch standard deviation; 1: none

    def __post_init__(self) -> None:
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution: expected a power of two, at least 8. Received: {self.resolution}")
        names = ("input_size", "channel_base", "channel_max", "mapping_layers", "mapping_width", "w_dim",
                 "minibatch_std_group")  # fmt: skip
        for name in names:
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a positive whole number. Received: {getattr(self, name)!r}")
        if not self.mapping_lr_multiplier > 0:
            raise ValueError(f"mapping_lr_multiplier: expected more than 0. Received: {self.mapping_lr_multiplier}")
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


def build_generator(config: NetworkConfig, *, dtype: str = "float32", seed: int = 0) -> Generator:
    """A generator with weights drawn from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    mapping = Mapping(
        config.mapping_layers,
        config.mapping_width,
        config.w_dim,
        lr_multiplier=config.mapping_lr_multiplier,
        normalize_input=config.normalize_input,
        scale_input=config.scale_input,
        seed=seed,
        dtype="float32",  # a small part of the time, and coefficients deserve more than 8 bits
        name="mapping",
    )
    synthesis = Synthesis(config.channels, config.w_dim, seed=seed, dtype=dtype, name="synthesis")
    generator = Generator(mapping, synthesis, dtype=dtype, name="generator")
    generator.build((None, config.input_size))
    return generator


def build_discriminator(config: NetworkConfig, *, dtype: str = "float32", seed: int = 0) -> Discriminator:
    """A discriminator with weights drawn from `seed`. `dtype` is `float32` or `mixed_bfloat16`."""
    discriminator = Discriminator(
        config.channels, minibatch_std_group=config.minibatch_std_group, seed=seed, dtype=dtype, name="discriminator"
    )
    discriminator.build((None, config.resolution, config.resolution, 3))
    return discriminator
