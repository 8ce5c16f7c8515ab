"""StyleGAN2 as Keras layers: mapping, skip synthesis and residual discriminator (Karras et al., CVPR 2020)."""

from discoface_tf2.networks.config import NetworkConfig, build_discriminator, build_generator
from discoface_tf2.networks.discriminator import Discriminator
from discoface_tf2.networks.generator import Generator
from discoface_tf2.networks.mapping import Mapping
from discoface_tf2.networks.synthesis import Synthesis

__all__ = [
    "Discriminator",
    "Generator",
    "Mapping",
    "NetworkConfig",
    "Synthesis",
    "build_discriminator",
    "build_generator",
]
