"""The option `--face_model` of scripts that start from a trained model, whose sizes are fixed already."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discoface_tf2.files import log

if TYPE_CHECKING:  # it brings TensorFlow along, which takes seconds that a usage error need not wait for
    from renderer.face_model import FaceModel
    from renderer.layout import CoefficientLayout

SHORT = 16  # digits of a checksum that are noted


def add_face_model_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--face_model`, in either spelling."""
    parser.add_argument(
        "--face_model",
        "--face-model",
        help="'builtin' or a .npz: refuse a --model that was trained for another face model",
    )


def face_model_note(face_model: FaceModel) -> dict[str, str]:
    """What to note of the face model that something is made for."""
    return {"face_model": face_model.name, "face_model_checksum": face_model.checksum()[:SHORT]}


def require_same_face_model(
    what: str | Path, noted: str | None, name: object, face_model: FaceModel, advice: str = ""
) -> None:
    """Raises ValueError, with one line, where `what` notes the checksum of another face model than `face_model`.

    The sizes of two models may agree, and yet their coefficients mean other faces. `noted` is None where it was made
    before that was noted, or imported: a line says that this is taken on trust. `name` is the noted model's.
    """
    if noted is None:
        log(f"{what}: does not say which face model it is for; taken to be for {face_model.name}", sys.stderr)
        return
    ours = face_model.checksum()[:SHORT]
    exact = face_model.manifest.get("compact_of")  # the model of which it is a rounded form
    same = [ours, *(str(checksum)[:SHORT] for checksum in (exact if isinstance(exact, list) else ()))]
    if noted[:SHORT] not in same:
        raise ValueError(
            f"{what}: made for another face model: expected {face_model.name}, checksum {ours}. Received: "
            f"{name}, checksum {noted[:SHORT]}{advice and '. '}{advice}"
        )


def require_face_model(
    face_model: str | None, layout: CoefficientLayout, model: Path, facts: Mapping[str, Any] | None = None
) -> FaceModel | None:
    """The face model, which `model` was trained for. None asks for nothing, and gives None.

    Raises ValueError, with one line, where `model` has the coefficients `layout` and `face_model` has others. `facts`
    are what the snapshot noted of its run, with the checksum of its face model.
    """
    if face_model is None:
        return None
    from renderer.face_model import load_face_model

    ours = load_face_model(face_model)
    expected = ours.layout
    if expected != layout:
        raise ValueError(
            f"{model}: trained for another face model: its coefficients are {layout.to_dict()}, those of {face_model} "
            f"are {expected.to_dict()}"
        )
    facts = facts or {}
    require_same_face_model(model, facts.get("face_model_checksum"), facts.get("face_model"), ours)
    return ours
