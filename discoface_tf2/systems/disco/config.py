"""The options of `disco`, its loss weights, and the table of presets that fills in what the user leaves unset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from discoface_tf2.config import KIMG, RATE, SIZE, STD_GROUP, WEIGHT, StyleGAN2Config, on_each
from renderer.options import SWITCH, check_options, number, option, whole


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts. The defaults are the reference's, for 256 × 256 and its perception networks."""

    identity: float = option(3.0, "weight of the identity loss", WEIGHT)  # --w_id
    # --w_lm; the reference uses 100 in stage 2
    landmarks: float = option(500.0, "weight of the landmark loss", WEIGHT)
    lighting: float = option(10.0, "weight of the lighting loss", WEIGHT)  # --w_gamma
    skin: float = option(20.0, "weight of the skin colour loss", WEIGHT)  # --w_skin
    # --w_exp, which the reference leaves to the landmarks
    expression: float = option(0.0, "weight of the loss of expression coefficients", WEIGHT)
    # --w_l1, instead of those above
    warmup_l1: float = option(20.0, "weight of the L1 term during imitation and warm-up", WEIGHT)
    # --w_image, which the reference does not have
    image_l1: float = option(0.0, "weight of the L1 term after the warm-up", WEIGHT)
    # --w_exp_warp
    expression_warp: float = option(10.0, "stage 2: weight of the contrastive loss of expression pairs", WEIGHT)
    # --w_gamma_change
    lighting_change: float = option(10.0, "stage 2: weight of the contrastive loss of lighting pairs", WEIGHT)

    def __post_init__(self) -> None:
        check_options(self)


# At 64 × 64 small perception networks see expressions worse than pretrained large ones, and landmarks hardly tell them:
# so the expression coefficients that the reconstruction network predicts of image and render are compared (28 kimg took
# the correlation with the target from 0.0 to 0.4, that of real images), and a part of the L1 term stays after the
# warm-up. Exposure and white balance move the skin's colour more than the reference's data do, so it counts half.
# The pairs' losses, at their full weights, draw people together and still their faces (docs/results.md): a quarter of
# them keeps most of what they are for, and identities are told apart better than with all of them or none.
_AT_64 = LossWeights(
    landmarks=1000.0, skin=10.0, expression=20.0, image_l1=5.0, expression_warp=2.5, lighting_change=2.5
)
# In the first minutes a generator satisfies perception networks with coloured spots sooner than with a mouth, and the
# full weight of the lighting pairs draws people together: the pixels lead.
_EARLY = dataclasses.replace(_AT_64, landmarks=500.0, expression=5.0, image_l1=20.0, lighting_change=2.0)
# A short run needs a mapping network that learns as fast as the rest (0.01 is for 15 million images), and a small
# R1 penalty: StyleGAN2's own rule, 0.0002 · 64² / 16, would be 0.05.
# λ is standardised: expressions and angles are small beside 62 numbers of identity and 32 of noise. After 6 kimg of
# imitation the L1 term is 0.270 with it, 0.322 without, and without it expression had not been learnt after 240 kimg.
_SHORT = dict(standardize_input=True, mapping_lr_multiplier=1.0, r1_gamma=1.0, l1_resolution=64,
              imitate_learning_rate=0.012)  # fmt: skip


def _in_stage_2(weights: LossWeights) -> LossWeights:
    """The weights of stage 1 as stage 2 has them: landmarks count a fifth, as in the method (500, then 100)."""
    return dataclasses.replace(weights, landmarks=weights.landmarks / 5)


def _method(resolution: int, channel_base: int, **published: Any) -> dict[int, dict[str, Any]]:
    """Both stages of the method's own run, with its loss weights, on StyleGAN2 of a size and as it was published."""
    both = dict(resolution=resolution, channel_base=channel_base, channel_max=512, mapping_layers=8, mapping_width=512,
                mapping_lr_multiplier=0.01, layer_noise=True, tick_kimg=4, image_kimg=100, snapshot_kimg=200,
                **published)  # fmt: skip
    return {1: dict(kimg=15000, warmup_kimg=600, **both),
            2: dict(kimg=10000, weights=_in_stage_2(LossWeights()), **both)}  # fmt: skip


