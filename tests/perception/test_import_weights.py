import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discoface_tf2.perception import Perception
from discoface_tf2.perception.import_weights import FACE_MODEL, import_into, import_network, main
from discoface_tf2.perception.pretrained import BASEL, Facenet, FaceParser, RNet
from discoface_tf2.perception.pretrained.variables import read_variables
from discoface_tf2.perception.training import run
from renderer.layout import CoefficientLayout
from tests.helpers.published import NARROW, made_up_variables, write_checkpoint, write_graph

KINDS = ("reconstruction", "identity", "parsing")


@pytest.fixture(scope="module")
def values():
    """Made-up variables of narrow networks, by kind."""
    return {kind: made_up_variables(make().variables_of_source()) for kind, make in NARROW.items()}


@pytest.fixture(scope="module")
def checkpoints(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    return {kind: write_checkpoint(folder / kind / "model.ckpt-250000", values[kind]) for kind in KINDS}


def same(first, second):
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoint_and_frozen_graph_give_the_same_network(kind, values, checkpoints, tmp_path):
    network, report = import_network(kind, checkpoints[kind])
    frozen, _ = import_network(kind, write_graph(tmp_path / "frozen.pb", values[kind]))
    same(network, frozen)
    assert network.options == NARROW[kind]().options  # the width is the file's
    assert report["variables"] == len(values[kind]) and report["left_out"] == 0
    assert all(np.abs(unit.kernel).max() > 0 for unit in network.units)


def test_a_variable_is_named_that_is_missing_unknown_or_of_another_shape(values, tmp_path):
    kernel, bias = "FaceParser/fpn/c4/conv2d/kernel", "FaceParser/fpn/c4/conv2d/bias"
    for change, message in (
        ({kernel: None}, f"missing: {kernel}$"),
        ({"FaceParser/extra/conv2d/kernel": np.zeros(3, np.float32)}, "unknown: FaceParser/extra/conv2d/kernel$"),
        ({bias: np.zeros(5, np.float32)}, rf"of another shape: {bias} \(expected \[8\], received \[5\]\)$"),
    ):
        changed = {name: value for name, value in {**values["parsing"], **change}.items() if value is not None}
        for source in (write_checkpoint(tmp_path / "c", changed), write_graph(tmp_path / "g.pb", changed)):
            with pytest.raises(ValueError, match=f"expected the 124 variables of face parser.*{message}") as caught:
                import_network("parsing", source)
            assert "\n" not in str(caught.value)


def test_a_network_of_another_kind_is_refused_in_one_line(checkpoints):
    with pytest.raises(ValueError, match=r"missing: .*Conv2d_1a_3x3/weights.* and 487 more; unknown: ") as caught:
        import_network("identity", checkpoints["parsing"])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 800


def test_widths_beyond_the_published_ones_are_not_built(values, tmp_path):
    """A few bytes can claim a tensor of any size: a graph's constant may be one number, repeated."""
    name = "FaceParser/resnet/block0/conv2d/kernel"
    graph = tf.compat.v1.GraphDef.FromString(write_graph(tmp_path / "g.pb", values["parsing"]).read_bytes())
    node = next(node for node in graph.node if node.name == name)
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0.5, tf.float32, [1]))
    del node.attr["value"].tensor.tensor_shape.dim[:]
    for size in (7, 7, 3, 10**9):
        node.attr["value"].tensor.tensor_shape.dim.add(size=size)
    (tmp_path / "g.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ValueError, match=r"of another shape: .*received \[7, 7, 3, 1000000000\]"):
        import_network("parsing", tmp_path / "g.pb")


def test_what_training_leaves_is_left_out_and_counted(values, tmp_path):
    zero = np.zeros(2, np.float32)
    kernel = "InceptionResnetV1/Conv2d_1a_3x3/weights"
    left = {"global_step": np.int64(3), f"{kernel}/Adam_1": zero, "Logits/weights": zero,
            f"{kernel}/ExponentialMovingAverage": zero}  # fmt: skip
    network, report = import_network("identity", write_checkpoint(tmp_path / "c", {**values["identity"], **left}))
    assert (report["variables"], report["left_out"]) == (490, 4)
    np.testing.assert_allclose(
        network.head.kernel[0, 0], values["identity"]["InceptionResnetV1/Bottleneck/weights"] / np.sqrt(
            values["identity"]["InceptionResnetV1/Bottleneck/BatchNorm/moving_variance"] + 1e-3), rtol=1e-5
    )  # fmt: skip


def test_embeddings_of_another_size_are_read_off_the_file(tmp_path):
    network = Facenet(base=2, embedding=512)
    source = write_checkpoint(tmp_path / "c", made_up_variables(network.variables_of_source()))
    assert import_network("identity", source)[0].options == network.options


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("moving_variance", -1.0, "a negative variance"),
        ("gamma", np.nan, "NaN or infinity"),
        ("beta", None, "int32 in place of floats"),
    ],
)
def test_numbers_that_no_network_has(values, tmp_path, part, value, message):
    name = f"resnet_v1_50/conv1/BatchNorm/{part}"
    broken = np.zeros(4, np.int32) if value is None else np.full(4, value, np.float32)
    source = write_graph(tmp_path / "g.pb", {**values["reconstruction"], name: broken})
    with pytest.raises(ValueError, match=f"the variable {name} holds {message}"):
        import_network("reconstruction", source)


