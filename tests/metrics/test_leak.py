"""Nearest training images of a generator that copies, and of one that does not."""

import numpy as np

from discoface_tf2.metrics import leak

RNG = np.random.default_rng(0)


def people(count):
    vectors = RNG.normal(size=(count, 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_copied_training_set_is_found_and_held_out_images_are_not():
    training, held_out = people(300), people(500)
    copied = training[RNG.permutation(300)[:100]]
    batches = np.array_split(training, 7)
    cosine, number = leak.nearest(copied, batches)
    np.testing.assert_allclose(cosine, 1)
    np.testing.assert_array_equal(training[number], copied)
    others = leak.nearest(held_out, batches)[0]
    np.testing.assert_allclose(others, (held_out @ training.T).max(1))
    figures = leak.figures(cosine, others)
    assert figures["share_beyond_held_out"] == 1 and figures["generated_median"] > figures["held_out_most"]
    fresh = leak.figures(leak.nearest(people(500), batches)[0], others)
    assert fresh["share_beyond_held_out"] < 0.05


def test_the_sheet_and_the_distribution_are_drawn(tmp_path):
    cosine, number = np.linspace(0.1, 0.9, 20), np.arange(20) % 3
    asked = []

    def images(wanted):
        asked.append(wanted)
        return {k: np.full([8, 8, 3], 10 * k, np.uint8) for k in wanted}

    leak.draw_sheet({"generated": (cosine, number, images)}, images, tmp_path / "sheet.png")
    assert asked == [set(range(12, 20)), {0, 1, 2}]  # the nearest eight
    leak.plot(cosine, cosine / 2, tmp_path / "plot.png")
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in ("sheet.png", "plot.png"))
