"""The weights of a trained network in one of twice its resolution."""

from __future__ import annotations

import re

import keras
import tensorflow as tf


def grow(small: keras.Model, large: keras.Model, resolution: int) -> None:
    """Sets the weights of `large`, of `resolution`, that `small`, of half of it, has too.

    A generator's new block draws nothing at first, since its ToRGB is set to zero: the image is the small one's,
    enlarged. A discriminator's new block keeps its random weights, and so does the layer that reads the image.

    Raises ValueError when another weight of `large` is not in `small`: networks of other widths.
    """
    new = re.compile(rf"(.*[/_])?{resolution}([/_].*)?|from_rgb/.*")
    known = {_place(variable): variable for variable in small.variables}
    for variable in large.variables:
        place = _place(variable)
        if f"/rgb_{resolution}/" in place:
            variable.assign(tf.zeros(variable.shape))
        elif not new.fullmatch(place):
            source = known.get(place)
            if source is None or source.shape != variable.shape:
                theirs = "none" if source is None else tuple(source.shape)
                raise ValueError(f"{place}: expected the shape {tuple(variable.shape)}. Received: {theirs}")
            variable.assign(source)


def _place(variable: keras.Variable) -> str:
    """A variable's path below its network."""
    return str(variable.path).partition("/")[2]
