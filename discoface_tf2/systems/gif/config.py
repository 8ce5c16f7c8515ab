"""The options of `gif`, its loss weights and its presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from discoface_tf2.config import KIMG, RATE, SIZE, WEIGHT, StyleGAN2Config
from renderer.options import SWITCH, Choice, check_options, option, whole

CONDITIONS = ("both", "texture", "normals", "vector")


@dataclass(frozen=True)
class GifWeights:
    """How much each loss of the generator counts beside the adversarial one."""

    # the paper's: 16 times the mean over the pairs
    texture: float = option(16.0, "weight of the texture-consistency loss; 0: none", WEIGHT)
    # the paper has none: its discriminator alone says that the image shows the render
    imitate: float = option(20.0, "weight of the L1 distance from the render while the generator imitates", WEIGHT)
    image_l1: float = option(0.0, "weight of the same term afterwards", WEIGHT)

    def __post_init__(self) -> None:
        check_options(self)


def judged(condition: str) -> str:
    """The renders that the discriminator sees: those of the generator; beside a vector, both."""
    return "both" if condition == "vector" else condition


# A short run needs a mapping network that learns as fast as the rest, and a small R1 penalty: see disco's presets. The
# texture loss is lazy there: every fourth step with four times its weight, for a fifth of the cost.
_SHORT = dict(mapping_lr_multiplier=1.0, r1_gamma=1.0, texture_interval=4, texture_size=64, imitate_learning_rate=0.012,
              ema_kimg=5, snapshot_kimg=20)  # fmt: skip
# The paper's run: 256 × 256, batch 16, 294,000 steps in the model that its figures show.
_PAPER = dict(resolution=256, channel_base=32768, channel_max=512, mapping_layers=8, mapping_width=512, noise_dim=512,
              mapping_lr_multiplier=0.01, generator_learning_rate=0.0016, ema_rampup=0.0, texture_size=256, kimg=4700,
              tick_kimg=4, image_kimg=100, snapshot_kimg=200)  # fmt: skip

PRESETS: dict[str, dict[int, dict[str, Any]]] = {
    # Hours on two cores; believable faces after half an hour.
    "gif64": {1: dict(kimg=300, imitate_kimg=8, weights=GifWeights(image_l1=2.0), **_SHORT)},
    "gif128": {
        1: dict(kimg=300, imitate_kimg=8, resolution=128, channel_base=4096, weights=GifWeights(image_l1=2.0), **_SHORT)
    },
    # For GPUs, with FFHQ and FLAME or the Basel model.
    "gif256": {1: _PAPER},
}  # fmt: skip


@dataclass(frozen=True)
class GifConfig(StyleGAN2Config):
    """GIF: the texture and the normals of the face model, rendered, go into every layer in place of its noise.

    The coefficients are those of the real images, which the records hold; a normal vector per identity (`noise_dim`
    numbers) is the style. Two phases: `imitate_kimg` with the L1 distance from the render alone (the paper has none),
    then the discriminator, which sees each image beside its renders.
    """

    SYSTEM: ClassVar[str] = "gif"
    PRESETS: ClassVar[Mapping[str, Mapping[int, Mapping[str, Any]]]] = PRESETS
    PHASES: ClassVar[tuple[str, ...]] = ("imitate", "adversarial")
    FIELDS: ClassVar[tuple[str, ...]] = ("image", "coefficients", "subject", "index")
    WEIGHT_FLAGS: ClassVar[Mapping[str, str]] = {
        "w_texture": "texture", "w_imitate": "imitate", "w_image": "image_l1",
    }  # fmt: skip
    EFFECTIVE: ClassVar[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
        **StyleGAN2Config.EFFECTIVE,
        **dict.fromkeys(("imitate_resolution", "imitate_learning_rate"),
                        (lambda config: config.imitate_kimg > 0, "an imitate_kimg above 0")),
        **dict.fromkeys(("texture_interval", "texture_size"),
                        (lambda config: config.weights.texture > 0, "a w_texture above 0")),
    }  # fmt: skip

    weights: GifWeights = field(default_factory=GifWeights)
    noise_dim: int = option(64, "normal numbers per identity: the style, for all that no render shows", whole(1, 4096))
    condition: str = option(
        "both", "what the generator is given: both renders, one, or the coefficients as a vector", Choice(CONDITIONS)
    )
    imitate_kimg: float = option(0.0, "length of the first phase, with the L1 distance from the render alone", KIMG)
    imitate_resolution: int = option(64, "pixels of that phase, at most", SIZE)
    imitate_learning_rate: float | None = option(
        None, "Adam's in that phase, falling to 0 in the end; default the generator's", RATE
    )
    texture_interval: int = option(1, "steps between texture-consistency losses, whose weight grows by it",
                                   whole(1, 10**6))  # fmt: skip
    texture_size: int = option(256, "texels along each side of the uv map of that loss", whole(8, 1024))
    # the reference does not, so its penalty is 16 times weaker
    lazy_r1: bool = option(True, "multiply R1 by its interval, as StyleGAN2 does", SWITCH)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ada_target and set(self.ada_pipe) != {"c"}:
            raise ValueError(
                "ada_pipe: expected c, colours alone: D sees images beside their renders, and both would have to turn. "
                f"Received: {self.ada_pipe}"
            )

    def phase(self, kimg: float) -> str:
        """What is trained after `kimg` thousand images: `imitate` or `adversarial`."""
        return "imitate" if kimg < self.imitate_kimg else "adversarial"


CONFIG = GifConfig
