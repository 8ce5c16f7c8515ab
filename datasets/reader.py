"""`load_dataset`: a dataset folder as a `tf.data.Dataset` of batches, deterministic and resumable at any image."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets.schema import FIELDS, HAIR, Manifest, read_manifest, shard_name
from datasets.shards import check_count, clear_read_errors, iterate_shard, record_offsets

_CACHE_LIMIT = 512 * 2**20  # bytes of decoded images and masks that `cache=None` still keeps in memory
_MIRROR_KEEPS = {"image", "subject", "name"}  # what a mirrored photograph leaves true
_FOR_EVER = 2**62


def load_dataset(
    path: str | Path,
    *,
    image_size: int | None = None,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = True,
    repeat: bool = True,
    mirror: bool = False,
    fields: tuple[str, ...] = ("image",),
    start: int = 0,
    drop_remainder: bool = True,
    cache: bool | None = None,
) -> tf.data.Dataset:
    """Batches of a dataset folder.

    The n-th photograph depends only on (`seed`, n): each epoch is a permutation keyed by the seed and the epoch's
    number. So `start=k` goes on exactly where a run that consumed k photographs stopped, at any batch size.

    Args:
        path: the dataset folder.
        image_size: size to yield; photographs are resized by area when it differs from theirs.
        batch_size: photographs a batch.
        seed: of the order and of the mirroring.
        shuffle: whether each epoch has its own order; if not, the order of the shards.
        repeat: whether to go on for ever.
        mirror: whether to flip each photograph left to right with probability 1/2; only when no label that a flip
            would change (coefficients, landmarks, mask) is asked for.
        fields: which of `image`, `mask`, `coefficients`, `landmarks`, `subject`, `name` to yield.
        start: number of photographs already consumed.
        drop_remainder: whether to leave out a last incomplete batch, so that shapes are static.
        cache: whether to decode everything once into memory; None: if that takes at most 512 MiB.

    Returns:
        A dataset of dicts: `image` [B, H, W, 3] uint8, `mask` [B, H, W, 1] uint8 (0 background, 1 skin, 2 hair),
        `coefficients` [B, size] float32, `landmarks` [B, 68, 2] float32 (pixels of the yielded image, y up),
        `subject` [B] int32 (-1 unknown), `name` [B] string.

    Raises:
        FileNotFoundError: no dataset folder, or a shard is missing.
        ValueError: a manifest, a shard or an argument is wrong. Damage inside a record that is not cached shows only
            while iterating, as a TensorFlow error: iterate inside `clear_read_errors(path)`.
    """
    folder, manifest = Path(path), read_manifest(path)
    size = manifest.image_size if image_size is None else image_size
    _check_arguments(folder, manifest, fields, batch_size, size, start, mirror)
    locations = _locate(folder, manifest)
    pixels = manifest.count * size * size * (3 * ("image" in fields) + ("mask" in fields))

    def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return _decode(serialized, manifest, fields, size)

    in_memory = cache or (cache is None and pixels <= _CACHE_LIMIT)
    fetch = _from_memory(folder, manifest, decode) if in_memory else _from_files(folder, manifest, locations, decode)

    def order(counters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _order(counters, manifest.count, seed, shuffle)

    dataset = tf.data.Dataset.range(start, _FOR_EVER if repeat else manifest.count)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)

    def load(counters: tf.Tensor) -> dict[str, tf.Tensor]:
        indices, flips = tf.numpy_function(order, [counters], (tf.int64, tf.bool), stateful=False)
        indices.set_shape(counters.shape)
        flips.set_shape(counters.shape)
        batch = fetch(indices)
        if mirror:
            batch["image"] = tf.where(flips[:, None, None, None], batch["image"][:, :, ::-1], batch["image"])
        return batch

    return dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _check_arguments(
    folder: Path, manifest: Manifest, fields: tuple[str, ...], batch_size: int, size: int, start: int, mirror: bool
) -> None:
    unknown, absent = set(fields) - set(FIELDS), set(fields) - set(manifest.fields)
    if unknown or not fields:
        raise ValueError(f"load_dataset: fields must be among {FIELDS}. Received: {fields}")
    if absent:
        raise ValueError(f"{folder}: the dataset has {manifest.fields}, not {sorted(absent)}")
    if batch_size < 1 or size < 1 or start < 0:
        raise ValueError(
            "load_dataset: batch_size and image_size must be at least 1, start at least 0. "
            f"Received: {batch_size}, {size}, {start}"
        )
    if mirror and set(fields) - _MIRROR_KEEPS:
        raise ValueError(
            f"load_dataset: mirror would make {sorted(set(fields) - _MIRROR_KEEPS)} wrong; ask for neither"
        )


def _locate(folder: Path, manifest: Manifest) -> np.ndarray:
    """[N, 3] int64: shard, offset and length of every record; checks that the shards are whole."""
    assert manifest.shard_counts is not None
    rows = []
    for shard, count in enumerate(manifest.shard_counts):
        file = folder / shard_name(shard, manifest.shards)
        offsets = record_offsets(file)
        check_count(file, len(offsets), count)
        rows.append(np.insert(offsets, 0, shard, axis=1))
    return np.concatenate(rows)


@lru_cache(maxsize=4)
def _epoch(count: int, seed: int, epoch: int, shuffle: bool) -> tuple[np.ndarray, np.ndarray]:
    """Order of the records in an epoch [N] int64, and which of its places are mirrored [N] bool."""
    rng = np.random.Generator(np.random.Philox(key=[seed % 2**64, epoch]))
    order = rng.permutation(count) if shuffle else np.arange(count)
    return order.astype(np.int64), rng.random(count) < 0.5


def _order(counters: np.ndarray, count: int, seed: int, shuffle: bool) -> tuple[np.ndarray, np.ndarray]:
    """Records [B] int64 and mirrorings [B] bool of the photographs with the numbers `counters` [B]."""
    indices, flips = np.empty(len(counters), np.int64), np.empty(len(counters), bool)
    epochs, places = np.divmod(counters, count)
    for epoch in np.unique(epochs):
        order, mirrored = _epoch(count, seed, int(epoch), shuffle)
        here = epochs == epoch
        indices[here], flips[here] = order[places[here]], mirrored[places[here]]
    return indices, flips


_Decode = Callable[[tf.Tensor], dict[str, tf.Tensor]]  # serialized records [B] to a batch


def _from_files(
    folder: Path, manifest: Manifest, locations: np.ndarray, decode: _Decode
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Record numbers [B] to batches, read where they lie in the shards."""
    files = [folder / shard_name(shard, manifest.shards) for shard in range(manifest.shards)]

    def read(indices: np.ndarray) -> np.ndarray:
        found = []
        for shard, offset, length in locations[indices]:
            with open(files[shard], "rb", buffering=0) as file:
                found.append(os.pread(file.fileno(), length, offset))
        return np.array(found, object)

    def fetch(indices: tf.Tensor) -> dict[str, tf.Tensor]:
        serialized = tf.numpy_function(read, [indices], tf.string, stateful=False)
        serialized.set_shape(indices.shape)
        return decode(serialized)

    return fetch


