import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.perception.import_weights import import_network
from discoface_tf2.perception.pretrained import BASEL, Facenet
from discoface_tf2.perception.pretrained.framing import STANDARD_FACE
from discoface_tf2.perception.pretrained.units import FIXED, Source, Unit, to_bytes_range
from tests.helpers.published import NARROW, SHARED, made_up_variables, write_checkpoint

KINDS = ("reconstruction", "identity", "parsing")


@pytest.fixture(scope="module")
def networks():
    made = {kind: make() for kind, make in NARROW.items()}
    for network in made.values():
        values = made_up_variables(network.variables_of_source())
        for unit in network.units:
            unit.assign_source(values)
    return made


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/reference/perception beside the checkout")
@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_gives_the_same(kind, tmp_path):
    with np.load(SHARED / f"{kind}.npz", allow_pickle=False) as stored:
        names, sizes, x, expected = (stored[key] for key in ("names", "shapes", "input", "output"))
    shapes = {str(name): tuple(map(int, str(size).split(","))) for name, size in zip(names, sizes, strict=True)}
    network, report = import_network(kind, write_checkpoint(tmp_path / "model.ckpt-1", made_up_variables(shapes)))
    assert network.variables_of_source() == shapes and report["variables"] == len(names)
    if kind == "parsing":  # published with the channels first
        x, expected = x.transpose(0, 2, 3, 1), expected.transpose(0, 2, 3, 1)
    received = network.published(tf.constant(x)).numpy()
    largest = np.abs(expected).max()
    used = f"{len(shapes)} of {len(names)} variables used"
    print(f"{kind}: differs by {np.abs(received - expected).max() / largest:.1e} of the largest output; {used}")
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-5 * largest)


def test_the_networks_have_the_published_variables(networks):
    counts = {kind: len(network.variables_of_source()) for kind, network in networks.items()}
    assert counts == {"reconstruction": 279, "identity": 490, "parsing": 124}
    # Inception-ResNet-v1 without its classifier: 22.8 million numbers, statistics included
    published = Facenet().variables_of_source().values()
    assert sum(int(np.prod(shape)) for shape in published) == pytest.approx(22.8e6, rel=0.01)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID", FIXED])
@pytest.mark.parametrize("source", [Source.slim("s"), Source.slim("s", scale=False, epsilon=1e-3),
                                    Source.slim("s", norm=False), Source.layers("s", 1, bias=True)])  # fmt: skip
def test_folding_is_what_a_convolution_and_a_normalisation_compute(source, padding, stride):
    unit = Unit(source, (3, 3, 4, 5), stride=stride, padding=padding)
    values = made_up_variables(unit.variables_of_source())
    unit.assign_source(values)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]) if padding == FIXED else x
    y = tf.nn.conv2d(padded, values[source.kernel], stride, "VALID" if padding == FIXED else padding)
    if source.bias:
        y += values[source.bias]
    if source.norm:
        mean, variance, beta = (values[f"{source.norm}/{part}"] for part in ("moving_mean", "moving_variance", "beta"))
        y = tf.nn.batch_normalization(y, mean, variance, beta, values.get(f"{source.norm}/gamma"), source.epsilon)
    np.testing.assert_allclose(unit(x), tf.nn.relu(y), atol=1e-5)


@pytest.mark.parametrize("size", [32, 64])
def test_the_three_interfaces(networks, pictures, size):
    images = tf.image.resize(pictures, (size, size))
    coefficients = networks["reconstruction"](images).numpy()
    assert coefficients.shape == (4, BASEL.size) and coefficients.std(0).min() > 0
    embeddings = networks["identity"](images).numpy()
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=-1), 1, atol=1e-5)
    probabilities = networks["parsing"](images[:1]).numpy()
    assert probabilities.shape == (1, size, size, 3) and probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)


def test_each_network_gets_its_own_colours(networks, pictures, monkeypatch):
    """A picture of one colour must reach R-Net as BGR in 0-255, Facenet as RGB in 0-255, the parser normalised."""
    colour = np.array([1.0, 0.0, -0.5], np.float32)
    images = tf.constant(np.broadcast_to(colour, (1, 48, 48, 3)))
    seen = {}

    def keep(kind):
        def published(x: tf.Tensor) -> tf.Tensor:
            seen[kind] = x
            return x

        return published

    for kind, network in networks.items():
        monkeypatch.setattr(network, "published", keep(kind))
    networks["reconstruction"].from_crops(images)
    networks["identity"].features(images)
    networks["parsing"](images)
    expected = np.array([255, 127.5, 63.75])
    assert seen["reconstruction"].shape == (1, 224, 224, 3) and seen["identity"].shape == (1, 160, 160, 3)
    np.testing.assert_allclose(seen["reconstruction"][0, 100, 100], expected[::-1], rtol=1e-5)
    np.testing.assert_allclose(seen["identity"][0, 80, 80], expected, rtol=1e-5)
    normalised = (expected / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert seen["parsing"].shape == (1, 512, 512, 3)
    np.testing.assert_allclose(seen["parsing"][0, 256, 256], normalised, rtol=1e-4)
    np.testing.assert_allclose(to_bytes_range(tf.constant([-3.0, 3.0])), [0, 255])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_picture(networks, pictures, kind):
    network, images = networks[kind], pictures[:2]

    @tf.function
    def gradient(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_sum(network(images)[..., :2] * tf.constant([1.0, -2.0]))
        return tape.gradient(loss, images)

    result = gradient(images).numpy()
    assert np.isfinite(result).all() and (np.abs(result).max(axis=(1, 2, 3)) > 0).all()


def test_a_turned_face_is_parsed_as_if_upright(networks, pictures):
    """With landmarks given, turning the picture and its landmarks turns the answer."""
    network, images = networks["parsing"], tf.image.resize(pictures[:1], (64, 64))
    turned = np.array([1, 0]) + STANDARD_FACE[..., ::-1] * np.array([-1, 1])  # a quarter turn: (x, y) to (1 - y, x)
    upright = network(images, STANDARD_FACE).numpy()
    answer = network(tf.image.rot90(images, k=-1), turned.astype(np.float32))
    np.testing.assert_allclose(tf.image.rot90(answer, k=1), upright, atol=1e-3)
    assert np.abs(network(tf.image.rot90(images, k=-1)) - answer).max() > 0.01  # which the fixed places do not


def test_pictures_of_a_size_unknown_beforehand_are_refused(networks):
    signature = [tf.TensorSpec([1, None, None, 3])]
    with pytest.raises(ValueError, match="need the pictures' size beforehand"):
        tf.function(networks["reconstruction"].__call__, input_signature=signature).get_concrete_function()


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_images(networks, kind):
    with pytest.raises(ValueError, match=r"floats in \[-1, 1\]"):
        networks[kind](tf.zeros([2, 32, 32, 3], tf.uint8))
