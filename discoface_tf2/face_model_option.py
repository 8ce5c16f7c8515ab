"""The option `--face_model` of scripts that start from a trained model, whose sizes are fixed already."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings TensorFlow along, which takes seconds that a usage error need not wait for
    from renderer.layout import CoefficientLayout


def add_face_model_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--face_model`, in either spelling."""
    parser.add_argument(
        "--face_model",
        "--face-model",
        help="'builtin' or a .npz: refuse a --model that was trained for another face model",
    )


def require_face_model(face_model: str | None, layout: CoefficientLayout, model: Path) -> None:
    """Raises ValueError, with one line, where `model` has the coefficients `layout` and `face_model` has others.

    None asks for nothing.
    """
    if face_model is None:
        return
    from renderer.face_model import load_face_model

    expected = load_face_model(face_model).layout
    if expected != layout:
        raise ValueError(
            f"{model}: trained for another face model: its coefficients are {layout.to_dict()}, those of {face_model} "
            f"are {expected.to_dict()}"
        )