# Batch, R1 penalty, learning rate and half-life are those that StyleGAN2-ADA's authors published for FFHQ.
_FFHQ = dict(pl_weight=2.0, pl_interval=4, pairs=8)
_PUBLISHED = dict(batch_size=64, learning_rate=0.0025, ema_kimg=20, **_FFHQ)

# The table of presets: only what differs from TrainingConfig's defaults. Commands, memory and time: docs/training.md.
PRESETS: dict[str, dict[int, dict[str, Any]]] = {
    # The demo of the README: minutes on two cores.
    "demo64": {
        1: dict(kimg=40, imitate_kimg=26, warmup_kimg=6, ema_kimg=1, snapshot_kimg=20, image_kimg=2, tick_kimg=0.5,
                weights=_EARLY, **_SHORT),
        2: dict(kimg=4, ema_kimg=1, snapshot_kimg=5, image_kimg=1, tick_kimg=0.5, weights=_in_stage_2(_EARLY),
                **_SHORT),
    },
    # Hours on two cores: the run of docs/results.md.
    "synthetic64": {
        1: dict(kimg=250, imitate_kimg=60, warmup_kimg=10, ema_kimg=5, snapshot_kimg=20, weights=_AT_64, **_SHORT),
        2: dict(kimg=50, ema_kimg=5, snapshot_kimg=20, weights=_in_stage_2(_AT_64), **_SHORT),
    },
    # The same at twice the size, with the same channels from 64 × 64 down.
    "synthetic128": {
        1: dict(kimg=250, imitate_kimg=60, warmup_kimg=10, ema_kimg=5, snapshot_kimg=20, resolution=128,
                channel_base=4096, weights=_AT_64, **_SHORT),
        2: dict(kimg=50, ema_kimg=5, snapshot_kimg=20, resolution=128, channel_base=4096,
                weights=_in_stage_2(_AT_64), **_SHORT),
    },
    # For GPUs, with FFHQ and the Basel model. At 256 the published width is half of StyleGAN2's.
    "ffhq256": _method(256, 16384, r1_gamma=1.0, **_PUBLISHED),
    "ffhq256-full": _method(256, 32768, r1_gamma=1.0, **_PUBLISHED),
    "ffhq512": _method(512, 32768, r1_gamma=0.5, **_PUBLISHED),
    "ffhq1024": _method(1024, 32768, r1_gamma=2.0, batch_size=32, learning_rate=0.002, ema_kimg=10, **_FFHQ),
    # DiscoFaceGAN's own settings, to go on from its published network (docs/original.md), whose sizes are kept then.
    "original256": _method(256, 32768, r1_gamma=10.0, batch_size=16, pairs=4, learning_rate=0.002, ema_kimg=10),
}  # fmt: skip


