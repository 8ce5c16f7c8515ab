"""Generators and discriminators as Keras layers: StyleGAN2, which is trained, and the original's StyleGAN1."""
