"""Data sets of generated images: the same bytes from whoever makes them, labels that fit, damage that is found."""

import io
import json
import tarfile
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import generate_dataset
from benchmarks import generate_dataset as benchmark
from datasets.generated.framing import ARCFACE_POINTS, Similarity, fit_similarity, similarity, warp
from datasets.generated.making import Item
from datasets.generated.options import GeneratedSet
from datasets.generated.selection import UNIT, candidates_path, choose, nearest_distance
from datasets.records import load_dataset, validate
from discoface_tf2.generation import GenerationOptions, sample_row
from discoface_tf2.model import load
from discoface_tf2.model_io import Manifest, save_model, snapshot_path
from discoface_tf2.networks.stylegan2.config import NetworkConfig, build_generator
from renderer import FaceRenderer
from renderer.files import save_npz
from renderer.traits import typology_angle

NOISE, PEOPLE, EACH = 4, 5, 3


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_face_model, tiny_assets):
    folder, layout = tmp_path_factory.mktemp("run"), tiny_face_model.layout
    sizes = NetworkConfig(layout.lambda_size + NOISE, 16, 128, 8, 2, 16, 16, mapping_lr_multiplier=1.0)
    manifest = Manifest("disco", "stylegan2", sizes, layout, NOISE, {"face_model": str(tiny_assets / "face.npz")})
    save_model(snapshot_path(folder, 1), build_generator(sizes, seed=1), manifest, vae_dir=tiny_assets / "vae")
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_source_of_each_kind():
    """What generates is made once for the same settings: compiling it takes seconds."""
    made, make = {}, generate_dataset.make_source

    def cached(arguments, options):
        settings = {name: value for name, value in arguments.items() if name != "out"}
        key = str((settings, options.images_per_identity, options.masks))
        if key not in made:
            made[key] = make(arguments, options)
        return made[key]

    with mock.patch.object(generate_dataset, "make_source", cached):
        yield


def arguments(run, out, *more):
    return [f"--model={run}", f"--out={out}", f"--identities={PEOPLE}", f"--images_per_identity={EACH}", "--shards=3",
            "--image_size=24", "--batch_size=4", *more]  # fmt: skip


def contents(folder):
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("run.lock", "options.json"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


# ---- which people ---------------------------------------------------------------------------------------------------


def written_candidates(folder, units):
    """Units of people on a circle, of which one in two is a man."""

    def write(numbers):
        for unit in numbers:
            people = np.arange(unit * UNIT, (unit + 1) * UNIT)
            angles = people * 0.37
            units.append(unit)
            embeddings = np.stack([np.cos(angles), np.sin(angles)], -1)
            save_npz({"male": (people % 2).astype(np.float32), "embedding": embeddings}, candidates_path(folder, unit))

    return write


def test_people_are_chosen_in_order_far_enough_apart_and_in_equal_groups(tmp_path):
    options = GeneratedSet(9, 1, min_distance=0.05, balance=("sex",))
    summary = choose(tmp_path, options, written_candidates(tmp_path, []))
    with np.load(tmp_path / "identities.npz") as found:
        people, embeddings = found["person"], found["embedding"]
        counts = {name: int(found[name]) for name in ("tried", "too_near", "group_full")}
    expected, angles = [], []
    for person in range(counts["tried"]):  # by the definition
        near = any(1 - np.cos(person * 0.37 - other) < 0.05 for other in angles)
        if not near and sum(k % 2 == person % 2 for k in expected) < (5 if person % 2 == 0 else 4):
            expected.append(person)
            angles.append(person * 0.37)
    assert people.tolist() == expected and len(people) == 9
    assert counts["tried"] - counts["too_near"] - counts["group_full"] == 9 and f"{counts['tried']} people" in summary
    assert nearest_distance(embeddings) >= 0.05
    assert not (tmp_path / "candidates").exists()


def test_too_many_people_for_the_distance_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"1,024 people tried for 30 .*nearer than 0.5 .*only 5 found. Give a smaller"):
        choose(tmp_path, GeneratedSet(30, 1, min_distance=0.5), written_candidates(tmp_path, []))