@dataclass(frozen=True)
class DiscoConfig(StyleGAN2Config):
    """DiscoFaceGAN: λ and noise into a generator that imitates the renderer, then keeps factors apart by contrast.

    Stage 1 has up to three phases: `imitate_kimg` with the renderer alone (32 × 32, no discriminator: seconds, and the
    heads are in place), `warmup_kimg` with the discriminator and the L1 term (the reference's low-resolution phase),
    then the discriminator and the imitative losses. Stage 2 adds the contrastive losses from its start.
    """

    SYSTEM: ClassVar[str] = "disco"
    STAGES: ClassVar[int] = 2
    PRESETS: ClassVar[Mapping[str, Mapping[int, Mapping[str, Any]]]] = PRESETS
    PHASES: ClassVar[tuple[str, ...]] = ("imitate", "warmup", "imitative", "contrastive")
    # The original's names of the loss weights.
    WEIGHT_FLAGS: ClassVar[Mapping[str, str]] = {
        "w_id": "identity",
        "w_lm": "landmarks",
        "w_gamma": "lighting",
        "w_skin": "skin",
        "w_exp": "expression",
        "w_l1": "warmup_l1",
        "w_image": "image_l1",
        "w_exp_warp": "expression_warp",
        "w_gamma_change": "lighting_change",
    }
    EFFECTIVE: ClassVar[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
        **StyleGAN2Config.EFFECTIVE,
        "pl_interval": (lambda config: config.pl_weight > 0, "a pl_weight above 0"),
        # In stage 2 these may stand: there the command is that of stage 1.
        **dict.fromkeys(("imitate_resolution", "imitate_learning_rate"),
                        (lambda config: config.stage == 2 or config.imitate_kimg > 0, "an imitate_kimg above 0")),
    }  # fmt: skip
    DESCRIBES_NETWORK: ClassVar[tuple[str, ...]] = (*StyleGAN2Config.DESCRIBES_NETWORK, "standardize_input")

    weights: LossWeights = field(default_factory=LossWeights)
    imitate_kimg: float = option(0.0, "stage 1: length of the phase with the renderer alone, without D", KIMG)
    warmup_kimg: float = option(0.0, "stage 1: length of the next phase, with D and the L1 term", KIMG)
    imitate_resolution: int = option(32, "pixels of the phase with the renderer alone, at most", SIZE)
    l1_resolution: int = option(32, "pixels that images are reduced to for the later L1 term, at most", SIZE)
    imitate_learning_rate: float | None = option(
        None, "Adam's while the generator imitates alone, falling to 0 in the end; default its usual one", RATE
    )
    # the reference feeds it as it is
    standardize_input: bool = option(False, "divide λ by its standard deviation before the mapping", SWITCH)
    # a map per layer and image, one for both of a pair
    layer_noise: bool = option(False, "StyleGAN2's noise inputs", SWITCH)
    pairs: int = option(
        4, "stage 2: pairs per step that differ in expression alone, and as many in lighting alone", whole(1, 32768)
    )
    pl_weight: float = option(0.0, "weight of path-length regularisation; 0: none", number(0, 1e6))
    pl_interval: int = option(8, "steps between path-length penalties", whole(1, 10**6))
    mirror: bool = option(True, "show D real images flipped half of the time", SWITCH)

    def require_replicas(self, replicas: int) -> None:
        """Raises ValueError with one line unless batch and pairs can be shared out among so many replicas."""
        batch, pairs = self.batch_size, self.pairs if self.stage == 2 else 0
        if batch % replicas or pairs % replicas:
            raise ValueError(
                f"batch_size and pairs must divide by the {replicas} replicas. "
                f"Received: batch_size={batch}, pairs={pairs}"
            )
        super().require_replicas(replicas)
        batch, pairs, share = batch // replicas, pairs // replicas, on_each(replicas)
        if pairs and 2 * pairs > batch:
            raise ValueError(f"pairs: expected 1 to batch_size / 2 = {batch // 2}{share}. Received: {pairs}")
        if pairs and batch + 2 * pairs > STD_GROUP and (batch + 2 * pairs) % STD_GROUP:
            raise ValueError(
                f"pairs: expected batch_size + 2 pairs to be a multiple of {STD_GROUP}{share}, the group of D's "
                f"minibatch standard deviation. Received: {batch} + 2 · {pairs}"
            )

    def phase(self, kimg: float) -> str:
        """What is trained after `kimg` thousand images: `imitate`, `warmup`, `imitative` or `contrastive`."""
        if self.stage == 2:
            return "contrastive"
        if kimg < self.imitate_kimg:
            return "imitate"
        return "warmup" if kimg < self.imitate_kimg + self.warmup_kimg else "imitative"


CONFIG = DiscoConfig
