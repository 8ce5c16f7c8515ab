"""Face models, and the renderer that draws their coefficients plainly."""

from renderer.camera import Camera
from renderer.face_model import FaceModel, load_face_model
from renderer.face_renderer import FaceRenderer, Flow, Rendering
from renderer.layout import CoefficientLayout
from renderer.rasterizer import rasterize

__all__ = [
    "Camera",
    "CoefficientLayout",
    "FaceModel",
    "FaceRenderer",
    "Flow",
    "Rendering",
    "load_face_model",
    "rasterize",
]