def test_what_was_looked_at_is_not_looked_at_again(tmp_path):
    units = []
    write = written_candidates(tmp_path, units)
    write([0])
    choose(tmp_path, GeneratedSet(2 * UNIT, 1), write)
    assert units == [0, 1]


def test_skin_tone_is_the_typology_angle():
    """L* and b* of white, middle grey and sRGB's red are published: 100 and 0, 50 and 0, 53.24 and 67.20."""
    found = typology_angle(np.array([[255, 255, 255], [118.9, 118.9, 118.9], [255, 0, 0]], float))
    assert found[0] > 89.9 and found[2] == pytest.approx(np.degrees(np.arctan(3.24 / 67.20)), abs=0.02)
    assert typology_angle(np.array([[232.0, 193, 175]]))[0] > 41 > 10 > typology_angle(np.array([[98.0, 66, 50]]))[0]


# ---- where the face lies --------------------------------------------------------------------------------------------


def test_a_similarity_is_found_and_undone():
    known = Similarity(1.3 * np.exp(0.4j), 5 - 2j)
    points = np.random.default_rng(0).normal(size=(5, 2)) * 20
    found = fit_similarity(points, known(points))
    np.testing.assert_allclose((found.turn, found.shift), (known.turn, known.shift), atol=1e-9)
    np.testing.assert_allclose(found.inverse()(found(points)), points, atol=1e-9)
    np.testing.assert_allclose(found.matrix() @ np.array([3, 4, 1]), found(np.array([[3, 4.0]]))[0], rtol=1e-6)


def landmarks_with(eyes, mouth, nose):
    points = np.zeros([68, 2])
    points[36:42], points[42:48], points[48], points[54], points[30] = *eyes, *mouth, nose
    return points


def test_arcface_and_ffhq_put_the_face_in_its_place():
    back = Similarity(0.5 * np.exp(-0.3j), 40 + 3j)
    five = back(ARCFACE_POINTS)
    points = landmarks_with(five[:2], five[3:], five[2])
    found = similarity("arcface", points, 64, 112)
    np.testing.assert_allclose(found(five), ARCFACE_POINTS, atol=1e-6)
    np.testing.assert_allclose(similarity("arcface", points, 64, 224)(five), 2 * ARCFACE_POINTS, atol=1e-6)
    # Upright, eyes 20 apart and 22 above the mouth: the side is 4 · 20, and 30 + 0.1 · 22 is in the middle.
    upright = landmarks_with([(40, 30), (60, 30)], [(45, 52), (55, 52)], (50, 40))
    frame = similarity("ffhq", upright, 64, 160)
    np.testing.assert_allclose(frame(np.array([(40.0, 30), (60, 30)])), [(60, 75.6), (100, 75.6)], atol=1e-9)
    assert similarity("none", upright, 64, 96)(np.array([[64.0, 32]])).tolist() == [[96, 48]]


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7])
def test_a_warped_picture_is_the_scene_seen_anew(scale):
    """A smooth scene sampled after the warp is the warped samples of it, within a grey level or two."""

    def scene(x, y):
        return 128 + 60 * np.sin(x / 9) + 50 * np.cos(y / 11)

    y, x = np.mgrid[:64, :64] + 0.5
    size, turn = 40, scale * np.exp(0.2j)
    found = Similarity(turn, (1 + 1j) * size / 2 - turn * (32 + 32j))
    warped = warp(np.rint(np.stack([scene(x, y)] * 3, -1)).astype(np.uint8), found, size).astype(float)
    rows, columns = np.mgrid[:size, :size] + 0.5
    there = found.inverse()(np.stack([columns.ravel(), rows.ravel()], -1)).reshape(size, size, 2)
    inside = ((there > 3) & (there < 61)).all(-1)
    assert inside.mean() > 0.25
    assert np.abs(warped[..., 0] - scene(there[..., 0], there[..., 1]))[inside].max() < 2.5
    classes = warp((x > 32).astype(np.uint8), found, size)
    assert set(np.unique(classes)) == {0, 1}
    np.testing.assert_array_equal(classes[inside], (there[..., 0] > 32)[inside].astype(np.uint8))


