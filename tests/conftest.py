"""What many tests share: a small made-up face model, and untrained networks that fit it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
import tensorflow as tf

from datasets.records import Manifest, Record, RecordWriter
from discoface_tf2.perception import Perception
from renderer import FaceRenderer
from renderer.face_model import FaceModel
from vae import FACTORS, FactorConfig, FactorSampler, FactorVAE
from vae.model import ABBREVIATIONS
from vae.sampler import save_factor

# Two logical devices, so that MirroredStrategy has what to mirror over; everything else runs on the first.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def make_tiny_face_model(shape=3, texture=2, expression=4, rings=10, sectors=16, seed=0) -> FaceModel:
    """A half-sphere of radius 0.8 dm that bulges to the camera, with smooth random bases and 68 landmarks."""
    rng = np.random.default_rng(seed)
    angle, around = np.meshgrid(
        np.linspace(0.05, np.pi / 2, rings), np.linspace(0, 2 * np.pi, sectors, endpoint=False), indexing="ij"
    )
    mean = 0.8 * np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], -1)
    number = np.arange(rings * sectors).reshape(rings, sectors)
    right = np.roll(number, -1, axis=1)
    lower = np.stack([number[:-1], number[1:], right[1:]], -1).reshape(-1, 3)
    upper = np.stack([number[:-1], right[1:], right[:-1]], -1).reshape(-1, 3)
    triangles = np.concatenate([lower, upper]).astype(np.int32)
    mean = mean.reshape(-1, 3)
    vertices = len(mean)

    def smooth(columns, scale):
        waves = rng.normal(size=(3, columns)) * 2
        directions = rng.normal(size=(3, columns)) * scale
        return (np.sin(mean @ waves)[:, None, :] * directions[None]).astype(np.float32)

    return FaceModel(
        mean_shape=mean.astype(np.float32),
        shape_basis=smooth(shape, 0.05),
        shape_std=np.ones(shape, np.float32),
        expression_basis=smooth(expression, 0.05),
        expression_std=np.full(expression, 0.5, np.float32),
        mean_texture=(150 + 40 * mean).astype(np.float32),
        texture_basis=smooth(texture, 20.0),
        texture_std=np.ones(texture, np.float32),
        triangles=triangles,
        landmarks=np.linspace(0, vertices - 1, 68).astype(np.int32),
        region=np.zeros(vertices, np.int32),
        uv=(mean[:, :2] / 2 + 0.5).astype(np.float32),
        face_triangles=np.arange(len(triangles)) < 0.9 * len(triangles),
        region_names=("skin",),
        shape_names=tuple(f"shape_{i}" for i in range(shape)),
        texture_names=tuple(f"texture_{i}" for i in range(texture)),
        expression_names=tuple(f"expression_{i}" for i in range(expression)),
        name="tiny",
        manifest={"centre": [0.0, 0.0, 0.0]},
    )


@pytest.fixture(scope="session")
def tiny_face_model() -> FaceModel:
    return make_tiny_face_model()


@pytest.fixture(scope="session")
def other_face_model() -> FaceModel:
    """Of the same sizes, and yet another."""
    return make_tiny_face_model(seed=1)


@pytest.fixture(scope="session")
def tiny_vaes(tiny_face_model):
    keras.utils.set_random_seed(0)
    layout, rng = tiny_face_model.layout, np.random.default_rng(0)
    examples = {f: 0.3 * rng.normal(size=(50, layout.factor_size(f))).astype(np.float32) for f in FACTORS}
    return {f: FactorVAE(FactorConfig.for_data(f, examples[f], latent=3, width=8, depth=1)) for f in FACTORS}


@pytest.fixture(scope="session")
def tiny_sampler(tiny_vaes, tiny_face_model):
    return FactorSampler(tiny_vaes, tiny_face_model.layout.to_dict())


@pytest.fixture(scope="session")
def tiny_perception(tiny_face_model):
    # The same weights in every run: what networks that know nothing make of a face may magnify a rounding error.
    keras.utils.set_random_seed(1)
    return Perception.new(tiny_face_model.layout, image_size=32)


@pytest.fixture(scope="session")
def tiny_assets(tmp_path_factory, tiny_face_model, tiny_vaes, tiny_perception):
    """A folder with `face.npz`, `vae/` and `perception/`."""
    folder = tmp_path_factory.mktemp("assets")
    tiny_face_model.save(folder / "face.npz")
    for vae in tiny_vaes.values():
        save_factor(folder / "vae" / ABBREVIATIONS[vae.config.factor], vae, tiny_face_model.layout.to_dict())
    tiny_perception.save(folder / "perception")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory, tiny_face_model):
    """16 photographs: renders of random coefficients, of 4 people."""
    folder, layout, rng = tmp_path_factory.mktemp("photographs"), tiny_face_model.layout, np.random.default_rng(0)
    coefficients = (0.3 * rng.normal(size=(16, layout.size))).astype(np.float32)
    coefficients[:, layout.slice("translation")] = 0
    pictures = FaceRenderer(tiny_face_model, 16)(coefficients).image.numpy().astype(np.uint8)
    fields = ("image", "coefficients", "subject", "name")
    writer = RecordWriter(folder, Manifest(16, 2, fields, layout, tiny_face_model.name))
    for shard in range(2):
        rows = range(8 * shard, 8 * shard + 8)
        writer.write_shard(
            shard,
            [Record.from_arrays(pictures[k], coefficients=coefficients[k], subject=k // 4, name=str(k)) for k in rows],
        )
    writer.finish()
    return folder
