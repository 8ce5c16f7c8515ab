"""The pixel term beside a slow numpy reference."""

import numpy as np
import pytest
import tensorflow as tf

from discoface_tf2.losses.pixels import pixel_loss, to_network_range
from renderer import FaceRenderer


@pytest.mark.parametrize("resolution", [16, 8])
def test_pixel_loss_is_the_mean_distance_where_the_mesh_covers_the_pixel(tiny_face_model, resolution):
    renderer = FaceRenderer(tiny_face_model, 16)
    drawn = renderer(tf.random.stateless_normal([2, tiny_face_model.layout.lambda_size], [1, 2], stddev=0.05))
    fakes = np.random.default_rng(0).uniform(-1, 1, [2, 16, 16, 3]).astype(np.float32)
    loss = pixel_loss(tf.constant(fakes), drawn, resolution).numpy()

    factor = 16 // resolution

    def reduced(image):
        return image.reshape(2, resolution, factor, resolution, factor, -1).mean((2, 4))

    distance = np.linalg.norm(reduced(fakes) - reduced(to_network_range(drawn.image).numpy()), axis=-1)
    inside = reduced(drawn.mask.numpy())[..., 0] > 0.999
    assert inside.any() and not inside.all()
    np.testing.assert_allclose(loss, (distance * inside).sum((1, 2)) / inside.sum((1, 2)), rtol=1e-4)
