from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.perception.training.run import make_draw
from discoface_tf2.perception.training.samples import Samples
from renderer import FaceRenderer
from tests.helpers.toy_face import random_coefficients, toy_face


@pytest.fixture(scope="session")
def face():
    return toy_face()


@pytest.fixture(scope="session")
def draw32(face):
    return make_draw(FaceRenderer(face, 32))


@pytest.fixture(scope="session")
def samples(face, draw32):
    """40 made-up photographs of 10 subjects, 32 x 32: renders before a colour, with a cap of hair."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(10), 4)
    coefficients = random_coefficients(face, 40, 1, subjects)
    image, mask = draw32(coefficients)
    hair = (np.arange(32) < 8)[None, :, None, None] & (mask > 0)
    classes = np.where(hair, 2, mask > 0).astype(np.uint8)
    colours = rng.uniform(0, 255, (40, 1, 1, 3))
    picture = np.where(classes == 2, colours[::-1], np.where(classes == 1, image, colours))
    return Samples(face.layout, picture.astype(np.uint8), classes, coefficients, subjects)


@pytest.fixture(scope="session")
def with_renders(samples, draw32):
    return samples.with_renders(draw32, seed=0, batch_size=16)


@pytest.fixture(scope="session")
def pictures():
    """Smooth random images [4, 32, 32, 3] in [-1, 1]."""
    noise = tf.random.stateless_uniform([4, 4, 4, 3], [1, 2], -1, 1)
    return tf.image.resize(noise, (32, 32))