def test_a_source_is_a_prefix_a_file_of_it_or_a_folder(checkpoints, tmp_path):
    prefix = checkpoints["parsing"]
    for source in (prefix.parent, prefix.with_name(f"{prefix.name}.index"),
                   prefix.with_name(f"{prefix.name}.data-00000-of-00001"), prefix):  # fmt: skip
        assert read_variables(source).path == prefix
    for source in (tmp_path, tmp_path / "absent", tmp_path / "absent.pb"):
        with pytest.raises(FileNotFoundError, match=f"--source {source}: expected "):
            read_variables(source)
    (tmp_path / "a.pb").touch()
    (tmp_path / "b.pb").touch()
    with pytest.raises(FileNotFoundError, match=r"Found: a\.pb, b\.pb"):
        read_variables(tmp_path)
    (tmp_path / "text").write_text("no checkpoint")
    with pytest.raises(ValueError, match="not a checkpoint, or a damaged one"):
        read_variables(tmp_path / "text")


def test_a_damaged_checkpoint_is_named(values, tmp_path):
    prefix = write_checkpoint(tmp_path / "c", values["parsing"])
    data = prefix.with_name("c.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"c: .*damaged|c: cannot read the variable"):
        import_network("parsing", prefix)
    index = prefix.with_name("c.index")
    index.write_bytes(index.read_bytes()[:100])
    with pytest.raises(ValueError, match="c: not a checkpoint, or a damaged one"):
        import_network("parsing", prefix)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_graph_of_any_bytes_is_read_or_refused(tmp_path, data):
    whole = write_graph(tmp_path / "whole.pb", {"a/weights": np.ones((2, 3), np.float32)}).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path / "g.pb"
    path.write_bytes(whole[:cut] + data.draw(st.binary(max_size=20)) + whole[cut + data.draw(st.integers(0, 5)) :])
    try:
        variables = read_variables(path)
        arrays = {name: variables.read(name) for name, shape in variables.shapes.items() if np.prod(shape) < 1e6}
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())


