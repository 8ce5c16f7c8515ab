"""The recognition benchmark: its test sets as others write them, and a recogniser that learns."""

import json
import pickle

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import recognition
from datasets.schema import encode_image
from renderer.unpickling import RefusedError

SIZE = 16


def person(k, seed=0):
    """An image of person k: of one colour, with noise."""
    colour = np.random.default_rng(k).integers(40, 216, 3)
    noise = np.random.default_rng([k, seed]).integers(-20, 20, [SIZE, SIZE, 3])
    return (colour + noise).astype(np.uint8)


@pytest.fixture
def generated(tmp_path):
    """As generate_images.py leaves it: 12 subjects with 3 images each."""
    folder = tmp_path / "generated"
    folder.mkdir()
    records = []
    for k in range(36):
        Image.fromarray(person(k // 3, k)).save(folder / f"{k:05d}.png")
        records.append(json.dumps({"file": f"{k:05d}.png", "subject": k // 3}))
    (folder / "coefficients.jsonl").write_text("\n".join(records))
    return folder


def test_pairs_as_lfw_has_them(tmp_path):
    for name in ("Ada", "Bob"):
        (tmp_path / name).mkdir()
        for k in (1, 2):
            Image.fromarray(person(len(name) + ord(name[0]), k)).save(tmp_path / name / f"{name}_{k:04d}.png")
    (tmp_path / "pairs.txt").write_text("1\t2\nAda\t1\t2\nAda\t2\tBob\t1\n")
    pairs = recognition.pairs_of(tmp_path, SIZE, 0, 0)
    assert pairs.same.tolist() == [True, False]
    np.testing.assert_array_equal(pairs.second[1], person(3 + ord("B"), 1))
    (tmp_path / "pairs.txt").write_text("Ada 1 3\n")
    with pytest.raises(FileNotFoundError, match=r"Ada_0003, as pairs\.txt says"):
        recognition.pairs_of(tmp_path, SIZE, 0, 0)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("arrays", [False, True])
def test_pairs_of_insightface(tmp_path, protocol, arrays):
    files = [encode_image(person(k), None) for k in (1, 1, 1, 2)]
    files = [np.frombuffer(file, np.uint8) for file in files] if arrays else files
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps((files, [True, False]), protocol))
    pairs = recognition.pairs_of(tmp_path / "lfw.bin", SIZE, 0, 0)
    assert pairs.same.tolist() == [True, False]
    np.testing.assert_array_equal(pairs.first, np.stack([person(1), person(1)]))
    np.testing.assert_array_equal(pairs.second, np.stack([person(1), person(2)]))


class Evil:
    """What a pickle can ask for."""

    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize("content, message", [
    (Evil(), "asks for builtins.print. Nothing in the file was run"),
    (([b"", b""], []), "two lists, of 2 N image files"),
    (([b"x", b"y"], [True]), "an image: not an image that can be read"),
])  # fmt: skip
def test_other_bins_are_refused(tmp_path, content, message, capsys):
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(content))
    with pytest.raises((RefusedError, ValueError), match=f"lfw.bin: .*{message}"):
        recognition.pairs_of(tmp_path / "lfw.bin", SIZE, 0, 0)
    assert not capsys.readouterr().out


def test_sampled_pairs_are_of_one_person_and_of_two_in_turn():
    people = {str(k): [person(k, seed) for seed in range(3)] for k in range(6)}
    pairs = recognition.sample_pairs(people, 40, seed=0)
    whose = [{image.tobytes(): k for k, images in people.items() for image in images}[i.tobytes()] for i in pairs.first]
    other = [
        {image.tobytes(): k for k, images in people.items() for image in images}[i.tobytes()] for i in pairs.second
    ]
    assert pairs.same.tolist() == [a == b for a, b in zip(whose, other, strict=True)] == [True, False] * 20
    assert np.abs(pairs.first.astype(int) - pairs.second).max((1, 2, 3)).min() > 0


def test_accuracy_takes_its_threshold_from_the_other_folds():
    same = np.tile([True, False], 50)
    assert recognition.accuracy(np.where(same, 0.6, 0.4), same).tolist() == [1.0] * 10
    moved = np.where(same, 0.6, 0.4)
    moved[:10] -= 0.5  # one fold needs another threshold, and does not get it
    assert recognition.accuracy(moved, same).tolist() == [0.5] + [1.0] * 9


def test_arcface_is_cross_entropy_with_the_margin_on_the_own_angle():
    embedding = tf.math.l2_normalize(tf.constant([[1.0, 2.0], [3.0, -1.0]]), -1)
    centres, classes = tf.constant([[2.0, 0.0, -1.0], [0.0, 5.0, -1.0]]), tf.constant([0, 2])
    cosine = embedding.numpy() @ (centres.numpy() / np.linalg.norm(centres, axis=0))
    expected = []
    for row, k in enumerate((0, 2)):
        logits = 8 * cosine[row]
        logits[k] = 8 * np.cos(min(np.arccos(cosine[row, k]) + 0.5, np.pi))
        expected.append(np.log(np.exp(logits).sum()) - logits[k])
    found = recognition.arcface(embedding, centres, classes, 0.5, 8.0)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_sets_are_cut_to_as_many_people_and_images():
    sizes = ({"a": 3, "b": 3, "c": 4}, {"a": 5, "b": 5, "c": 2, "d": 5})
    sets = [{name: [person(k)] * count for k, (name, count) in enumerate(each.items())} for each in sizes]
    for images, classes in recognition.equal_sets(sets):
        assert images.shape == (9, SIZE, SIZE, 3) and classes.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_recogniser_is_trained_and_tested_on_pairs(generated, tmp_path, capsys):
    folder = tmp_path / "folders"
    for k in range(100, 105):
        (folder / str(k)).mkdir(parents=True)
        for seed in range(4):
            Image.fromarray(person(k, seed)).save(folder / str(k) / f"{seed}.png")
    sets = ["--train", str(folder), "--test", str(generated), "--pairs=40", "--image_size=16"]
    recognition.main([*sets, "--steps=3", "--batch_size=8"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 people × 4 images, 3 steps of 8, seed 0" and len(lines) == 2
    assert "accuracy" in lines[1] and lines[1].endswith("40 pairs")
