"""Face models, and the renderer that draws their coefficients plainly."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from renderer.camera import Camera, WeakPerspectiveCamera
    from renderer.face_model import FaceModel, load_face_model
    from renderer.face_renderer import FaceRenderer, Flow, Rendering
    from renderer.layout import CoefficientLayout
    from renderer.rasterizer import rasterize

# Imported when first used: TensorFlow takes seconds, and a wrong flag, --help and Ctrl-C are answered before.
_HOMES = {
    "Camera": "renderer.camera",
    "CoefficientLayout": "renderer.layout",
    "FaceModel": "renderer.face_model",
    "FaceRenderer": "renderer.face_renderer",
    "Flow": "renderer.face_renderer",
    "Rendering": "renderer.face_renderer",
    "WeakPerspectiveCamera": "renderer.camera",
    "load_face_model": "renderer.face_model",
    "rasterize": "renderer.rasterizer",
}

__all__ = [
    "Camera",
    "CoefficientLayout",
    "FaceModel",
    "FaceRenderer",
    "Flow",
    "Rendering",
    "WeakPerspectiveCamera",
    "load_face_model",
    "rasterize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
