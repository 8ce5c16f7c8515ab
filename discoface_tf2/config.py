"""The options of a training run that every system has; a system adds its own (`discoface_tf2.systems`)."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

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

KIMG = number(0, 1e6)
RATE = positive(1.0)
WEIGHT = number(0, 1e6)
SIZE = whole(4, 1024, power_of_two=True)
STD_GROUP = 4  # images that share a standard deviation in the discriminator: NetworkConfig.minibatch_std_group
Config = TypeVar("Config", bound="TrainingConfig")


@dataclass(frozen=True)
class Monitoring:
    """What a run reports while it goes on. It changes nothing of what is learnt."""

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
class NoWeights:
    """The loss weights of a system that has none."""


@dataclass(frozen=True)
class TrainingConfig:
    """One run: one stage of training of one system with one preset. Times are in thousands of images shown (kimg).

    A system subclasses it with its own options, its loss weights and the phases of its stages; all options are flat,
    but for the weights. Raises ValueError, one line with the option's name, for a value out of its range, and for
    values that do not go together.
    """

    SYSTEM: ClassVar[str]
    STAGES: ClassVar[int] = 1
    PRESETS: ClassVar[Mapping[str, Mapping[int, Mapping[str, Any]]]]  # by name and stage: what differs from defaults
    PHASES: ClassVar[tuple[str, ...]]
    FIELDS: ClassVar[tuple[str, ...]] = ("image",)  # of the records, that a batch has
    WEIGHT_FLAGS: ClassVar[Mapping[str, str]] = {}  # by flag: the field of `weights`
    # An option that does nothing unless another is set: when it does something, and what that takes, in words.
    EFFECTIVE: ClassVar[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
        **dict.fromkeys(("ada_kimg", "ada_interval", "ada_start", "ada_pipe"),
                        (lambda config: config.ada_target > 0, "an ada_target above 0, such as 0.6")),
        "r1_interval": (lambda config: config.r1_gamma > 0, "an r1_gamma above 0"),
    }  # fmt: skip
    DESCRIBES_NETWORK: ClassVar[tuple[str, ...]] = ()  # options that an imported network brings with it

    stage: int = option(1, "stage of training; docs/training.md says what each is for", Range(1, 2, whole=True))
    preset: str = option("", "what fills in the options that are not given", Pattern(r"[\w.-]*", "a name"))
    kimg: float = option(300.0, "length of this stage in thousands of images, all phases", number(0.001, 1e6))
    weights: Any = field(default_factory=NoWeights)

    resolution: int = option(64, "height and width of the images, pixels", whole(8, 1024, power_of_two=True))
    noise_dim: int = option(32, "normal numbers per person, for all that the face model does not cover", whole(1, 4096))
    dtype: str = option("float32", "of the networks", Choice(("float32", "mixed_bfloat16")))
    # the random numbers are others
    jit_compile: bool | None = option(None, "let XLA compile the step; default on GPUs alone", SWITCH)

    batch_size: int = option(16, "images per step, over all replicas", whole(1, 65536))
    learning_rate: float = option(0.002, "Adam's, of D and, unless given, of the generator", RATE)
    generator_learning_rate: float | None = option(None, "Adam's, of the generator", RATE)
    beta_2: float = option(0.99, "Adam's; its beta_1 is 0", number(0, 1, open_above=True))
    r1_gamma: float = option(10.0, "weight of the R1 penalty on real images; 0: none", number(0, 1e6))
    r1_interval: int = option(16, "steps between R1 penalties", whole(1, 10**6))
    ema_kimg: float = option(10.0, "half-life of the generator's exponential moving average; 0: none", KIMG)
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

    seed: int = option(0, "of weights, order and random numbers", SEED)
    tick_kimg: float = option(1.0, "between status lines, with TensorBoard's scalars", positive(1e6))
    image_kimg: float = option(10.0, "between grids of render | generated | real", positive(1e6))
    snapshot_kimg: float = option(50.0, "between snapshots, each with a checkpoint", positive(1e6))

    def __post_init__(self) -> None:
        check_options(self)
        if not 1 <= self.stage <= self.STAGES:
            stages = "1" if self.STAGES == 1 else f"1 to {self.STAGES}"
            raise ValueError(f"stage: expected {stages}, all that {self.SYSTEM} has. Received: {self.stage}")
        self.require_replicas(1)

    def require_replicas(self, replicas: int) -> None:
        """Raises ValueError with one line unless the batch can be shared out among so many replicas."""
        if self.batch_size % replicas:
            raise ValueError(f"batch_size must divide by the {replicas} replicas. Received: {self.batch_size}")
        batch, share = self.batch_size // replicas, on_each(replicas)
        if batch > STD_GROUP and batch % STD_GROUP:
            raise ValueError(
                f"batch_size: expected a multiple of {STD_GROUP}{share}, the group of D's minibatch standard "
                f"deviation, or less. Received: {batch}"
            )

    @abstractmethod
    def phase(self, kimg: float) -> str:
        """The name of what is trained after `kimg` thousand images: which losses, which networks."""

    @property
    def draw_seed(self) -> int:
        """Seed of the stage's samples and of the order of the real images: stage 2 does not repeat those of stage 1."""
        return self.seed + (self.stage - 1) * 2**32

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, as `options.json` holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def weights_class(cls) -> type:
        """The dataclass of the loss weights."""
        factory = next(f.default_factory for f in dataclasses.fields(cls) if f.name == "weights")
        assert isinstance(factory, type)
        return factory

    @classmethod
    def from_dict(cls: type[Config], options: Mapping[str, Any]) -> Config:
        """What `to_dict` wrote. Raises ValueError for an unknown option."""
        known, kind = {f.name for f in dataclasses.fields(cls)}, cls.weights_class()
        weights = dict(options.get("weights", {}))
        unknown = (set(options) - known) | (set(weights) - {f.name for f in dataclasses.fields(kind)})
        if unknown:
            raise ValueError(f"unknown training options: {', '.join(sorted(unknown))}")
        return cls(**{**options, "weights": kind(**weights)})

    @classmethod
    def make(cls: type[Config], preset: str, stage: int = 1, **overrides: Any) -> Config:
        """The preset's configuration for a stage, with `overrides` on top; None means "not given".

        Keys are fields, or `w_…` for a field of the loss weights. Raises ValueError for an unknown preset or key, and
        for a value out of its range.
        """
        if preset not in cls.PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(cls.PRESETS)}. Received: {preset!r}")
        if stage not in cls.PRESETS[preset]:
            stages = " or ".join(map(str, cls.PRESETS[preset]))
            raise ValueError(f"stage: expected {stages}. Received: {stage}")
        options = dict(cls.PRESETS[preset][stage])
        weights = dataclasses.asdict(options.pop("weights", cls.weights_class()()))
        for key, value in overrides.items():
            if value is None:
                continue
            if key.startswith("w_"):
                weights[key[2:]] = value
            else:
                options[key] = value
        return cls.from_dict({**options, "weights": weights, "preset": preset, "stage": stage})

    def require_effective(self, given: Mapping[str, Any]) -> None:
        """Raises ValueError, one line, where an option that a person gave (not None) does nothing here."""
        for key, (effective, needed) in self.EFFECTIVE.items():
            if given.get(key) is not None and not effective(self):
                raise ValueError(f"{key}: it has no effect without {needed}. Received: {given[key]}")


def on_each(replicas: int) -> str:
    """Words for an error: where a share of the batch belongs to."""
    return f" on each of {replicas} replicas" if replicas > 1 else ""


@dataclass(frozen=True)
class StyleGAN2Config(TrainingConfig):
    """The options of a system whose generator and discriminator are StyleGAN2's."""

    DESCRIBES_NETWORK: ClassVar[tuple[str, ...]] = (
        "channel_base", "channel_max", "mapping_layers", "mapping_width", "mapping_lr_multiplier",
    )  # fmt: skip

    channel_base: int = option(
        2048, "a feature map at resolution R has min(channel_base / R, channel_max) channels", whole(8, 2**20)
    )
    channel_max: int = option(64, "channels of a feature map, at most", whole(1, 4096))
    mapping_layers: int = option(4, "layers of the mapping network", whole(1, 64))
    mapping_width: int = option(256, "units of each of them, and of w", whole(1, 8192))
    mapping_lr_multiplier: float = option(0.1, "learning rate of the mapping, relative to the rest", positive(100.0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channel_base < self.resolution:
            raise ValueError(
                f"channel_base: expected at least the resolution, {self.resolution}. Received: {self.channel_base}"
            )
