from __future__ import annotations

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasets.reader import fingerprint
from datasets.records import (
    COEFFICIENTS,
    FIELDS,
    Manifest,
    Record,
    RecordWriter,
    clear_read_errors,
    load_dataset,
    read_manifest,
    validate,
)
from datasets.tfrecord import record_offsets
from renderer.layout import CoefficientLayout

LAYOUT = CoefficientLayout(shape=4, texture=3, expression=2)
SIZE, COUNTS = 16, (7, 6, 5)


def some_record(number: int) -> Record:
    rng = np.random.default_rng(number)
    return Record.from_arrays(
        rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8),
        mask=np.repeat(np.repeat(rng.integers(0, 3, (4, 4), dtype=np.uint8), 4, 0), 4, 1),
        coefficients=rng.normal(size=LAYOUT.size),
        landmarks=rng.uniform(0, SIZE, (68, 2)),
        subject=number // 3,
        name=f"photograph {number}",
    )


def write(folder, **options) -> RecordWriter:
    writer = RecordWriter(folder, Manifest(SIZE, len(COUNTS), FIELDS, LAYOUT, "none", options or {"seed": 1}))
    starts = np.cumsum((0, *COUNTS))
    for shard in writer.missing():
        writer.write_shard(shard, (some_record(n) for n in range(starts[shard], starts[shard + 1])))
    return writer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "dataset"
    write(path).finish()
    return path


def batches(path, **arguments) -> list[dict[str, np.ndarray]]:
    return list(load_dataset(path, **arguments).as_numpy_iterator())


@settings(max_examples=40, deadline=None)
@given(
    image=hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    coefficients=st.none() | hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(width=32, allow_nan=False)),
    landmarks=st.none() | hnp.arrays(np.float32, (68, 2), elements=st.floats(0, 512, width=32)),
    with_mask=st.booleans(),
    subject=st.integers(-1, 2**31 - 1),
    name=st.text(max_size=20),
)
def test_a_record_survives_serialization(image, coefficients, landmarks, with_mask, subject, name):
    mask = image[..., 0] % 3 if with_mask else None
    record = Record.from_arrays(
        image, mask=mask, coefficients=coefficients, landmarks=landmarks, subject=subject, name=name
    )
    again = Record.parse(record.serialize())
    np.testing.assert_array_equal(again.pixels(), image)
    assert (again.height, again.width, again.subject, again.name) == (*image.shape[:2], subject, name)
    for received, expected in (
        (again.coefficients, coefficients),
        (again.landmarks, landmarks),
        (again.classes(), mask),
    ):
        if expected is None:
            assert received is None
        else:
            np.testing.assert_array_equal(received, expected)
    assert again.serialize() == record.serialize()


@given(st.binary(max_size=60))
@settings(max_examples=50, deadline=None)
def test_parsing_anything_else_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"tf.train.Example|missing|landmarks"):
        Record.parse(content)


def test_manifest_round_trip_and_refusals():
    manifest = Manifest(64, 2, FIELDS, LAYOUT, "builtin", {"seed": 3}, (5, 4))
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert json.loads(manifest.to_json())["count"] == 9
    with pytest.raises(ValueError, match="unknown entry"):
        Manifest.from_json(manifest.to_json().replace('"shards"', '"sherds"'))
    with pytest.raises(ValueError, match="contradict"):
        Manifest.from_json(manifest.to_json().replace('"count": 9', '"count": 8'))
    with pytest.raises(ValueError, match="layout is needed"):
        Manifest(64, 1, ("image", "coefficients"))


