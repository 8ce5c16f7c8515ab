"""Everything that a training run can be told, and the table of presets that fills in what the user leaves unset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts. The defaults are the reference's, for 256 × 256 and its perception networks."""

    identity: float = 3.0  # --w_id
    landmarks: float = 500.0  # --w_lm; the reference uses 100 in stage 2
    lighting: float = 10.0  # --w_gamma
    skin: float = 20.0  # --w_skin
    expression: float = 0.0  # --w_exp, expression coefficients seen, which the reference leaves to the landmarks
    warmup_l1: float = 20.0  # --w_l1, on reduced images (l1_resolution), instead of those above during the warm-up
    image_l1: float = 0.0  # --w_image, the same term after the warm-up, which the reference does not have
    expression_warp: float = 10.0  # --w_exp_warp, stage 2
    lighting_change: float = 10.0  # --w_gamma_change, stage 2


@dataclass(frozen=True)
class Monitoring:
    """What a run tells while it goes on. It changes nothing of what is learnt."""

    metrics: tuple[str, ...] = ()  # by name (`metrics.protocols`), on the moving average
    metric_ticks: int = 10  # status lines between two measurements; the end is always measured
    histograms: bool = False  # of weights and w, with each grid
    quiet: bool = False  # no status lines on the terminal

    def __post_init__(self) -> None:
        if self.metric_ticks < 1:
            raise ValueError(f"metric_ticks: expected 1 or more. Received: {self.metric_ticks}")


@dataclass(frozen=True)
class TrainingConfig:
    """One run: one stage of training with one preset. Times are in thousands of images shown (kimg).

    Stage 1 has up to three phases: `imitate_kimg` with the renderer alone (32 × 32, no discriminator: seconds, and the
    heads are in place), `warmup_kimg` with the discriminator and the L1 term (the reference's low-resolution phase),
    then the discriminator and the imitative losses. Stage 2 adds the contrastive losses from its start.
    """

    stage: int = 1
    preset: str = "synthetic64"
    kimg: float = 300.0  # length of this stage, the two phases before the imitative losses included
    imitate_kimg: float = 0.0
    warmup_kimg: float = 0.0
    imitate_resolution: int = 32  # of the phase with the renderer alone
    l1_resolution: int = 32  # later the L1 term looks at images reduced to this
    weights: LossWeights = field(default_factory=LossWeights)

    resolution: int = 64
    channel_base: int = 2048  # channels at resolution R: min(channel_base / R, channel_max)
    channel_max: int = 64
    mapping_layers: int = 4
    mapping_width: int = 256
    mapping_lr_multiplier: float = 0.1
    standardize_input: bool = False  # divide λ by its standard deviation; the reference feeds it as it is
    noise_dim: int = 32  # numbers beside λ, for all that the face model does not cover
    layer_noise: bool = False  # StyleGAN2's noise inputs: a map a layer and image, one for both of a pair
    dtype: str = "float32"  # or mixed_bfloat16, for the generator and the discriminator
    jit_compile: bool | None = None  # let XLA compile the step (its draws are others); None: on GPUs

    batch_size: int = 16  # over all replicas
    pairs: int = 4  # pairs a step that differ in expression alone, and as many in lighting alone (stage 2)
    learning_rate: float = 0.002  # of the discriminator, and of the generator unless the next line says otherwise
    generator_learning_rate: float | None = None
    imitate_learning_rate: float | None = None  # while it imitates alone, falling to 0 in the end; None: its usual one
    beta_2: float = 0.99  # Adam's; beta_1 is 0
    r1_gamma: float = 10.0
    r1_interval: int = 16  # steps between R1 penalties
    pl_weight: float = 0.0  # path-length regularisation; 0: none
    pl_interval: int = 8
    ema_kimg: float = 10.0  # half-life of the generator's moving average
    ema_rampup: float = 0.05  # … but at most this share of what has been shown; not in a run from a snapshot
    ada_target: float = 0.0  # adaptive augmentation: the r_t that it keeps, 0.6 in the paper; 0: none
    ada_kimg: float = 500.0  # in which its strength p could go from 0 to 1
    ada_interval: int = 4  # steps between changes of p
    ada_start: float = 0.0  # p to begin with: for stage 2, what stage 1 ended with
    ada_pipe: str = "bgc"  # what it does: b flips, turns, shifts; g scales, rotates, stretches; c colours
    mirror: bool = True  # show the discriminator photographs mirrored half of the time

    seed: int = 0
    tick_kimg: float = 1.0  # a status line and TensorBoard scalars
    image_kimg: float = 10.0  # a grid of render | generated | real
    snapshot_kimg: float = 50.0  # a snapshot and a checkpoint

    def __post_init__(self) -> None:
        positive = ("kimg", "batch_size", "resolution", "learning_rate", "tick_kimg", "image_kimg", "snapshot_kimg")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a positive number. Received: {getattr(self, name)}")
        if self.stage not in (1, 2):
            raise ValueError(f"stage: expected 1 or 2. Received: {self.stage}")
        if self.stage == 2 and not 0 < 2 * self.pairs <= self.batch_size:
            raise ValueError(f"pairs: expected 1 … batch_size / 2 = {self.batch_size // 2}. Received: {self.pairs}")
        if not 0 <= self.ada_target < 1:
            raise ValueError(f"ada_target: expected 0 (off) or a number below 1. Received: {self.ada_target}")
        if not 0 <= self.ada_start <= 1:
            raise ValueError(f"ada_start: expected 0 … 1. Received: {self.ada_start}")
        if self.ada_kimg <= 0 or self.ada_interval < 1:
            raise ValueError(
                "ada_kimg and ada_interval: expected positive numbers. "
                f"Received: {self.ada_kimg} and {self.ada_interval}"
            )
        if not self.ada_pipe or set(self.ada_pipe) - set("bgc"):
            raise ValueError(f"ada_pipe: expected letters of bgc. Received: {self.ada_pipe!r}")
        if self.dtype not in ("float32", "mixed_bfloat16"):
            raise ValueError(f"dtype: expected float32 or mixed_bfloat16. Received: {self.dtype!r}")

    def phase(self, kimg: float) -> str:
        """What is trained after `kimg` thousand images: `imitate`, `warmup`, `imitative` or `contrastive`."""
        if self.stage == 2:
            return "contrastive"
        if kimg < self.imitate_kimg:
            return "imitate"
        return "warmup" if kimg < self.imitate_kimg + self.warmup_kimg else "imitative"

    @property
    def draw_seed(self) -> int:
        """Seed of the stage's draws and of the photographs' order: stage 2 does not repeat those of stage 1."""
        return self.seed + (self.stage - 1) * 2**32

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, as `options.json` holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> TrainingConfig:
        """What `to_dict` wrote. Raises ValueError for an unknown option."""
        known = {f.name for f in dataclasses.fields(cls)}
        weights = dict(options.get("weights", {}))
        unknown = (set(options) - known) | (set(weights) - {f.name for f in dataclasses.fields(LossWeights)})
        if unknown:
            raise ValueError(f"unknown training options: {', '.join(sorted(unknown))}")
        return cls(**{**options, "weights": LossWeights(**weights)})


