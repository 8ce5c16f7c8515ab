"""What a generated data set consists of. It imports nothing that takes time, so that flags are checked with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from renderer.options import SWITCH, Choice, Each, check_options, number, option, whole

BALANCED = ("sex", "age", "skin")  # the names of `renderer.traits.GROUPS`, which takes time to import
_SHARD_IMAGES = 1000  # about, where the number of shards is not given
_TOTAL = 10**9


@dataclass(frozen=True)
class GeneratedSet:
    """`identities` people with `images_per_identity` images each, in shards of whole identities."""

    identities: int = option(1000, "number of people", whole(1, 10**7))
    images_per_identity: int = option(20, "images of each", whole(1, 10_000))
    layout: str = option("folders", "how the images are stored", Choice(("folders", "tfrecord", "webdataset")))
    image_size: int = option(112, "pixels", whole(16, 2048))
    align: str = option("arcface", "where the face lies: in ArcFace's frame, in FFHQ's, or where the generator has it",
                        Choice(("arcface", "ffhq", "none")))  # fmt: skip
    format: str = option("jpeg", "of the images: JPEG of quality 95, or PNG", Choice(("jpeg", "png")))
    masks: bool = option(False, "background, skin and hair of each image", SWITCH)
    min_distance: float = option(0.0, "cosine distance between any two identities, at least, by the identity network; "
                                 "0: not looked at", number(0, 2))  # fmt: skip
    balance: tuple[str, ...] = option((), "as many identities of each group of these", Each(Choice(BALANCED)))
    shards: int | None = option(None, "pieces that are made as a whole; one per 1,000 images or so if left out",
                                whole(1, 1_000_000))  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)
        if self.count > _TOTAL:
            raise ValueError(f"identities: expected {_TOTAL:,} images of them at most. Received: {self.count:,}")
        if len(set(self.balance)) < len(self.balance):
            raise ValueError(f"balance: expected each name once. Received: {' '.join(self.balance)}")
        if self.shards is None:
            fitting = max(1, min(self.identities, 1_000_000, -(-self.count // _SHARD_IMAGES)))
            object.__setattr__(self, "shards", fitting)
        elif self.shards > self.identities:
            raise ValueError(f"shards: expected identities, {self.identities}, at most. Received: {self.shards}")

    @property
    def count(self) -> int:
        """Number of images."""
        return self.identities * self.images_per_identity

    @property
    def suffix(self) -> str:
        """Of the image files."""
        return {"jpeg": ".jpg", "png": ".png"}[self.format]

    def identities_of(self, shard: int) -> range:
        """The numbers of the identities of a shard."""
        assert self.shards is not None
        return range(*(part * self.identities // self.shards for part in (shard, shard + 1)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `from_dict` takes them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GeneratedSet:
        """The options among `values`. Raises ValueError or KeyError where they are not those of a set."""
        known = {field.name: values[field.name] for field in dataclasses.fields(cls)}
        return cls(**{**known, "balance": tuple(known["balance"])})
