"""Tiny assets for training: an untrained sampler and untrained perception networks of the tiny face model."""

import numpy as np
import pytest

from discoface_tf2.perception import Perception
from vae import FACTORS, FactorConfig, FactorSampler, FactorVAE
from vae.sampler import save_factor


@pytest.fixture(scope="session")
def tiny_vaes(tiny_face_model):
    layout, rng = tiny_face_model.layout, np.random.default_rng(0)
    examples = {f: 0.3 * rng.normal(size=(50, layout.factor_size(f))).astype(np.float32) for f in FACTORS}
    return {f: FactorVAE(FactorConfig.for_data(f, examples[f], latent=3, width=8, depth=1)) for f in FACTORS}


@pytest.fixture(scope="session")
def tiny_sampler(tiny_vaes, tiny_face_model):
    return FactorSampler(tiny_vaes, tiny_face_model.layout.to_dict())


@pytest.fixture(scope="session")
def tiny_perception(tiny_face_model):
    return Perception.new(tiny_face_model.layout, image_size=32)


@pytest.fixture(scope="session")
def tiny_assets(tmp_path_factory, tiny_face_model, tiny_vaes, tiny_perception):
    """A folder with `face.npz`, `vae/` and `perception/`."""
    folder = tmp_path_factory.mktemp("assets")
    tiny_face_model.save(folder / "face.npz")
    for vae in tiny_vaes.values():
        short = {"identity": "id", "expression": "exp", "lighting": "gamma", "pose": "rot"}[vae.config.factor]
        save_factor(folder / "vae" / short, vae, tiny_face_model.layout.to_dict())
    tiny_perception.save(folder / "perception")
    return folder