# At 64 × 64 small perception networks see expressions worse than the literature's, and landmarks hardly tell them:
# what the reconstruction network sees of the render's expression is asked for by itself (28 kimg took the correlation
# with what was asked from 0.0 to 0.4, that of photographs), and a part of the L1 term stays after the warm-up. Exposure
# and white balance of the photographs move the skin's colour more than the reference's data do, so it counts half.
_AT_64 = LossWeights(landmarks=1000.0, skin=10.0, expression=20.0, image_l1=5.0)
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
        1: dict(kimg=76, imitate_kimg=60, warmup_kimg=10, ema_kimg=1, snapshot_kimg=20, image_kimg=2, tick_kimg=0.5,
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


def make_config(preset: str, stage: int, **overrides: Any) -> TrainingConfig:
    """The preset's configuration for a stage, with `overrides` on top; None means "not given".

    Keys are those of TrainingConfig, or `w_…` for a field of LossWeights. Raises ValueError for an unknown preset
    or key.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}. Received: {preset!r}")
    if stage not in PRESETS[preset]:
        raise ValueError(f"stage: expected 1 or 2. Received: {stage}")
    options = dict(PRESETS[preset][stage])
    weights = dataclasses.asdict(options.pop("weights", LossWeights()))
    for key, value in overrides.items():
        if value is None:
            continue
        if key.startswith("w_"):
            weights[key[2:]] = value
        else:
            options[key] = value
    return TrainingConfig.from_dict({**options, "weights": weights, "preset": preset, "stage": stage})
