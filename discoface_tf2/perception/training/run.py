"""The whole recipe: split, renders, the three networks one after another, their reports. Resumable by network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from discoface_tf2.face_model_option import face_model_note
from discoface_tf2.files import write_json
from discoface_tf2.perception.perception import (
    MANIFEST,
    NETWORKS,
    Perception,
    load_weights,
    read_manifest,
    save_weights,
    weights_path,
)
from discoface_tf2.perception.training import evaluate
from discoface_tf2.perception.training.flip import mirror_matrix
from discoface_tf2.perception.training.objectives import (
    IdentityObjective,
    Objective,
    ParsingObjective,
    ReconstructionObjective,
)
from discoface_tf2.perception.training.optimise import Budget, fit
from discoface_tf2.perception.training.samples import Samples, Views
from renderer import FaceModel, FaceRenderer

# One line per network, in steps: the same training on every machine, and longer on slower ones.
PRESETS: dict[str, dict[str, Budget]] = {
    "quick": {  # the demo
        "reconstruction": Budget(steps=1000, batch_size=32),
        "identity": Budget(steps=300, batch_size=64),
        "parsing": Budget(steps=350, batch_size=32),
    },
    "default": {
        "reconstruction": Budget(steps=5400, batch_size=32),
        "identity": Budget(steps=500, batch_size=96),
        "parsing": Budget(steps=2300, batch_size=32),
    },
}
STATE, REPORT, SHEET = "training.json", "report.json", "held-out.png"


def budgets(preset: str, steps: int | None = None, minutes: float | None = None) -> dict[str, Budget]:
    """The preset's budgets, with `steps` or `minutes` of every network replaced by what is given."""
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}. Received: {preset!r}")
    plan = PRESETS[preset]
    if steps is not None:
        plan = {name: replace(budget, steps=steps) for name, budget in plan.items()}
    if minutes is not None:
        steps = 10**7 if steps is None else steps  # without steps of its own, the clock alone decides
        plan = {name: replace(budget, steps=steps, minutes=minutes) for name, budget in plan.items()}
    return plan