def test_coefficients_file_is_in_the_order_of_the_shards(folder):
    with np.load(folder / COEFFICIENTS) as stored:
        np.testing.assert_array_equal(stored["coeff"], [some_record(n).coefficients for n in range(18)])
        np.testing.assert_array_equal(stored["subject"], np.arange(18) // 3)
    assert read_manifest(folder).shard_counts == COUNTS
    assert validate(folder) == read_manifest(folder)


def test_writing_again_does_nothing_and_other_options_are_refused(folder):
    assert write(folder).complete
    with pytest.raises(ValueError, match="seed: there 1, asked 2"):
        write(folder, seed=2)


def test_a_shard_that_fails_leaves_nothing_and_is_done_again(tmp_path):
    writer = RecordWriter(tmp_path, Manifest(SIZE, 2, FIELDS, LAYOUT))

    def failing():
        yield some_record(0)
        raise KeyboardInterrupt

    writer.write_shard(1, [some_record(1)])
    with pytest.raises(KeyboardInterrupt):
        writer.write_shard(0, failing())
    assert writer.missing() == [0] and not list(tmp_path.glob("*.tmp"))
    with pytest.raises(ValueError, match="1 of 2 shards"):
        load_dataset(tmp_path, batch_size=1)
    with pytest.raises(ValueError, match=r"shards \[0\] are not written"):
        writer.finish()
    with pytest.raises(ValueError, match="coefficients does not agree"):
        writer.write_shard(0, [Record.from_arrays(some_record(0).pixels())])


@pytest.mark.parametrize("cache", [True, False])
def test_reader_yields_what_was_written(folder, cache):
    (batch,) = batches(folder, batch_size=18, fields=FIELDS, shuffle=False, repeat=False, cache=cache)
    for n in range(18):
        record = some_record(n)
        np.testing.assert_array_equal(batch["image"][n], record.pixels())
        np.testing.assert_array_equal(batch["mask"][n, ..., 0], record.classes())
        np.testing.assert_array_equal(batch["coefficients"][n], record.coefficients)
        np.testing.assert_array_equal(batch["landmarks"][n], record.landmarks)
        assert batch["subject"][n] == n // 3 and batch["name"][n].decode() == record.name


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("start", [0, 5, 18, 41])
def test_start_is_the_same_as_skipping(folder, cache, start):
    arguments = {"seed": 7, "fields": ("image", "name"), "mirror": True, "cache": cache}
    whole = load_dataset(folder, batch_size=1, **arguments).take(60)
    whole = [(b["name"][0], b["image"][0]) for b in whole.as_numpy_iterator()]
    resumed = load_dataset(folder, batch_size=4, start=start, **arguments).take(4).as_numpy_iterator()
    resumed = [pair for b in resumed for pair in zip(b["name"], b["image"], strict=True)]
    for (name, image), (expected_name, expected_image) in zip(resumed, whole[start : start + 16], strict=True):
        assert name == expected_name
        np.testing.assert_array_equal(image, expected_image)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(("workers", "start"), [(2, 0), (3, 11)])
def test_the_batches_of_the_workers_make_up_the_batch_of_one(folder, cache, workers, start):
    arguments = {"seed": 5, "fields": ("image", "name"), "mirror": True, "cache": cache, "start": start}
    whole = load_dataset(folder, batch_size=6, **arguments).take(8)
    parts = [
        load_dataset(folder, batch_size=6 // workers, shard=(worker, workers), **arguments).take(8)
        for worker in range(workers)
    ]
    assert all(part.element_spec["image"].shape == (6 // workers, SIZE, SIZE, 3) for part in parts)
    for expected, *shares in zip(whole.as_numpy_iterator(), *(p.as_numpy_iterator() for p in parts), strict=True):
        for key, value in expected.items():
            np.testing.assert_array_equal(np.concatenate([share[key] for share in shares]), value)


@pytest.mark.parametrize("cache", [True, False])
def test_workers_share_a_last_incomplete_batch(folder, cache):
    arguments = {"batch_size": 2, "repeat": False, "drop_remainder": False, "fields": FIELDS, "cache": cache}
    shares = [batches(folder, shard=(worker, 4), shuffle=False, **arguments) for worker in range(4)]
    assert [[len(b["name"]) for b in share] for share in shares] == [[2, 2, 2], [2, 2, 0], [2, 2, 0], [2, 2, 0]]
    assert shares[3][2]["image"].shape == (0, SIZE, SIZE, 3)
    names = [name for k in range(3) for share in shares for name in share[k]["name"]]
    assert names == [f"photograph {n}".encode() for n in range(18)]


def test_every_epoch_is_another_permutation(folder):
    dataset = load_dataset(folder, batch_size=18, seed=3, fields=("name",))
    first, second = (list(b["name"]) for b in dataset.take(2).as_numpy_iterator())
    assert sorted(first) == sorted(second) == sorted(f"photograph {n}".encode() for n in range(18))
    assert first != second
    assert first != list(next(iter(load_dataset(folder, batch_size=18, seed=4, fields=("name",))))["name"].numpy())


def test_mirror_flips_about_half_and_only_flips(folder):
    arguments = {"batch_size": 18, "seed": 0, "fields": ("image", "name")}
    plain, flipped = 0, 0
    for batch in load_dataset(folder, mirror=True, **arguments).take(6).as_numpy_iterator():
        for name, image in zip(batch["name"], batch["image"], strict=True):
            original = some_record(int(name.split()[1])).pixels()
            same = (image == original).all()
            assert same or (image == original[:, ::-1]).all()
            plain, flipped = plain + same, flipped + (not same)
    assert 30 < plain < 78 and plain + flipped == 108
    with pytest.raises(ValueError, match="mirror would make"):
        load_dataset(folder, batch_size=1, mirror=True, fields=("image", "mask"))


def test_resizing_keeps_means_classes_and_places(folder):
    arguments = {"batch_size": 18, "shuffle": False, "repeat": False, "fields": ("image", "mask", "landmarks")}
    (full,), (half,) = batches(folder, **arguments), batches(folder, image_size=8, **arguments)
    expected = full["image"].reshape(18, 8, 2, 8, 2, 3).astype(float).mean((2, 4))
    np.testing.assert_allclose(half["image"], expected, atol=0.51)
    np.testing.assert_array_equal(half["mask"], full["mask"][:, ::2, ::2])
    np.testing.assert_allclose(half["landmarks"], full["landmarks"] / 2, rtol=1e-6)


def test_shapes_are_static_unless_the_remainder_is_kept(folder):
    spec = load_dataset(folder, batch_size=4, fields=FIELDS).element_spec
    assert spec["image"].shape == (4, SIZE, SIZE, 3) and spec["image"].dtype == tf.uint8
    assert spec["mask"].shape == (4, SIZE, SIZE, 1) and spec["coefficients"].shape == (4, LAYOUT.size)
    sizes = [len(b["image"]) for b in batches(folder, batch_size=4, repeat=False, drop_remainder=False)]
    assert sizes == [4, 4, 4, 4, 2]


def copy(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target, target / "shard-00001-of-00003.tfrecord"


def test_a_truncated_shard_is_named_with_its_record(folder, tmp_path):
    path, shard = copy(folder, tmp_path / "copy")
    offset = int(record_offsets(shard)[3, 0])
    shard.write_bytes(shard.read_bytes()[: offset + 40])
    for read in (lambda: load_dataset(path, batch_size=1), lambda: validate(path)):
        with pytest.raises(ValueError, match=rf"shard-00001-of-00003.*at byte {offset}: truncated.*byte {offset + 40}"):
            read()


@pytest.mark.parametrize("place", [0, 300])
def test_a_damaged_record_is_named(folder, tmp_path, place):
    path, shard = copy(folder, tmp_path / "copy")
    content = bytearray(shard.read_bytes())
    offset = int(record_offsets(shard)[2, 0])
    content[offset + place] ^= 255
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=rf"shard-00001.*damaged record at byte {offset}"):
        load_dataset(path, batch_size=1, cache=True)
    with pytest.raises(ValueError, match=rf"shard-00001.*damaged record at byte {offset}"):
        validate(path)


def test_damage_found_while_iterating_becomes_one_clear_line(folder, tmp_path):
    path, shard = copy(folder, tmp_path / "copy")
    (offset, length), content = record_offsets(shard)[0], bytearray(shard.read_bytes())
    content[offset + 12 : offset + 12 + length] = bytes(length)
    shard.write_bytes(content)
    with pytest.raises(ValueError, match=r"shard-00001.*damaged record at byte 0"), clear_read_errors(path):
        batches(path, batch_size=4, repeat=False, cache=False)


def test_missing_and_wrong_folders(folder, tmp_path):
    path, shard = copy(folder, tmp_path / "copy")
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-00001-of-00003\.tfrecord: the shard is missing"):
        load_dataset(path, batch_size=1)
    with pytest.raises(FileNotFoundError, match=r"no such folder\. Make one with: python -m datasets\.make_synthetic"):
        load_dataset(tmp_path / "nowhere", batch_size=1)
    with pytest.raises(FileNotFoundError, match=r"it has no dataset\.json"):
        load_dataset(tmp_path, batch_size=1)
    (path / "dataset.json").write_text("{")
    with pytest.raises(ValueError, match="not a manifest"):
        load_dataset(path, batch_size=1)


def test_wrong_arguments(folder):
    with pytest.raises(ValueError, match="fields must be among"):
        load_dataset(folder, batch_size=1, fields=("images",))
    with pytest.raises(ValueError, match="batch_size"):
        load_dataset(folder, batch_size=0)
    for shard in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=r"0 <= index < count\. Received"):
            load_dataset(folder, batch_size=2, shard=shard)
    with pytest.raises(ValueError, match=r"Received: \(16, 16, 4\)"):
        Record.from_arrays(np.zeros((16, 16, 4), np.uint8))
    with pytest.raises(ValueError, match="largest class 3"):
        Record.from_arrays(np.zeros((4, 4, 3), np.uint8), mask=np.full((4, 4), 3, np.uint8))


def test_a_fingerprint_tells_photographs_from_others_wherever_they_lie(folder, tmp_path):
    expected = fingerprint(folder)
    assert re.fullmatch("[0-9a-f]{16}", expected)
    shutil.copytree(folder, tmp_path / "moved")
    assert fingerprint(tmp_path / "moved") == expected

    other = RecordWriter(tmp_path / "other", Manifest(SIZE, len(COUNTS), FIELDS, LAYOUT, "none", {"seed": 1}))
    starts = np.cumsum((0, *COUNTS))
    for shard in other.missing():  # one pixel of one photograph is another
        records = [some_record(n) for n in range(starts[shard], starts[shard + 1])]
        if shard == 1:
            image = records[3].pixels()
            image[0, 0, 0] ^= 1
            records[3] = dataclasses.replace(records[3], image=Record.from_arrays(image).image)
        other.write_shard(shard, records)
    other.finish()
    assert fingerprint(tmp_path / "other") != expected
