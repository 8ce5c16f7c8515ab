"""Losses as pure functions of tensors: adversarial, imitative (stage 1) and contrastive (stage 2)."""
