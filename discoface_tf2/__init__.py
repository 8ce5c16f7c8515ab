"""Controllable face-image generation: networks, perception, losses, training, generation and export."""