def test_an_unmoved_picture_stays_to_the_bit_and_its_border_is_reflected():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(warp(pixels, Similarity(1 + 0j, 0j), 16), pixels)
    moved = warp(np.arange(16, dtype=np.uint8)[None].repeat(16, 0), Similarity(1 + 0j, 3 + 0j), 16)
    assert moved[0].tolist() == [2, 1, 0, *range(13)]


# ---- whole data sets ------------------------------------------------------------------------------------------------


def test_images_and_labels_are_those_of_the_model(run, tmp_path):
    """Unaligned and as PNG: pixel for pixel what the model generates, and the renderer's landmarks."""
    out = tmp_path / "set"
    assert generate_dataset.main(
        arguments(run, out, "--align=none", "--image_size=16", "--format=png", "--seed=7", "--verify")
    ) == 0  # fmt: skip
    rows, model = pq.read_table(out / "metadata.parquet").to_pylist(), load(run)
    assert [(row["identity"], row["image"]) for row in rows] == [(k, i) for k in range(PEOPLE) for i in range(EACH)]
    options = GenerationOptions(variations=EACH, seed=7)
    for row in rows[:: EACH + 1]:
        coefficients, noise = (v[row["image"]] for v in sample_row(options, model.sampler, NOISE, row["person"]))
        parts = [row[name] for name in ("shape", "texture", "expression", "angles", "lighting")]
        np.testing.assert_array_equal(np.float32(np.concatenate(parts)), coefficients)
        np.testing.assert_array_equal(np.float32(row["noise"]), noise)
        np.testing.assert_allclose([row["pitch"], row["yaw"], row["roll"]], np.degrees(row["angles"]), rtol=1e-5)
        image = model.generate(model.people(coefficients[None], noise[None]))[0].astype(int)
        assert np.abs(np.asarray(Image.open(out / row["file"])) - image).max() <= 1
        points = FaceRenderer(model.face_model, 16).landmarks(coefficients[None])[0].numpy()
        np.testing.assert_allclose(np.reshape(row["landmarks"], [68, 2]), points * (1, -1) + (0, 16), atol=1e-3)
    assert {row["person"] for row in rows} == set(range(PEOPLE)) and rows[0]["seed"] == 7
    assert "skin_tone" in rows[0] and "male" not in rows[0]


