"""What a run keeps: checkpoints to go on from, and snapshots to generate with. A full disk ends no run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import tensorflow as tf

from discoface_tf2 import model_io
from discoface_tf2.files import log
from discoface_tf2.selfcheck import write_golden
from discoface_tf2.systems.base import Tools
from discoface_tf2.training.checkpoints import Checkpoints
from discoface_tf2.training.state import TrainingState
from renderer.files import require_room

_OVERHEAD = 8192  # bytes of a file for each variable in it, at most


class Saver:
    """Writes snapshots and checkpoints of a run; with several workers the chief's alone does (`writes`).

    Args:
        state: what is saved.
        directory: the run folder.
        tools: the run's: what the average w and the golden images are made with.
        vae: its folder, whose decoders a snapshot holds.
        facts: what a snapshot remembers of its run.
        writes: whether this process is the one that writes.
    """

    def __init__(
        self,
        state: TrainingState,
        directory: Path,
        tools: Tools,
        vae: str,
        facts: dict[str, str | int],
        writes: bool = True,
    ) -> None:
        self.state, self.directory, self.tools = state, directory, tools
        self.vae, self.facts, self.writes = vae, facts, writes
        self.checkpoints = Checkpoints(state.checkpoint, directory / "checkpoints")
        self.pending = False  # a save failed, and is to be tried again
        self._drawn = False  # … but its snapshot was written: more of them would take the room of the checkpoint

    def restore(self) -> bool:
        """Goes on from the newest checkpoint that can be read; returns whether there was one.

        What a killed run left half written is removed.
        """
        if self.writes:
            for half in (*self.directory.glob("checkpoints/*.tmp"), *self.directory.glob("snapshots/*.tmp")):
                shutil.rmtree(half, ignore_errors=True)
        return self.checkpoints.restore() is not None

    def save(self, again: bool = False) -> Path:
        """A snapshot, then a checkpoint, so that a run killed between the two makes the snapshot again.

        `again` after a save that failed: what that one wrote is not written anew.

        Raises OSError with one line when there is no room for one of them (the other is written where there is), and
        FloatingPointError when a weight is not finite: what was saved before is kept in both cases.
        """
        state = self.state
        snapshot = model_io.snapshot_path(self.directory, state.kimg)
        broken = not_finite(state)
        if broken:
            raise FloatingPointError(
                f"{broken} is not finite at {state.kimg:g} kimg, and is not saved. {self.last_saved()}"
            )
        if not self.writes:
            return snapshot
        self.pending = True
        size = sum(variable.numpy().nbytes + _OVERHEAD for variable in state.variables)
        failure: OSError | None = None
        try:
            if not (again and self._drawn):
                self._write_snapshot(snapshot)
                self._drawn = True
        except OSError as error:
            failure = error
        try:
            self.checkpoints.save(int(state.images.numpy()), size)
        except OSError as error:
            failure = error
        if failure is not None:
            raise failure
        self.pending = self._drawn = False
        return snapshot

    def try_to_save(self) -> None:
        """`save` in the middle of a run, which goes on without: with a line where it cannot be done."""
        again = self.pending
        try:
            self.save(again)
        except OSError as error:
            if not again:
                log(f"{error}. Training goes on, and tries again at each status line. {self.last_saved()}", sys.stderr)
        else:
            if again:
                log(f"{self.directory}: saved at {self.state.kimg:g} kimg; there is room again", sys.stderr)

    def last_saved(self) -> str:
        """A sentence on what there is to go on from."""
        numbers = self.checkpoints.numbers()
        if not numbers:
            return "There is no checkpoint yet"
        return f"The checkpoint at {numbers[-1] / 1000:g} kimg is kept, and the same command goes on from it"

    def _write_snapshot(self, snapshot: Path) -> None:
        state = self.state
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        networks = (state.generator, state.average, state.discriminator)
        weights = sum(v.numpy().nbytes + _OVERHEAD for network in networks for v in network.variables)
        decoders = sum(path.stat().st_size for path in Path(self.vae).rglob("*") if path.is_file())
        require_room(snapshot.parent, weights + decoders)
        facts = {**self.facts, **state.facts, "kimg": state.kimg}
        config, system, sampler = state.config, state.system, self.tools.sampler
        sizes = self.tools.face_model.layout, config.noise_dim
        manifest = model_io.Manifest(config.SYSTEM, state.architecture, state.sizes, *sizes, facts)
        average_w = system.average_w(state.average, sampler, *sizes)

        def also(folder: Path) -> None:
            state.save_networks(folder)
            exact = system.architectures[state.architecture].build_generator(state.sizes)  # float32 in any run
            exact.set_weights(state.average.get_weights())
            faces = system.faces(exact, *sizes, average_w, self.tools.face_model)
            write_golden(folder / model_io.GOLDEN, faces, sampler)

        model_io.save_model(snapshot, state.average, manifest, vae_dir=self.vae, average_w=average_w, also=also)


def not_finite(state: TrainingState) -> str:
    """The name of a weight of the state that is NaN or infinite; "" when there is none."""
    for variable in state.variables:
        if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(variable)))):
            return variable.name.split(":")[0]
    return ""
