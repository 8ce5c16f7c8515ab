"""Everything that a training run can be told, and the table of presets that fills in what the user leaves unset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from renderer.options import (
    SEED,
    SWITCH,
    Choice,
    Each,
    Pattern,
    Range,
    check_options,
    number,
    option,
    positive,
    whole,
)

_WEIGHT = number(0, 1e6)
_KIMG = number(0, 1e6)
_SIZE = whole(4, 1024, power_of_two=True)
_RATE = positive(1.0)
_GROUP = 4  # images that share a standard deviation in the discriminator: NetworkConfig.minibatch_std_group


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts. The defaults are the reference's, for 256 × 256 and its perception networks."""

    identity: float = option(3.0, "weight of the identity loss", _WEIGHT)  # --w_id
    # --w_lm; the reference uses 100 in stage 2
    landmarks: float = option(500.0, "weight of the landmark loss", _WEIGHT)
    lighting: float = option(10.0, "weight of the lighting loss", _WEIGHT)  # --w_gamma
    skin: float = option(20.0, "weight of the skin colour loss", _WEIGHT)  # --w_skin
    # --w_exp, which the reference leaves to the landmarks
    expression: float = option(0.0, "weight of the loss of expression coefficients", _WEIGHT)
    # --w_l1, instead of those above
    warmup_l1: float = option(20.0, "weight of the L1 term during imitation and warm-up", _WEIGHT)
    # --w_image, which the reference does not have
    image_l1: float = option(0.0, "weight of the L1 term after the warm-up", _WEIGHT)
    # --w_exp_warp
    expression_warp: float = option(10.0, "stage 2: weight of the contrastive loss of expression pairs", _WEIGHT)
    # --w_gamma_change
    lighting_change: float = option(10.0, "stage 2: weight of the contrastive loss of lighting pairs", _WEIGHT)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class Monitoring:
    """What a run tells while it goes on. It changes nothing of what is learnt."""

    metrics: tuple[str, ...] = option(
        (),
        "figures of the moving average, measured on the way",
        Each(Pattern(r"control[1-9][0-9]{1,6}", "control<N>, N generated images, 10 or more, such as control500")),
    )
    metric_ticks: int = option(10, "status lines between measurements; the end is always measured", whole(1, 10**6))
    histograms: bool = option(False, "histograms of weights and w in TensorBoard, with each grid", SWITCH)
    quiet: bool = option(False, "no status lines", SWITCH)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class TrainingConfig:
    """One run: one stage of training with one preset. Times are in thousands of images shown (kimg).

    Stage 1 has up to three phases: `imitate_kimg` with the renderer alone (32 × 32, no discriminator: seconds, and the
    heads are in place), `warmup_kimg` with the discriminator and the L1 term (the reference's low-resolution phase),
    then the discriminator and the imitative losses. Stage 2 adds the contrastive losses from its start.

    Raises ValueError, one line with the option's name, for a value out of its range, and for values that do not go
    together.
    """

    stage: int = option(1, "1: imitate the renderer; 2: keep the factors apart", Range(1, 2, whole=True))
    preset: str = option("synthetic64", "what fills in the options that are not given", Pattern(r"[\w.-]+", "a name"))
    kimg: float = option(300.0, "length of this stage in thousands of images, all phases", number(0.001, 1e6))
    imitate_kimg: float = option(0.0, "stage 1: length of the phase with the renderer alone, without D", _KIMG)
    warmup_kimg: float = option(0.0, "stage 1: length of the next phase, with D and the L1 term", _KIMG)
    imitate_resolution: int = option(32, "pixels of the phase with the renderer alone, at most", _SIZE)
    l1_resolution: int = option(32, "pixels that images are reduced to for the later L1 term, at most", _SIZE)
    weights: LossWeights = field(default_factory=LossWeights)

    resolution: int = option(64, "height and width of the images, pixels", whole(8, 1024, power_of_two=True))
    channel_base: int = option(
        2048, "a feature map at resolution R has min(channel_base / R, channel_max) channels", whole(8, 2**20)
    )
    channel_max: int = option(64, "channels of a feature map, at most", whole(1, 4096))
    mapping_layers: int = option(4, "layers of the mapping network", whole(1, 64))
    mapping_width: int = option(256, "units of each of them, and of w", whole(1, 8192))
    mapping_lr_multiplier: float = option(0.1, "learning rate of the mapping, relative to the rest", positive(100.0))
    # the reference feeds it as it is
    standardize_input: bool = option(False, "divide λ by its standard deviation before the mapping", SWITCH)
    noise_dim: int = option(32, "numbers beside λ, for all that the face model does not cover", whole(1, 4096))
    # a map per layer and image, one for both of a pair
    layer_noise: bool = option(False, "StyleGAN2's noise inputs", SWITCH)
    dtype: str = option("float32", "of both networks", Choice(("float32", "mixed_bfloat16")))
    # its draws are others
    jit_compile: bool | None = option(None, "let XLA compile the step; default on GPUs alone", SWITCH)

    batch_size: int = option(16, "images per step, over all replicas", whole(1, 65536))
    pairs: int = option(
        4, "stage 2: pairs per step that differ in expression alone, and as many in lighting alone", whole(1, 32768)
    )
    learning_rate: float = option(0.002, "Adam's, of D and, unless given, of the generator", _RATE)
    generator_learning_rate: float | None = option(None, "Adam's, of the generator", _RATE)
    imitate_learning_rate: float | None = option(
        None, "Adam's while the generator imitates alone, falling to 0 in the end; default its usual one", _RATE
    )
    beta_2: float = option(0.99, "Adam's; its beta_1 is 0", number(0, 1, open_above=True))
    r1_gamma: float = option(10.0, "weight of the R1 penalty on real images; 0: none", number(0, 1e6))
    r1_interval: int = option(16, "steps between R1 penalties", whole(1, 10**6))
    pl_weight: float = option(0.0, "weight of path-length regularisation; 0: none", number(0, 1e6))
    pl_interval: int = option(8, "steps between path-length penalties", whole(1, 10**6))
    ema_kimg: float = option(10.0, "half-life of the generator's moving average; 0: none", _KIMG)
    ema_rampup: float = option(
        0.05,
        "the half-life is at most this share of what has been shown, but not in a run from a snapshot",
        number(0, 1e6),
    )
    ada_target: float = option(
        0.0, "adaptive augmentation: the r_t that it keeps, 0.6 in the paper; 0: none", number(0, 1, open_above=True)
    )
    ada_kimg: float = option(500.0, "in which ADA's strength p could go from 0 to 1", positive(1e6))
    ada_interval: int = option(4, "steps between changes of p", whole(1, 10**6))
    ada_start: float = option(0.0, "p to begin with: for stage 2, what stage 1 ended with", number(0, 1))
    ada_pipe: str = option(
        "bgc",
        "what ADA does: b flips, turns, shifts; g scales, rotates, stretches; c colours",
        Pattern("[bgc]+", "letters of bgc"),
    )
    mirror: bool = option(True, "show D real images flipped half of the time", SWITCH)

    seed: int = option(0, "of weights, order and draws", SEED)
    tick_kimg: float = option(1.0, "between status lines, with TensorBoard's scalars", positive(1e6))
    image_kimg: float = option(10.0, "between grids of render | generated | real", positive(1e6))
    snapshot_kimg: float = option(50.0, "between snapshots, each with a checkpoint", positive(1e6))

    def __post_init__(self) -> None:
        check_options(self)
        if self.channel_base < self.resolution:
            raise ValueError(
                f"channel_base: expected at least the resolution, {self.resolution}. Received: {self.channel_base}"
            )
        self.require_replicas(1)

    def require_replicas(self, replicas: int) -> None:
        """Raises ValueError with one line unless the batch can be shared out among so many replicas."""
        batch, pairs = self.batch_size, self.pairs if self.stage == 2 else 0
        share = f" on each of {replicas} replicas" if replicas > 1 else ""
        if batch % replicas or pairs % replicas:
            raise ValueError(
                f"batch_size and pairs must divide by the {replicas} replicas. "
                f"Received: batch_size={batch}, pairs={pairs}"
            )
        batch, pairs = batch // replicas, pairs // replicas
        if batch > _GROUP and batch % _GROUP:
            raise ValueError(
                f"batch_size: expected a multiple of {_GROUP}{share}, the group of D's minibatch standard deviation, "
                f"or less. Received: {batch}"
            )
        if pairs and 2 * pairs > batch:
            raise ValueError(f"pairs: expected 1 to batch_size / 2 = {batch // 2}{share}. Received: {pairs}")
        if pairs and batch + 2 * pairs > _GROUP and (batch + 2 * pairs) % _GROUP:
            raise ValueError(
                f"pairs: expected batch_size + 2 pairs to be a multiple of {_GROUP}{share}, the group of D's minibatch "
                f"standard deviation. Received: {batch} + 2 · {pairs}"
            )

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