@pytest.mark.parametrize("layout", ["folders", "webdataset", "tfrecord"])
def test_interrupted_damaged_and_made_by_others_the_bytes_are_the_same(run, tiny_assets, tmp_path, layout, capsys):
    out, other = tmp_path / "set", tmp_path / "other"
    more = [f"--layout={layout}", "--masks", f"--perception_dir={tiny_assets / 'perception'}"]
    assert generate_dataset.main(arguments(run, out, *more)) == 0
    whole = contents(out)
    generate_dataset.main(arguments(run, out, *more))
    assert "nothing to do" in capsys.readouterr().out

    # Another process makes the last shard alone, then ends in the middle of the first.
    args, options = generate_dataset.parse(arguments(run, other, *more))
    run_items = generate_dataset.run

    def stop(items, make, maker, *rest):
        if items[0].kind == "candidates":
            run_items(items, make, maker, *rest)
            return
        maker(Item("shard", 2))
        maker.layout.prepare(maker.source.face_model, maker.facts)
        maker.layout.write(0, list(maker._samples(0))[:2])
        (other / "parts" / "000000.parquet.tmp").touch()
        raise KeyboardInterrupt

    with mock.patch.object(generate_dataset, "run", stop), pytest.raises(KeyboardInterrupt):
        generate_dataset.generate_dataset(args, options)
    assert (other / "parts" / "000002.parquet").is_file() and not (other / "metadata.parquet").exists()
    assert generate_dataset.main(arguments(run, other, *more)) == 0
    assert contents(other) == whole

    first = {"folders": "images/00000000/0001.jpg", "webdataset": "shard-00000-of-00003.tar",
             "tfrecord": "shard-00000-of-00003.tfrecord"}[layout]  # fmt: skip
    broken = bytearray(whole[first])
    broken[len(broken) // 2] ^= 255
    (out / first).write_bytes(broken)
    assert generate_dataset.main([f"--out={out}", "--verify"]) == 1
    assert "makes their shards anew" in capsys.readouterr().out
    assert generate_dataset.main(arguments(run, out, *more, "--verify")) == 0
    assert contents(out) == whole

    with pytest.raises(ValueError, match=r"holds images of other options .*image_size: 24 there, 32 asked for"):
        generate_dataset.main([*arguments(run, out, *more), "--image_size=32"])
    if layout == "webdataset":
        with tarfile.open(out / first) as file:
            members = {member.name: file.extractfile(member).read() for member in file}
        assert members["00000000/0001.cls"] == b"0" and json.loads(members["00000000/0001.json"])["image"] == 1
        assert np.load(io.BytesIO(members["00000000/0001.coefficients.npy"])).shape == (load(run).layout.lambda_size,)
        assert Image.open(io.BytesIO(members["00000000/0001.mask.png"])).size == (24, 24)
    if layout == "tfrecord":
        assert validate(out).count == PEOPLE * EACH
        batch = next(iter(load_dataset(out, batch_size=2, fields=("image", "mask", "landmarks", "subject"))))
        assert batch["image"].shape == (2, 24, 24, 3) and batch["landmarks"].shape == (2, 68, 2)


def test_people_too_much_alike_are_left_out_by_the_network(run, tiny_assets, tmp_path):
    perception = [f"--perception_dir={tiny_assets / 'perception'}"]
    generate_dataset.main(arguments(run, tmp_path / "all", *perception, "--min_distance=1e-9"))
    with np.load(tmp_path / "all" / "identities.npz") as found:
        distances = 1 - found["embedding"] @ found["embedding"].T
        np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1, atol=1e-5)
    nearest = distances[np.triu_indices(PEOPLE, 1)].min()
    generate_dataset.main(arguments(run, tmp_path / "far", *perception, f"--min_distance={nearest * 1.01}"))
    with np.load(tmp_path / "far" / "identities.npz") as found:
        assert found["too_near"] > 0 and nearest_distance(found["embedding"]) > nearest
    assert generate_dataset.main([f"--out={tmp_path / 'far'}", "--verify"]) == 0


def test_what_the_face_model_does_not_know_is_not_balanced(run, tmp_path):
    with pytest.raises(ValueError, match=r"--balance sex age: .*'tiny' does not know .* it knows: skin"):
        generate_dataset.main(arguments(run, tmp_path / "set", "--balance", "sex", "skin", "age"))
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("flags, words", [
    (["--masks"], "--masks: expected --perception_dir"), (["--perception_dir=p"], "has no effect without"),
    (["--runner=DirectRunner", "--workers=2"], "--workers has no effect with --runner"),
    (["--shards=9"], "--shards: expected identities, 5, at most"), (["--balance", "height"], "sex, age, skin"),
    (["--balance", "sex", "sex"], "--balance: expected each name once"), (["--frob"], "unrecognized arguments: --frob"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(flags, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        generate_dataset.main(arguments("run", "out", *flags))
    assert stopped.value.code == 2 and words in capsys.readouterr().err.splitlines()[-1]


def test_there_is_nothing_to_verify(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a data set .* no options.json"):
        generate_dataset.main([f"--out={tmp_path}", "--verify"])


def test_the_benchmark_compares_with_generation_alone(run, capsys):
    benchmark.main([f"--model={run}", "--rounds=1", "--image_size=16"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("generation")[0].strip() for line in lines] == ["by the clock", "of processor time"]


def test_a_beam_pipeline_writes_the_same_data_set(run, tmp_path):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed (pip install apache-beam)")
    generate_dataset.main(arguments(run, tmp_path / "beam", "--runner=DirectRunner"))
    generate_dataset.main(arguments(run, tmp_path / "here"))
    assert contents(tmp_path / "beam") == contents(tmp_path / "here")
