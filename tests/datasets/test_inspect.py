"""`python -m datasets.inspect`: what it counts, its checksum, its pictures, and damage of every kind."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from datasets.inspect import main
from datasets.records import FIELDS, Manifest, Record, RecordWriter
from datasets.scan import digest, parts_of
from datasets.tfrecord import record_offsets
from tests.helpers.stylegan_files import example, framed, write_set

SIZE, COUNT = 16, 12


@pytest.fixture(scope="module")
def records(tiny_face_model):
    rng, layout = np.random.default_rng(0), tiny_face_model.layout
    deviation = np.concatenate([tiny_face_model.shape_std, tiny_face_model.texture_std, tiny_face_model.expression_std])
    coefficients = rng.normal(size=(COUNT, layout.size))
    coefficients[:, : len(deviation)] *= deviation
    return [
        Record.from_arrays(
            np.full((SIZE, SIZE, 3), (10 * n, 20, 200), np.uint8),
            mask=np.repeat([[0] * 8 + [1] * 4 + [2] * 4], SIZE, 0).astype(np.uint8),
            coefficients=coefficients[n],
            landmarks=rng.uniform(0, SIZE, (68, 2)),
            subject=n // 4,
            name=f"photograph {n}",
        )
        for n in range(COUNT)
    ]


def write(folder, records, layout, shards, model="tiny"):
    writer = RecordWriter(folder, Manifest(SIZE, shards, FIELDS, layout, model, {"seed": 1}))
    for shard in range(shards):
        writer.write_shard(shard, records[shard::shards])
    writer.finish()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, records, tiny_face_model):
    return write(tmp_path_factory.mktemp("inspect") / "ours", records, tiny_face_model.layout, 3)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    images = np.random.default_rng(1).integers(0, 256, (9, 3, 8, 8), dtype=np.uint8)
    return write_set(tmp_path_factory.mktemp("inspect") / "faces", images)


def run(capsys, *argv) -> tuple[int, str]:
    code = main([str(word) for word in argv])
    return code, capsys.readouterr().out


def copy(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_whole_dataset(folder, tmp_path, tiny_assets, capsys):
    code, text = run(capsys, folder, "--out", tmp_path / "out", "--face_model", tiny_assets / "face.npz")
    assert code == 0 and text.rstrip().endswith("damage    none")
    for line in (
        "12 images of 16×16 in 3 shards",
        "12 whole, 0 damaged",
        "16×16 12; PNG 12",
        "red, green, blue 55.0 20.0 200.0; deviation 34.5 0.0 0.0 (0-255)",
        "background 50.0%, skin 25.0%, hair 25.0%",
        "3, with 4 to 4 images each",
        "expression (σ)",
    ):
        assert line in text, line
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:  # 12 of 64 asked for: every one once, labels beside
        assert sheet.size == (2 * 8 * 128, 2 * 128)
        cells = np.asarray(sheet).reshape(2, 128, 16, 128, 3)[:, 64, :8, 64]
    np.testing.assert_array_equal(cells.reshape(-1, 3)[:12, 0], [10 * (n % 4 * 3 + n // 4) for n in range(12)])
    with Image.open(tmp_path / "out" / "coefficients.png") as plot:
        assert plot.width > 1000 and len(plot.getcolors(1 << 20)) > 50


def checksum(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if line.strip().startswith("checksum")]


def test_the_checksum_knows_the_records_and_not_their_places(folder, records, tiny_face_model, tmp_path, capsys):
    layout = tiny_face_model.layout
    (expected,) = checksum(run(capsys, folder)[1])
    assert expected == f"{sum(digest(parts_of(record)) for record in records) % 2**256:064x}"
    shuffled = [records[n] for n in np.random.default_rng(3).permutation(COUNT)]
    assert checksum(run(capsys, write(tmp_path / "again", shuffled, layout, 5))[1]) == [expected]
    for name, others in (("less", records[1:]), ("twice", [*records, records[0]])):
        assert checksum(run(capsys, write(tmp_path / name, others, layout, 1))[1]) != [expected]


def test_stylegan_files_are_listed_each(faces, tmp_path, capsys):
    code, text = run(capsys, faces, "--out", tmp_path)
    assert code == 0 and text.count("9 whole, 0 damaged") == 2 and "8×8 9; raw 9" in text and "4×4 9; raw 9" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.png"]
    both = checksum(text)
    assert checksum(run(capsys, faces / "faces-r03.tfrecords")[1]) == both[1:] and both[0] != both[1]


def test_all_damage_is_listed_and_the_rest_is_reported(folder, tmp_path, capsys):
    path = copy(folder, tmp_path / "copy")
    shards = sorted(path.glob("shard-*"))
    places = [record_offsets(shard)[:, 0] for shard in shards]
    first = bytearray(shards[0].read_bytes())
    first[places[0][1] + 40] ^= 1  # a payload
    first[places[0][3] + 2] ^= 1  # a length
    shards[0].write_bytes(first)
    bad = Record.from_arrays(np.zeros((4, 4, 3), np.uint8), coefficients=np.zeros(3)).serialize()
    shards[1].write_bytes(framed(bad) + shards[1].read_bytes()[places[1][1] :])
    shards[2].unlink()
    code, text = run(capsys, path)
    assert code == 1 and "5 whole, 4 damaged" in text and checksum(text)
    for file, place, reason in (
        (shards[0], f": damaged record at byte {places[0][1]}", "its checksum is wrong"),
        (shards[0], f": damaged record at byte {places[0][3]}", "its length does not check; no whole record follows"),
        (shards[1], ": damaged record at byte 0", "expected a 16×16 image. Received: 4×4"),
        (shards[2], "", "the file is missing"),
    ):
        assert f"\n  {file}{place}: {reason}\n" in f"{text}\n"


def test_truncated_and_foreign_records_of_stylegan(faces, tmp_path, capsys):
    path = copy(faces, tmp_path / "copy")
    file = path / "faces-r03.tfrecords"
    offsets = record_offsets(file)[:, 0]
    picture = np.zeros((3, 8, 8), np.uint8)
    file.write_bytes(framed(example(picture[:, :4])) + file.read_bytes()[offsets[1] : offsets[7] + 20])
    code, text = run(capsys, path)
    shift = len(framed(example(picture[:, :4]))) - offsets[1]
    assert code == 1 and "6 whole, 2 damaged" in text and "9 whole, 0 damaged" in text
    assert f"{file}: damaged record at byte 0: expected an image of 8 pixels. Received: (3, 4, 8)" in text
    end = offsets[7] + shift
    assert f"{file}: damaged record at byte {end}: truncated, the file ends at byte {end + 20}" in text


def test_a_resolution_with_fewer_pictures_is_damage(faces, tmp_path, capsys):
    path = copy(faces, tmp_path / "copy")
    file = path / "faces-r02.tfrecords"
    file.write_bytes(file.read_bytes()[: record_offsets(file)[7, 0]])
    code, text = run(capsys, path)
    assert code == 1 and f"{file}: expected 9 records, as another file has. Received: 7" in text


def test_what_contradicts_the_manifest_is_damage(folder, tmp_path, capsys):
    path = copy(folder, tmp_path / "copy")
    (path / "coefficients.npz").write_bytes(b"PK\3\4")
    code, text = run(capsys, path)
    assert code == 1 and "coefficients.npz: not readable" in text
    values = json.loads((path / "dataset.json").read_text()) | {"shard_counts": [4, 4, 5], "count": 13}
    (path / "dataset.json").write_text(json.dumps(values))
    code, text = run(capsys, path)
    assert code == 1 and "expected 13 records, as dataset.json says. Received: 12" in text
    values |= {"shard_counts": None, "count": None}
    (path / "dataset.json").write_text(json.dumps(values))
    code, text = run(capsys, path)
    assert code == 0 and "unfinished of 16×16" in text


def test_wrong_paths_are_one_line(tmp_path, folder, tiny_assets):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        main([str(tmp_path / "nowhere")])
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        main([str(folder), "--out", str(tmp_path / "file")])
    with pytest.raises(ValueError, match="expected a face model of"):
        main([str(folder), "--face_model", "builtin"])


def test_traits_are_summed_up_by_name(records, tiny_face_model, tmp_path, capsys):
    known = [dataclasses.replace(record, traits=np.array([n, 0.5], np.float32)) for n, record in enumerate(records)]
    manifest = Manifest(SIZE, 1, FIELDS, tiny_face_model.layout, "tiny", {"traits": ["age", "male"]})
    writer = RecordWriter(tmp_path / "set", manifest)
    writer.write_shard(0, known)
    writer.finish()
    code, printed = run(capsys, tmp_path / "set")
    rows = {
        line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.startswith("  ") and line.split()
    }
    assert code == 0 and [float(value) for value in rows["male"]] == [0.5] * 6
    assert [float(value) for value in rows["age"]] == [5.5, 0.55, 2.75, 5.5, 8.25, 10.45]