def test_from_the_command_line_to_a_perception(checkpoints, tmp_path, capsys, pictures):
    out = tmp_path / "published"
    for kind in KINDS:
        main([kind, "--source", str(checkpoints[kind]), "--out", str(out)])
        if kind != "parsing":
            with pytest.raises(ValueError, match=r"parsing are not there yet\. Import them"):
                Perception.load(out)
    printed = capsys.readouterr().out
    assert "reconstruction: all 279 variables of R-Net" in printed and "still missing in" in printed
    assert printed.rstrip().endswith(f"{out} is complete: --perception_dir {out}")
    perception = Perception.load(out)
    assert perception.layout == BASEL and BASEL.size == 257 and perception.face_model == FACE_MODEL
    for kind, made in zip(KINDS, (RNet, Facenet, FaceParser), strict=True):
        network = getattr(perception, kind)
        assert type(network) is made and network.trainable_variables == []
        same(network, import_network(kind, checkpoints[kind])[0])
    assert perception.report["imported"]["identity"]["source"] == "model.ckpt-250000"
    perception.save(tmp_path / "again")
    again = Perception.load(tmp_path / "again")
    np.testing.assert_array_equal(again.reconstruction(pictures), perception.reconstruction(pictures))
    assert not list(tmp_path.glob("**/*tmp*"))


def test_imported_networks_beside_trained_ones(checkpoints, tmp_path, tiny_perception):
    trained, out = tmp_path / "trained", tmp_path / "mixed"
    tiny_perception.save(trained)
    with pytest.raises(ValueError, match=r"holds train_perception\.py's own network for identity"):
        import_into(trained, "identity", checkpoints["identity"])
    assert import_into(out, "identity", checkpoints["identity"], base=trained) == []
    mixed = Perception.load(out)
    assert mixed.layout == tiny_perception.layout and isinstance(mixed.identity, Facenet)
    same(mixed.identity, import_network("identity", checkpoints["identity"])[0])
    same(mixed.parsing, tiny_perception.parsing)
    same(mixed.reconstruction, tiny_perception.reconstruction)
    import_into(out, "identity", checkpoints["identity"])  # an imported one may be imported again
    with pytest.raises(FileNotFoundError, match="--base"):
        import_into(tmp_path / "other", "identity", checkpoints["identity"], base=tmp_path)


def test_training_leaves_imported_networks_alone(checkpoints, tmp_path):
    import_into(tmp_path, "parsing", checkpoints["parsing"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="holds imported networks, which stay"):
        run._read_state(tmp_path, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_face_model_of_another_layout_is_refused(tiny_perception):
    perception = replace(tiny_perception, reconstruction=NARROW["reconstruction"](), face_model=FACE_MODEL)
    perception.require_layout(BASEL, "folder")
    with pytest.raises(
        ValueError, match=r"folder: .*another face model \(bfm09\).*'shape': 5,.*'shape': 80,.*Basel"
    ) as caught:
        perception.require_layout(CoefficientLayout(5, 4, 6), "folder")
    assert "\n" not in str(caught.value)


def test_manifests_that_do_not_fit(checkpoints, tmp_path):
    import_into(tmp_path, "parsing", checkpoints["parsing"])
    path = tmp_path / "perception.json"
    manifest = json.loads(path.read_text())
    with pytest.raises(ValueError, match="reconstruction, identity are not there yet"):
        Perception.load(tmp_path)
    every = {"reconstruction": {"network": "r_net", "base": 4}, "identity": {"network": "facenet", "base": 4}}
    for parsing, message in (
        ({"network": "r_net"}, "expected parsing by the bundled network or 'face_parser'"),
        ({"network": "face_parser", "depth": 3}, "a field is missing, unknown or wrong .*'depth'"),
    ):
        networks = {**every, "parsing": parsing}
        path.write_text(json.dumps({**manifest, "layout": BASEL.to_dict(), "networks": networks}))
        with pytest.raises(ValueError, match=message):
            Perception.load(tmp_path)


def test_usage(capsys, tmp_path):
    for arguments in ([], ["mouth", "--source", "x", "--out", "y"], ["identity", "--source", "x"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert "invalid choice: 'mouth'" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError):
        main(["identity", "--source", str(tmp_path / "x"), "--out", str(tmp_path / "y")])
    assert not (tmp_path / "y").exists()
