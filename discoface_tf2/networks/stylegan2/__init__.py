"""StyleGAN2 as Keras layers: mapping, skip synthesis and residual discriminator (Karras et al., CVPR 2020)."""

from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_discriminator, build_generator
from discoface_tf2.networks.stylegan2.discriminator import Discriminator
from discoface_tf2.networks.stylegan2.generator import Generator
from discoface_tf2.networks.stylegan2.mapping import Mapping
from discoface_tf2.networks.stylegan2.synthesis import Synthesis

__all__ = [
    "Discriminator",
    "Generator",
    "Mapping",
    "NetworkConfig",
    "Synthesis",
    "build_discriminator",
    "build_generator",
]
