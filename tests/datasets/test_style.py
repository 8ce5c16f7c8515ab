from __future__ import annotations

import numpy as np

from datasets.synthetic.population import Traits
from datasets.synthetic.style import draw_style

LONG = {"bob", "long straight", "long wavy", "long with fringe", "tied back"}


def styles(male, age, count=400):
    rng = np.random.default_rng(0)
    traits = Traits(male, age, 0.3, 0.3, 0.4, 0.5, 0.5)
    return [draw_style(150, 0, rng, traits) for _ in range(count)]


def test_hair_goes_with_sex_and_age():
    men, old_men, women = styles(1, 25), styles(1, 75), styles(0, 75)

    def share(people, kinds):
        return np.mean([style.hair.name in kinds for style in people])

    assert share(women, LONG) > 0.55 > 0.1 > share(men, LONG)
    assert share(old_men, {"bald", "receding"}) > 2 * share(men, {"bald", "receding"}) > 0
    assert share(women, {"bald", "receding"}) < 0.02


def test_beards_are_mens():
    assert not any(style.beard for style in styles(0, 40)) and any(style.beard for style in styles(1, 40))