# An option that does nothing unless another is set: given without it, it is a mistake.
_EFFECTIVE: dict[str, tuple[Callable[[TrainingConfig], bool], str]] = {
    **dict.fromkeys(("ada_kimg", "ada_interval", "ada_start", "ada_pipe"),
                    (lambda config: config.ada_target > 0, "an ada_target above 0, such as 0.6")),
    "r1_interval": (lambda config: config.r1_gamma > 0, "an r1_gamma above 0"),
    "pl_interval": (lambda config: config.pl_weight > 0, "a pl_weight above 0"),
    # In stage 2 these may stand: there the command is that of stage 1.
    **dict.fromkeys(("imitate_resolution", "imitate_learning_rate"),
                    (lambda config: config.stage == 2 or config.imitate_kimg > 0, "an imitate_kimg above 0")),
}  # fmt: skip


def make_config(preset: str, stage: int, **overrides: Any) -> TrainingConfig:
    """The preset's configuration for a stage, with `overrides` on top; None means "not given".

    Keys are those of TrainingConfig, or `w_…` for a field of LossWeights. Raises ValueError for an unknown preset
    or key, and a value out of its range.
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


def require_effective(config: TrainingConfig, given: Mapping[str, Any]) -> None:
    """Raises ValueError, one line, where an option that a person gave (not None) does nothing in this configuration."""
    for key, (effective, needed) in _EFFECTIVE.items():
        if given.get(key) is not None and not effective(config):
            raise ValueError(f"{key}: it has no effect without {needed}. Received: {given[key]}")