def make_draw(renderer: FaceRenderer) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The renderer as a function of arrays: coefficients [B, size] → image [B, S, S, 3] 0-255, mask [B, S, S, 1]."""

    @tf.function
    def compiled(coefficients: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rendering = renderer(coefficients)
        return rendering.image, rendering.mask

    def draw(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        image, mask = compiled(tf.constant(coefficients, tf.float32))
        return image.numpy(), mask.numpy()

    return draw


def train(
    samples: Samples,  # photographs without renders; these are drawn here
    face_model: FaceModel,
    out: str | Path,  # the perception folder; created
    *,
    plan: dict[str, Budget],  # see `budgets`
    options: dict[str, Any],  # what makes two runs the same; remembered, and compared when the folder exists
    networks: Sequence[str] = NETWORKS,
    seed: int = 0,
    held_out: float = 0.08,  # share of the subjects
    command: str = "",  # noted in the report
) -> dict[str, Any]:
    """Trains what is not trained yet in `out`, and returns the report, which is also written there.

    Finished networks are skipped. When all three are there, `perception.json` makes the folder a `Perception`.
    Raises ValueError when the folder holds networks of other options, or when the samples do not fit.
    """
    unknown = set(networks) - set(NETWORKS)
    if unknown or not networks:
        raise ValueError(f"networks: expected some of {', '.join(NETWORKS)}. Received: {', '.join(networks) or 'none'}")
    if face_model.layout != samples.layout:
        raise ValueError(
            f"perception: the dataset's coefficients {samples.layout.to_dict()} are not those of the face model "
            f"{face_model.name!r}, {face_model.layout.to_dict()}"
        )
    out = Path(out)
    state = _read_state(out, options)
    finished = {name for name in state["networks"] if (out / f"{name}.weights.h5").is_file()}
    missing = [name for name in NETWORKS if name in networks and name not in finished]
    for name in sorted(finished & set(networks)):
        print(f"{name}: already trained in {out}, skipped")
    perception = Perception.new(samples.layout, samples.size, **face_model_note(face_model))
    if missing:
        out.mkdir(parents=True, exist_ok=True)
        writer = tf.summary.create_file_writer(str(out / "tensorboard"))
        renderer = FaceRenderer(face_model, samples.size)
        draw = make_draw(renderer)
        print(f"drawing {2 * len(samples)} renders", flush=True)
        training, test = samples.with_renders(draw, seed).split(held_out, seed)
        views = Views(training, mirror_matrix(face_model))
        print(
            f"training on {len(training)} photographs, {len(test)} of other subjects held out, "
            f"{'mirrored half of the time' if views.mirror is not None else 'not mirrored: the face model is lopsided'}"
        )
        for name in missing:
            network = getattr(perception, name)
            if name == "identity" and "reconstruction" in state["networks"]:
                # shape and skin are half of the reconstruction's answer: its trunk is a long way ahead of a fresh one
                load_weights(perception.reconstruction, out)
                network.trunk.set_weights(perception.reconstruction.trunk.get_weights())
            objective = _objective(network, views, renderer, plan[name].batch_size)
            figures = fit(objective, plan[name], seed, writer, name)
            report = _report(network, test, renderer, seed)
            save_weights(network, out)
            state["networks"][name] = {"training": figures, "held_out": report}
            write_json(out / STATE, state)
            print(f"{name}: {json.dumps(report)}", flush=True)
            _log_report(writer, name, report, int(figures["images"]))
        _write_sheet(perception, out, state, test, draw, writer)
    report = {
        "command": command,
        "seed": seed,
        "samples": len(samples),
        "held_out_share_of_subjects": held_out,
        "networks": state["networks"],
    }
    if missing or not (out / REPORT).is_file():
        write_json(out / REPORT, report)
        _finish(perception, out, report)
    return report


def _read_state(out: Path, options: dict[str, Any]) -> dict[str, Any]:
    path = out / STATE
    if not path.is_file():
        if (out / MANIFEST).is_file() and "imported" in read_manifest(out / MANIFEST).get("report", {}):
            raise ValueError(
                f"{out} holds imported networks, which stay. Train into another folder, and join both with: "
                "python -m discoface_tf2.perception.import_weights KIND --base FOLDER"
            )
        return {"options": options, "networks": {}}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        there, trained = state["options"], state["networks"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the state of a perception training ({error})") from None
    different = [key for key in {**there, **options} if there.get(key) != options.get(key)]
    if trained and different:
        words = ", ".join(f"{key}: there {there.get(key)}, asked {options.get(key)}" for key in different)
        raise ValueError(f"{out} holds networks of other options ({words}). Choose another folder, or delete this one")
    return {"options": options, "networks": trained}


def _objective(network: keras.Model, views: Views, renderer: FaceRenderer, batch_size: int) -> Objective:
    if network.kind == "reconstruction":
        return ReconstructionObjective(network, views, renderer.landmarks, batch_size)
    if network.kind == "identity":
        return IdentityObjective(network, views, batch_size)
    return ParsingObjective(network, views, batch_size)


def _report(network: keras.Model, test: Samples, renderer: FaceRenderer, seed: int) -> dict[str, Any]:
    if network.kind == "reconstruction":
        return evaluate.report_reconstruction(network, test, renderer.landmarks)
    if network.kind == "identity":
        return evaluate.report_identity(network, test, seed)
    return evaluate.report_parsing(network, test)


def _log_report(writer: Any, name: str, report: dict[str, Any], images: int) -> None:
    with writer.as_default(step=images):
        for key, value in _flat(report):
            tf.summary.scalar(f"held_out/{name}/{key}", value)


def _flat(report: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Names and numbers of a nested report, names joined by "/"."""
    found: list[tuple[str, float]] = []
    for key, value in report.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key}/")
        elif value is not None:
            found.append((prefix + key, float(value)))
    return found


def _write_sheet(
    perception: Perception, out: Path, state: dict[str, Any], test: Samples, draw: Any, writer: Any
) -> None:
    networks = {}
    for name in state["networks"]:
        networks[name] = getattr(perception, name)
        load_weights(networks[name], out)
    picture = evaluate.sheet(networks, test, draw)
    Image.fromarray(picture).resize((2 * picture.shape[1], 2 * picture.shape[0]), Image.Resampling.NEAREST).save(
        out / SHEET
    )
    with writer.as_default(step=0):
        tf.summary.image("held_out", picture[None])


def _finish(perception: Perception, out: Path, report: dict[str, Any]) -> None:
    """Writes the manifest when all three networks are there."""
    if not all(weights_path(getattr(perception, name), out).is_file() for name in NETWORKS):
        return
    for name in NETWORKS:
        load_weights(getattr(perception, name), out)
    replace(perception, report=report).save(out)
