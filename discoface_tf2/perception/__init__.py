"""What is in a picture: coefficients, identity, and where skin and hair are."""

from discoface_tf2.perception.bundle import Perception
from discoface_tf2.perception.identity import Identity
from discoface_tf2.perception.parsing import CLASSES, Parsing
from discoface_tf2.perception.reconstruction import Reconstruction

__all__ = ["CLASSES", "Identity", "Parsing", "Perception", "Reconstruction"]
