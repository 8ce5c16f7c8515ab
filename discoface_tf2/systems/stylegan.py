"""What systems share whose generator and discriminator are StyleGAN's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from discoface_tf2.config import StyleGAN2Config
from discoface_tf2.systems.base import Terms, adam, imitation_adam


def network_options(config: StyleGAN2Config) -> dict[str, Any]:
    """The sizes of NetworkConfig that are options of a run; all but `input_size`."""
    return dict(
        resolution=config.resolution,
        channel_base=config.channel_base,
        channel_max=config.channel_max,
        mapping_layers=config.mapping_layers,
        mapping_width=config.mapping_width,
        w_dim=config.mapping_width,
        mapping_lr_multiplier=config.mapping_lr_multiplier,
    )


def optimizers(
    config: Any, generator_interval: int, imitate_kimg: float
) -> dict[str, tuple[str, keras.optimizers.Optimizer]]:
    """The generator's, the discriminator's, and the generator's while it imitates alone.

    Args:
        config: with `imitate_learning_rate` beside what StyleGAN2Config has.
        generator_interval: steps between the generator's lazy penalties; 0: none.
        imitate_kimg: length of imitation; 0: none.
    """
    rate = config.generator_learning_rate or config.learning_rate
    found = {
        "generator": ("generator", adam(rate, config.beta_2, generator_interval)),
        "discriminator": ("discriminator", adam(config.learning_rate, config.beta_2, config.r1_interval)),
    }
    if imitate_kimg:
        steps = round(imitate_kimg * 1000 / config.batch_size)
        found["imitate"] = ("generator", imitation_adam(config.imitate_learning_rate or rate, config.beta_2, steps))
    return found


def logit_terms(config: StyleGAN2Config, mean: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor,
                fake: tf.Tensor) -> Terms:  # fmt: skip
    """Mean logits of real and generated images [B, 1], and with ADA what steers it."""
    terms = {"logits_real": mean(real[:, 0]), "logits_fake": mean(fake[:, 0])}
    return {**terms, "ada_rt": mean(tf.sign(real[:, 0]))} if config.ada_target else terms
