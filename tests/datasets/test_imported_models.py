"""Synthetic photographs of models that are not the built-in one: a face without a head."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from datasets.schema import BACKGROUND, HAIR, SKIN
from datasets.synthetic import hair
from datasets.synthetic.style import HairStyle
from datasets.synthetic.synthesizer import Synthesizer


def _places() -> np.ndarray:
    """[68, 2] roughly where landmarks lie on a face of radius 0.8."""
    turn = np.linspace(np.pi, 2 * np.pi, 17)
    jaw = 0.78 * np.stack([np.cos(turn), np.sin(turn)], -1)
    brows = [(x, 0.4) for x in np.r_[-0.5:-0.15:5j, 0.15:0.5:5j]]
    nose = [(0, y) for y in np.linspace(0.3, 0, 4)] + [(x, -0.12) for x in np.linspace(-0.1, 0.1, 5)]
    around = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    oval = np.stack([np.cos(around), 0.4 * np.sin(around)], -1)
    eyes = [0.12 * oval[::2] + (x, 0.27) for x in (-0.3, 0.3)]
    return np.concatenate(
        [jaw, brows, nose, *eyes, 0.25 * oval - (0, 0.38), 0.15 * oval[[0, 2, 3, 4, 6, 8, 9, 10]] - (0, 0.38)]
    )


@pytest.fixture(scope="module")
def bare_face(tiny_face_model):
    """Photographs of the half-sphere, with landmarks where a face has them."""
    mean = tiny_face_model.mean_shape[:, None, :2]
    landmarks = np.linalg.norm(mean - _places(), axis=-1).argmin(0).astype(np.int32)
    return Synthesizer(dataclasses.replace(tiny_face_model, landmarks=landmarks), 32, seed=0, subjects=4)


def test_a_whole_head_has_no_stand_in(synthesizer):
    assert not synthesizer.stand_in.needed and synthesizer.stand_in.place(synthesizer.scalp.mean).shape == (0, 3)


def test_a_bare_face_gets_a_skull_behind_it_and_a_neck_below(bare_face):
    stand_in, mean = bare_face.stand_in, bare_face.scalp.mean
    points = stand_in.place(mean)
    assert stand_in.needed and set(np.unique(stand_in.triangles)) == set(range(len(points)))
    assert points[:, 2].min() < mean[:, 2].min() - 0.3 and points[:, 1].min() < mean[:, 1].min()
    front = points[np.linalg.norm(points[:, :2], axis=1) < 0.5]
    near = np.linalg.norm(front[:, None, :2] - mean[None, :, :2], axis=-1).argmin(1)
    assert (front[:, 2] < mean[near, 2]).all()  # the face hides it
    np.testing.assert_allclose(np.linalg.norm(stand_in.normals(), axis=1), 1)
    wider = stand_in.place(mean * 1.5)
    np.testing.assert_allclose(np.ptp(wider, axis=0), 1.5 * np.ptp(points, axis=0), rtol=1e-6)
    covered = hair.coverage(stand_in, HairStyle("full"))
    assert covered.shape == (len(points),) and covered.max() > 0.95 and covered.min() == 0


def test_photographs_of_a_bare_face_have_skin_hair_and_background(bare_face):
    classes = np.stack([record.classes() for record in bare_face.records(range(4))])
    shares = [(classes == kind).mean() for kind in (BACKGROUND, SKIN, HAIR)]
    assert min(shares) > 0.02 and shares[1] > 0.2
