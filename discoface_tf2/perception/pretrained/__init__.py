"""The networks that the papers publish: R-Net, Facenet and the face parser, re-implemented in Keras."""

from discoface_tf2.perception.pretrained.face_parser import FaceParser
from discoface_tf2.perception.pretrained.facenet import Facenet
from discoface_tf2.perception.pretrained.r_net import BASEL, RNet

__all__ = ["BASEL", "FaceParser", "Facenet", "RNet"]
