"""The framing of TFRecord files: checksums against bit-by-bit and TensorFlow's, damage of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.tfrecord import DamagedRecordError, iterate_shard, read_payload, record_offsets, walk
from tests.helpers.stylegan_files import framed


@pytest.mark.parametrize("length", [5_000, 1_000_003])
def test_long_payloads_check_as_tensorflow_writes_them(tmp_path, length):
    data = np.random.default_rng(length).bytes(length)
    with tf.io.TFRecordWriter(str(tmp_path / "file")) as file:
        file.write(data)
    assert [f.payload for f in walk(tmp_path / "file")] == [data]


payloads = st.lists(st.binary(max_size=80), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("tfrecord") / "file"


def places(parts: list[bytes]) -> list[int]:
    return [int(n) for n in np.cumsum([0, *(len(part) + 16 for part in parts)])]


@settings(max_examples=40, deadline=None)
@given(payloads)
def test_whole_files_are_read_as_tensorflow_reads_them(file, parts):
    file.write_bytes(b"".join(map(framed, parts)))
    assert [f.payload for f in walk(file)] == parts == list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    for offset, part in zip(record_offsets(file), parts, strict=True):
        assert read_payload(file, *map(int, offset)) == part
    assert list(iterate_shard(file)) == list(zip(places(parts), parts, strict=False))


@settings(max_examples=80, deadline=None)
@given(payloads, st.data())
def test_a_flipped_bit_costs_one_record_and_is_found_where_it_is(file, parts, data):
    content = bytearray(b"".join(map(framed, parts)))
    place = data.draw(st.integers(0, len(content) * 8 - 1))
    content[place // 8] ^= 1 << place % 8
    file.write_bytes(content)
    bounds = places(parts)
    hit = int(np.searchsorted(bounds, place // 8, side="right")) - 1
    found = list(walk(file))
    assert [f.payload for f in found if f.payload is not None] == parts[:hit] + parts[hit + 1 :]
    damaged = [f for f in found if f.payload is None]
    assert [f.offset for f in damaged] == [bounds[hit]]
    if place // 8 < bounds[hit] + 12:
        with pytest.raises(DamagedRecordError, match=f"at byte {bounds[hit]}"):
            record_offsets(file)
    with pytest.raises(DamagedRecordError, match=f"at byte {bounds[hit]}"):
        read_payload(file, bounds[hit], len(parts[hit]))
    with pytest.raises(DamagedRecordError, match=f"at byte {bounds[hit]}"):
        list(iterate_shard(file))


@settings(max_examples=60, deadline=None)
@given(payloads, st.data())
def test_a_file_cut_anywhere_keeps_what_is_before(file, parts, data):
    content, bounds = b"".join(map(framed, parts)), places(parts)
    end = data.draw(st.integers(0, len(content) - 1))
    file.write_bytes(content[:end])
    whole = int(np.searchsorted(bounds, end, side="right")) - 1
    found = list(walk(file))
    assert [f.payload for f in found if f.payload is not None] == parts[:whole]
    if end in bounds:
        assert len(found) == whole == len(record_offsets(file))
    else:
        assert [f.offset for f in found if f.payload is None] == [bounds[whole]]
        assert f"ends at byte {end}; no whole record follows" in found[-1].damage
        with pytest.raises(DamagedRecordError, match=f"at byte {bounds[whole]}: truncated, .* ends at byte {end}"):
            record_offsets(file)


@settings(max_examples=60, deadline=None)
@given(payloads, st.data())
def test_bytes_lost_or_put_in_cost_no_record_behind_them(file, parts, data):
    content, bounds = b"".join(map(framed, parts)), places(parts)
    at = data.draw(st.integers(0, len(content)))
    lost = data.draw(st.integers(0, len(content) - at))
    file.write_bytes(content[:at] + data.draw(st.binary(max_size=30)) + content[at + lost :])
    before = int(np.searchsorted(bounds, at, side="right")) - 1
    behind = int(np.searchsorted(bounds, at + lost, side="left"))
    received = [f.payload for f in walk(file) if f.payload is not None]
    assert received[:before] == parts[:before]
    assert received[len(received) - len(parts[behind:]) :] == parts[behind:]
    assert all(payload in parts for payload in received)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_anything_else_is_damage_and_never_a_record(file, content):
    file.write_bytes(content)
    (found,) = walk(file)
    assert found.offset == 0 and found.payload is None and found.damage
    with pytest.raises(DamagedRecordError, match=r"^[^\n]+ at byte 0[^\n]*$"):
        record_offsets(file)


def test_a_long_search_crosses_its_blocks(tmp_path):
    first, second = np.random.default_rng(0).bytes(700_000), b"second"
    content = bytearray(framed(first) + framed(second))
    content[3] ^= 1
    (tmp_path / "file").write_bytes(content)
    found = list(walk(tmp_path / "file"))
    assert [f.payload for f in found] == [None, second] and found[1].offset == 700_016
    assert "the next whole record is at byte 700016" in found[0].damage


def test_equal_records_are_located_without_reading_every_header(tmp_path):
    content = bytearray(b"".join(framed(bytes([n] * 50)) for n in range(200)))
    (tmp_path / "file").write_bytes(content)
    expected = [(66 * n, 50) for n in range(200)]
    np.testing.assert_array_equal(record_offsets(tmp_path / "file"), expected)
    content[66 * 102] ^= 1  # a header that is not among those looked at
    (tmp_path / "file").write_bytes(content)
    np.testing.assert_array_equal(record_offsets(tmp_path / "file"), expected)
    with pytest.raises(DamagedRecordError, match=rf"at byte {66 * 102}: its length does not check"):
        read_payload(tmp_path / "file", 66 * 102, 50)
