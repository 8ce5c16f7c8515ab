"""`load_dataset`: a dataset as a `tf.data.Dataset` of batches, deterministic and resumable at any image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets.scan import clear_read_errors
from datasets.schema import FIELDS, HAIR, Manifest, is_ours, read_manifest, shard_name
from datasets.stylegan_records import StyleGANFile, open_stylegan
from datasets.tfrecord import DamagedRecordError, read_payload, record_offsets, stored_checksums

_CACHE_LIMIT = 512 * 2**20  # bytes of decoded images and masks that `cache=None` still keeps in memory
_DECODE_AT_ONCE = 64 * 2**20  # bytes of records that are decoded together while filling the memory
_INDEX = "index"
_FLIP_KEEPS = {"image", "subject", "name", _INDEX}  # what a horizontal flip leaves true
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
    shard: tuple[int, int] = (0, 1),
    drop_remainder: bool = True,
    cache: bool | None = None,
) -> tf.data.Dataset:
    """Batches of a dataset folder, or of a StyleGAN set of TFRecords (see datasets/stylegan_records.py).

    The n-th image depends only on (`seed`, n): each epoch is a permutation keyed by the seed and the epoch's number. So
    `start=k` goes on exactly where a run that consumed k images stopped, at any batch size.

    Args:
        path: the dataset folder; or a StyleGAN file, or folder of files, of which that of `image_size` is read, or
            else the smallest larger one.
        image_size: size to yield; images are resized by area when it differs from theirs.
        batch_size: images per batch, of this worker alone.
        seed: of the order and of the flips.
        shuffle: whether each epoch has its own order; if not, the order of the shards.
        repeat: whether to go on for ever.
        mirror: whether to flip each image horizontally with probability 1/2; only when no label that a flip would
            change (coefficients, landmarks, mask) is asked for.
        fields: which of `image`, `mask`, `coefficients`, `landmarks`, `subject`, `name` and `index` to yield.
        start: number of images already consumed, by all workers together.
        shard: (index, count) of this worker. Together, `count` workers read what one would at `count · batch_size`:
            their k-th batches, one after the other in the order of `index`, are its k-th batch.
        drop_remainder: whether to leave out a last incomplete batch (of all workers together), so that shapes are
            static. If not, every worker still yields as many batches; its share of the last one may be empty.
        cache: whether to decode everything once into memory; None: if that takes at most 512 MiB.

    Returns:
        A dataset of dicts: `image` [B, H, W, 3] uint8, `mask` [B, H, W, 1] uint8 (0 background, 1 skin, 2 hair),
        `coefficients` [B, size] float32, `landmarks` [B, 68, 2] float32 (pixels of the yielded image, y up),
        `subject` [B] int32 (-1 unknown), `name` [B] string, `index` [B] int64: the record's number in the dataset.

    Raises:
        FileNotFoundError: no dataset folder, or a shard is missing.
        ValueError: a manifest, a shard or an argument is wrong. Damage inside a record that is not cached shows only
            while iterating, as a TensorFlow error: iterate inside `clear_read_errors(path)`.
    """
    _check_arguments(fields, batch_size, image_size, start, shard, mirror)
    store = _open_store(Path(path), image_size, tuple(field for field in fields if field != _INDEX))
    keep = cache or (cache is None and store.decoded_bytes <= _CACHE_LIMIT)
    fetch = _in_memory(Path(path), store) if keep else store.fetch
    count = len(store.locations)

    def order(counters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _order(counters, count, seed, shuffle)

    dataset = tf.data.Dataset.range(start, _FOR_EVER if repeat else count)
    dataset = dataset.batch(batch_size * shard[1], drop_remainder=drop_remainder)

    def load(counters: tf.Tensor) -> dict[str, tf.Tensor]:
        counters = counters[shard[0] * batch_size : (shard[0] + 1) * batch_size]
        indices, flips = tf.numpy_function(order, [counters], (tf.int64, tf.bool), stateful=False)
        indices.set_shape(counters.shape)
        flips.set_shape(counters.shape)
        batch = fetch(indices)
        if _INDEX in fields:
            batch[_INDEX] = indices
        if mirror:
            batch["image"] = tf.where(flips[:, None, None, None], batch["image"][:, :, ::-1], batch["image"])
        return batch

    return dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def describe(path: str | Path, image_size: int | None = None) -> str:
    """One line: how many images `load_dataset` would read, of what size, and from which file or folder.

    Raises FileNotFoundError and ValueError as `load_dataset` does, but looks into no shard of ours.
    """
    if is_ours(path):
        manifest = read_manifest(path)
        count, size, where = manifest.count, manifest.image_size, Path(path)
    else:
        file = open_stylegan(path, image_size)
        count, size, where = file.count, file.size, file.path
    resized = "" if image_size in (None, size) else f", resized to {image_size}×{image_size}"
    return f"{count:,} of {size}×{size} from {where}{resized}"


def fingerprint(path: str | Path, image_size: int | None = None) -> str:
    """16 hexadecimal digits that tell the images that `load_dataset` would read from any others.

    They are of the checksums that are stored with the records, in order: the folder may lie elsewhere, and what is in
    it is not read. Raises FileNotFoundError and ValueError as `load_dataset` does.
    """
    store = _open_store(Path(path), image_size, ("image",))
    digest = hashlib.sha256()
    for number, file in enumerate(store.files):
        digest.update(stored_checksums(file, store.locations[store.locations[:, 0] == number, 1:]))
    return digest.hexdigest()[:16]


def _check_arguments(
    fields: tuple[str, ...], batch_size: int, image_size: int | None, start: int, shard: tuple[int, int], mirror: bool
) -> None:
    if set(fields) - {*FIELDS, _INDEX} or not set(fields) - {_INDEX}:
        raise ValueError(f"load_dataset: fields must be among {(*FIELDS, _INDEX)}. Received: {fields}")
    if batch_size < 1 or (image_size is not None and image_size < 1) or start < 0:
        raise ValueError(
            "load_dataset: batch_size and image_size must be at least 1, start at least 0. "
            f"Received: {batch_size}, {image_size}, {start}"
        )
    if not 0 <= shard[0] < shard[1]:
        raise ValueError(f"load_dataset: shard should be (index, count) with 0 <= index < count. Received: {shard}")
    if mirror and set(fields) - _FLIP_KEEPS:
        raise ValueError(f"load_dataset: mirror would make {sorted(set(fields) - _FLIP_KEEPS)} wrong; ask for neither")


@dataclass(frozen=True, eq=False)
class _Store:
    """Records at known places of files, and how a batch of them becomes images and labels."""

    files: list[Path]
    locations: np.ndarray  # [N, 3] int64: file, and offset and length as `record_offsets` gives them
    unpack: Callable[[bytes], bytes]  # a payload to what `decode` takes; raises ValueError
    decode: Callable[[tf.Tensor], dict[str, tf.Tensor]]  # unpacked records [B] string to a batch
    decoded_bytes: int  # of all images and masks

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Unpacked records [B] object, read where they lie. Raises DamagedRecordError."""
        found = np.empty(len(indices), object)
        for row, (number, offset, length) in enumerate(self.locations[indices]):
            payload = read_payload(self.files[number], int(offset), int(length))
            try:
                found[row] = self.unpack(payload)
            except ValueError as error:
                raise DamagedRecordError.at(self.files[number], offset, error) from None
        return found

    def fetch(self, indices: tf.Tensor) -> dict[str, tf.Tensor]:
        """The batch of the records with the numbers `indices` [B]."""
        records = tf.numpy_function(self.read, [indices], tf.string, stateful=False)
        records.set_shape(indices.shape)
        return self.decode(records)


