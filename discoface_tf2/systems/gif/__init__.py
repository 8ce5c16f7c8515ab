"""GIF (Ghosh et al., 3DV 2020): renders of the face model into StyleGAN2 in place of its noise, consistency in uv."""