def _from_memory(folder: Path, manifest: Manifest, decode: _Decode) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Record numbers [B] to batches, from the whole dataset decoded once. Raises ValueError for a damaged record."""
    files = [folder / shard_name(shard, manifest.shards) for shard in range(manifest.shards)]
    with clear_read_errors(folder):
        serialized = (payload for file in files for _, payload in iterate_shard(file))
        dataset = tf.data.Dataset.from_generator(lambda: serialized, output_signature=tf.TensorSpec([], tf.string))
        batches = list(dataset.batch(256).map(decode, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    memory = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    types = {key: tf.string if value.dtype == object else tf.as_dtype(value.dtype) for key, value in memory.items()}

    def take(indices: np.ndarray) -> list[np.ndarray]:
        return [value[indices] for value in memory.values()]

    def fetch(indices: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(take, [indices], list(types.values()), stateful=False)
        for value, stored in zip(values, memory.values(), strict=True):
            value.set_shape([*indices.shape, *stored.shape[1:]])
        return dict(zip(memory, values, strict=True))

    return fetch


def _decode(serialized: tf.Tensor, manifest: Manifest, fields: tuple[str, ...], size: int) -> dict[str, tf.Tensor]:
    """Serialized records [B] to a batch of the asked fields."""
    features = {}
    for key in fields:
        if key in ("image", "mask", "name"):
            features[key] = tf.io.FixedLenFeature([], tf.string)
        elif key == "subject":
            features[key] = tf.io.FixedLenFeature([], tf.int64)
        elif key == "landmarks":
            features[key] = tf.io.FixedLenFeature([68, 2], tf.float32)
        elif manifest.layout is not None:
            features[key] = tf.io.FixedLenFeature([manifest.layout.size], tf.float32)
    batch = tf.io.parse_example(serialized, features)
    if "image" in batch:
        batch["image"] = _resize(_pixels(batch["image"], manifest.image_size, 3), size)
    if "mask" in batch:
        classes = _pixels(batch["mask"], manifest.image_size, 1)
        if size != manifest.image_size:  # the class that covers most of the new pixel
            share = _resize(tf.one_hot(classes[..., 0], HAIR + 1, 255.0), size)
            classes = tf.cast(tf.argmax(share, -1), tf.uint8)[..., None]
        batch["mask"] = classes
    if "landmarks" in batch:
        batch["landmarks"] *= size / manifest.image_size
    if "subject" in batch:
        batch["subject"] = tf.cast(batch["subject"], tf.int32)
    return {key: batch[key] for key in fields}


def _pixels(encoded: tf.Tensor, size: int, channels: int) -> tf.Tensor:
    """PNG or JPEG files [B] string to [B, size, size, channels] uint8."""

    def decode(content: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(
            tf.io.decode_image(content, channels=channels, expand_animations=False), [size, size, channels]
        )

    return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([size, size, channels], tf.uint8))


def _resize(images: tf.Tensor, size: int) -> tf.Tensor:
    """[B, H, W, C] to [B, size, size, C] uint8, by area."""
    if images.shape[1] == size:
        return images
    resized = tf.image.resize(images, [size, size], method="area")
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
