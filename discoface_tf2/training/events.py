"""TensorBoard's event files, whose loss ends no run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from renderer.files import is_full, no_room, require_room


class Events:
    """Event files in `folder`, which is made with the first of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: tf.summary.SummaryWriter | None = None

    @contextlib.contextmanager
    def at(self, step: int, size: int = 1 << 16) -> Iterator[None]:
        """What `tf.summary` is given in here, about `size` bytes, is in a file afterwards.

        Raises OSError with one line when there is no room for it; it can be called again when there is. TensorFlow
        itself is silent about an event that it could not write, and nothing can be read behind half of one: so the
        room is asked for before, and after an error the next event begins a file of its own.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        require_room(self.folder, size)
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self.folder))
            with self._writer.as_default(step=step):
                yield
            self._writer.flush()
        except tf.errors.OpError as error:
            self._writer = None
            if not is_full(error):
                raise
            raise no_room(self.folder, error) from None
