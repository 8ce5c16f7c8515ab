"""The networks that the papers publish: R-Net, Facenet and the face parser, re-implemented in Keras."""

from discoface_tf2.perception.literature.face_parser import FaceParser
from discoface_tf2.perception.literature.facenet import Facenet
from discoface_tf2.perception.literature.r_net import BASEL, RNet

__all__ = ["BASEL", "FaceParser", "Facenet", "RNet"]
