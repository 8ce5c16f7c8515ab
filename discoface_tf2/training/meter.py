"""Means of what a run measures, summed up on the device: the host waits for it only when it asks."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

_SLOTS = 64  # terms a run may measure


@dataclass(frozen=True)
class Broken:
    """A term that was not finite, first after `images` images of the run had been shown."""

    name: str
    images: int


class Meter:
    """Sums terms inside of a `tf.function`. Make it in the strategy's scope; what it holds is no part of a checkpoint.

    It also remembers, for ever, where each term first was NaN or infinite.
    """

    def __init__(self) -> None:
        self._names: list[str] = []  # of the slots, in the order in which they were first traced
        self._sums = tf.Variable(tf.zeros([_SLOTS]), trainable=False, name="meter_sums")
        self._counts = tf.Variable(tf.zeros([_SLOTS]), trainable=False, name="meter_counts")
        self._broken = tf.Variable(tf.fill([_SLOTS], tf.constant(-1, tf.int64)), trainable=False, name="meter_broken")

    def add(self, terms: dict[str, tf.Tensor], images: tf.Tensor) -> None:
        """Adds scalar terms, in cross-replica context, after a step that brought the run to `images` images."""
        self._names += [name for name in terms if name not in self._names]
        if len(self._names) > _SLOTS:
            raise ValueError(f"Meter: expected at most {_SLOTS} terms. Received: {', '.join(self._names)}")
        slots = tf.constant([[self._names.index(name)] for name in terms])
        values = tf.stack([tf.cast(value, tf.float32) for value in terms.values()])
        self._sums.assign_add(tf.scatter_nd(slots, values, [_SLOTS]))
        self._counts.assign_add(tf.scatter_nd(slots, tf.ones_like(values), [_SLOTS]))
        # Written so that NaN sums cannot hide it: a sum stays NaN, but says not since when.
        bad = tf.scatter_nd(slots, tf.cast(~tf.math.is_finite(values), tf.int32), [_SLOTS]) > 0
        before = tf.convert_to_tensor(self._broken)
        self._broken.assign(tf.where((before < 0) & bad, images, before))

    def read(self) -> dict[str, float]:
        """The means since the last time, by name. Waits for the device."""
        sums, counts = self._sums.numpy(), self._counts.numpy()
        self._sums.assign(tf.zeros([_SLOTS]))
        self._counts.assign(tf.zeros([_SLOTS]))
        return {name: float(sums[k] / counts[k]) for k, name in enumerate(self._names) if counts[k]}

    def broken(self) -> list[Broken]:
        """Terms that were not finite, the first one first. Waits for the device."""
        found = [Broken(name, int(images)) for name, images in zip(self._names, self._broken.numpy(), strict=False)]
        return sorted((one for one in found if one.images >= 0), key=lambda one: one.images)
