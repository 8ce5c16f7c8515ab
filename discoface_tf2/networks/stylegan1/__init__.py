"""StyleGAN as the original release has it (Karras et al., CVPR 2019): synthesis, discriminator, and the file's reader.

The mapping network is the one of `networks`: only the scale of its biases differs, and `weights` sees to that.
"""

from discoface_tf2.networks.stylegan1.config import StyleGAN1Config, build_discriminator, build_generator
from discoface_tf2.networks.stylegan1.discriminator import StyleGAN1Discriminator
from discoface_tf2.networks.stylegan1.synthesis import StyleGAN1Synthesis

__all__ = [
    "StyleGAN1Config",
    "StyleGAN1Discriminator",
    "StyleGAN1Synthesis",
    "build_discriminator",
    "build_generator",
]
