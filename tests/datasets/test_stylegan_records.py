"""StyleGAN's TFRecords as datasets: the right file, the right pictures, order, sharding and damage."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import train
from datasets.reader import describe
from datasets.records import Manifest, Record, RecordWriter, clear_read_errors, load_dataset, read_manifest, validate
from datasets.stylegan_records import is_stylegan, open_stylegan, parse_image, resolutions
from datasets.tfrecord import record_offsets
from tests.helpers.stylegan_files import example, framed, write_set

COUNT, SIZE = 18, 32


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (COUNT, 3, SIZE, SIZE), dtype=np.uint8)


@pytest.fixture(scope="module")
def faces(tmp_path_factory, images):
    return write_set(tmp_path_factory.mktemp("stylegan") / "faces", images)


def first(path, **arguments) -> np.ndarray:
    """All images in the order of the file."""
    dataset = load_dataset(path, batch_size=COUNT, shuffle=False, repeat=False, **arguments)
    return next(dataset.as_numpy_iterator())["image"]


def test_the_test_files_are_what_tensorflow_would_write(images, tmp_path):
    image = images[0]
    features = {
        "shape": tf.train.Feature(int64_list=tf.train.Int64List(value=image.shape)),
        "data": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
    }
    written = tf.train.Example(features=tf.train.Features(feature=features))
    assert tf.train.Example.FromString(example(image)) == written
    with tf.io.TFRecordWriter(str(tmp_path / "file")) as file:
        file.write(example(image))
    assert (tmp_path / "file").read_bytes() == framed(example(image))


@pytest.mark.parametrize("cache", [True, False])
def test_pictures_are_those_that_were_written(faces, images, cache):
    np.testing.assert_array_equal(first(faces, cache=cache), images.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(first(faces / "faces-r05.tfrecords", cache=cache), images.transpose(0, 2, 3, 1))


def test_the_file_of_the_resolution_or_the_next_larger_one_is_taken(faces, images):
    assert is_stylegan(faces) and list(resolutions(faces)) == [4, 8, 16, 32]
    small = open_stylegan(faces, 8)
    assert (small.path.name, small.size, small.count) == ("faces-r03.tfrecords", 8, COUNT)
    halves = images.reshape(COUNT, 3, 16, 2, 16, 2).mean((3, 5))
    np.testing.assert_allclose(first(faces, image_size=16), halves.transpose(0, 2, 3, 1), atol=0.51)
    assert describe(faces, 16) == f"18 of 16×16 from {faces / 'faces-r04.tfrecords'}"
    assert describe(faces, 12) == f"18 of 16×16 from {faces / 'faces-r04.tfrecords'}, resized to 12×12"

    (faces / "faces-r04.tfrecords").rename(faces / "hidden")
    try:  # averaged down from 32 to 16, where the set's own halves are rounded in the same way
        assert open_stylegan(faces, 16).size == 32
        np.testing.assert_allclose(first(faces, image_size=16), halves.transpose(0, 2, 3, 1), atol=0.51)
    finally:
        (faces / "hidden").rename(faces / "faces-r04.tfrecords")
    with pytest.raises(ValueError, match=r"expected images of at least 64 pixels\. The largest have 32"):
        load_dataset(faces, image_size=64, batch_size=1)
    with pytest.raises(ValueError, match=r"at least 64 pixels\. The largest have 16"):
        load_dataset(faces / "faces-r04.tfrecords", image_size=64, batch_size=1)


def test_grey_pictures_become_rgb(tmp_path, images):
    write_set(tmp_path, images[:, :1])
    expected = np.repeat(images[:, :1].transpose(0, 2, 3, 1), 3, axis=3)
    np.testing.assert_array_equal(first(tmp_path), expected)


@pytest.mark.parametrize("cache", [True, False])
def test_order_mirroring_start_and_workers_are_as_for_our_own_records(tmp_path, faces, images, cache):
    """The same pictures in a folder of ours, in the same order, give the same batches."""
    writer = RecordWriter(tmp_path, Manifest(SIZE, 1))
    writer.write_shard(0, (Record.from_arrays(image.transpose(1, 2, 0)) for image in images))
    writer.finish()
    for arguments in ({"start": 0}, {"start": 41, "shard": (1, 3)}):
        arguments |= {"batch_size": 5, "seed": 3, "mirror": True, "cache": cache}
        both = (load_dataset(path, **arguments).take(9).as_numpy_iterator() for path in (faces, tmp_path))
        for batch, expected in zip(*both, strict=True):
            np.testing.assert_array_equal(batch["image"], expected["image"])
    assert load_dataset(faces, batch_size=4, cache=cache).element_spec["image"].shape == (4, SIZE, SIZE, 3)


def test_what_scripts_ask_of_a_dataset(faces):
    manifest = read_manifest(faces)
    assert (manifest.count, manifest.image_size, manifest.fields) == (COUNT, SIZE, ("image",))
    assert validate(faces) == manifest
    with pytest.raises(ValueError, match=r"images alone, not \['coefficients'\]"):
        load_dataset(faces, batch_size=1, fields=("image", "coefficients"))


def test_train_takes_a_set_and_says_which_file(faces, tmp_path, capsys):
    arguments = ["--preset=demo64", f"--data={faces}", f"--vae_dir={tmp_path / 'nowhere'}", f"--out={tmp_path / 'run'}"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train.main([*arguments, "--resolution=16"])
    assert f"real images: 18 of 16×16 from {faces / 'faces-r04.tfrecords'}\n" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"at least 64 pixels\. The largest have 32"):
        train.main(arguments)
    assert not (tmp_path / "run").exists()


def damage(faces, target, change):
    """A copy of one file with the bytes of its record 11 changed by `change(content, offset)`; the offset."""
    content = bytearray((faces / "faces-r03.tfrecords").read_bytes())
    offset = int(record_offsets(faces / "faces-r03.tfrecords")[11, 0])
    target.write_bytes(change(content, offset) or content)
    return offset


def flip(distance):
    def change(content, offset):
        content[offset + distance] ^= 4

    return change


def replace(payload):
    return lambda content, offset: content[:offset] + framed(payload) + content[offset + 16 + len(example(PICTURE)) :]


PICTURE = np.zeros((3, 8, 8), np.uint8)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flip(2), "its length does not check"),
        (flip(100), "its checksum is wrong"),
        (replace(example(PICTURE[:, :, :4])), r"expected an image of shape \(3, 8, 8\)\. Received: \(3, 8, 4\)"),
        (replace(example(PICTURE)[:-20]), "not a tf.train.Example"),
        (replace(example(PICTURE).replace(b"data", b"date")), r"Received: \['date', 'shape'\]"),
        (lambda content, offset: content[: offset + 40], "truncated"),
    ],
)
def test_damage_is_one_line_with_file_and_byte(faces, tmp_path, cache, change, reason):
    path = tmp_path / "faces-r03.tfrecords"
    offset = damage(faces, path, change)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught, clear_read_errors(path):
        list(load_dataset(path, batch_size=6, repeat=False, cache=cache))
    said = str(caught.value)
    assert "\n" not in said and f"at byte {offset}" in said and re.search(reason, said), said
    with pytest.raises(ValueError, match=rf"at byte {offset}"):
        validate(path)


def test_what_is_no_set_is_one_line(faces, tmp_path, images):
    write_set(tmp_path / "two", images[:2], name="cats")
    write_set(tmp_path / "two", images[:2], name="dogs")
    with pytest.raises(ValueError, match=r"holds the StyleGAN sets cats, dogs\. Say which by giving one of its files"):
        load_dataset(tmp_path / "two", batch_size=1)
    assert open_stylegan(tmp_path / "two" / "dogs-r05.tfrecords").count == 2
    (tmp_path / "empty.tfrecords").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty\.tfrecords: expected images\. The file is empty"):
        load_dataset(tmp_path / "empty.tfrecords", batch_size=1)
    (tmp_path / "text.tfrecords").write_text("not records, but a sentence of some length")
    with pytest.raises(ValueError, match=r"text\.tfrecords: damaged record at byte 0"):
        load_dataset(tmp_path / "text.tfrecords", batch_size=1)
    (tmp_path / "picture.png").write_bytes(b"PNG")
    with pytest.raises(FileNotFoundError, match="expected a dataset folder, or StyleGAN's"):
        load_dataset(tmp_path / "picture.png", batch_size=1)
    (tmp_path / "x-r06.tfrecords").write_bytes((faces / "faces-r04.tfrecords").read_bytes())
    with pytest.raises(ValueError, match=r"expected images of 64×64, as its name says\. Received: 16×16"):
        load_dataset(tmp_path / "x-r06.tfrecords", batch_size=1)
    (tmp_path / "ours.tfrecords").write_bytes(framed(Record.from_arrays(np.zeros((4, 4, 3), np.uint8)).serialize()))
    with pytest.raises(ValueError, match=r"damaged record at byte 0: expected the features shape and data"):
        load_dataset(tmp_path / "ours.tfrecords", batch_size=1)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 10**6), st.booleans())
def test_parsing_anything_else_is_a_value_error_or_a_picture(content, place, spliced):
    """Random bytes, alone or put into a real record: never another exception, never a picture of a wrong size."""
    if spliced:
        whole = example(np.arange(48, dtype=np.uint8).reshape(3, 4, 4))
        content = whole[: place % len(whole)] + content + whole[place % len(whole) + len(content) :]
    try:
        image = parse_image(content)
    except ValueError as error:
        assert str(error)
    else:
        assert image.ndim == 3 and image.shape[0] in (1, 3) and image.dtype == np.uint8
