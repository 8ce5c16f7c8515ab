"""DiscoFaceGAN (Deng et al., CVPR 2020): λ and noise into StyleGAN2, imitation of the render, contrast of pairs."""
