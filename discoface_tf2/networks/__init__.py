"""StyleGAN2 as Keras layers: mapping, skip synthesis and residual discriminator (Karras et al., CVPR 2020)."""