def _open_store(path: Path, image_size: int | None, fields: tuple[str, ...]) -> _Store:
    """The records of a dataset; the shards of a folder of ours are checked to be whole."""
    if not is_ours(path):
        if fields != ("image",):
            raise ValueError(f"{path}: StyleGAN's records have images alone, not {sorted(set(fields) - {'image'})}")
        file = open_stylegan(path, image_size)
        size = image_size or file.size
        locations = np.insert(file.offsets, 0, 0, axis=1)
        return _Store(
            files=[file.path],
            locations=locations,
            unpack=file.unpack,
            decode=lambda raw: {"image": _raw_images(raw, file, size)},
            decoded_bytes=3 * file.count * size**2,
        )
    manifest = read_manifest(path)
    absent = set(fields) - set(manifest.fields)
    if absent:
        raise ValueError(f"{path}: the dataset has {manifest.fields}, not {sorted(absent)}")
    size = image_size or manifest.image_size
    assert manifest.shard_counts is not None
    files = [path / shard_name(number, manifest.shards) for number in range(manifest.shards)]
    rows = [record_offsets(shard) for shard in files]
    for shard, offsets, count in zip(files, rows, manifest.shard_counts, strict=True):
        if len(offsets) != count:
            raise ValueError(f"{shard}: expected {count} records, as dataset.json says. Received: {len(offsets)}")
    locations = np.concatenate([np.insert(offsets, 0, number, axis=1) for number, offsets in enumerate(rows)])
    decoded_bytes = manifest.count * size**2 * (3 * ("image" in fields) + ("mask" in fields))
    return _Store(files, locations, bytes, lambda raw: _decode(raw, manifest, fields, size), decoded_bytes)


@lru_cache(maxsize=4)
def _epoch(count: int, seed: int, epoch: int, shuffle: bool) -> tuple[np.ndarray, np.ndarray]:
    """Order of the records in an epoch [N] int64, and which of its places are flipped [N] bool."""
    rng = np.random.Generator(np.random.Philox(key=[seed % 2**64, epoch]))
    order = rng.permutation(count) if shuffle else np.arange(count)
    return order.astype(np.int64), rng.random(count) < 0.5


def _order(counters: np.ndarray, count: int, seed: int, shuffle: bool) -> tuple[np.ndarray, np.ndarray]:
    """Records [B] int64 and flips [B] bool of the images with the numbers `counters` [B]."""
    indices, flips = np.empty(len(counters), np.int64), np.empty(len(counters), bool)
    epochs, places = np.divmod(counters, count)
    for epoch in np.unique(epochs):
        order, flipped = _epoch(count, seed, int(epoch), shuffle)
        here = epochs == epoch
        indices[here], flips[here] = order[places[here]], flipped[places[here]]
    return indices, flips


def _in_memory(path: Path, store: _Store) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """As `_Store.fetch`, of the whole dataset decoded once. Raises ValueError for a damaged record."""
    at_once = int(np.clip(_DECODE_AT_ONCE // max(1, store.locations[:, 2].max()), 1, 256))
    dataset = tf.data.Dataset.range(len(store.locations)).batch(at_once)
    with clear_read_errors(path):
        batches = list(dataset.map(store.fetch, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
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


def _raw_images(raw: tf.Tensor, file: StyleGANFile, size: int) -> tf.Tensor:
    """Raw images [B] string, channels first, to [B, size, size, 3] uint8."""
    pixels = tf.reshape(tf.io.decode_raw(raw, tf.uint8), [-1, file.channels, file.size, file.size])
    pixels.set_shape([raw.shape[0], None, None, None])
    images = tf.transpose(pixels, [0, 2, 3, 1])
    return _resize(tf.repeat(images, 3, axis=3) if file.channels == 1 else images, size)


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
